import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Json } from "#contracts/canonical.ts";
import type { Io } from "#contracts/io.ts";
import type { ObservationAnswer } from "#contracts/module.ts";
import type { Report } from "#contracts/messages.ts";
import type { StoredValue } from "#contracts/store.ts";
import { compare, compareGone, type Difference } from "../../services/assessor/compare.ts";
import { testGitIo, type TestGitIo } from "../../tests/support/git-io.ts";
import { type GitServer, startGitServer } from "../../tests/support/git-server.ts";
import { expectedOf, replayExample } from "../../tests/support/module-examples.ts";
import { isMissing } from "../../tests/support/peers.ts";
import { assessChange } from "./change.ts";
import git from "./index.ts";

describe("the module's examples", () => {
  it.each(git.examples.map((example) => [example.title, example] as const))("%s", async (_title, example) => {
    expect(await replayExample(git, example)).toEqual(expectedOf(example));
  });
});

describe.skipIf(isMissing("git"))("watching a repository on a real git server", () => {
  let server: GitServer;
  let io: TestGitIo;
  beforeAll(async () => {
    server = await startGitServer();
    io = testGitIo();
  });
  afterAll(async () => {
    await io.close();
    await server.stop();
  });

  const watch = (name: string, options: Json = {}) => startWatch(io, `${server.url}/${name}`, options);

  it("asks one request of an unchanged repository and finds no change", async () => {
    const repository = await server.createRepository("quiet.git");
    const tip = await repository.commit("main", "first");
    await repository.setRefs(Array.from({ length: 1200 }, (_, index) => [`refs/tags/v1.0.${index}`, tip]));
    const look = watch("quiet.git");
    expect(await look()).toEqual([]);
    server.requests.length = 0;
    for (let count = 0; count < 10; count++) expect(await look()).toEqual([]);
    expect(server.requests).toHaveLength(10);
  });

  it("finds a tag that moved off every branch: exactly one change, critical", async () => {
    const repository = await server.createRepository("moved-off.git");
    const tip = await repository.commit("main", "first");
    await repository.tag("v4.1.2", tip);
    const look = watch("moved-off.git");
    await look();
    const evil = await repository.strayCommit("evil", tip);
    await repository.tag("v4.1.2", evil);
    expect(await look()).toEqual([
      {
        attribute: "tag/v4.1.2",
        kind: "changed",
        severity: "critical",
        reason: `tag v4.1.2 moved from ${tip.slice(0, 7)} to ${evil.slice(0, 7)}, which is on no branch`,
      },
    ]);
    expect(await look()).toEqual([]);
  });

  it("finds an annotated tag that moved along a branch: exactly one change, high", async () => {
    const repository = await server.createRepository("moved-on.git");
    const first = await repository.commit("main", "first");
    await repository.annotatedTag("v1.0.0", first);
    const look = watch("moved-on.git");
    await look();
    const second = await repository.commit("main", "second");
    await repository.setBranch("release", second);
    await repository.annotatedTag("v1.0.0", second);
    expect(await look()).toEqual([
      {
        attribute: "tag/v1.0.0",
        kind: "changed",
        severity: "high",
        reason: `tag v1.0.0 moved from ${first.slice(0, 7)} to ${second.slice(0, 7)}, which is on branches main, release`,
      },
    ]);
  });

  it("tells a tag that was annotated anew, or changed its type, from one that moved", async () => {
    const repository = await server.createRepository("anew.git");
    const tip = await repository.commit("main", "first");
    await repository.annotatedTag("v1.0.0", tip, "one");
    const look = watch("anew.git");
    await look();
    server.requests.length = 0;
    await repository.annotatedTag("v1.0.0", tip, "two");
    expect(await look()).toEqual([
      change("tag/v1.0.0", "changed", "notice", "tag v1.0.0 was signed or annotated anew; it leads to the same commit"),
    ]);
    await repository.tag("v1.0.0", tip);
    expect(await look()).toMatchObject([
      { severity: "notice", reason: expect.stringContaining("lost its annotation") },
    ]);
    await repository.annotatedTag("v1.0.0", tip);
    expect(await look()).toMatchObject([{ severity: "notice", reason: expect.stringContaining("made an annotated") }]);
    expect(server.requests).toHaveLength(3);
  });

  it("lets floating tags move along branches, but not off them", async () => {
    const repository = await server.createRepository("floating.git");
    const tip = await repository.commit("main", "first");
    await repository.tag("v4", tip);
    const look = watch("floating.git");
    await look();
    await repository.tag("v4", await repository.commit("main", "second"));
    expect(await look()).toEqual([
      change("tag/v4", "changed", "notice", "floating tag v4 moved from", "on branch main"),
    ]);
    await repository.tag("v4", await repository.strayCommit("evil", tip));
    expect(await look()).toEqual([change("tag/v4", "changed", "high", "floating tag v4 moved from", "on no branch")]);
  });

  it("finds new and deleted tags, and one that was made again elsewhere in between", async () => {
    const repository = await server.createRepository("deleted.git");
    const tip = await repository.commit("main", "first");
    await repository.tag("v1.0.0", tip);
    const look = watch("deleted.git");
    await look();
    await repository.tag("v1.1.0", tip);
    await repository.tag("v1", tip);
    expect(await look()).toEqual([
      change("tag/v1", "appeared", "notice", "new floating tag v1 at"),
      change("tag/v1.1.0", "appeared", "notice", "new tag v1.1.0 at"),
    ]);
    await repository.deleteTag("v1.0.0");
    await repository.deleteTag("v1");
    expect(await look()).toEqual([
      change("tag/v1", "disappeared", "medium", "floating tag v1 was deleted"),
      change("tag/v1.0.0", "disappeared", "high", "tag v1.0.0 was deleted"),
    ]);
    expect(await look()).toEqual([]);
    await repository.tag("v1.0.0", await repository.strayCommit("evil", tip));
    await repository.tag("v1", tip);
    expect(await look()).toEqual([
      change("tag/v1", "appeared", "notice", "floating tag v1 was deleted and made again"),
      change("tag/v1.0.0", "appeared", "critical", "tag v1.0.0 was deleted, made again and moved", "on no branch"),
    ]);
    expect(await look()).toEqual([]);
  });

  it("finds all of a burst of 75 tags with one clone", async () => {
    const repository = await server.createRepository("burst.git");
    const tip = await repository.commit("main", "first");
    const names = Array.from({ length: 75 }, (_, index) => `refs/tags/0.${index}.0`);
    await repository.setRefs(names.map((name) => [name, tip]));
    const look = watch("burst.git");
    await look();
    const moved: [string, string][] = [];
    for (const name of names) moved.push([name, await repository.strayCommit(name, tip)]);
    await repository.setRefs(moved);
    server.requests.length = 0;
    const changes = await look();
    expect(changes).toHaveLength(75);
    expect(new Set(changes.map(({ severity }) => severity))).toEqual(new Set(["critical"]));
    // One list of refs, and the three requests of one clone.
    expect(server.requests).toHaveLength(4);
  });

  it("rates a move whose commit cannot be looked up as high, and says why", async () => {
    const repository = await server.createRepository("unknown.git");
    const tip = await repository.commit("main", "first");
    await repository.tag("v1.0.0", tip);
    const small = testGitIo({ caps: { maxCloneBytes: 10 } });
    const look = startWatch(small, `${server.url}/unknown.git`, {});
    await look();
    await repository.tag("v1.0.0", await repository.strayCommit("evil", tip));
    expect(await look()).toEqual([
      change("tag/v1.0.0", "changed", "high", "could not be found out: the history is larger than 10 bytes"),
    ]);
    await small.close();
  });

  it("watches branch heads by pattern, and the default branch", async () => {
    const repository = await server.createRepository("heads.git");
    const tip = await repository.commit("main", "first");
    await repository.setBranch("release/1", tip);
    await repository.setBranch("feature", tip);
    const look = watch("heads.git", { branches: ["main", "release/*"] });
    await look();
    await repository.commit("main", "second");
    await repository.commit("feature", "more");
    await repository.deleteBranch("release/1");
    await repository.git(["symbolic-ref", "HEAD", "refs/heads/feature"]);
    expect(await look()).toEqual([
      change("branch/main", "changed", "notice", "branch main went from"),
      change("branch/release/1", "disappeared", "medium", "branch release/1 was deleted"),
      change("default_branch", "changed", "medium", "the default branch is now feature, was main"),
    ]);
  });

  it("finds a deleted repository: one change, and one when it is back", async () => {
    const repository = await server.createRepository("deleted-repository.git");
    await repository.tag("v1.0.0", await repository.commit("main", "first"));
    const look = watch("deleted-repository.git");
    await look();
    await repository.remove();
    expect(await look()).toEqual([change("exists", "disappeared", "high", "the repository is gone")]);
    expect(await look()).toEqual([]);
    const again = await server.createRepository("deleted-repository.git");
    await again.tag("v1.0.0", await again.commit("main", "first"));
    expect(await look()).toEqual([change("exists", "appeared", "high", "the repository is back")]);
  });

  it("makes a look at an empty repository too", async () => {
    await server.createRepository("empty.git");
    const request = { resource: `${server.url}/empty.git`, options: git.options.parse({}), previous: new Map() };
    const look = git.observation({ ...request, state: null, known: [] }, { git: io.git } as Io);
    expect(await Array.fromAsync(look)).toEqual([{ type: "save", state: null }]);
  });
});

function change(attribute: string, kind: string, severity: string, ...parts: string[]): unknown {
  const pattern = new RegExp(parts.map((part) => part.replaceAll(/[.*+?^${}()|[\]\\]/g, String.raw`\$&`)).join(".*"));
  return { attribute, kind, severity, reason: expect.stringMatching(pattern) };
}

/** Looks at a repository again and again as the whole system does, and answers what changed, rated by the module. */
function startWatch(io: TestGitIo, resource: string, someOptions: Json) {
  const options = git.options.parse(someOptions);
  const stored = new Map<string, StoredValue>();
  let state: Json = null;
  let isFirst = true;
  let exists: boolean | null = null;

  function assess(differences: Difference[]) {
    return differences
      .map((difference) => {
        const { severity, reason } = assessChange({ ...difference, resource, options });
        return { attribute: difference.attribute, kind: difference.kind, severity, reason };
      })
      .toSorted((one, other) => (one.attribute < other.attribute ? -1 : 1));
  }

  return async function look() {
    const present = [...stored.values()].filter((value) => value.isPresent);
    const previous = new Map(present.map((value) => [value.attribute, value]));
    const request = { resource, options, previous, state, known: [] };
    const answers = await Array.fromAsync(git.observation(request, { git: io.git } as Io));
    const baseline = { values: [...stored.values()], isFirst, isReshaped: false, exists };
    const gone = answers.find((answer) => answer.type === "gone");
    exists = gone === undefined;
    if (gone !== undefined) return assess(compareGone(baseline, gone.reason));
    for (const answer of answers) if (answer.type === "save") state = JSON.parse(JSON.stringify(answer.state)) as Json;
    const { differences, writes } = compare(baseline, reportOf(answers));
    for (const value of writes) stored.set(value.attribute, value);
    isFirst = false;
    return assess(differences);
  };
}

function reportOf(answers: ObservationAnswer[]): Report {
  return {
    observations: answers
      .filter((answer) => answer.type === "observe")
      .map(({ type: _type, ...observation }) => ({ severity: null, reason: null, ...observation })),
    happenings: [],
    unseen: answers.filter((answer) => answer.type === "unseen"),
  };
}
