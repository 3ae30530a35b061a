import { describe, expect, it } from "vitest";
import { RpcError } from "#runtime/errors.ts";
import { createUnchangedBatch } from "./unchanged.ts";

type Look = Parameters<ReturnType<typeof createUnchangedBatch>>[0];

function lookOf(resource: string): Look {
  const look = {
    module: "http",
    resource,
    job: { epoch: 1, sequence: 1 },
    fetcher: "f",
    moduleVersion: 1,
    optionsFingerprint: "",
    observedAt: "2026-01-01T00:00:00.000Z",
  };
  return { look, basis: 1, fingerprint: "" };
}

/** What the store is asked, and what it answers; the store itself has tests of its own. */
function storeThat(answer: (resources: string[]) => unknown) {
  const asked: string[][] = [];
  const call = async (_name: string, { looks }: { looks: Look[] }) => {
    const resources = looks.map(({ look }) => look.resource);
    asked.push(resources);
    return answer(resources);
  };
  return { asked, store: { call: call as never } };
}

describe("unchanged looks", () => {
  it("that come close together make one request, and each hears its own outcome", async () => {
    const { asked, store } = storeThat((resources) => ({ outcomes: resources.map((one) => `for ${one}`) }));
    const commit = createUnchangedBatch(store);
    expect(await Promise.all(["a", "b", "c"].map((one) => commit(lookOf(one))))).toEqual(["for a", "for b", "for c"]);
    expect(asked).toEqual([["a", "b", "c"]]);
  });

  it("that can be recorded are, beside one that never can", async () => {
    const { store } = storeThat((resources) => {
      if (resources.includes("bad")) throw new RpcError("bad_request", "NUL", { isTemporary: false });
      return { outcomes: resources.map(() => "committed") };
    });
    const commit = createUnchangedBatch(store);
    const settled = await Promise.allSettled(["a", "bad", "c"].map((one) => commit(lookOf(one))));
    expect(settled.map(({ status }) => status)).toEqual(["fulfilled", "rejected", "fulfilled"]);
  });

  it("fail together where the store is away, to be tried again", async () => {
    const { asked, store } = storeThat(() => {
      throw new RpcError("unavailable", "away", { isTemporary: true });
    });
    const commit = createUnchangedBatch(store);
    const settled = await Promise.allSettled(["a", "b"].map((one) => commit(lookOf(one))));
    expect(settled.map(({ status }) => status)).toEqual(["rejected", "rejected"]);
    expect(asked).toHaveLength(1);
  });
});
