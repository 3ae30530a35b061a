import { fileURLToPath } from "node:url";

/** The root of the clone. */
export const projectFolder = fileURLToPath(new URL("../..", import.meta.url)).replace(/\/$/, "");

/** What may be lost and is made again. */
export const cacheFolder = `${projectFolder}/node_modules/.cache/paintdry`;
