import { assert, pre, property, string } from "fast-check";
import { describe, expect, it } from "vitest";
import { hostToken, laneHost, readToken, resourceId, subjects, token } from "./subjects.ts";

describe("token", () => {
  it("keeps letters, digits and -, turns . into _ and escapes every other byte", () => {
    expect(token("tag/v4.1.2")).toBe("tag=2Fv4_1_2");
    expect(token("status_code")).toBe("status=5Fcode");
    expect(token("é")).toBe("=C3=A9");
    expect(token("")).toBe("=");
  });

  it("reads back every short text", () => {
    assert(
      property(string({ unit: "grapheme", maxLength: 12 }), (text) => {
        const made = token(text);
        expect(readToken(made)).toBe(made.startsWith("=h") ? null : text);
      }),
    );
  });

  it("never lets a wildcard, a separator or a space into a subject, whatever the text", () => {
    assert(
      property(string({ unit: "binary", maxLength: 400 }), (text) => {
        expect(token(text)).toMatch(/^[A-Za-z0-9_=-]{1,64}$/);
      }),
    );
  });

  it("hashes what is longer than 64 characters, and says so", () => {
    const long = token("a".repeat(65));
    expect(long).toMatch(/^=h[0-9a-f]{32}$/);
    expect(readToken(long)).toBeNull();
    expect(token("a".repeat(64))).toBe("a".repeat(64));
  });

  it("tells different texts apart", () => {
    assert(
      property(string({ maxLength: 100 }), string({ maxLength: 100 }), (a, b) => {
        pre(a !== b);
        expect(token(a)).not.toBe(token(b));
      }),
    );
  });
});

describe("subjects", () => {
  it("put the severity of a change first, so that paintdry.change.critical.> is a filter", () => {
    const subject = subjects.change({
      severity: "critical",
      module: "git",
      host: "GitHub.com",
      owner: "acme",
      resource: "https://github.com/acme/app",
      attribute: "tag/v1.2.3",
    });
    const id = resourceId("git", "https://github.com/acme/app");
    expect(subject).toBe(`paintdry.change.critical.git.github_com.acme.${id}.tag=2Fv1_2_3`);
  });

  it("keep the tail of the original in a dead letter's", () => {
    expect(subjects.dead("job", "paintdry.discovery.example_com.due.http.abc")).toBe(
      "paintdry.dead.job.example_com.due.http.abc",
    );
  });

  it("lower-case hosts, and find the host of a lane", () => {
    expect(hostToken("Example.COM")).toBe("example_com");
    expect(laneHost("github.com~git")).toBe("github.com");
    expect(laneHost("example.com:8443")).toBe("example.com:8443");
  });
});
