import type { StoreReply, StoreRequest } from "#contracts/store.ts";
import type { StoreClient } from "#runtime/rpc.ts";

type UnchangedLook = StoreRequest<"write.unchanged">["looks"][number];
type UnchangedOutcome = StoreReply<"write.unchanged">["outcomes"][number];

/** Looks that saw nothing new are most of the traffic: those that come close together make one request. */
export function createUnchangedBatch(
  store: StoreClient,
  { mostLooks = 200, waitMs = 5 } = {},
): (look: UnchangedLook) => Promise<UnchangedOutcome> {
  interface Waiting {
    look: UnchangedLook;
    resolve(outcome: UnchangedOutcome): void;
    reject(error: unknown): void;
  }
  let waiting: Waiting[] = [];
  let timer: NodeJS.Timeout | undefined;

  function flush(): void {
    clearTimeout(timer);
    timer = undefined;
    const batch = waiting;
    waiting = [];
    if (batch.length === 0) return;
    store.call("write.unchanged", { looks: batch.map(({ look }) => look) }).then(
      ({ outcomes }) =>
        batch.forEach(({ resolve, reject }, index) => {
          const outcome = outcomes[index];
          if (outcome === undefined) reject(new Error("the store answered for fewer looks than it was asked"));
          else resolve(outcome);
        }),
      (error: unknown) => batch.forEach(({ reject }) => reject(error)),
    );
  }

  return (look) =>
    new Promise((resolve, reject) => {
      waiting.push({ look, resolve, reject });
      if (waiting.length >= mostLooks) flush();
      else timer ??= setTimeout(flush, waitMs);
    });
}
