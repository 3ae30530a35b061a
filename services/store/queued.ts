import type { StoreReply, StoreRequest } from "#contracts/store.ts";
import type { Database, Statements } from "./database.ts";

type Queued = StoreRequest<"write.queued">["jobs"][number];

/**
 * Takes note of published retries and discoveries. Only what was due then is touched: a collector that tells late, or
 * a second one that tells the same, moves nothing that was planned since.
 */
export async function recordQueued(
  database: Database,
  { jobs, dueBy }: StoreRequest<"write.queued">,
): Promise<StoreReply<"write.queued">> {
  const discoveries = jobs.filter(({ operation }) => operation === "discovery");
  const looks = jobs.filter(({ operation }) => operation === "observation");
  await database.transaction(async (tx) => {
    await dropEarly(
      tx,
      looks.filter(({ isOutstanding }) => !isOutstanding),
      dueBy,
    );
    await putOffEarly(
      tx,
      looks.filter(({ isOutstanding }) => isOutstanding),
      dueBy,
    );
    await pushDiscoveries(
      tx,
      discoveries.filter(({ isOutstanding }) => !isOutstanding),
      dueBy,
    );
    await putOffDiscoveries(
      tx,
      discoveries.filter(({ isOutstanding }) => isOutstanding),
      dueBy,
    );
  });
  return {};
}

async function dropEarly(tx: Statements, jobs: Queued[], dueBy: number): Promise<void> {
  if (jobs.length === 0) return;
  await tx.run(
    `DELETE FROM early_look e USING resource r, unnest($1::text[], $2::text[]) AS n (id, cause)
      WHERE r.id = n.id AND e.resource_key = r.resource_key AND e.cause = n.cause
        AND e.due_at <= to_timestamp($3::float8 / 1000)`,
    [jobs.map(({ id }) => id), jobs.map(({ cause }) => cause), dueBy],
  );
}

async function putOffEarly(tx: Statements, jobs: Queued[], dueBy: number): Promise<void> {
  if (jobs.length === 0) return;
  await tx.run(
    `UPDATE early_look e SET due_at = now() + interval '5 seconds'
      FROM resource r, unnest($1::text[], $2::text[]) AS n (id, cause)
      WHERE r.id = n.id AND e.resource_key = r.resource_key AND e.cause = n.cause
        AND e.due_at <= to_timestamp($3::float8 / 1000)`,
    [jobs.map(({ id }) => id), jobs.map(({ cause }) => cause), dueBy],
  );
}

/** Should nothing come of it, it is published again: after 30 s, then ever later, at most an hour. */
async function pushDiscoveries(tx: Statements, jobs: Queued[], dueBy: number): Promise<void> {
  if (jobs.length === 0) return;
  await tx.run(
    `UPDATE resource SET discover_at = now() + least(3600, 30 * 2 ^ least(discover_attempts, 10)) * interval '1 second',
        discover_attempts = discover_attempts + 1
      WHERE id = ANY ($1) AND discover_at <= to_timestamp($2::float8 / 1000)`,
    [jobs.map(({ id }) => id), dueBy],
  );
}

async function putOffDiscoveries(tx: Statements, jobs: Queued[], dueBy: number): Promise<void> {
  if (jobs.length === 0) return;
  await tx.run(
    `UPDATE resource SET discover_at = now() + interval '5 seconds'
      WHERE id = ANY ($1) AND discover_at <= to_timestamp($2::float8 / 1000)`,
    [jobs.map(({ id }) => id), dueBy],
  );
}
