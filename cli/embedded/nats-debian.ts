import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { lastLine, runProgram } from "./run-program.ts";

/** The suite whose nats-server is current; its binary is static and runs on older Debian too. */
const suite = "forky";
const keyring = "/usr/share/keyrings/debian-archive-keyring.gpg";

/**
 * Debian's package, downloaded and unpacked without root and without installing anything: apt keeps its lists in a
 * private folder and checks the archive's signatures.
 */
export async function unpackFromDebian(folder: string, onProgress: (text: string) => void): Promise<string> {
  if (!existsSync(keyring)) throw new Error(`this is no Debian: ${keyring} is missing`);
  onProgress(`fetching nats-server from Debian ${suite}`);
  const apt = privateApt(folder);
  await run("apt-get", [...apt, "update"], folder);
  await run("apt-get", [...apt, "download", "nats-server"], folder);
  const archive = readdirSync(folder).find((name) => name.endsWith(".deb"));
  if (!archive) throw new Error("apt-get brought no package");
  const unpacked = join(folder, "unpacked");
  await run("dpkg-deb", ["-x", join(folder, archive), unpacked], folder);
  const program = ["usr/sbin/nats-server", "usr/bin/nats-server"].map((path) => join(unpacked, path)).find(existsSync);
  if (!program) throw new Error("the package holds no nats-server");
  return program;
}

function privateApt(folder: string): string[] {
  const state = join(folder, "apt");
  mkdirSync(join(state, "lists", "partial"), { recursive: true });
  mkdirSync(join(state, "archives", "partial"), { recursive: true });
  writeFileSync(join(state, "status"), "");
  writeFileSync(join(state, "sources.list"), `deb [signed-by=${keyring}] ${findMirror()} ${suite} main\n`);
  const settings = {
    "Dir::State": state,
    "Dir::State::status": join(state, "status"),
    "Dir::State::Lists": join(state, "lists"),
    "Dir::Cache": state,
    "Dir::Cache::archives": join(state, "archives"),
    "Dir::Etc::sourcelist": join(state, "sources.list"),
    "Dir::Etc::sourceparts": "-",
    // apt would drop to a user of its own, who cannot write into this folder.
    "APT::Sandbox::User": "root",
    "Acquire::Languages": "none",
    "Acquire::Retries": "2",
    "Acquire::http::Timeout": "20",
  };
  return ["-qq", ...Object.entries(settings).flatMap(([name, value]) => ["-o", `${name}=${value}`])];
}

/** The mirror that this machine's own apt uses. */
export function findMirror(folder = "/etc/apt"): string {
  const files = [join(folder, "sources.list"), ...listFolder(join(folder, "sources.list.d"))];
  const lines = files.filter((file) => existsSync(file)).flatMap((file) => readFileSync(file, "utf8").split("\n"));
  for (const line of lines) {
    const uri = /^(?:deb\s(?:\[[^\]]*\]\s+)?|URIs:).*?(https?:\/\/\S+\/debian\/?)(?:\s|$)/.exec(line.trim())?.[1];
    if (uri) return uri;
  }
  return "http://deb.debian.org/debian";
}

function listFolder(folder: string): string[] {
  return existsSync(folder) ? readdirSync(folder).map((name) => join(folder, name)) : [];
}

async function run(program: string, args: string[], cwd: string): Promise<void> {
  const environment = { ...process.env, LC_ALL: "C", DEBIAN_FRONTEND: "noninteractive" };
  const result = await runProgram(program, args, { timeoutMs: 180_000, cwd, environment });
  if (result.status !== 0) throw new Error(`${program} ${args.at(-2) ?? ""} failed: ${lastLine(result)}`);
}
