import type { World } from "./world.ts";

/** SIGKILL to a service's instance, `nats` or `postgres` (a world's own); it stays down. */
export async function killPart(world: World, part: string): Promise<void> {
  if (part === "nats") await world.nats.kill();
  else if (part === "postgres") await world.postgres.kill();
  else await world.kill(part);
}

/** Starts one again, without waiting until it could do its work. */
export async function startPart(world: World, part: string): Promise<void> {
  if (part === "nats") await world.nats.restart();
  else if (part === "postgres") await world.postgres.restart();
  else await world.services.supervised.get(part)?.resume();
}
