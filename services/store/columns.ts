import { z } from "zod";
import type { Json } from "#contracts/canonical.ts";

/** How columns of the database are read: the driver's types on the left, the contracts' on the right. */

/** `timestamptz` → ISO 8601 in UTC, to the millisecond. */
export const instant = z.date().transform((date) => date.toISOString());

/** `json`: written by this service alone, so it is taken as it is. */
export const json = z.custom<Json>((value) => value !== undefined);

/** `bigint` and `int`; the driver is told to make numbers of both. */
export const count = z.number().int().nonnegative();

/** A surrogate key. */
export const key = z.number().int().positive();

/** A value as a parameter of type `json`. */
export function toJson(value: Json | object): string {
  return JSON.stringify(value);
}

/** PostgreSQL's `text` holds every character but NUL. */
export function toText(text: string): string {
  return text.replaceAll("\0", "\uFFFD");
}

export function toTextOrNull(text: string | null): string | null {
  return text === null ? null : toText(text);
}
