import { z } from "zod";
import { describe, expect, it } from "vitest";
import { defineModule } from "#contracts/module.ts";
import { createLog } from "#runtime/log.ts";
import type { Difference } from "./compare.ts";
import { judge } from "./rules.ts";
import type { Judge } from "./rules.ts";

const definition = defineModule({
  name: "fake",
  version: 1,
  summary: "",
  resource: z.string(),
  options: z.object({}),
  lane: () => "-",
  owner: () => "-",
  async *discovery() {},
  async *observation() {},
  change: ({ attribute }) => {
    if (attribute === "bug") throw new Error("boom");
    return { severity: "medium", reason: `${attribute} moved` };
  },
  examples: [],
});

const difference: Difference = {
  attribute: "a",
  kind: "changed",
  oldValue: 1,
  newValue: 2,
  oldSeverity: null,
  newSeverity: null,
  newReason: null,
  context: null,
};
const subject = { module: "fake", resource: "https://example.com/" };

function by(rules: Partial<Judge["rules"]> = {}, more: Partial<Judge> = {}): Judge {
  const log = createLog("test", { PAINTDRY_LOG_LEVEL: "silent" });
  return { rules: { ignore: [], severity: [], ...rules }, definition, options: {}, log, ...more };
}

describe("judge", () => {
  it("asks the module", async () => {
    expect(await judge([difference], subject, by())).toMatchObject([{ severity: "medium", reason: "a moved" }]);
  });

  it("leaves out what a rule ignores, by pattern", async () => {
    const ignore = [{ module: "fake", resource: "https://*.com/*", attribute: "a" }];
    expect(await judge([difference, { ...difference, attribute: "b" }], subject, by({ ignore }))).toMatchObject([
      { attribute: "b" },
    ]);
  });

  it("lets the first matching severity rule decide, with its reason", async () => {
    const severity = [
      { attribute: "b", severity: "low" as const, reason: "not this" },
      { attribute: "*", severity: "critical" as const, reason: "ours" },
      { attribute: "a", severity: "none" as const, reason: "too late" },
    ];
    expect(await judge([difference], subject, by({ severity }))).toMatchObject([
      { severity: "critical", reason: "ours" },
    ]);
  });

  it("rates a moved standing severity by the new one", async () => {
    const rated: Difference = {
      ...difference,
      kind: "rated",
      oldSeverity: "notice",
      newSeverity: "high",
      newReason: "ends 2026-12-01",
    };
    expect(await judge([rated], subject, by())).toMatchObject([
      { severity: "high", reason: "now rated high, was notice: ends 2026-12-01" },
    ]);
  });

  it("keeps a change that its module fails to assess, as unknown", async () => {
    const drafts = await judge([{ ...difference, attribute: "bug" }], subject, by());
    expect(drafts).toMatchObject([{ severity: "unknown", reason: "the module could not assess this: boom" }]);
  });

  it("keeps a change whose module is no longer configured", async () => {
    const drafts = await judge([difference], subject, by({}, { definition: undefined }));
    expect(drafts).toMatchObject([{ severity: "unknown" }]);
  });
});
