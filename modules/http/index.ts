import { defineModule } from "#contracts/module.ts";
import { hostOwner, WebUrl, webLane } from "../shared/web.ts";
import { change } from "./change.ts";
import { discovery } from "./discovery.ts";
import { examples } from "./examples.ts";
import { observation } from "./observation.ts";
import { HttpOptions } from "./options.ts";

/** Watches a URL: its status, redirect, security headers, cookies, and what its page loads, sends to and points at. */
export default defineModule<HttpOptions>({
  name: "http",
  version: 1,
  summary: "A web page's status, redirect, security headers, cookies, scripts, frames, forms and links.",
  resource: WebUrl,
  options: HttpOptions,
  lane: webLane,
  owner: (resource) => hostOwner(new URL(resource).hostname),
  discovery,
  observation,
  change,
  examples,
});
