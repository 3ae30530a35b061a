import { once } from "node:events";
import { createServer } from "node:net";
import { describe, expect, it } from "vitest";
import { freePort } from "./ports.ts";

describe("a free port", () => {
  it("is none that the system may give to the next connection", async () => {
    for (let time = 0; time < 20; time++) expect(await freePort()).toBeLessThan(32_768);
  });

  it("is the preferred one if it is free, and else another", async () => {
    const preferred = await freePort();
    expect(await freePort(preferred)).toBe(preferred);
    const taken = createServer().listen(preferred, "127.0.0.1");
    await once(taken, "listening");
    expect(await freePort(preferred)).not.toBe(preferred);
    taken.close();
  });
});
