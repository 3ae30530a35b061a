import { z } from "zod";
import type { StoreReply, StoreRequest } from "#contracts/store.ts";
import { count } from "./columns.ts";
import { only } from "./database.ts";
import type { Database, Statements } from "./database.ts";

type Request = StoreRequest<"write.stream">;

/** How long CHANGES keeps a change: what is older is not published again. */
const retentionDays = 90;

/** Clocks of broker and database differ; what is published once too often is dropped as a duplicate. */
const clockDifference = "1 minute";

/**
 * A stream stands that was made at that time. Another time than the known one is another incarnation: its messages
 * are numbered from 1 again, so its epoch is higher than any before, even if the database was restored from a backup.
 */
export async function recordStream(database: Database, asked: Request): Promise<StoreReply<"write.stream">> {
  // One writing for one time, however precisely a caller gives it.
  const request = { ...asked, createdAt: new Date(asked.createdAt).toISOString() };
  return await database.transaction(async (tx) => {
    const known = await lockStream(tx, request);
    if (known.createdAt === request.createdAt && !known.isFirst) {
      return { epoch: known.epoch, isNew: false, replayed: 0 };
    }
    const epoch = Math.max(known.epoch + 1, Math.floor(Date.parse(request.createdAt) / 1000));
    await tx.run("UPDATE stream_epoch SET created_at = $2, epoch = $3, first_met_at = now() WHERE stream = $1", [
      request.stream,
      request.createdAt,
      epoch,
    ]);
    const replayed = request.stream === "CHANGES" ? await markReplays(tx, request.createdAt) : 0;
    return { epoch, isNew: true, replayed };
  });
}

async function lockStream(tx: Statements, { stream, createdAt }: Request) {
  const inserted = await tx.run(
    "INSERT INTO stream_epoch (stream, created_at, epoch) VALUES ($1, $2, 0) ON CONFLICT (stream) DO NOTHING",
    [stream, createdAt],
  );
  const row = await tx.row(
    z.object({ createdAt: z.string(), epoch: count }),
    `SELECT created_at AS "createdAt", epoch FROM stream_epoch WHERE stream = $1 FOR UPDATE`,
    [stream],
  );
  return { ...only(row), isFirst: inserted > 0 };
}

/** What an earlier stream had is published again, marked so that it notifies nobody. */
async function markReplays(tx: Statements, createdAt: string): Promise<number> {
  return await tx.run(
    `UPDATE change SET published_at = NULL, is_replay = true
      WHERE published_at < $1::timestamptz + $2::interval AND recorded_at < $1::timestamptz + $2::interval
        AND recorded_at > now() - $3 * interval '1 day'`,
    [createdAt, clockDifference, retentionDays],
  );
}
