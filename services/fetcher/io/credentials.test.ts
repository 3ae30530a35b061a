import { describe, expect, it } from "vitest";
import { createCredentials } from "./credentials.ts";

const configured = {
  "api.example.org": { token: { env: "API" } },
  "Git.example.org:8443": { username: "bot", token: { file: "/run/secrets/git" } },
  localhost: { token: { env: "LOCAL" } },
};
const credentials = createCredentials(configured, (ref) => ("env" in ref ? `env-${ref.env}` : `file-${ref.file}`));
const headersFor = (url: string) => credentials.headersFor(new URL(url));

describe("credentials", () => {
  it("are a bearer token, or basic with a user name", () => {
    expect(headersFor("https://api.example.org/x")).toEqual({ authorization: "Bearer env-API" });
    const basic = Buffer.from("bot:file-/run/secrets/git").toString("base64");
    expect(headersFor("https://git.example.org:8443/")).toEqual({ authorization: `Basic ${basic}` });
  });

  it.each([
    "http://api.example.org/",
    "https://www.api.example.org/",
    "https://example.org/",
    "https://api.example.org:8443/",
    "https://git.example.org/",
    "https://api.example.org.evil.example/",
  ])("do not go to %s", (url) => {
    expect(headersFor(url)).toEqual({});
    expect(credentials.fingerprintFor(new URL(url))).toBe("");
  });

  it("go in the clear only where they do not leave the machine", () => {
    expect(headersFor("http://localhost/")).toEqual({ authorization: "Bearer env-LOCAL" });
  });

  it("have fingerprints that tell them apart and not what they are", () => {
    const [one, other] = ["https://api.example.org/", "https://localhost/"].map((url) =>
      credentials.fingerprintFor(new URL(url)),
    );
    expect(one).toMatch(/^[0-9a-f]{32}$/);
    expect(one).not.toBe(other);
  });

  it("let a missing secret stop the start", () => {
    const missing = () => {
      throw new Error("API is not set");
    };
    expect(() => createCredentials(configured, missing)).toThrow("API is not set");
  });
});
