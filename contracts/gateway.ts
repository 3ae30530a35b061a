import { z } from "zod";
import { AttributeName, ChangeEvent, ChangeKind, ModuleName, ResourceId, ResourceRef } from "./messages.ts";
import { Severity } from "./severity.ts";
import { ResourceState, StoreStatus } from "./store.ts";

/*
 * The gateway's REST and WebSocket contract under /api/v1. Rows are the store's; lists answer
 * `{"items": [...], "next": cursor or null}`.
 */

export const apiRoot = "/api/v1";

/** Query parameters of every list. */
export const PageQuery = z.object({
  limit: z.coerce.number().int().min(1).max(500).default(50).describe("How many items at most."),
  cursor: z.string().max(500).optional().describe("`next` of the page before."),
});

export const ResourcesQuery = PageQuery.extend({
  module: ModuleName.optional(),
  state: ResourceState.optional(),
  host: z.string().max(255).optional(),
  failing: z.stringbool().optional().describe("Only those whose last look failed, or only the others."),
  q: z.string().max(500).optional().describe("Text in the resource's name."),
});
export const ObservationsQuery = PageQuery.extend({
  resource: ResourceId.optional(),
  module: ModuleName.optional(),
  attribute: AttributeName.optional(),
});
export const FindingsQuery = PageQuery.extend({ least: Severity.optional(), module: ModuleName.optional() });
export const HistoryQuery = PageQuery.extend({ resource: ResourceId, attribute: AttributeName.optional() });
export const ChangesQuery = PageQuery.extend({
  least: Severity.optional(),
  module: ModuleName.optional(),
  resource: ResourceId.optional(),
  kind: ChangeKind.optional(),
});
export const SearchQuery = PageQuery.extend({ q: z.string().min(1).max(500) });

/** Body of every answer that is not 2xx. */
export const Problem = z.object({
  error: z.object({
    code: z.string().describe("Listed in docs/errors.md."),
    message: z.string().describe("What was wrong, where, and what to do."),
  }),
});
export type Problem = z.infer<typeof Problem>;

export const CheckRequest = ResourceRef;
/** 202: the look is queued; `already_queued` when one was waiting. */
export const CheckAnswer = z.object({
  outcome: z.enum(["queued", "already_queued"]),
  checkId: z.uuid().nullable(),
  resourceId: ResourceId,
});

export const ModuleInfo = z.object({
  name: ModuleName,
  version: z.int(),
  summary: z.string(),
  isCommand: z.boolean(),
});
export type ModuleInfo = z.infer<typeof ModuleInfo>;

export const Status = StoreStatus.extend({
  version: z.string(),
  live: z.object({ clients: z.int() }),
});
export type Status = z.infer<typeof Status>;

/** Query of `GET live`. */
export const LiveQuery = z.object({
  since: z.coerce.number().int().nonnegative().optional().describe("Resume after this feed position; default: now."),
  module: ModuleName.optional(),
  least: Severity.optional(),
});

/** What the server sends, one JSON text frame each. */
export const LiveFrame = z.discriminatedUnion("type", [
  /** First frame: the feed position from which events follow. */
  z.object({ type: z.literal("ready"), position: z.int() }),
  /** In feed order. `position` covers also what the filter left out: resume from it. */
  z.object({ type: z.literal("events"), events: z.array(ChangeEvent), position: z.int() }),
]);
export type LiveFrame = z.infer<typeof LiveFrame>;

/** Close codes of the WebSocket. After each of these a client may resume by `since`. */
export const liveCloseCodes = { goingAway: 1001, badQuery: 1008, tooSlow: 1013 } as const;
