import { execFileSync, spawnSync } from "node:child_process";
import { accessSync, constants, existsSync } from "node:fs";
import { delimiter, join } from "node:path";

/** Real servers that tests talk to: the program, and the Debian package that brings it. */
const peers = {
  nginx: { program: "nginx", debianPackage: "nginx-light" },
  bind: { program: "named", debianPackage: "bind9" },
  git: { program: "git", debianPackage: "git" },
  python: { program: "python3", debianPackage: "python3" },
  openssl: { program: "openssl", debianPackage: "openssl" },
  chromium: { program: "chromium", debianPackage: "chromium" },
} as const;

export type Peer = keyof typeof peers;

/** Programs of the system's own folders are found too, which an ordinary user's PATH may leave out. */
const searchPath = [...(process.env.PATH ?? "").split(delimiter), "/usr/sbin", "/sbin", "/usr/local/sbin"];

/** The path of a peer's program, or null where it is not installed. */
export function findPeer(peer: Peer): string | null {
  for (const folder of searchPath) {
    const path = join(folder, peers[peer].program);
    if (isExecutable(path)) return path;
  }
  return null;
}

/** The peers a suite needs that are not here: for `describe.skipIf`, whose skipped names the reporter lists. */
export function isMissing(...needed: Peer[]): boolean {
  return needed.some((peer) => findPeer(peer) === null);
}

/** As root on Debian, installs the missing peers; elsewhere the suites that need them are listed as not run. */
export function installPeers(): void {
  const packages = (Object.keys(peers) as Peer[])
    .filter((peer) => findPeer(peer) === null)
    .map((peer) => peers[peer].debianPackage);
  if (packages.length === 0 || process.getuid?.() !== 0 || !existsSync("/etc/debian_version")) return;
  console.log(`installing for tests: ${packages.join(" ")}`);
  const environment = { ...process.env, DEBIAN_FRONTEND: "noninteractive" };
  const install = ["install", "-qq", "-y", "--no-install-recommends", ...packages];
  if (spawnSync("apt-get", install, { env: environment, stdio: "ignore" }).status === 0) return;
  execFileSync("apt-get", ["update", "-qq"], { env: environment, stdio: "inherit" });
  execFileSync("apt-get", install, { env: environment, stdio: ["ignore", "ignore", "inherit"] });
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
