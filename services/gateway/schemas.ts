import { z } from "zod";
import { $ZodRegistry } from "zod/v4/core";
import { Json } from "#contracts/canonical.ts";
import { CheckAnswer, LiveFrame, ModuleInfo, Problem, Status } from "#contracts/gateway.ts";
import { Change, ChangeEvent, ChangeKind, LookFailure, ResourceId } from "#contracts/messages.ts";
import { Severity } from "#contracts/severity.ts";
import {
  ChangeDetail,
  ConfigInForce,
  Delivery,
  HistoryRow,
  ResourceDetail,
  ResourceState,
  ResourceSummary,
  SearchHit,
  ValueRow,
} from "#contracts/store.ts";

/** The schemas that have a name of their own in the OpenAPI document. */
export const namedSchemas = new $ZodRegistry<{ id?: string }>();

const named = {
  Json,
  Severity,
  ChangeKind,
  ResourceState,
  LookFailure,
  Problem,
  Change,
  ChangeDetail,
  ResourceSummary,
  ResourceDetail,
  ValueRow,
  HistoryRow,
  SearchHit,
  ModuleInfo,
  ConfigInForce,
  Status,
  Delivery,
  CheckAnswer,
  ChangeEvent,
  LiveFrame,
};
for (const [id, schema] of Object.entries(named)) namedSchemas.add(schema, { id });

export const ResourceParams = z.strictObject({ id: ResourceId });
export const ChangeParams = z.strictObject({ id: z.uuid() });
export const TriageAnswer = z.object({ outcome: z.enum(["accepted", "refused"]) });

/** Documents a route: what it is for, what it takes, and what a good answer is. */
export function describeRoute<Answer extends z.ZodType, Parts extends object>(
  summary: string,
  answer: Answer,
  parts: Parts,
  status: 101 | 200 | 202 = 200,
) {
  return {
    summary,
    ...parts,
    response: {
      [status]: { description: summary, content: { "application/json": { schema: answer } } },
      "4xx": { description: "The request cannot be answered.", content: { "application/json": { schema: Problem } } },
      "5xx": { description: "Not now.", content: { "application/json": { schema: Problem } } },
    },
  };
}

export function pageOf<Item extends z.ZodType>(items: Item) {
  return z.object({
    items: z.array(items),
    next: z.string().nullable().describe("The `cursor` of the next page; null on the last."),
  });
}
