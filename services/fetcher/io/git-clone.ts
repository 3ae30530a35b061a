import { existsSync } from "node:fs";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import type { SimpleGit } from "simple-git";
import type { GitReachability } from "#contracts/io.ts";
import { LookError } from "#contracts/look-error.ts";
import { configureRepository, gitChild, killProcessesIn, makeRepository } from "./git-child.ts";
import { type GitProxy, type GitWayOut, startGitProxy } from "./git-proxy.ts";
import { plain } from "./git-ref-set.ts";
import { makeScratch } from "./git-scratch.ts";

export interface CloneOptions extends GitWayOut {
  /** Clones are made in new folders under this one, and removed. */
  scratchFolder: string;
  maxCloneBytes: number;
  cloneTimeoutMs: number;
  /** Of the look. */
  signal: AbortSignal;
}

/** Names of branches that are told for one commit; there can be thousands. */
const maxBranches = 50;

/**
 * On which branches the commits are, from one bare clone of all branches' commits without their files. Whatever keeps
 * it from being found out is an answer too; only the end of the look itself throws.
 */
export async function branchesWith(url: string, commits: string[], options: CloneOptions): Promise<GitReachability> {
  if (commits.length === 0) return { outcome: "known", branches: {} };
  const runaway = new AbortController();
  const timeout = AbortSignal.timeout(options.cloneTimeoutMs);
  const signal = AbortSignal.any([options.signal, timeout, runaway.signal]);
  const folder = await makeScratch(options.scratchFolder);
  const proxy = await startGitProxy({ ...options, repository: url, maxBytes: options.maxCloneBytes, signal });
  const killAll = () => void killProcessesIn(folder);
  signal.addEventListener("abort", killAll);
  try {
    const clone = { folder, idLength: commits[0]?.length ?? 40, signal, onRunaway: () => runaway.abort() };
    await fetchBranches(clone, proxy);
    return { outcome: "known", branches: await findBranches(clone, commits) };
  } catch (error) {
    if (options.signal.aborted) throw new LookError("timeout", "The look's time was over before the clone was done.");
    if (timeout.aborted) return unknown(`the clone took longer than ${options.cloneTimeoutMs / 1000} s`);
    if (runaway.signal.aborted) return unknown("the git server sent endless messages");
    return unknown(proxy.fault()?.message ?? explain(error));
  } finally {
    signal.removeEventListener("abort", killAll);
    await proxy.close();
    await killProcessesIn(folder);
    await rm(folder, { recursive: true, force: true, maxRetries: 5 });
  }
}

interface Clone {
  folder: string;
  /** 40 digits for SHA-1, 64 for SHA-256. */
  idLength: number;
  signal: AbortSignal;
  onRunaway: () => void;
}

async function fetchBranches(clone: Clone, proxy: GitProxy): Promise<void> {
  await makeRepository(clone.folder, clone.idLength);
  await configureRepository(clone.folder, clone.idLength, [
    "partialClone = origin",
    '[protocol "http"]',
    "allow = always",
    "[http]",
    "followRedirects = false",
    "proxy =",
    `extraHeader = ${proxy.keyHeader.name}: ${proxy.keyHeader.value}`,
    '[remote "origin"]',
    `url = ${proxy.url}`,
    "promisor = true",
    "partialCloneFilter = tree:0",
  ]);
  // Without --update-shallow git leaves out, with a mere warning, the branches that a shallow server cannot give whole.
  const shape = ["--filter=tree:0", "--update-shallow", "--no-tags", "--no-recurse-submodules"];
  await gitChild(clone).raw([
    "fetch",
    "--quiet",
    "--no-write-fetch-head",
    ...shape,
    "origin",
    "+refs/heads/*:refs/heads/*",
  ]);
  const fault = proxy.fault();
  if (fault !== null) throw fault;
  // From here on nothing may be fetched: a commit that is not here is on no branch.
  await configureRepository(clone.folder, clone.idLength, []);
}

async function findBranches(clone: Clone, commits: string[]): Promise<Record<string, string[]>> {
  await requireWholeHistory(clone);
  const present = await presentCommits(clone, commits);
  const git = gitChild(clone);
  const branches: Record<string, string[]> = {};
  for (const commit of commits) branches[commit] = present.has(commit) ? await branchesContaining(git, commit) : [];
  return branches;
}

/** A history with holes would make "on no branch" a guess. */
async function requireWholeHistory(clone: Clone): Promise<void> {
  if (existsSync(join(clone.folder, "shallow"))) throw new Error("the server holds only a part of the history");
  await gitChild(clone).raw(["rev-list", "--quiet", "--branches"]);
}

async function presentCommits(clone: Clone, commits: string[]): Promise<Set<string>> {
  const git = gitChild({ ...clone, input: `${commits.join("\n")}\n` });
  const answers = await git.raw(["cat-file", "--batch-check=%(objectname) %(objecttype)"]);
  const lines = answers.split("\n").filter((line) => line.endsWith(" commit"));
  return new Set(lines.map((line) => line.slice(0, -" commit".length)));
}

async function branchesContaining(git: SimpleGit, commit: string): Promise<string[]> {
  const format = "--format=%(refname:lstrip=2)";
  const answer = await git.raw([
    "for-each-ref",
    `--count=${maxBranches}`,
    format,
    `--contains=${commit}`,
    "refs/heads/",
  ]);
  return answer.split("\n").filter((line) => line !== "");
}

function unknown(reason: string): GitReachability {
  return { outcome: "unknown", reason: reason.slice(0, 300) };
}

function explain(error: unknown): string {
  const lines = (error instanceof Error ? error.message : String(error)).split("\n");
  const fatal = lines.find((line) => /^(?:fatal|error): /.test(line)) ?? lines[0] ?? "";
  return `git said ${plain(fatal.trim())}`;
}
