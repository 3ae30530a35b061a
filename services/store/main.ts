import { storeRpc } from "#contracts/store.ts";
import { subjects } from "#contracts/subjects.ts";
import { requiredSecret } from "#runtime/environment.ts";
import { runService } from "#runtime/lifecycle.ts";
import { serveRpc } from "#runtime/rpc.ts";
import { openDatabase } from "./database.ts";
import { createStoreHandlers } from "./handlers.ts";
import { migrateWhenReachable } from "./migrate.ts";

await runService("store", async ({ broker, log }) => {
  const url = requiredSecret(process.env, "PAINTDRY_DATABASE_URL", "postgres://user:password@localhost:5432/paintdry");
  const version = await migrateWhenReachable(url, log);
  log.info({ schemaVersion: version }, "schema is up to date");
  const database = openDatabase({ url, log });
  const served = serveRpc(
    broker.nc,
    { subjectOf: subjects.storeRpc, queue: "store", contract: storeRpc, log },
    createStoreHandlers(database),
  );
  return {
    notReadyBecause: () => database.unreachableBecause(),
    stop: async () => {
      await served.stop();
      await database.close();
    },
  };
});
