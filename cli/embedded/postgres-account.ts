import { cpSync, existsSync, lchownSync, mkdirSync, readdirSync, renameSync, rmSync, statSync } from "node:fs";
import { createHash } from "node:crypto";
import { dirname, join } from "node:path";
import { StartError } from "#runtime/errors.ts";
import { lastLine, runProgram } from "./run-program.ts";

/** The account PostgreSQL runs as. It refuses to be root. */
export interface PostgresAccount {
  uid: number;
  gid: number;
}

export interface PostgresPlace {
  account: PostgresAccount | null;
  /** Holds `bin`, `lib` and `share`. */
  programs: string;
  folder: string;
}

/**
 * Where PostgreSQL runs, and as whom: as ourselves, or for root as the system's account `postgres`. That account must
 * be able to enter all folders above; where it cannot (a clone in /root), programs and data go to /var/lib/paintdry.
 */
export async function placePostgres(programs: string, folder: string): Promise<PostgresPlace> {
  if (process.getuid?.() !== 0) {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    return { account: null, programs, folder };
  }
  const account = await findOrMakeAccount();
  const mayEnter = (path: string) => isReachable(path, account);
  const place = {
    account,
    programs: mayEnter(programs) ? programs : copyPrograms(programs),
    folder: mayEnter(dirname(folder)) ? folder : join(rootFolder, `postgres-${shortHash(folder)}`),
  };
  mkdirSync(place.folder, { recursive: true, mode: 0o700 });
  chownTree(place.folder, account);
  return place;
}

const rootFolder = "/var/lib/paintdry";

async function findOrMakeAccount(): Promise<PostgresAccount> {
  const found = await readAccount();
  if (found) return found;
  const args = ["--system", "--user-group", "--no-create-home", "--home-dir", "/nonexistent", "postgres"];
  const result = await runProgram("useradd", args, { timeoutMs: 10_000 });
  const made = await readAccount();
  if (made) return made;
  throw new StartError(
    "no_postgres_account",
    `PostgreSQL does not run as root, and no account "postgres" could be made: ${lastLine(result)}. ` +
      "Make one (useradd --system postgres), or start paintdry as an ordinary user.",
  );
}

async function readAccount(): Promise<PostgresAccount | null> {
  const [user, group] = await Promise.all(
    ["-u", "-g"].map((option) => runProgram("id", [option, "postgres"], { timeoutMs: 10_000 })),
  );
  if (user?.status !== 0 || group?.status !== 0) return null;
  return { uid: Number(user.stdout), gid: Number(group.stdout) };
}

function isReachable(path: string, account: PostgresAccount): boolean {
  for (let folder = path; ; folder = dirname(folder)) {
    const { mode, uid, gid } = statSync(folder);
    const shift = uid === account.uid ? 6 : gid === account.gid ? 3 : 0;
    if (((mode >> shift) & 1) === 0) return false;
    if (folder === dirname(folder)) return true;
  }
}

function copyPrograms(programs: string): string {
  const { mtimeMs } = statSync(programs);
  const target = join(rootFolder, `programs-${shortHash(`${programs} ${mtimeMs}`)}`);
  if (existsSync(target)) return target;
  mkdirSync(rootFolder, { recursive: true, mode: 0o755 });
  const copying = `${target}.${process.pid}`;
  cpSync(programs, copying, { recursive: true, verbatimSymlinks: true });
  try {
    renameSync(copying, target);
  } catch {
    // Another process was first.
    rmSync(copying, { recursive: true, force: true });
  }
  return target;
}

/** Links are not followed: what they point to is not ours to give away. */
function chownTree(folder: string, { uid, gid }: PostgresAccount): void {
  if (statSync(folder).uid === uid) return;
  lchownSync(folder, uid, gid);
  for (const name of readdirSync(folder, { recursive: true, encoding: "utf8" })) {
    lchownSync(join(folder, name), uid, gid);
  }
}

function shortHash(text: string): string {
  return createHash("sha256").update(text).digest("hex").slice(0, 12);
}
