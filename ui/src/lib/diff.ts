import { canonical, isSameValue, type Json } from "#contracts/canonical.ts";
import { diffLines, diffWordsWithSpace, type ChangeObject } from "diff";

export type DiffSide = "added" | "removed" | "kept";
export interface DiffRun {
  side: DiffSide;
  text: string;
}
/** Of a set inside an object each member that came or went is a change of its own, at the set's path. */
export interface PathChange {
  path: string;
  side: "added" | "removed" | "changed";
  oldValue: Json;
  newValue: Json;
}

/** How two values differ, in the form that reads best for what they are. */
export type ValueDiff =
  | { kind: "same"; value: Json }
  /** Lists of single values, compared as sets. `isReordered`: the same members in another order. */
  | { kind: "members"; added: Json[]; removed: Json[]; kept: Json[]; isReordered: boolean }
  | { kind: "paths"; changes: PathChange[] }
  /** Text of several lines; long runs of kept lines are folded by whoever shows them. */
  | { kind: "lines"; lines: DiffRun[] }
  | { kind: "words"; runs: DiffRun[] }
  | { kind: "whole"; oldValue: Json; newValue: Json };

// Past these a diff of hostile text would cost more than it tells.
const bounds = { maxEditLength: 4000, timeout: 250 };

/** Compares two observed values. Pure; its cost is bounded whatever they hold. */
export function diffValues(oldValue: Json, newValue: Json): ValueDiff {
  if (isSameValue(oldValue, newValue)) return { kind: "same", value: newValue };
  if (isFlatList(oldValue) && isFlatList(newValue)) return diffMembers(oldValue, newValue);
  if (isTree(oldValue) && isTree(newValue)) {
    const changes: PathChange[] = [];
    collectPaths("", oldValue, newValue, changes);
    return { kind: "paths", changes };
  }
  if (typeof oldValue === "string" && typeof newValue === "string") return diffText(oldValue, newValue);
  return { kind: "whole", oldValue, newValue };
}

function isFlatList(value: Json): value is Json[] {
  return Array.isArray(value) && value.every((member) => member === null || typeof member !== "object");
}

function isTree(value: Json): value is Json[] | { [key: string]: Json } {
  return value !== null && typeof value === "object";
}

function diffMembers(oldList: Json[], newList: Json[]): ValueDiff & { kind: "members" } {
  const inOld = new Set(oldList.map(canonical));
  const inNew = new Set(newList.map(canonical));
  const added = newList.filter((member) => !inOld.has(canonical(member)));
  const removed = oldList.filter((member) => !inNew.has(canonical(member)));
  const kept = newList.filter((member) => inOld.has(canonical(member)));
  return { kind: "members", added, removed, kept, isReordered: added.length + removed.length === 0 };
}

const maxPathChanges = 2000;

function collectPaths(path: string, oldValue: Json, newValue: Json, changes: PathChange[]): void {
  if (changes.length >= maxPathChanges || isSameValue(oldValue, newValue)) return;
  if (!isTree(oldValue) || !isTree(newValue) || Array.isArray(oldValue) !== Array.isArray(newValue)) {
    changes.push({ path: path || "(whole)", side: "changed", oldValue, newValue });
    return;
  }
  if (isFlatList(oldValue) && isFlatList(newValue)) {
    collectMembers(path, oldValue, newValue, changes);
    return;
  }
  const olds = new Map(Object.entries(oldValue));
  const news = new Map(Object.entries(newValue));
  for (const key of new Set([...olds.keys(), ...news.keys()])) {
    const inner = Array.isArray(newValue) ? `${path}[${key}]` : path ? `${path}.${key}` : key;
    const [before, after] = [olds.get(key), news.get(key)];
    if (before === undefined) changes.push({ path: inner, side: "added", oldValue: null, newValue: after ?? null });
    else if (after === undefined) changes.push({ path: inner, side: "removed", oldValue: before, newValue: null });
    else collectPaths(inner, before, after, changes);
  }
}

function collectMembers(path: string, oldList: Json[], newList: Json[], changes: PathChange[]): void {
  const { added, removed, isReordered } = diffMembers(oldList, newList);
  if (isReordered) changes.push({ path, side: "changed", oldValue: oldList, newValue: newList });
  for (const member of removed) changes.push({ path, side: "removed", oldValue: member, newValue: null });
  for (const member of added) changes.push({ path, side: "added", oldValue: null, newValue: member });
}

function diffText(oldText: string, newText: string): ValueDiff {
  const whole: ValueDiff = { kind: "whole", oldValue: oldText, newValue: newText };
  if (oldText.includes("\n") || newText.includes("\n")) {
    const runs = diffLines(oldText, newText, bounds);
    return runs ? { kind: "lines", lines: runs.flatMap(linesOf) } : whole;
  }
  // Words of a digest or an address tell nothing: only text of several words is compared by word.
  if (!/\S[\s;,]+\S/.test(oldText) || !/\S[\s;,]+\S/.test(newText)) return whole;
  const runs = diffWordsWithSpace(oldText, newText, bounds);
  if (!runs?.some((run) => !run.added && !run.removed && run.value.trim() !== "")) return whole;
  return { kind: "words", runs: runs.map((run) => ({ side: sideOf(run), text: run.value })) };
}

function linesOf(run: ChangeObject<string>): DiffRun[] {
  const lines = run.value.split("\n");
  if (lines.at(-1) === "") lines.pop();
  return lines.map((text) => ({ side: sideOf(run), text }));
}

function sideOf(run: ChangeObject<string>): DiffSide {
  return run.added ? "added" : run.removed ? "removed" : "kept";
}

/** Lines with the unchanged stretches between them folded, `around` lines kept at each side of a change. */
export function foldLines(lines: DiffRun[], around = 3): (DiffRun | { side: "folded"; count: number })[] {
  const isNear = lines.map(() => false);
  for (const [at, line] of lines.entries()) {
    if (line.side === "kept") continue;
    isNear.fill(true, Math.max(0, at - around), at + around + 1);
  }
  const shown: (DiffRun | { side: "folded"; count: number })[] = [];
  for (const [at, line] of lines.entries()) {
    const last = shown.at(-1);
    if (isNear[at]) shown.push(line);
    else if (last?.side === "folded") last.count += 1;
    else shown.push({ side: "folded", count: 1 });
  }
  return shown;
}
