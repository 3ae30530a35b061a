import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { fileURLToPath } from "node:url";
import { createLog } from "#runtime/log.ts";
import { createMetrics } from "#runtime/metrics.ts";
import { buildGateway } from "./gateway.ts";

/** Where the committed document is. */
export const openapiFile = fileURLToPath(new URL("../../docs/generated/openapi.json", import.meta.url));

/** The OpenAPI 3.1 document of the routes, as `/api/v1/openapi.json` answers it. */
export async function buildOpenapi(): Promise<object> {
  const unused = undefined as never;
  const { version } = JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8"));
  const app = await buildGateway(
    {
      version,
      log: createLog("openapi", { PAINTDRY_LOG_LEVEL: "silent" }),
      metrics: createMetrics("openapi"),
      guard: { host: "127.0.0.1", allowedHosts: [], allowedOrigins: [] },
      uiFolder: dirname(openapiFile),
      // Routes are only described here, never called.
      nc: unused,
      store: unused,
      listModules: unused,
    },
    { clients: () => 0, position: () => 0, isReady: () => false, isFull: () => true, accept: unused, stop: unused },
    () => null,
  );
  const document = app.swagger();
  await app.close();
  return document;
}

/** The document's text as it is committed. */
export async function openapiText(): Promise<string> {
  return `${JSON.stringify(await buildOpenapi(), null, 2)}\n`;
}

// `node services/gateway/openapi.ts` writes the document anew.
if (import.meta.main) {
  mkdirSync(dirname(openapiFile), { recursive: true });
  writeFileSync(openapiFile, await openapiText());
  console.log(`wrote ${openapiFile}`);
}
