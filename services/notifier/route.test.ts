import { describe, expect, it } from "vitest";
import { Config } from "#contracts/config.ts";
import type { NotifyRoute } from "#contracts/config.ts";
import { destinationsOf } from "./route.ts";
import { someChangeEvent, someHealthEvent } from "./testing/events.ts";

function routes(...written: object[]): NotifyRoute[] {
  const named = written.map((route, index) => ({ name: `r${index}`, webhook: { url: "http://127.0.0.1/" }, ...route }));
  return Config.parse({ notify: { routes: named } }).notify.routes;
}

const names = (destinations: { route: NotifyRoute }[]) => destinations.map(({ route }) => route.name);

describe("routes", () => {
  it("take what is at least as bad as they ask, and what nobody assessed as unknown", () => {
    const all = routes({ least: "high" }, {}, { least: "unknown" }, { least: "none" });
    expect(names(destinationsOf(someChangeEvent({ severity: "critical" }), all))).toEqual(["r0", "r1", "r2", "r3"]);
    expect(names(destinationsOf(someChangeEvent({ severity: "medium" }), all))).toEqual(["r1", "r2", "r3"]);
    expect(names(destinationsOf(someChangeEvent({ severity: null }), all))).toEqual(["r2", "r3"]);
  });

  it("take only the modules and owners they name, by pattern", () => {
    const all = routes(
      { modules: ["git", "tls"] },
      { owners: ["acme*"] },
      { modules: ["http"] },
      { owners: ["other"] },
    );
    expect(names(destinationsOf(someChangeEvent({ module: "git", owner: "acme-labs" }), all))).toEqual(["r0", "r1"]);
  });

  it("take health only where they ask for it, whatever severity they want", () => {
    const all = routes({ least: "none" }, { health: true, least: "critical" }, { health: true, modules: ["git"] });
    expect(names(destinationsOf(someHealthEvent(), all))).toEqual(["r1"]);
  });

  it("get nothing of what is published again after a loss", () => {
    expect(destinationsOf(someChangeEvent({}, true), routes({ least: "none" }))).toEqual([]);
  });

  it("with a webhook and an address are two destinations", () => {
    const config = Config.parse({
      notify: {
        routes: [{ name: "both", webhook: { url: "http://127.0.0.1/" }, email: { to: ["a@example.org"] } }],
        smtp: { host: "localhost", from: "paintdry@example.org" },
      },
    });
    const destinations = destinationsOf(someChangeEvent(), config.notify.routes);
    expect(destinations.map(({ channel }) => channel)).toEqual(["webhook", "email"]);
  });

  it("must have different names, since the delivery log tells them apart by name", () => {
    expect(() => routes({ name: "same" }, { name: "same" })).toThrow(/different names/);
  });
});
