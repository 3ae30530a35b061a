import { describe, expect, it } from "vitest";
import { alertLink, describeAlert, visible } from "./alert-text.ts";
import { someChangeEvent, someHealthEvent } from "./testing/events.ts";
import { testEvent } from "./test-event.ts";

const rowsOf = (event: Parameters<typeof describeAlert>[0]) =>
  Object.fromEntries(describeAlert(event).rows.map(({ label, text }) => [label, text]));

describe("an alert in words", () => {
  it("says how bad, what, where and why in its subject", () => {
    expect(describeAlert(someChangeEvent()).subject).toBe(
      "[critical] git github.com/acme/app: tag v4.1.2 moved to a commit that is on no branch",
    );
    expect(describeAlert(someHealthEvent()).subject).toBe(
      "[failing] http https://example.org/: 3 looks in a row failed: no answer within 60 s",
    );
    expect(describeAlert(testEvent("ops")).subject).toMatch(/^\[test\] .*nothing has changed/);
  });

  it("shows old and new value, and only those that there are", () => {
    expect(rowsOf(someChangeEvent({ oldValue: ["a"], newValue: ["a", "b"] }))).toMatchObject({
      "Old value": '[\n  "a"\n]',
      "New value": '[\n  "a",\n  "b"\n]',
    });
    expect(rowsOf(someChangeEvent({ kind: "appeared" }))).not.toHaveProperty("Old value");
    expect(rowsOf(someChangeEvent({ kind: "disappeared" }))).not.toHaveProperty("New value");
  });

  it("links to the change, or to the resource that fails, wherever the UI is", () => {
    const change = someChangeEvent();
    expect(alertLink(change, "https://ui.example.org/paint/")).toBe(
      `https://ui.example.org/paint/changes/${change.id}`,
    );
    const health = someHealthEvent();
    expect(alertLink(health, "http://localhost:8080")).toBe(
      `http://localhost:8080/resources/${health.data.resourceId}`,
    );
  });

  it("shows hostile text without being led by it, and cuts what is long", () => {
    const text = describeAlert(
      someChangeEvent({
        reason: "a\r\nBcc: all@example.org\u202Egnp",
        newValue: "x".repeat(1_000_000),
        attribute: "\u0000",
      }),
    );
    expect(text.subject).toContain(String.raw`a\u{d}\u{a}Bcc: all@example.org\u{202e}gnp`);
    expect(text.rows.find(({ label }) => label === "New value")?.text).toMatch(/… \(1000002 characters in all\)$/);
    expect(JSON.stringify(text).length).toBeLessThan(10_000);
  });

  it("leaves no half of a character where it cuts", () => {
    expect(visible("ab😀", 4)).toBe("ab😀");
    expect(visible("ab😀cd", 4)).toBe(String.raw`ab\u{d83d}…`);
  });
});
