import { z } from "zod";
import type { Json } from "#contracts/canonical.ts";
import { Severity } from "#contracts/severity.ts";
import type { StoreReply, StoreRequest } from "#contracts/store.ts";
import { resourceId } from "#contracts/subjects.ts";
import { count, json, key } from "./columns.ts";
import type { Database, Statements } from "./database.ts";

type Request = StoreRequest<"read.look">;
type Reply = StoreReply<"read.look">;

/** What a look is handed, all of one moment. */
export async function readLook(database: Database, request: Request): Promise<Reply> {
  return await database.snapshot(async (tx) => {
    const look = await readStanding(tx, resourceId(request.module, request.resource));
    const known = await readKnown(tx, request.needs);
    if (look === null) {
      return { ...neverLooked, known };
    }
    const { resourceKey, state, epoch, sequence, ...standing } = look;
    return {
      ...standing,
      fence: { epoch, sequence },
      state: state === null ? null : (JSON.parse(state) as Json),
      previous: await readPresentValues(tx, resourceKey),
      known,
    };
  });
}

const neverLooked = {
  isWatched: false,
  revision: 0,
  previous: [],
  state: null,
  moduleVersion: null,
  optionsFingerprint: null,
  fence: { epoch: 0, sequence: 0 },
};

async function readStanding(tx: Statements, id: string) {
  return await tx.row(
    z.object({
      resourceKey: key,
      isWatched: z.boolean(),
      revision: count,
      state: z.string().nullable(),
      moduleVersion: count.nullable(),
      optionsFingerprint: z.string().nullable(),
      epoch: count,
      sequence: count,
    }),
    `SELECT r.resource_key AS "resourceKey", r.state = 'confirmed' AS "isWatched", l.revision, s.state,
        l.module_version AS "moduleVersion", l.options_fingerprint AS "optionsFingerprint",
        l.fence_epoch AS epoch, l.fence_sequence AS sequence
      FROM resource r JOIN look l USING (resource_key) LEFT JOIN saved_state s USING (resource_key)
      WHERE r.id = $1`,
    [id],
  );
}

async function readPresentValues(tx: Statements, resourceKey: number): Promise<Reply["previous"]> {
  return await tx.rows(
    z.object({ attribute: z.string(), value: json, severity: Severity.nullable(), reason: z.string().nullable() }),
    `SELECT attribute, value, severity, reason FROM value WHERE resource_key = $1 AND is_present ORDER BY attribute`,
    [resourceKey],
  );
}

async function readKnown(tx: Statements, needs: Request["needs"]): Promise<Reply["known"]> {
  if (needs.length === 0) return [];
  return await tx.rows(
    z.object({ module: z.string(), resource: z.string(), attribute: z.string(), value: json }),
    `SELECT r.module, r.resource, v.attribute, v.value
      FROM unnest($1::text[], $2::text[]) AS n (id, attribute)
      JOIN resource r ON r.id = n.id
      JOIN value v ON v.resource_key = r.resource_key AND v.attribute = n.attribute AND v.is_present`,
    [needs.map(({ module, resource }) => resourceId(module, resource)), needs.map(({ attribute }) => attribute)],
  );
}
