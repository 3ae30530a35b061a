import type { Json } from "#contracts/canonical.ts";
import type { ChangeKind } from "#contracts/messages.ts";
import { type DiffSide, diffValues, type PathChange } from "./diff.ts";
import { shortPair, shortText, shortValue } from "./format.ts";

/** One short line of what differs. `path`: where in an object; null for a value that is told as a whole. */
export type ShortLine =
  | { side: DiffSide; path: string | null; text: string }
  | { side: "changed"; path: string; before: string; after: string };

const maxLines = 3;
const maxLength = 40;
const maxPathLength = 18;

/** A change in at most three short lines, safe to show: of sets what came and went, of objects the leaves that differ. */
export function shortDiff(kind: ChangeKind, oldValue: Json, newValue: Json): ShortLine[] {
  if (kind === "happened" && newValue === null) return [];
  if (kind === "happened" || kind === "rated") return oneSided("kept", newValue);
  if (kind === "appeared") return oneSided("added", newValue);
  if (kind === "disappeared") return oneSided("removed", oldValue);
  // Texts are not compared by word here: they may be long, and a feed has many rows.
  const diff = isTree(oldValue) && isTree(newValue) ? diffValues(oldValue, newValue) : null;
  if (diff?.kind === "paths") return linesOfPaths(diff.changes);
  if (diff?.kind !== "members") return twoLines(null, oldValue, newValue);
  if (diff.isReordered) return [reordered(null)];
  return [
    ...(diff.removed.length > 0 ? [lineOf("removed", null, diff.removed)] : []),
    ...(diff.added.length > 0 ? [lineOf("added", null, diff.added)] : []),
  ];
}

function isTree(value: Json): boolean {
  return value !== null && typeof value === "object";
}

function oneSided(side: DiffSide, value: Json): ShortLine[] {
  if (value === null || typeof value !== "object" || Array.isArray(value)) return [lineOf(side, null, value)];
  const leaves = Object.entries(value);
  if (leaves.length === 0) return [lineOf(side, null, value)];
  return inFewLines(
    leaves,
    ([name]) => name,
    ([name, leaf]) => lineOf(side, name, leaf),
  );
}

/** What came to, or went from, one path: the key itself, or members of the set that stands there. */
interface PathGroup {
  path: string;
  side: PathChange["side"];
  changes: PathChange[];
}

function linesOfPaths(changes: PathChange[]): ShortLine[] {
  const groups: PathGroup[] = [];
  for (const change of changes) {
    const last = groups.at(-1);
    if (last?.path === change.path && last.side === change.side) last.changes.push(change);
    else groups.push({ path: change.path, side: change.side, changes: [change] });
  }
  const isAlone = groups.length === 1;
  return isAlone
    ? groups.flatMap((group) => linesOfGroup(group, true))
    : inFewLines(
        groups,
        ({ path }) => path,
        (group) => linesOfGroup(group, false)[0]!,
      );
}

/** One line; for what is alone two, where its sides need the room. */
function linesOfGroup({ path, side, changes }: PathGroup, isAlone: boolean): ShortLine[] {
  const [{ oldValue, newValue }] = changes as [PathChange];
  if (side !== "changed") {
    const values = changes.map((change) => (side === "added" ? change.newValue : change.oldValue));
    return [lineOf(side, path, values.length === 1 ? values[0]! : values)];
  }
  if (Array.isArray(oldValue) && Array.isArray(newValue)) return [reordered(path)];
  const room = maxLength - shortPath(path).length - " → ".length;
  const [before, after] = [shortLeaf(oldValue, room), shortLeaf(newValue, room)];
  if (before !== after && before.length + after.length <= room) return [changed(path, [before, after])];
  return isAlone
    ? twoLines(path, oldValue, newValue)
    : [changed(path, shortPair(oldValue, newValue, Math.floor(room / 2)))];
}

function twoLines(path: string | null, oldValue: Json, newValue: Json): ShortLine[] {
  const room = maxLength - (path === null ? 0 : shortPath(path).length);
  const [before, after] = shortPair(oldValue, newValue, room);
  const at = path === null ? null : shortPath(path);
  return [
    { side: "removed", path: at, text: before },
    { side: "added", path: at, text: after },
  ];
}

function lineOf(side: DiffSide, path: string | null, value: Json): ShortLine {
  if (path === null) return { side, path, text: shortValue(value, maxLength) };
  const at = shortPath(path);
  return { side, path: at, text: shortLeaf(value, maxLength - at.length) };
}

function changed(path: string, [before, after]: [string, string]): ShortLine {
  return { side: "changed", path: shortPath(path), before, after };
}

function reordered(path: string | null): ShortLine {
  return { side: "kept", path: path === null ? null : shortPath(path), text: "the same in another order" };
}

/** The first of many, and the names of the others in the last line. */
function inFewLines<Part>(parts: Part[], nameOf: (part: Part) => string, line: (part: Part) => ShortLine): ShortLine[] {
  if (parts.length <= maxLines) return parts.map(line);
  const others = parts.slice(maxLines - 1).map((part) => shortPath(nameOf(part)));
  const names = shortValue([...new Set(others)], maxLength - "also and 99 more".length);
  return [...parts.slice(0, maxLines - 1).map(line), { side: "kept", path: null, text: `also ${names}` }];
}

function shortPath(path: string): string {
  return shortText(path, maxPathLength);
}

const digest = /^(?:sha\d+:)?[0-9a-f]{32,}$/i;
const digestHeadLength = 8;

/** Of a digest or an id only its head, by which people know it. */
function shortLeaf(value: Json, room: number): string {
  if (typeof value !== "string" || !digest.test(value)) return shortValue(value, room);
  return `${value.slice(0, value.indexOf(":") + 1 + digestHeadLength)}…`;
}
