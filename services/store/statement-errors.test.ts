import { DatabaseError } from "pg";
import { describe, expect, it } from "vitest";
import { RpcError } from "#runtime/errors.ts";
import { describeStatementError, isLostRace, isOutage } from "./statement-errors.ts";

function databaseError(code: string): Error {
  return Object.assign(new DatabaseError("it failed", 1, "error"), { code });
}

function systemError(code: string): Error {
  return Object.assign(new Error("it failed"), { code });
}

describe("a failed statement", () => {
  it.each(["57P01", "57P03", "08006", "53300", "40001", "40P01", "57014", "25006"])(
    "may be repeated after SQLSTATE %s",
    (code) => {
      expect(describeStatementError(databaseError(code))).toMatchObject({ code: "unavailable", isTemporary: true });
    },
  );

  it.each([
    systemError("ECONNREFUSED"),
    systemError("ECONNRESET"),
    new AggregateError([systemError("ECONNREFUSED"), systemError("ECONNREFUSED")]),
    new Error("Connection terminated unexpectedly"),
    new Error("timeout exceeded when trying to connect"),
  ])("may be repeated when there is no connection: %s", (error) => {
    expect(describeStatementError(error)).toMatchObject({ code: "unavailable", isTemporary: true });
  });

  it("is the request's fault when a value cannot be held, and ours otherwise", () => {
    expect(describeStatementError(databaseError("22021"))).toMatchObject({ code: "bad_request", isTemporary: false });
    const bug = databaseError("42703");
    expect(describeStatementError(bug)).toBe(bug);
    const answer = new RpcError("bad_cursor", "no", { isTemporary: false });
    expect(describeStatementError(answer)).toBe(answer);
  });

  it("tells an outage from a lost race and from a full queue", () => {
    expect(isOutage(describeStatementError(systemError("ECONNREFUSED")))).toBe(true);
    expect(isOutage(databaseError("57P01"))).toBe(true);
    expect(isOutage(databaseError("40P01"))).toBe(false);
    expect(isOutage(databaseError("57014"))).toBe(false);
    expect(isOutage(new Error("timeout exceeded when trying to connect"))).toBe(false);
    expect(isLostRace(databaseError("40P01"))).toBe(true);
    expect(isLostRace(databaseError("23505"))).toBe(false);
  });
});
