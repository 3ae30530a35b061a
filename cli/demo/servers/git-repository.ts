import { execFile } from "node:child_process";
import { mkdir, rm } from "node:fs/promises";

/** A bare repository whose history is made step by step. Every date is fixed, so that ids are the same every time. */
export interface LocalRepository {
  folder: string;
  /** Runs git in it; answers its output without the last line feed. */
  git(arguments_: string[], input?: string): Promise<string>;
  /** A new commit on a branch, which is made from `from` if it does not exist; answers its id. */
  commit(branch: string, message: string, from?: string): Promise<string>;
  /** A commit that no branch holds, with the given parent; answers its id. */
  strayCommit(message: string, parent?: string): Promise<string>;
  /** Makes or moves a lightweight tag. */
  tag(name: string, target: string): Promise<void>;
  /** Makes or moves an annotated tag; answers the id of the tag object. */
  annotatedTag(name: string, target: string, message?: string): Promise<string>;
  deleteTag(name: string): Promise<void>;
  setBranch(name: string, target: string): Promise<void>;
  deleteBranch(name: string): Promise<void>;
  /** Many refs at once: full names with the ids they are to hold. */
  setRefs(refs: Iterable<[name: string, id: string]>): Promise<void>;
  /** As if the repository had been deleted. */
  remove(): Promise<void>;
}

export async function makeLocalRepository(folder: string, objectFormat: "sha1" | "sha256"): Promise<LocalRepository> {
  await mkdir(folder, { recursive: true });
  let step = 0;

  function git(arguments_: string[], input = ""): Promise<string> {
    return runGit(folder, arguments_, input, step);
  }

  async function writeCommit(message: string, parents: string[]): Promise<string> {
    step += 1;
    const blob = await git(["hash-object", "-w", "--stdin"], `${message}\n`);
    const tree = await git(["mktree"], `100644 blob ${blob}\tfile.txt\n`);
    return git(["commit-tree", tree, ...parents.flatMap((parent) => ["-p", parent]), "-m", message]);
  }

  async function commit(branch: string, message: string, from?: string): Promise<string> {
    const tip = await git(["for-each-ref", "--format=%(objectname)", `refs/heads/${branch}`]);
    const parent = tip === "" ? from : tip;
    const id = await writeCommit(message, parent === undefined ? [] : [parent]);
    await git(["update-ref", `refs/heads/${branch}`, id]);
    return id;
  }

  async function annotatedTag(name: string, target: string, message = name): Promise<string> {
    step += 1;
    await git(["tag", "--force", "--annotate", "--message", message, name, target]);
    return git(["rev-parse", `refs/tags/${name}`]);
  }

  async function setRefs(refs: Iterable<[string, string]>): Promise<void> {
    await git(["update-ref", "--stdin"], [...refs].map(([name, id]) => `update ${name} ${id}\n`).join(""));
  }

  await git(["init", "--quiet", "--bare", `--object-format=${objectFormat}`, "--initial-branch=main", "."]);
  await git(["config", "uploadpack.allowFilter", "true"]);
  return {
    folder,
    git,
    commit,
    strayCommit: (message, parent) => writeCommit(message, parent === undefined ? [] : [parent]),
    tag: (name, target) => setRefs([[`refs/tags/${name}`, target]]),
    annotatedTag,
    deleteTag: async (name) => void (await git(["update-ref", "-d", `refs/tags/${name}`])),
    setBranch: (name, target) => setRefs([[`refs/heads/${name}`, target]]),
    deleteBranch: async (name) => void (await git(["update-ref", "-d", `refs/heads/${name}`])),
    setRefs,
    remove: () => rm(folder, { recursive: true, force: true }),
  };
}

function runGit(folder: string, arguments_: string[], input: string, step: number): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = execFile(
      "git",
      arguments_,
      { cwd: folder, env: environmentAt(step), maxBuffer: 64 * 1024 * 1024 },
      (error, stdout, stderr) => {
        if (error === null) resolve(stdout.replace(/\n$/, ""));
        else reject(new Error(`git ${arguments_[0]} failed: ${stderr}`, { cause: error }));
      },
    );
    child.stdin?.on("error", () => undefined);
    child.stdin?.end(input);
  });
}

/** One minute a step, from a fixed day. */
function environmentAt(step: number): NodeJS.ProcessEnv {
  const date = `${1_767_225_600 + step * 60} +0000`;
  const person = { NAME: "Ada Example", EMAIL: "ada@example.org", DATE: date };
  return {
    PATH: process.env.PATH,
    HOME: "/nonexistent",
    GIT_CONFIG_NOSYSTEM: "1",
    GIT_CONFIG_GLOBAL: "/dev/null",
    ...Object.fromEntries(Object.entries(person).map(([key, value]) => [`GIT_AUTHOR_${key}`, value])),
    ...Object.fromEntries(Object.entries(person).map(([key, value]) => [`GIT_COMMITTER_${key}`, value])),
  };
}
