import { execFile } from "node:child_process";
import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { testGitIo, type TestGitIo } from "../../../tests/support/git-io.ts";
import {
  type GitServer,
  type LocalRepository,
  makeLocalRepository,
  startGitServer,
} from "../../../tests/support/git-server.ts";
import { isMissing } from "../../../tests/support/peers.ts";

const token = "s3cr3t-t0ken-of-ada";
const authorization = `Basic ${Buffer.from(`ada:${token}`).toString("base64")}`;

describe.skipIf(isMissing("git"))("the branches that commits are on", () => {
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

  it("are told for many commits by one clone, without their files", async () => {
    const repository = await server.createRepository("branches.git");
    const first = await repository.commit("main", "first");
    const second = await repository.commit("main", "second");
    const fix = await repository.commit("release/1", "fix", first);
    const stray = await repository.strayCommit("evil", second);
    await repository.tag("v1", stray);
    const missing = "1".repeat(40);
    server.requests.length = 0;
    const answer = await io.git.branchesWith(`${server.url}/branches.git`, [first, second, fix, stray, missing]);
    expect(answer).toEqual({
      outcome: "known",
      branches: {
        [first]: ["main", "release/1"],
        [second]: ["main"],
        [fix]: ["release/1"],
        [stray]: [],
        [missing]: [],
      },
    });
    expect(server.requests).toEqual([
      "GET /branches.git/info/refs?service=git-upload-pack",
      "POST /branches.git/git-upload-pack",
      "POST /branches.git/git-upload-pack",
    ]);
  });

  it("are told by one clone for 75 commits", async () => {
    const repository = await server.createRepository("burst.git");
    const tip = await repository.commit("main", "first");
    const strays: string[] = [];
    for (let index = 0; index < 75; index++) strays.push(await repository.strayCommit(`evil ${index}`, tip));
    server.requests.length = 0;
    const answer = await io.git.branchesWith(`${server.url}/burst.git`, strays);
    expect(answer).toEqual({ outcome: "known", branches: Object.fromEntries(strays.map((stray) => [stray, []])) });
    expect(server.requests).toHaveLength(3);
  });

  it("are none for a tag object or a blob", async () => {
    const repository = await server.createRepository("kinds.git");
    const tip = await repository.commit("main", "first");
    const tagObject = await repository.annotatedTag("v1", tip);
    const answer = await io.git.branchesWith(`${server.url}/kinds.git`, [tagObject, tip]);
    expect(answer).toEqual({ outcome: "known", branches: { [tagObject]: [], [tip]: ["main"] } });
  });

  it("are told for SHA-256 repositories, and by servers without partial clones", async () => {
    const repository = await server.createRepository("sha256.git", { objectFormat: "sha256" });
    await repository.git(["config", "uploadpack.allowFilter", "false"]);
    const tip = await repository.commit("main", "first");
    const stray = await repository.strayCommit("evil", tip);
    const answer = await io.git.branchesWith(`${server.url}/sha256.git`, [tip, stray]);
    expect(answer).toEqual({ outcome: "known", branches: { [tip]: ["main"], [stray]: [] } });
  });

  it("are known to be none in a repository without branches", async () => {
    const repository = await server.createRepository("bare.git");
    const stray = await repository.strayCommit("only tagged");
    await repository.tag("v1", stray);
    const answer = await io.git.branchesWith(`${server.url}/bare.git`, [stray]);
    expect(answer).toEqual({ outcome: "known", branches: { [stray]: [] } });
  });

  it("are unknown when the server holds only a part of the history", async () => {
    const origin = await server.createRepository("whole.git");
    const first = await origin.commit("main", "first");
    await origin.commit("main", "second");
    const part = await makeLocalRepository(join(server.root, "part.git"), "sha1");
    await part.git(["fetch", "--quiet", "--depth=1", `file://${origin.folder}`, "+refs/heads/main:refs/heads/main"]);
    const answer = await io.git.branchesWith(`${server.url}/part.git`, [first]);
    expect(answer).toMatchObject({ outcome: "unknown", reason: expect.stringContaining("only a part") });
    expect(server.requests.filter((request) => request.includes("part.git"))).toHaveLength(3);
  });

  it("are unknown when the history is larger than the cap, when there is no repository and when the guard refuses", async () => {
    const repository = await server.createRepository("large.git");
    const tip = await repository.commit("main", "x".repeat(100));
    const url = `${server.url}/large.git`;
    const small = testGitIo({ caps: { maxCloneBytes: 300 } });
    const outside = testGitIo({ allow: [] });
    expect(await small.git.branchesWith(url, [tip])).toEqual({
      outcome: "unknown",
      reason: "the history is larger than 300 bytes",
    });
    expect(await io.git.branchesWith(`${server.url}/none.git`, [tip])).toMatchObject({
      outcome: "unknown",
      reason: expect.stringContaining("answers 404"),
    });
    expect(await outside.git.branchesWith(url, [tip])).toMatchObject({
      outcome: "unknown",
      reason: expect.stringContaining("egress.allow"),
    });
    expect([small.leftovers(), outside.leftovers()]).toEqual([[], []]);
    await Promise.all([small.close(), outside.close()]);
  });

  it("need ids that are ids: nothing else reaches git's arguments", async () => {
    for (const id of ["--upload-pack=x", "HEAD", "main", ""]) {
      await expect(io.git.branchesWith(`${server.url}/x.git`, [id])).rejects.toMatchObject({ kind: "module" });
    }
    for (const url of ["file:///etc", "ssh://h/x", "--upload-pack=x"]) {
      await expect(io.git.branchesWith(url, ["1".repeat(40)])).rejects.toMatchObject({ kind: "module" });
    }
  });

  it("leave nothing behind", () => {
    expect(io.leftovers()).toEqual([]);
  });
});

describe.skipIf(isMissing("git"))("the git child", () => {
  it("shows no secret to who looks at it from outside, and reaches nothing else", { timeout: 60_000 }, async () => {
    const seen: string[] = [];
    const stalling = await startStallingServer();
    const trusted = testGitIo({
      credential: { host: stalling.host, username: "ada", token },
      caps: { cloneTimeoutMs: 20_000 },
    });
    const answer = trusted.git.branchesWith(`http://${stalling.host}/r.git`, ["1".repeat(40)]);
    await stalling.asked;
    expect(stalling.authorization()).toBe(authorization);
    const pids = processesIn(trusted.scratchFolder);
    expect(pids.length).toBeGreaterThan(0);
    for (const pid of pids) seen.push(readText(`/proc/${pid}/cmdline`), readText(`/proc/${pid}/environ`));
    const [folder = ""] = trusted.leftovers();
    const repository = join(trusted.scratchFolder, folder);
    const config = readFileSync(join(repository, "config"), "utf8");
    const everything = [...seen, config].join("\n");
    expect(everything).toContain("GIT_CONFIG_GLOBAL=/dev/null");
    expect(everything).not.toContain(token);
    expect(everything).not.toContain(authorization.slice("Basic ".length));
    expect(everything).not.toContain(stalling.host);
    const key = /x-paintdry-key: (\S+)/.exec(config)?.[1] ?? "";
    expect(key).toHaveLength(32);
    expect(seen.join("\n")).not.toContain(key);
    const proxyUrl = /url = (\S+)/.exec(config)?.[1] ?? "";
    expect((await fetch(`${proxyUrl}/info/refs?service=git-upload-pack`)).status).toBe(403);
    // Git that asks a second time looks for what the server left out, and would start itself anew for each question.
    const again = `${proxyUrl}/info/refs?service=git-upload-pack`;
    expect((await fetch(again, { headers: { "x-paintdry-key": key } })).status).toBe(403);
    const elsewhere = [
      "/info/refs?service=git-receive-pack",
      "/../other.git/info/refs?service=git-upload-pack",
      "/HEAD",
    ];
    for (const path of elsewhere) {
      expect((await fetch(proxyUrl + path, { headers: { "x-paintdry-key": key } })).status).toBe(404);
    }
    stalling.stop();
    expect(await answer).toMatchObject({ outcome: "unknown" });
    await trusted.close();
  });

  it("ends with all its processes when the clone takes too long, and the look goes on", async () => {
    const stalling = await startStallingServer();
    const io = testGitIo({ caps: { cloneTimeoutMs: 1500 } });
    const answer = io.git.branchesWith(`http://${stalling.host}/r.git`, ["1".repeat(40)]);
    await stalling.asked;
    const pids = processesIn(io.scratchFolder);
    expect(pids.length).toBeGreaterThan(0);
    expect(await answer).toEqual({ outcome: "unknown", reason: "the clone took longer than 1.5 s" });
    expect(processesIn(io.scratchFolder)).toEqual([]);
    expect(io.leftovers()).toEqual([]);
    stalling.stop();
    await io.close();
  });

  it("ends when the look ends, which throws", async () => {
    const stalling = await startStallingServer();
    const look = new AbortController();
    const io = testGitIo({ signal: look.signal });
    const answer = io.git.branchesWith(`http://${stalling.host}/r.git`, ["1".repeat(40)]);
    void stalling.asked.then(() => look.abort());
    await expect(answer).rejects.toMatchObject({ kind: "timeout" });
    await expect.poll(() => [processesIn(io.scratchFolder), io.leftovers()]).toEqual([[], []]);
    stalling.stop();
    await io.close();
  });

  it("is not led to another place by a redirect", async () => {
    const other = await startGitServer();
    const repository: LocalRepository = await other.createRepository("r.git");
    const tip = await repository.commit("main", "first");
    const redirecting = createServer((request, response) => {
      response.writeHead(302, { location: `${other.url}${request.url}` }).end();
    }).listen(0, "127.0.0.1");
    await once(redirecting, "listening");
    const io = testGitIo();
    const url = `http://127.0.0.1:${(redirecting.address() as AddressInfo).port}/r.git`;
    expect(await io.git.branchesWith(url, [tip])).toMatchObject({
      outcome: "unknown",
      reason: expect.stringContaining("answers 302"),
    });
    expect(other.requests).toEqual([]);
    redirecting.close();
    await io.close();
    await other.stop();
  });

  it("is a git that can do what is asked of it", async () => {
    const { stdout } = await promisify(execFile)("git", ["version"]);
    expect(stdout).toMatch(/^git version (?:2\.(?:3\d|[4-9]\d)|[3-9])/);
  });
});

/** Takes the first request and never answers. */
async function startStallingServer() {
  const asked = Promise.withResolvers<void>();
  let authorized: string | undefined;
  const server = createServer((request) => {
    authorized = request.headers.authorization;
    asked.resolve();
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    host: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    asked: asked.promise,
    authorization: () => authorized,
    stop: () => {
      server.closeAllConnections();
      server.close();
    },
  };
}

function processesIn(folder: string): string[] {
  return readdirSync("/proc").filter((pid) => {
    try {
      return /^\d+$/.test(pid) && readlinkSync(`/proc/${pid}/cwd`).startsWith(folder);
    } catch {
      return false;
    }
  });
}

function readText(path: string): string {
  return readFileSync(path, "utf8").replaceAll("\0", "\n");
}
