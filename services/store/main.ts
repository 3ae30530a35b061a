import { storeRpc } from "#contracts/store.ts";
import { subjects } from "#contracts/subjects.ts";
import { requiredSecret } from "#runtime/environment.ts";
import { runService } from "#runtime/lifecycle.ts";
import { serveRpc } from "#runtime/rpc.ts";
import { openDatabase } from "./database.ts";
import { gateDatabase } from "./gate.ts";
import { createStoreHandlers } from "./handlers.ts";
import { migrate, migrateWhenReachable } from "./migrate.ts";
import { reconcile } from "./reconcile.ts";

await runService("store", async ({ broker, log }) => {
  const url = requiredSecret(process.env, "PAINTDRY_DATABASE_URL", "postgres://user:password@localhost:5432/paintdry");
  const version = await migrateWhenReachable(url, log);
  log.info({ schemaVersion: version }, "schema is up to date");
  // Also one that is restored under a running store may be older than its events, and than its schema.
  const database = gateDatabase(openDatabase({ url, log }), async (checked) => {
    await migrate(url);
    await reconcile(checked, broker.jsm, log);
  });
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
