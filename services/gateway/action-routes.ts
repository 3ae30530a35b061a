import type { NatsConnection } from "@nats-io/nats-core";
import { z } from "zod";
import { CheckAnswer, CheckRequest } from "#contracts/gateway.ts";
import { collectorRpc } from "#contracts/store.ts";
import { subjects } from "#contracts/subjects.ts";
import { RpcError } from "#runtime/errors.ts";
import { callRpc } from "#runtime/rpc.ts";
import type { CallOptions, StoreClient } from "#runtime/rpc.ts";
import type { Api } from "./api.ts";
import { checkJsonType, checkOrigin } from "./guard.ts";
import type { GuardSettings } from "./guard.ts";
import { ProblemError } from "./problems.ts";
import { describeRoute, ResourceParams, TriageAnswer } from "./schemas.ts";

export interface ActionTargets {
  nc: NatsConnection;
  store: StoreClient;
  guard: GuardSettings;
  call: CallOptions;
}

const EmptyBody = z.strictObject({}).nullish();

/** What can be done. Other sites' pages may not: each route checks origin and type before the body is read. */
export function addActionRoutes(app: Api, { nc, store, guard, call }: ActionTargets): void {
  const onRequest = async (request: Parameters<typeof checkOrigin>[0]) => {
    checkOrigin(request, guard);
    checkJsonType(request);
  };
  app.post(
    "/checks",
    { onRequest, schema: describeRoute("Look at a watched resource now.", CheckAnswer, { body: CheckRequest }, 202) },
    async ({ body }, reply) => {
      const { outcome, ...rest } = await askCollector(nc, body, call);
      if (outcome === "not_watched") {
        throw new ProblemError("not_watched", `The module "${body.module}" does not watch this resource.`);
      }
      reply.code(202);
      return { outcome, ...rest };
    },
  );
  const triage = { params: ResourceParams, body: EmptyBody };
  app.post(
    "/resources/:id/accept",
    { onRequest, schema: describeRoute("Watch a resource that waits for a decision.", TriageAnswer, triage) },
    async ({ params: { id } }) => decided(id, await store.call("triage.accept", { id })),
  );
  app.post(
    "/resources/:id/refuse",
    { onRequest, schema: describeRoute("Never watch a resource that waits for a decision.", TriageAnswer, triage) },
    async ({ params: { id } }) => decided(id, await store.call("triage.refuse", { id })),
  );
}

async function askCollector(nc: NatsConnection, request: z.infer<typeof CheckRequest>, call: CallOptions) {
  try {
    return await callRpc(nc, subjects.collectorRpc("check"), request, collectorRpc.check.reply, call);
  } catch (error) {
    if (error instanceof RpcError && error.isTemporary) {
      throw new ProblemError("collector_unavailable", undefined, { cause: error });
    }
    throw error;
  }
}

type Decision = "accepted" | "refused";

function decided(id: string, { outcome }: { outcome: Decision | "not_waiting" | "unknown" }): { outcome: Decision } {
  if (outcome === "unknown") throw new ProblemError("unknown_resource", `There is no resource ${id}.`);
  if (outcome === "not_waiting") throw new ProblemError("not_waiting");
  return { outcome };
}
