import { utf8ToBytes } from "@noble/hashes/utils.js";
import { sha256Hex } from "./canonical.ts";
import type { Severity } from "./severity.ts";

/*
 * Every subject is built here and every token is checked here: the server stores a published `*` or `>` literally,
 * so a token that came from the outside must never reach a subject unescaped.
 */

const maxTokenLength = 64;

/**
 * One subject token: `[A-Za-z0-9-]` kept, `.` → `_`, any other byte → `=XX`; nothing → `=`.
 * Over 64 characters it becomes `=h` and 32 hex digits of its SHA-256, and can no longer be read back.
 */
export function token(text: string): string {
  if (text === "") return "=";
  let escaped = "";
  for (const byte of utf8ToBytes(text)) escaped += escapeByte(byte);
  return escaped.length > maxTokenLength ? `=h${sha256Hex(text).slice(0, 32)}` : escaped;
}

function escapeByte(byte: number): string {
  const char = String.fromCharCode(byte);
  if (/[A-Za-z0-9-]/.test(char)) return char;
  if (char === ".") return "_";
  return `=${byte.toString(16).toUpperCase().padStart(2, "0")}`;
}

/** The text a token was made from, or null if it was hashed or is not one of ours. */
export function readToken(text: string): string | null {
  if (text === "=") return "";
  if (!/^(?:[A-Za-z0-9_-]|=[0-9A-F]{2})+$/.test(text)) return null;
  const bytes: number[] = [];
  for (const part of text.match(/=[0-9A-F]{2}|./g) ?? []) {
    if (part.length === 3) bytes.push(Number.parseInt(part.slice(1), 16));
    else bytes.push((part === "_" ? "." : part).charCodeAt(0));
  }
  return new TextDecoder().decode(Uint8Array.from(bytes));
}

/** A host's token; host names are lower-cased first. */
export function hostToken(host: string): string {
  return token(host.toLowerCase());
}

/** The id of a resource, everywhere: the first 32 hex digits of SHA-256 of `module|resource`. */
export function resourceId(module: string, resource: string): string {
  return sha256Hex(`${module}|${resource}`).slice(0, 32);
}

/** The host of a lane: `github.com` of `github.com~git`. */
export function laneHost(lane: string): string {
  const mark = lane.indexOf("~");
  return mark < 0 ? lane : lane.slice(0, mark);
}

/** `due`: the schedule's. `now`: check-now and retries after a change, taken first. */
export type JobClass = "due" | "now";

export const streams = {
  jobs: "JOBS",
  observations: "OBSERVATIONS",
  confirmations: "CONFIRMATIONS",
  suggestions: "SUGGESTIONS",
  changes: "CHANGES",
  health: "HEALTH",
  dead: "DEAD",
} as const;

/** Which kind of message a dead letter was. */
export type DeadKind = "job" | "observation" | "confirmation" | "suggestion" | "change" | "health";

/** The bucket with `limit.<lane>` (the collector writes) and `rest.<lane>` (fetchers write). */
export const lanesBucket = "paintdry_lanes";

/** The JetStream error code by which JOBS refuses a second outstanding job of a resource and class. */
export const alreadyOutstandingCode = 10077;

/** Durables with fixed names; lanes have one each for `due` and `now`. */
export const durables = {
  assessor: "assessor",
  confirmations: "collector-confirmations",
  suggestions: "collector-suggestions",
  notifierChanges: "notifier-changes",
  notifierHealth: "notifier-health",
} as const;

export function laneDurable(lane: string, jobClass: JobClass): string {
  return `${jobClass}-${hostToken(lane)}`;
}

export const subjects = {
  job: (lane: string, jobClass: JobClass, module: string, resource: string) =>
    `paintdry.discovery.${hostToken(lane)}.${jobClass}.${token(module)}.${resourceId(module, resource)}`,
  laneJobs: (lane: string, jobClass: JobClass) => `paintdry.discovery.${hostToken(lane)}.${jobClass}.>`,
  allJobs: "paintdry.discovery.>",
  observation: (module: string, resource: string) =>
    `paintdry.observation.${token(module)}.${resourceId(module, resource)}`,
  allObservations: "paintdry.observation.>",
  confirmation: (module: string, resource: string) =>
    `paintdry.confirmation.${token(module)}.${resourceId(module, resource)}`,
  allConfirmations: "paintdry.confirmation.>",
  suggestion: (source: string, module: string, resource: string) =>
    `paintdry.suggestion.${token(source)}.${token(module)}.${resourceId(module, resource)}`,
  allSuggestions: "paintdry.suggestion.>",
  change: (change: ChangeAddress) =>
    [
      "paintdry.change",
      change.severity ?? "unknown",
      token(change.module),
      hostToken(change.host),
      token(change.owner),
      resourceId(change.module, change.resource),
      token(change.attribute),
    ].join("."),
  allChanges: "paintdry.change.>",
  health: (kind: string, module: string, host: string, resource: string) =>
    `paintdry.health.${token(kind)}.${token(module)}.${hostToken(host)}.${resourceId(module, resource)}`,
  allHealth: "paintdry.health.>",
  /** Where a job or an outcome goes that cannot be handled: the original subject's tail is kept. */
  dead: (kind: DeadKind, original: string) => `paintdry.dead.${kind}.${original.split(".").slice(2).join(".") || "="}`,
  allDead: "paintdry.dead.>",
  /** Plain messages between fetchers, from which each knows who is alive. */
  fetcherHeartbeat: "paintdry.fetcher.heartbeat",
  restKey: (lane: string) => `rest.${hostToken(lane)}`,
  limitKey: (lane: string) => `limit.${hostToken(lane)}`,
  storeRpc: (operation: string) => `paintdry.rpc.store.${operation}`,
  collectorRpc: (operation: string) => `paintdry.rpc.collector.${operation}`,
} as const;

/** What stands in a change's subject, for filters such as `paintdry.change.critical.>`. */
export interface ChangeAddress {
  severity: Severity | null;
  module: string;
  host: string;
  owner: string;
  resource: string;
  attribute: string;
}

/*
 * Message ids. A check or a retry must never reuse a scheduled id: the stream's duplicate window would swallow it.
 */
export const messageIds = {
  scheduled: (id: string, slot: number) => `${id}@${slot}`,
  /** `dueMs` tells two failures in one slot, with a recovery between them, apart. */
  retry: (id: string, dueMs: number, attempt: number) => `${id}@retry:${dueMs}:${attempt}`,
  /** Watched again within the slot of an earlier look. */
  again: (id: string, dueMs: number) => `${id}@again:${dueMs}`,
  afterChange: (id: string, revision: number, dueMs: number) => `${id}@after:${revision}:${dueMs}`,
  discovery: (id: string, attempt: string) => `${id}@discovery:${attempt}`,
  check: (checkId: string) => `check:${checkId}`,
  outcome: (epoch: number, sequence: number) => `job:${epoch}:${sequence}`,
  change: (changeId: string) => `change:${changeId}`,
  health: (eventId: string) => `health:${eventId}`,
  dead: (stream: string, epoch: string, sequence: number) => `dead:${stream}:${epoch}:${sequence}`,
} as const;
