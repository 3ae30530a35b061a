import type { StoreReply, StoreRequest } from "#contracts/store.ts";
import type { StoreClient } from "#runtime/rpc.ts";
import { isForGood } from "#runtime/settle.ts";

type UnchangedLook = StoreRequest<"write.unchanged">["looks"][number];
type UnchangedOutcome = StoreReply<"write.unchanged">["outcomes"][number];

interface Waiting {
  look: UnchangedLook;
  resolve(outcome: UnchangedOutcome): void;
  reject(error: unknown): void;
}

/** Looks that saw nothing new are most of the traffic: those that come close together make one request. */
export function createUnchangedBatch(
  store: Pick<StoreClient, "call">,
  { mostLooks = 200, waitMs = 5 } = {},
): (look: UnchangedLook) => Promise<UnchangedOutcome> {
  let waiting: Waiting[] = [];
  let timer: NodeJS.Timeout | undefined;

  function flush(): void {
    clearTimeout(timer);
    timer = undefined;
    const batch = waiting;
    waiting = [];
    if (batch.length > 0) void commitBatch(store, batch);
  }

  return (look) =>
    new Promise((resolve, reject) => {
      waiting.push({ look, resolve, reject });
      if (waiting.length >= mostLooks) flush();
      else timer ??= setTimeout(flush, waitMs);
    });
}

/** Never throws: each look hears what came of it. */
async function commitBatch(store: Pick<StoreClient, "call">, batch: Waiting[]): Promise<void> {
  try {
    const { outcomes } = await store.call("write.unchanged", { looks: batch.map(({ look }) => look) });
    for (const [index, { resolve, reject }] of batch.entries()) {
      const outcome = outcomes[index];
      if (outcome === undefined) reject(new Error("the store answered for fewer looks than it was asked"));
      else resolve(outcome);
    }
  } catch (error) {
    // One that can never be recorded must not take the others with it.
    if (batch.length > 1 && isForGood(error)) for (const one of batch) await commitBatch(store, [one]);
    else for (const { reject } of batch) reject(error);
  }
}
