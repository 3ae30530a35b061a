import { z } from "zod";
import { RpcError } from "#runtime/errors.ts";

/** A place in a list as callers carry it: opaque, and checked when it comes back. */
export function writeCursor(place: unknown): string {
  return Buffer.from(JSON.stringify(place)).toString("base64url");
}

/** The place a cursor stands for, or null for the beginning. Throws `bad_cursor`. */
export function readCursor<Schema extends z.ZodType>(cursor: string | null, schema: Schema): z.infer<Schema> | null {
  if (cursor === null) return null;
  const parsed = schema.safeParse(parseJson(Buffer.from(cursor, "base64url").toString("utf8")));
  if (parsed.success) return parsed.data;
  throw new RpcError("bad_cursor", "the cursor is not one that this list gave out: start again without it", {
    isTemporary: false,
  });
}

/** A page of `limit` rows, of which one more was asked for to see whether there is a next. */
export function toPage<Row, Item>(
  rows: Row[],
  limit: number,
  toItem: (row: Row) => Item,
  toPlace: (row: Row) => unknown,
): { items: Item[]; next: string | null } {
  const shown = rows.slice(0, limit);
  const last = shown.at(-1);
  return {
    items: shown.map(toItem),
    next: rows.length > limit && last !== undefined ? writeCursor(toPlace(last)) : null,
  };
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
