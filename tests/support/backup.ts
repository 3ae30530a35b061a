import { Client } from "pg";
import { until } from "./world.ts";
import type { World } from "./world.ts";

/** A copy of a world's database as it is now, and the way back to it: both while everything runs. */
export async function backUp(world: World): Promise<{ restore(): Promise<void> }> {
  const name = new URL(world.databaseUrl).pathname.slice(1);
  const copy = `${name}_yesterday`;
  await alone(world, name, async (client) => void (await client.query(`CREATE DATABASE ${copy} TEMPLATE ${name}`)));
  return {
    restore: async () =>
      await alone(world, name, async (client) => {
        await client.query(`DROP DATABASE ${name}`);
        await client.query(`CREATE DATABASE ${name} TEMPLATE ${copy}`);
      }),
  };
}

/** PostgreSQL copies and drops only what nobody is connected to: services meet an outage meanwhile. */
async function alone(world: World, name: string, work: (client: Client) => Promise<void>): Promise<void> {
  const client = new Client({ connectionString: world.postgres.url });
  await client.connect();
  try {
    await client.query(`ALTER DATABASE ${name} WITH ALLOW_CONNECTIONS false`);
    await until("nobody is connected", async () => {
      const { rowCount } = await client.query(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1",
        [name],
      );
      return rowCount === 0;
    });
    await work(client);
    await client.query(`ALTER DATABASE ${name} WITH ALLOW_CONNECTIONS true`);
  } finally {
    await client.end();
  }
}
