import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { Io } from "#contracts/io.ts";
import type { ObservationAnswer } from "#contracts/module.ts";
import { testGitIo, type TestGitIo } from "../../tests/support/git-io.ts";
import { type GitServer, startGitServer } from "../../tests/support/git-server.ts";
import { isMissing } from "../../tests/support/peers.ts";
import { assessChange } from "./change.ts";
import git from "./index.ts";

describe.skipIf(isMissing("git"))("a repository whose address leads elsewhere", () => {
  let server: GitServer;
  let io: TestGitIo;

  beforeEach(async () => {
    server = await startGitServer();
    const repository = await server.createRepository("new/name.git");
    await repository.tag("v1.0.0", await repository.commit("main", "first"));
    io = testGitIo();
  });
  afterEach(async () => {
    await io.close();
    await server.stop();
  });

  async function look(resource: string): Promise<ObservationAnswer[]> {
    const options = git.options.parse({});
    const request = { resource, options, previous: new Map(), state: null, known: [] };
    return await Array.fromAsync(git.observation(request, { git: io.git } as Io));
  }

  async function discover(resource: string) {
    const request = { resource, options: git.options.parse({}), source: "config.json" };
    return await Array.fromAsync(git.discovery(request, { git: io.git } as Io));
  }

  it("has that as a finding, and its tags are seen there where it is the same host", async () => {
    server.redirects.set("/old", `${server.url}/new/name.git`);
    expect(await look(`${server.url}/old`)).toMatchObject([
      { type: "observe", attribute: "moved_to", value: `${server.url}/new/name.git`, severity: "medium" },
      { type: "observe", attribute: "default_branch", value: "main" },
      { type: "observe", attribute: "tag/v1.0.0" },
      { type: "save" },
    ]);
    expect(await discover(`${server.url}/old`)).toEqual([{ type: "confirm", resource: `${server.url}/old` }]);
  });

  it("keeps its tags unseen where it leads to another host", async () => {
    server.redirects.set("/old", "http://localhost:1/new/name.git");
    const answers = await look(`${server.url}/old`);
    expect(answers.map((answer) => (answer.type === "unseen" ? answer.attribute : answer.type))).toEqual([
      "observe",
      "tag/",
      "branch/",
      "default_branch",
      "save",
    ]);
  });

  it("that only lacks .git is no other one, and discovery takes the better spelling", async () => {
    server.redirects.set("/new/name", `${server.url}/new/name.git`);
    const attributes = (await look(`${server.url}/new/name`)).flatMap((answer) =>
      answer.type === "observe" ? [answer.attribute] : [],
    );
    expect(attributes).toEqual(["default_branch", "tag/v1.0.0"]);
    expect(await discover(`${server.url}/new/name`)).toEqual([
      { type: "confirm", resource: `${server.url}/new/name.git` },
    ]);
  });

  it("could not be looked at when it leads round and round", async () => {
    server.redirects.set("/a", `${server.url}/b`).set("/b", `${server.url}/a`);
    await expect(look(`${server.url}/a`)).rejects.toMatchObject({ kind: "malformed" });
  });

  it("is gone where no repository answers, and discovery does not confirm it", async () => {
    server.redirects.set("/old", `${server.url}/none`);
    for (const path of ["none", "old"]) {
      const seen = await look(`${server.url}/${path}`);
      expect(seen).toMatchObject([{ type: "gone", reason: expect.any(String) as string }]);
      expect(await discover(`${server.url}/${path}`)).toEqual([{ ...seen[0], type: "refuse" }]);
    }
  });

  it("is rated high when the address begins or ceases to lead on", () => {
    const options = git.options.parse({});
    const unset = {
      oldSeverity: null,
      newSeverity: null,
      newReason: null,
      context: null,
      options,
      resource: server.url,
    };
    const began = {
      ...unset,
      attribute: "moved_to",
      kind: "appeared",
      oldValue: null,
      newValue: "https://x.example/y",
    };
    expect(assessChange({ ...began, kind: "appeared" })).toEqual({
      severity: "high",
      reason: "the repository's address now leads to https://x.example/y",
    });
    const ended = { ...unset, attribute: "moved_to", kind: "disappeared", oldValue: "https://x.example/y" } as const;
    expect(assessChange({ ...ended, newValue: null })).toMatchObject({
      severity: "high",
      reason: expect.stringContaining("another repository may have taken its name"),
    });
  });
});
