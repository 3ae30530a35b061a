import { z } from "zod";
import type { ChangeDraft } from "#contracts/store.ts";
import type { Statements } from "./database.ts";
import type { LookRow } from "./look-row.ts";

/**
 * The first report after values were taken over from CHANGES is compared with what events do not tell: standing
 * severities, and values that never changed. What differs only there is no news.
 */
export async function withoutUnknown(tx: Statements, look: LookRow, drafts: ChangeDraft[]): Promise<ChangeDraft[]> {
  const known = look.seenAt === null ? await readKnownAttributes(tx, look.resourceKey) : null;
  return drafts.filter(
    ({ kind, attribute }) => kind !== "rated" && (kind !== "appeared" || known === null || known.has(attribute)),
  );
}

/** Of a resource without any report in this database only what events told is known. */
async function readKnownAttributes(tx: Statements, resourceKey: number): Promise<Set<string>> {
  const rows = await tx.rows(
    z.object({ attribute: z.string() }),
    "SELECT attribute FROM value WHERE resource_key = $1",
    [resourceKey],
  );
  return new Set(rows.map(({ attribute }) => attribute));
}
