import type { RequestListener } from "node:http";
import { afterAll, beforeEach, describe, expect, it } from "vitest";
import type { Io } from "#contracts/io.ts";
import type { ChangeRequest } from "#contracts/module.ts";
import http from "#modules/http/index.ts";
import { compare } from "../services/assessor/compare.ts";
import type { Comparison } from "../services/assessor/compare.ts";
import { createHttpFixture } from "../services/fetcher/io/http-fixture.ts";
import { observeResource } from "../services/fetcher/look.ts";
import type { StoredValue } from "#contracts/store.ts";

const fixture = createHttpFixture();
afterAll(() => fixture.close());

const options = { knownPaths: true, bodyHash: false };
const io = { http: fixture.look().http, signal: new AbortController().signal } as Io;

interface Site {
  status: number;
  type: string;
  body: string;
  headers: Record<string, string | string[]>;
}
const start: Site = {
  status: 200,
  type: "text/html",
  body: `<link rel="icon" href="https://cdn.example/i.png"><script src="https://cdn.example/a.js"></script>
    <form action="/pay"></form><a href="/a.zip">get</a>`,
  headers: {
    "content-security-policy": "script-src 'self' 'sha256-YWJj'; img-src *",
    "x-frame-options": "DENY",
    "x-content-type-options": "nosniff",
    "set-cookie": ["sid=1; HttpOnly; Secure", "theme=dark; Secure"],
  },
};
let site = start;
const serve: RequestListener = (_request, response) => {
  response.writeHead(site.status, { "content-type": site.type, ...site.headers }).end(site.body);
};
const url = `${await fixture.serve(serve)}/page`;

/** A look, compared with what is stored as an assessor compares it; what it stores then is returned with the changes. */
async function look(values: Map<string, StoredValue>): Promise<string[]> {
  const previous = [...values.values()].filter(({ isPresent }) => isPresent);
  const target = { definition: http, options, resource: url };
  const seen = await observeResource(target, { previous, state: null, known: [] }, io);
  if (seen.status !== "seen") throw new Error(JSON.stringify(seen));
  const baseline = { values: [...values.values()], isFirst: values.size === 0, isReshaped: false, exists: true };
  const { differences, writes } = compare(baseline, seen.report);
  for (const write of writes) values.set(write.attribute, write);
  return differences.map(describeDifference);
}

function describeDifference(difference: Comparison["differences"][number]): string {
  const request: ChangeRequest<typeof options> = { ...difference, resource: url, options };
  const { severity } = http.change(request) as { severity: string };
  return `${difference.kind} ${difference.attribute}: ${severity}`;
}

describe("one act at a watched page is one change", () => {
  const values = new Map<string, StoredValue>();
  beforeEach(async () => {
    values.clear();
    site = start;
    await look(values);
  });

  function without(name: string): Site {
    const { [name]: _, ...headers } = start.headers;
    return { ...start, headers };
  }
  function withTag(tag: string): Site {
    return { ...start, body: start.body + tag };
  }
  const evil = "https://evil.example/";
  it("and none while nothing moves", async () => {
    expect(await look(values)).toEqual([]);
  });

  it.each<[string, Site, string]>([
    ["a script of a new host", withTag(`<script src="${evil}x.js"></script>`), "changed scripts: high"],
    ["code put into the page", withTag("<script>x()</script>"), "changed scripts: medium"],
    ["a frame", withTag(`<iframe src="${evil}"></iframe>`), "changed frame_sources: high"],
    ["a form", withTag(`<form action="${evil}">`), "changed form_actions: high"],
    ["a download", withTag(`<a href="${evil}a.exe">a</a>`), "changed download_links: high"],
    ["a link", withTag(`<a href="${evil}">a</a>`), "changed external_domains: medium"],
    ["a base", { ...start, body: `<base href="${evil}">${start.body}` }, "appeared base_href: high"],
    ["the policy removed", without("content-security-policy"), "changed header/content-security-policy: high"],
    ["a protecting header removed", without("x-frame-options"), "disappeared header/x-frame-options: medium"],
    ["sniffing allowed", without("x-content-type-options"), "changed header/x-content-type-options: medium"],
    [
      "a cookie's flag lost",
      { ...start, headers: { ...start.headers, "set-cookie": ["sid=1; Secure", "theme=dark; Secure"] } },
      "changed cookie/sid: medium",
    ],
    ["the page closed", { ...start, status: 403 }, "changed status_code: medium"],
    [
      "a redirect to another site",
      { ...start, status: 302, headers: { ...start.headers, location: evil } },
      "changed status_code: high",
    ],
    ["another kind of content", { ...start, type: "application/json", body: "{}" }, "changed content_type: notice"],
  ])("%s", async (_name, tampered, change) => {
    site = tampered;
    expect(await look(values)).toEqual([change]);
    expect(await look(values)).toEqual([]);
    site = start;
    expect(await look(values)).toHaveLength(1);
    expect(await look(values)).toEqual([]);
  });

  it("a redirect that leads elsewhere", async () => {
    site = { ...start, status: 301, headers: { location: `${url}/a` } };
    await look(values);
    site = { ...start, status: 301, headers: { location: evil } };
    expect(await look(values)).toEqual(["changed redirect_location: high"]);
  });

  it("a script that comes while the page is no page is told when it is one again", async () => {
    site = { ...start, type: "text/plain" };
    await look(values);
    site = withTag(`<script src="${evil}x.js"></script>`);
    expect(await look(values)).toEqual(["changed content_type: notice", "changed scripts: high"]);
  });

  it("a redirect or file that was never a page and becomes one", async () => {
    for (const first of [
      { ...start, status: 301, headers: { location: "/elsewhere" } },
      { ...start, type: "text/plain", body: "x" },
    ]) {
      values.clear();
      site = first;
      await look(values);
      site = start;
      expect(await look(values)).toHaveLength(1);
      expect(values.get("scripts")).toMatchObject({ isPresent: true });
      expect(await look(values)).toEqual([]);
    }
  });
});
