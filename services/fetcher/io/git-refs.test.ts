import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import type { GitRef, GitRefs } from "#contracts/io.ts";
import { testGitIo, type TestGitIo } from "../../../tests/support/git-io.ts";
import { type GitServer, startGitServer } from "../../../tests/support/git-server.ts";
import { isMissing } from "../../../tests/support/peers.ts";

describe.skipIf(isMissing("git"))("the refs of a repository on a real git server", () => {
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
  afterEach(() => {
    server.requests.length = 0;
  });

  async function refs(name: string, prefixes = ["refs/tags/"]): Promise<GitRef[]> {
    return listed(await io.git.refs(`${server.url}/${name}`, prefixes));
  }

  it("cost one request, and keep tag objects and commits apart", async () => {
    const repository = await server.createRepository("tags.git");
    const first = await repository.commit("main", "first");
    const second = await repository.commit("main", "second");
    await repository.tag("v1", first);
    const tagObject = await repository.annotatedTag("v2", second);
    expect(await refs("tags.git")).toEqual([
      { name: "refs/tags/v1", objectId: first, peeledId: null, target: null },
      { name: "refs/tags/v2", objectId: tagObject, peeledId: second, target: null },
    ]);
    expect(server.requests).toEqual(["POST /tags.git/git-upload-pack"]);
  });

  it("are only those under the prefixes; HEAD says which branch it is", async () => {
    const repository = await server.createRepository("prefixes.git");
    const tip = await repository.commit("main", "first");
    await repository.setBranch("release/1", tip);
    await repository.setBranch("feature", tip);
    await repository.tag("v1", tip);
    const found = await refs("prefixes.git", ["HEAD", "refs/heads/release/"]);
    expect(found).toEqual([
      { name: "HEAD", objectId: tip, peeledId: null, target: "refs/heads/main" },
      { name: "refs/heads/release/1", objectId: tip, peeledId: null, target: null },
    ]);
  });

  it("are none in an empty repository, but a missing repository is gone", async () => {
    const repository = await server.createRepository("empty.git");
    expect(await refs("empty.git")).toEqual([]);
    await repository.remove();
    expect(await io.git.refs(`${server.url}/empty.git`, ["refs/tags/"])).toEqual({
      outcome: "gone",
      reason: "The git server answered 404.",
    });
  });

  it("have SHA-256 ids where the repository has", async () => {
    const repository = await server.createRepository("sha256.git", { objectFormat: "sha256" });
    const commit = await repository.commit("main", "first");
    await repository.tag("v1", commit);
    const [tag] = await refs("sha256.git");
    expect(tag?.objectId).toBe(commit);
    expect(commit).toMatch(/^[0-9a-f]{64}$/);
  });

  it("can be thousands", async () => {
    const repository = await server.createRepository("many.git");
    const tip = await repository.commit("main", "first");
    const names = Array.from({ length: 5000 }, (_, index) => `refs/tags/v${index}`);
    await repository.setRefs(names.map((name) => [name, tip]));
    const found = await refs("many.git");
    expect(found.map((ref) => ref.name).toSorted()).toEqual(names.toSorted());
    expect(server.requests).toHaveLength(1);
  });

  it("are too_large beyond the caps, never cut short", async () => {
    const repository = await server.createRepository("capped.git");
    const tip = await repository.commit("main", "first");
    await repository.setRefs(Array.from({ length: 30 }, (_, index) => [`refs/tags/v${index}`, tip]));
    const few = testGitIo({ caps: { maxRefs: 29 } });
    await expect(few.git.refs(`${server.url}/capped.git`, ["refs/tags/"])).rejects.toMatchObject({ kind: "too_large" });
    const small = testGitIo({ caps: { maxListBytes: 1000 } });
    await expect(small.git.refs(`${server.url}/capped.git`, ["refs/tags/"])).rejects.toMatchObject({
      kind: "too_large",
    });
    await Promise.all([few.close(), small.close()]);
  });

  it("are the same by protocol v0 and v1, as older servers speak it", async () => {
    const repository = await server.createRepository("older.git");
    const tip = await repository.commit("main", "first");
    await repository.annotatedTag("v2", tip);
    await repository.tag("v1", tip);
    const modern = await refs("older.git", ["HEAD", "refs/tags/"]);
    for (const protocol of ["0", "1"] as const) {
      const older = await startGitServer({ root: server.root, protocol });
      const answer = await io.git.refs(`${older.url}/older.git`, ["HEAD", "refs/tags/"]);
      expect(listed(answer)).toEqual(modern);
      expect(older.requests).toEqual([
        "POST /older.git/git-upload-pack",
        "GET /older.git/info/refs?service=git-upload-pack",
      ]);
      await older.stop();
    }
  });

  it("are denied where the server asks for a credential, and come with the right one", async () => {
    const token = "s3cr3t-token";
    const authorization = `Basic ${Buffer.from(`ada:${token}`).toString("base64")}`;
    const guarded = await startGitServer({ authorization });
    const repository = await guarded.createRepository("private.git");
    await repository.tag("v1", await repository.commit("main", "first"));
    const url = `${guarded.url}/private.git`;
    await expect(io.git.refs(url, ["refs/tags/"])).rejects.toMatchObject({ kind: "denied" });
    const trusted = testGitIo({ credential: { host: new URL(url).host, username: "ada", token } });
    expect(listed(await trusted.git.refs(url, ["refs/tags/"]))).toHaveLength(1);
    await trusted.close();
    await guarded.stop();
  });

  it("are refused by the egress guard on a private network", async () => {
    const outside = testGitIo({ allow: [] });
    await expect(outside.git.refs(`${server.url}/tags.git`, ["refs/tags/"])).rejects.toMatchObject({ kind: "refused" });
    expect(server.requests).toEqual([]);
    await outside.close();
  });
});

function listed(answer: GitRefs): GitRef[] {
  if (answer.outcome !== "refs") throw new Error(`expected refs, found ${answer.outcome}`);
  return answer.refs;
}
