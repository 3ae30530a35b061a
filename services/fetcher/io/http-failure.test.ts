import { describe, expect, it } from "vitest";
import { LookError } from "#contracts/look-error.ts";
import { toLookError } from "./http-failure.ts";

function withCode(code: unknown): Error {
  return Object.assign(new Error("what happened"), { code });
}

describe("a failed request as a look failure", () => {
  it.each<[unknown, string, RegExp]>([
    [withCode("ECONNREFUSED"), "unreachable", /a\.example refuses the connection/],
    [new AggregateError([withCode("EHOSTUNREACH"), withCode("ECONNREFUSED")]), "unreachable", /no route to it/],
    [withCode("ERR_SSL_WRONG_VERSION_NUMBER"), "unreachable", /failed the TLS handshake/],
    [new DOMException("it took too long", "TimeoutError"), "timeout", /did not answer in time/],
    [new DOMException("aborted", "AbortError"), "unreachable", /could not be asked: aborted/],
    [withCode(20), "unreachable", /what happened/],
    [withCode(undefined), "unreachable", /what happened/],
    ["a text", "unreachable", /a text/],
    [null, "unreachable", /null/],
    [undefined, "unreachable", /undefined/],
  ])("%s", (error, kind, message) => {
    expect(toLookError(error, "a.example", "answer")).toMatchObject({ kind, message });
  });

  it("tells a connection that never answered from one that broke off", () => {
    expect(toLookError(withCode("ECONNRESET"), "a.example", "answer").kind).toBe("unreachable");
    expect(toLookError(withCode("ECONNRESET"), "a.example", "body").kind).toBe("malformed");
  });

  it("leaves a look failure as it is", () => {
    const failure = new LookError("refused", "not there");
    expect(toLookError(failure, "a.example", "body")).toBe(failure);
  });
});
