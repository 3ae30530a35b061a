import { JetStreamApiError } from "@nats-io/jetstream";
import type { StoredMsg, JetStreamManager } from "@nats-io/jetstream";
import { z } from "zod";
import { ChangeEvent } from "#contracts/messages.ts";
import { streams } from "#contracts/subjects.ts";
import { RpcError } from "#runtime/errors.ts";
import type { Logger } from "#runtime/log.ts";
import { instant } from "./columns.ts";
import type { Database } from "./database.ts";
import { importChange } from "./import-change.ts";

/** How many messages are read at once. */
const chunkSize = 128;

/** How far before the newest known change unknown ones may still stand: clocks, and events that were published late. */
const marginMs = 3_600_000;

/**
 * Takes over what CHANGES holds and the database does not know, as after yesterday's database was restored: under
 * their own ids and positions, so that nothing is lost and nothing doubled. How many there were.
 */
export async function reconcile(database: Database, jsm: JetStreamManager, log: Logger): Promise<number> {
  const bounds = await readBounds(jsm);
  if (bounds === null) return 0;
  const oldest = await findOldestUnknown(database, jsm, bounds);
  if (oldest === null) return 0;
  log.warn({ fromSequence: oldest }, "the database is older than the published changes: they are taken over");
  let imported = 0;
  for (let from = oldest; from <= bounds.last; from += chunkSize) {
    const events = await readEvents(jsm, from, Math.min(bounds.last, from + chunkSize - 1));
    for (const event of events.toSorted((a, b) => a.data.position - b.data.position)) {
      if (await importOne(database, event, log)) imported += 1;
    }
  }
  log.warn({ imported }, "published changes were taken over");
  return imported;
}

/** An event that cannot be stored must not keep the others out. */
async function importOne(database: Database, event: ChangeEvent, log: Logger): Promise<boolean> {
  try {
    return await importChange(database, event.data, event.replay ?? false);
  } catch (error) {
    if (!(error instanceof RpcError) || error.code !== "bad_request") throw error;
    log.error({ err: error, change: event.id }, "a published change cannot be taken over");
    return false;
  }
}

interface Bounds {
  first: number;
  last: number;
}

/** The sequences CHANGES holds, or null while there is no such stream. */
async function readBounds(jsm: JetStreamManager): Promise<Bounds | null> {
  try {
    const { state } = await jsm.streams.info(streams.changes);
    // An empty stream's first sequence is none that can be asked for.
    if (state.messages === 0) return null;
    return { first: state.first_seq, last: state.last_seq };
  } catch (error) {
    if (error instanceof Error && /stream not found/i.test(error.message)) return null;
    throw error;
  }
}

/** From the newest event back, until all are known and older than anything that could be missing. */
async function findOldestUnknown(database: Database, jsm: JetStreamManager, bounds: Bounds): Promise<number | null> {
  const newestAt = await readNewest(database);
  let oldest: number | null = null;
  for (let to = bounds.last; to >= bounds.first; to -= chunkSize) {
    const events = await readEvents(jsm, Math.max(bounds.first, to - chunkSize + 1), to);
    const known = await readKnown(
      database,
      events.map(({ id }) => id),
    );
    const unknown = events.filter(({ id }) => !known.has(id));
    for (const { streamSequence } of unknown) oldest = Math.min(oldest ?? streamSequence, streamSequence);
    const isOld = events.every(({ storedAtMs }) => newestAt !== null && storedAtMs < newestAt - marginMs);
    if (events.length > 0 && unknown.length === 0 && isOld) break;
  }
  return oldest;
}

async function readNewest(database: Database): Promise<number | null> {
  const row = await database.row(
    z.object({ at: instant.nullable() }),
    "SELECT recorded_at AS at FROM change ORDER BY position DESC LIMIT 1",
  );
  return row?.at ? Date.parse(row.at) : null;
}

async function readKnown(database: Database, ids: string[]): Promise<Set<string>> {
  const rows = await database.rows(z.object({ id: z.string() }), "SELECT id FROM change WHERE id = ANY ($1)", [ids]);
  return new Set(rows.map(({ id }) => id));
}

type StoredEvent = ChangeEvent & { streamSequence: number; storedAtMs: number };

/** The events of a range, read by sequence: the store creates no consumers. */
async function readEvents(jsm: JetStreamManager, from: number, to: number): Promise<StoredEvent[]> {
  const sequences = Array.from({ length: to - from + 1 }, (_, index) => from + index);
  const messages = await Promise.all(sequences.map((seq) => readMessage(jsm, seq)));
  return messages.flatMap((message) => {
    const event = message && ChangeEvent.safeParse(parseJson(message));
    if (!event?.success) return [];
    return [{ ...event.data, streamSequence: message?.seq ?? 0, storedAtMs: message?.time.getTime() ?? 0 }];
  });
}

async function readMessage(jsm: JetStreamManager, seq: number): Promise<StoredMsg | null> {
  try {
    return await jsm.direct.getMessage(streams.changes, { seq });
  } catch (error) {
    if (error instanceof JetStreamApiError && error.status === 404) return null;
    throw error;
  }
}

function parseJson(message: StoredMsg): unknown {
  try {
    return message.json();
  } catch {
    return null;
  }
}
