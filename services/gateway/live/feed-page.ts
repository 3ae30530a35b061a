import { RpcError } from "#runtime/errors.ts";
import type { StoreClient } from "#runtime/rpc.ts";
import { feedEvent } from "./ring.ts";
import type { FeedEvent } from "./ring.ts";

export interface FeedPage {
  events: FeedEvent[];
  /** Nothing more was there when it was read. */
  isEnd: boolean;
  /** Of the newest change there is. */
  position: number;
}

/** Values can be large: where 500 changes do not fit into one message, fewer are asked for. */
const pageSizes = [500, 50, 5, 1];

/** The changes right after a position, in feed order. Throws `RpcError`. */
export async function readFeedPage(store: StoreClient, after: number): Promise<FeedPage> {
  for (const limit of pageSizes) {
    try {
      const { changes, position } = await store.call("read.feed", { after, limit });
      return { events: changes.map(feedEvent), isEnd: changes.length < limit, position };
    } catch (error) {
      if (!(error instanceof RpcError && error.code === "too_large") || limit === 1) throw error;
    }
  }
  throw new TypeError("no page size is left");
}
