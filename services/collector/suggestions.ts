import { Confirmation, Suggestion } from "#contracts/messages.ts";
import { durables, readToken, streams } from "#contracts/subjects.ts";
import type { Broker } from "#runtime/broker.ts";
import { decode } from "#runtime/codec.ts";
import type { Logger } from "#runtime/log.ts";
import type { StoreClient } from "#runtime/rpc.ts";
import { consumeStream, done } from "#runtime/settle.ts";
import type { Delivery, Settlement } from "#runtime/settle.ts";
import type { FollowedConfig } from "./in-force.ts";
import { place } from "./targets.ts";

/** Names that stand for a person's word. */
const personalSources = new Set(["config.json", "person"]);

/** Far above what names need: outside systems send these, and a small body can unfold to a huge one. */
const maxBytes = 65_536;

export interface SuggestionParts {
  broker: Broker;
  store: StoreClient;
  log: Logger;
  inForce: Pick<FollowedConfig, "current" | "refresh">;
}

/** Takes what modules confirm, and what modules and outside systems suggest, to the store. */
export function takeSuggestions(parts: SuggestionParts): { stop(): Promise<void> } {
  const common = { broker: parts.broker, log: parts.log, concurrency: 16, ackWaitMs: 30_000 };
  const consumers = [
    consumeStream({
      ...common,
      stream: streams.confirmations,
      durable: durables.confirmations,
      deadKind: "confirmation",
      handle: (message) => confirm(message, parts),
    }),
    consumeStream({
      ...common,
      stream: streams.suggestions,
      durable: durables.suggestions,
      deadKind: "suggestion",
      handle: (message) => suggest(message, parts),
    }),
  ];
  return { stop: async () => void (await Promise.all(consumers.map((consumer) => consumer.stop()))) };
}

async function confirm(message: Delivery, parts: SuggestionParts): Promise<Settlement> {
  const confirmation = decode(message, Confirmation, { maxBytes });
  const { revision, isInScope } = parts.inForce.current();
  const reply = await parts.store.call("write.confirmation", {
    ...confirmation,
    configRevision: revision,
    isInScope: isInScope(confirmation),
  });
  return await settleRecorded(reply.outcome, revision, parts);
}

/** `paintdry.suggestion.<source>.<module>.<resource>`: who may publish under which source, the broker enforces. */
async function suggest(message: Delivery, parts: SuggestionParts): Promise<Settlement> {
  const suggestion = decode(message, Suggestion, { maxBytes });
  const source = sourceOf(message.subject);
  const refusal = refusalOf(source, suggestion);
  if (refusal !== null) return { type: "reject", reason: refusal };
  const { loaded, revision, isInScope } = parts.inForce.current();
  const placed = place(loaded.modules, suggestion.module, suggestion.resource);
  if (!placed.isPlaced) return { type: "reject", reason: placed.why };
  const { resource, lane, owner } = placed;
  const reply = await parts.store.call("write.suggestion", {
    ...suggestion,
    resource,
    source,
    lane,
    owner,
    configRevision: revision,
    isInScope: isInScope(placed),
    perSource: loaded.config.scope.perSource,
  });
  return await settleRecorded(reply.outcome, revision, parts);
}

/** The name of a long source stays hashed, as in the subject. */
function sourceOf(subject: string): string {
  const named = subject.split(".")[2] ?? "";
  return readToken(named) ?? named;
}

function refusalOf(source: string, { parent }: Suggestion): string | null {
  if (source === "" || personalSources.has(source)) return `"${source}" is no source that may suggest`;
  if (parent && parent.module !== source)
    return `"${source}" cannot say what follows from a resource of ${parent.module}`;
  return null;
}

/**
 * `stale` says that the finding is older than a later discovery, or that this collector's configuration is older than
 * the one in force: then it follows, and the message is handled again.
 */
async function settleRecorded(
  outcome: "recorded" | "stale",
  revision: number,
  { inForce }: SuggestionParts,
): Promise<Settlement> {
  if (outcome === "recorded") return done;
  if ((await inForce.refresh()) > revision) throw new Error("a newer configuration has come into force");
  return done;
}
