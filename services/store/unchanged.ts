import { z } from "zod";
import { canonical } from "#contracts/canonical.ts";
import type { Json } from "#contracts/canonical.ts";
import type { JobPosition } from "#contracts/messages.ts";
import type { StoreReply, StoreRequest } from "#contracts/store.ts";
import { resourceId } from "#contracts/subjects.ts";
import { count, instant, key } from "./columns.ts";
import type { Database, Statements } from "./database.ts";
import { dropEarlyLooks, wantEarlyLook } from "./early-looks.ts";
import { clearFailures } from "./failing.ts";
import { compareJobs, isNewer } from "./job-order.ts";

type Unchanged = StoreRequest<"write.unchanged">["looks"][number];
type Outcome = StoreReply<"write.unchanged">["outcomes"][number];

/** One look of the request, and where its answer belongs. */
interface Entry extends Unchanged {
  id: string;
  place: number;
}

/**
 * Records looks that saw what is stored: a few statements for all of them, which write nothing but the narrow `look`
 * rows. Several looks at one resource are taken one after the other, oldest first.
 */
export async function recordUnchanged(
  database: Database,
  { looks }: StoreRequest<"write.unchanged">,
): Promise<StoreReply<"write.unchanged">> {
  const entries = looks.map((look, place) => ({
    ...look,
    id: resourceId(look.look.module, look.look.resource),
    place,
  }));
  const outcomes = new Map<number, Outcome>();
  for (const round of roundsOf(entries)) {
    for (const [place, outcome] of await database.transaction((tx) => recordRound(tx, round))) {
      outcomes.set(place, outcome);
    }
  }
  return { outcomes: entries.map(({ place }) => outcomes.get(place) ?? "conflict") };
}

/** Rounds with at most one look at each resource. */
function roundsOf(entries: Entry[]): Entry[][] {
  const rounds: Entry[][] = [];
  const taken = new Map<string, number>();
  for (const entry of entries.toSorted((a, b) => compareJobs(a.look.job, b.look.job))) {
    const turn = taken.get(entry.id) ?? 0;
    taken.set(entry.id, turn + 1);
    (rounds[turn] ??= []).push(entry);
  }
  return rounds;
}

async function recordRound(tx: Statements, round: Entry[]): Promise<Map<number, Outcome>> {
  const recorded = await advanceLooks(tx, round);
  const byId = new Map(recorded.map((row) => [row.id, row]));
  const done = round.filter(({ id }) => byId.has(id));
  const left = round.filter(({ id }) => !byId.has(id));
  await clearFailures(
    tx,
    done.flatMap(({ id, look: { job, observedAt } }) => {
      const row = byId.get(id);
      return row ? [{ ...row, job, observedAt }] : [];
    }),
  );
  await dropEarlyLooks(
    tx,
    recorded.map((row) => row.resourceKey),
  );
  await saveStates(tx, done, byId);
  const standings = await readStandings(
    tx,
    left.map(({ id }) => id),
  );
  const outcomes = new Map<number, Outcome>(done.map(({ place }) => [place, "committed"]));
  for (const entry of left) {
    const standing = standings.get(entry.id);
    const outcome = whyNot(entry.look.job, standing);
    outcomes.set(entry.place, outcome);
    if (outcome === "conflict" && standing && isOfLostDatabase(entry, standing))
      await passRevision(tx, entry, standing);
  }
  return outcomes;
}

const Advanced = z.object({
  id: z.string(),
  resourceKey: key,
  host: z.string(),
  owner: z.string(),
  lastSeenAt: instant.nullable(),
});
type Advanced = z.infer<typeof Advanced>;

/**
 * Every condition that a commit going on at the same time could move stands on the `look` row itself: PostgreSQL
 * checks it again on the newest version of the row once it has the row's lock.
 */
async function advanceLooks(tx: Statements, entries: Entry[]): Promise<Advanced[]> {
  return await tx.rows(
    Advanced,
    `UPDATE look l SET fence_epoch = n.epoch, fence_sequence = n.sequence, looked_at = n.observed_at,
        seen_at = n.observed_at, module_version = n.module_version, options_fingerprint = n.options_fingerprint
      FROM unnest($1::text[], $2::bigint[], $3::bigint[], $4::timestamptz[], $5::bigint[], $6::text[], $7::int[],
          $8::text[])
        AS n (id, epoch, sequence, observed_at, basis, fingerprint, module_version, options_fingerprint)
      JOIN resource r ON r.id = n.id
      -- As it was: what is returned of the updated row is the new one.
      JOIN look before ON before.resource_key = r.resource_key
      WHERE l.resource_key = r.resource_key AND r.state = 'confirmed' AND l.revision = n.basis
        AND l.fingerprint = n.fingerprint AND (l.fence_epoch, l.fence_sequence) < (n.epoch, n.sequence)
      RETURNING r.id, r.resource_key AS "resourceKey", r.host, r.owner, before.seen_at AS "lastSeenAt"`,
    [
      entries.map(({ id }) => id),
      entries.map(({ look }) => look.job.epoch),
      entries.map(({ look }) => look.job.sequence),
      entries.map(({ look }) => look.observedAt),
      entries.map(({ basis }) => basis),
      entries.map(({ fingerprint }) => fingerprint),
      entries.map(({ look }) => look.moduleVersion),
      entries.map(({ look }) => look.optionsFingerprint),
    ],
  );
}

/** What modules saved; a new revision where it is something else, since fetchers keep both under the revision. */
async function saveStates(tx: Statements, done: Entry[], byId: Map<string, Advanced>): Promise<void> {
  const saved = done.flatMap(({ id, state }) => {
    const row = byId.get(id);
    return row && state !== undefined ? [{ resourceKey: row.resourceKey, state: canonical(state satisfies Json) }] : [];
  });
  if (saved.length === 0) return;
  await tx.run(
    `WITH written AS (
      INSERT INTO saved_state AS s (resource_key, state)
      SELECT n.resource_key, n.state FROM unnest($1::bigint[], $2::text[]) AS n (resource_key, state)
      WHERE n.state <> 'null' OR EXISTS (SELECT FROM saved_state o WHERE o.resource_key = n.resource_key)
      ORDER BY n.resource_key
      ON CONFLICT (resource_key) DO UPDATE SET state = excluded.state WHERE s.state <> excluded.state
      RETURNING resource_key
    )
    UPDATE look SET revision = revision + 1 WHERE resource_key IN (SELECT resource_key FROM written)`,
    [saved.map(({ resourceKey }) => resourceKey), saved.map(({ state }) => state)],
  );
}

const Standing = z.object({
  id: z.string(),
  resourceKey: key,
  isWatched: z.boolean(),
  epoch: count,
  sequence: count,
  revision: count,
  fingerprint: z.string().nullable(),
});
type Standing = z.infer<typeof Standing>;

async function readStandings(tx: Statements, ids: string[]): Promise<Map<string, Standing>> {
  if (ids.length === 0) return new Map();
  const rows = await tx.rows(
    Standing,
    `SELECT r.id, r.resource_key AS "resourceKey", r.state = 'confirmed' AS "isWatched", l.fence_epoch AS epoch,
        l.fence_sequence AS sequence, l.revision, l.fingerprint
      FROM resource r JOIN look l USING (resource_key) WHERE r.id = ANY ($1)`,
    [ids],
  );
  return new Map(rows.map((row) => [row.id, row]));
}

/** Only a database that was replaced by an older one has given out a revision that is not there, or other values for it. */
function isOfLostDatabase({ basis, fingerprint }: Entry, { revision, fingerprint: stored }: Standing): boolean {
  return revision < basis || (revision === basis && stored !== null && stored !== fingerprint);
}

/** Fetchers keep values under their revision: past all that they can hold, they ask again. */
async function passRevision(tx: Statements, { basis }: Entry, { resourceKey }: Standing): Promise<void> {
  const passed = await tx.run(
    "UPDATE look SET revision = $2::bigint + 1, fingerprint = NULL WHERE resource_key = $1 AND revision <= $2",
    [resourceKey, basis],
  );
  if (passed > 0) await wantEarlyLook(tx, resourceKey, "after_change", new Date());
}

function whyNot(job: JobPosition, standing: Standing | undefined): Outcome {
  if (!standing?.isWatched) return "dropped";
  if (isNewer(job, standing)) return "conflict";
  return isNewer(standing, job) ? "stale" : "repeated";
}
