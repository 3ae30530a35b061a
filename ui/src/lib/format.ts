import type { Json } from "#contracts/canonical.ts";
import { visibleText } from "./visible.ts";

const steps: [Intl.RelativeTimeFormatUnit, number][] = [
  ["year", 365 * 86_400],
  ["month", 30 * 86_400],
  ["day", 86_400],
  ["hour", 3600],
  ["minute", 60],
];
const relative = new Intl.RelativeTimeFormat("en", { numeric: "always", style: "short" });

/** "just now", "4 min. ago", "in 2 hr.": how far a time is from now. */
export function relativeTime(at: string, nowMs: number): string {
  const seconds = (Date.parse(at) - nowMs) / 1000;
  for (const [unit, size] of steps) {
    if (Math.abs(seconds) >= size) return relative.format(Math.trunc(seconds / size), unit);
  }
  if (seconds > 20) return "in a moment";
  return "just now";
}

/** How long something has lasted: "4 minutes", "2 hours", "3 days". */
export function age(sinceMs: number): string {
  const seconds = Math.max(0, sinceMs / 1000);
  for (const [unit, size] of steps) {
    if (seconds >= size) return plural(Math.trunc(seconds / size), unit);
  }
  return "less than a minute";
}

/** What stands after "within the last": "minute", "2 minutes", "36 hours", "4 days". Rounded up, so that it is true. */
export function within(lastMs: number): string {
  const seconds = Math.max(0, lastMs / 1000);
  const [unit, size] = steps.find((step) => seconds >= 2 * step[1]) ?? ["minute", 60];
  return countOf(Math.ceil(seconds / size), unit);
}

/** What stands after "every": "hour", "90 minutes", "3 seconds". */
export function interval(everyMs: number): string {
  const seconds = Math.max(1, Math.round(everyMs / 1000));
  const [unit, size] = steps.slice(2).find((step) => seconds % step[1] === 0) ?? ["second", 1];
  return countOf(seconds / size, unit);
}

function countOf(count: number, unit: string): string {
  return count <= 1 ? unit : plural(count, unit);
}

/** "1 change", "1,204 changes". */
export function plural(count: number, one: string, many = `${one}s`): string {
  return `${count.toLocaleString("en")} ${count === 1 ? one : many}`;
}

/** The exact time, in the reader's zone and in UTC. */
export function exactTime(at: string): string {
  const time = new Date(at);
  const local = time.toLocaleString("en-GB", { dateStyle: "full", timeStyle: "long" });
  return `${local}\n${time.toISOString()}`;
}

/** "Today", "Yesterday", or the date: the heading a row of the feed stands under. */
export function dayOf(at: string, nowMs: number): string {
  const day = new Date(at).toDateString();
  if (day === new Date(nowMs).toDateString()) return "Today";
  if (day === new Date(nowMs - 86_400_000).toDateString()) return "Yesterday";
  return new Date(at).toLocaleDateString("en-GB", { weekday: "long", day: "numeric", month: "long", year: "numeric" });
}

/** One short line for a value, safe to show; the whole is a click away. */
export function shortValue(value: Json, maxLength = 80): string {
  if (value === null) return "nothing";
  if (Array.isArray(value)) return shortList(value, maxLength);
  const text = typeof value === "string" ? value : JSON.stringify(value);
  if (text === "") return "empty text";
  return shortText(text, maxLength);
}

/** Observed text in a short line, safe to show. Of a long one only what may be shown is looked at. */
export function shortText(text: string, maxLength: number): string {
  const isLong = text.length > maxLength * 2;
  return shorten(visibleText(isLong ? text.slice(0, maxLength) + text.slice(-maxLength) : text), maxLength);
}

/** Two values in a short line each, cut so that the first difference of long texts is in sight. */
export function shortPair(oldValue: Json, newValue: Json, maxLength: number): [string, string] {
  const [before, after] = [textOf(oldValue), textOf(newValue)];
  if (before === null || after === null) return [shortValue(oldValue, maxLength), shortValue(newValue, maxLength)];
  let same = 0;
  while (same < before.length && before[same] === after[same]) same += 1;
  const from = same - Math.floor(maxLength / 4);
  const isCut = from > 4 && Math.max(before.length, after.length) > maxLength;
  const cut = (text: string) => (isCut ? windowOf(text, from, maxLength) : shortValue(text, maxLength));
  return [cut(before), cut(after)];
}

/** A text, or an object as one; null for what is short by itself or is no text. */
function textOf(value: Json): string | null {
  if (typeof value === "string") return value;
  return value !== null && typeof value === "object" && !Array.isArray(value) ? JSON.stringify(value) : null;
}

function windowOf(text: string, from: number, maxLength: number): string {
  const shown = visibleText(text.slice(from, from + maxLength - 2));
  return `…${shown}${from + maxLength - 2 < text.length ? "…" : ""}`;
}

function shortList(members: Json[], maxLength: number): string {
  if (members.length === 0) return "empty list";
  const shown: string[] = [];
  let left = maxLength;
  for (const member of members) {
    const text = shortValue(member, maxLength);
    if (shown.length > 0 && text.length > left) break;
    shown.push(text);
    left -= text.length + 2;
  }
  const rest = members.length - shown.length;
  return shown.join(", ") + (rest > 0 ? ` and ${rest.toLocaleString("en")} more` : "");
}

/** The two ends of a text that is too long: digests and paths differ at either. */
export function shorten(text: string, maxLength: number): string {
  if (text.length <= maxLength) return text;
  const tail = Math.floor(maxLength / 4);
  return `${text.slice(0, maxLength - tail - 1)}…${text.slice(-tail)}`;
}

/** A value in full, as text of lines. */
export function fullValue(value: Json): string {
  return typeof value === "string" ? value : JSON.stringify(value, null, 2);
}

/** `missing_header` → "missing header": for words of our own, never for what was observed. */
export function inWords(name: string): string {
  return name.replaceAll("_", " ");
}
