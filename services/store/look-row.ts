import { z } from "zod";
import type { JobPosition } from "#contracts/messages.ts";
import { ResourceState } from "#contracts/store.ts";
import { count, instant, key } from "./columns.ts";
import type { Statements } from "./database.ts";
import { isNewer } from "./job-order.ts";

const LookRow = z.object({
  resourceKey: key,
  host: z.string(),
  owner: z.string(),
  state: ResourceState,
  everyMs: count,
  revision: count,
  isThere: z.boolean().nullable(),
  fence: z.object({ epoch: count, sequence: count }),
  seenAt: instant.nullable(),
  isImported: z.boolean(),
  savedState: z.string().nullable(),
});
/** Where a resource's looks stand, while its outcome is committed. */
export type LookRow = z.infer<typeof LookRow>;

/** Locks a resource against other outcomes, and against being retired, until the transaction ends. */
export async function lockLook(tx: Statements, id: string): Promise<LookRow | null> {
  return await tx.row(
    LookRow.omit({ fence: true })
      .extend({ fenceEpoch: count, fenceSequence: count })
      .transform(({ fenceEpoch, fenceSequence, ...row }) => ({
        ...row,
        fence: { epoch: fenceEpoch, sequence: fenceSequence },
      })),
    `SELECT r.resource_key AS "resourceKey", r.host, r.owner, r.state, r.every_ms AS "everyMs", l.revision,
        l.is_there AS "isThere", l.fence_epoch AS "fenceEpoch", l.fence_sequence AS "fenceSequence",
        l.seen_at AS "seenAt", l.is_imported AS "isImported", (SELECT s.state FROM saved_state s WHERE s.resource_key = r.resource_key) AS "savedState"
      FROM look l JOIN resource r USING (resource_key)
      WHERE r.id = $1
      FOR UPDATE OF l FOR SHARE OF r`,
    [id],
  );
}

/**
 * Was this job's outcome committed before? The fence tells for the newest; an older one left history or changes, or
 * nothing that could be doubled.
 */
export async function isCommitted(tx: Statements, look: LookRow, job: JobPosition): Promise<boolean> {
  if (isNewer(job, look.fence)) return false;
  if (!isNewer(look.fence, job)) return true;
  const row = await tx.row(
    z.object({ isThere: z.boolean() }),
    `SELECT EXISTS (SELECT FROM change WHERE resource_key = $1 AND job_epoch = $2 AND job_sequence = $3)
        OR EXISTS (SELECT FROM history WHERE resource_key = $1 AND job_epoch = $2 AND job_sequence = $3) AS "isThere"`,
    [look.resourceKey, job.epoch, job.sequence],
  );
  return row?.isThere ?? false;
}
