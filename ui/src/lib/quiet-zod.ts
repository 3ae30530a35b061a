import { config } from "zod";

// Zod otherwise tries `new Function`, which the page's content security policy reports as a violation.
// Imported before the contracts, since a schema decides when it is made.
config({ jitless: true });
