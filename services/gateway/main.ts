import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { runService } from "#runtime/lifecycle.ts";
import type { RunningService, ServiceContext } from "#runtime/lifecycle.ts";
import { loadModules } from "#runtime/load-modules.ts";
import { createStoreClient } from "#runtime/rpc.ts";
import { startGateway } from "./gateway.ts";
import { createModuleList } from "./modules.ts";

/** A person waits for the answer: better a clear "not now" soon than an answer late. */
const call = { timeoutMs: 5000, retryForMs: 2000 };
const uiFolder = fileURLToPath(new URL("../../ui/dist", import.meta.url));

await runService("gateway", start);

async function start({ environment, broker, log, metrics }: ServiceContext): Promise<RunningService> {
  const { nc, isConnected } = broker;
  const store = createStoreClient(nc, call);
  const gateway = await startGateway({
    port: environment.port ?? 8080,
    nc,
    store,
    log,
    metrics,
    version: readVersion(),
    uiFolder,
    guard: {
      host: environment.host,
      allowedHosts: readList(process.env.PAINTDRY_HOSTS),
      allowedOrigins: readList(process.env.PAINTDRY_ORIGINS),
    },
    call,
    listModules: createModuleList(store, loadModules),
    isConnected,
  });
  log.info({ url: gateway.url }, "gateway listening");
  return { hasOwnServer: true, notReadyBecause: gateway.notReadyBecause, stop: gateway.stop };
}

/** Names or origins, set apart by commas. */
function readList(text: string | undefined): string[] {
  return (text ?? "")
    .split(",")
    .map((name) => name.trim().toLowerCase())
    .filter((name) => name !== "");
}

function readVersion(): string {
  const path = new URL("../../package.json", import.meta.url);
  return (JSON.parse(readFileSync(path, "utf8")) as { version: string }).version;
}
