import { spawn, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { withLock } from "./lock.mjs";
import { projectFolder, say, SetupError } from "./setup-error.mjs";

const lockFile = join(projectFolder, "package-lock.json");
const modulesFolder = join(projectFolder, "node_modules");
/** Holds the fingerprint of the package-lock.json that node_modules was made from. */
const stampFile = join(modulesFolder, ".paintdry-installed");

/** Runs `npm ci` unless node_modules is what package-lock.json says. Safe when several start at once. */
export async function installPackages() {
  if (isInstalled()) return;
  await withLock(join(projectFolder, ".setup.lock"), async () => {
    if (isInstalled()) return;
    if (!isSameTree()) await runNpmCi(findNpm());
    writeFileSync(stampFile, fingerprint());
  });
}

function fingerprint() {
  const hash = createHash("sha256").update(readFileSync(lockFile));
  return hash.update(`${process.platform} ${process.arch}`).digest("hex");
}

function isInstalled() {
  return existsSync(stampFile) && readFileSync(stampFile, "utf8") === fingerprint();
}

/** Somebody ran npm by hand: npm's own record of node_modules tells what is there. */
function isSameTree() {
  const recordFile = join(modulesFolder, ".package-lock.json");
  if (!existsSync(recordFile)) return false;
  const wanted = JSON.parse(readFileSync(lockFile, "utf8")).packages;
  const found = JSON.parse(readFileSync(recordFile, "utf8")).packages;
  const isThere = ([path, { version, optional }]) =>
    path === "" || (found[path] ? found[path].version === version : optional);
  return Object.entries(wanted).every(isThere) && Object.keys(found).every((path) => wanted[path]);
}

/** The npm that runs us, or the one on PATH, as a command. */
function findNpm() {
  const own = process.env.npm_execpath;
  if (own && /npm-cli\.c?js$/.test(own) && existsSync(own)) return [process.execPath, own];
  const result = spawnSync("npm", ["--version"], { encoding: "utf8" });
  if (result.status === 0) return ["npm"];
  throw new SetupError(
    `npm does not run (${result.error?.message ?? result.stderr.trim()}). Install Node with npm from https://nodejs.org, ` +
      "or on Debian: apt-get install npm",
  );
}

async function runNpmCi([program, ...before]) {
  say("installing packages (a minute or two the first time)");
  const startedAt = Date.now();
  const progress = setInterval(() => say(`still installing, ${Math.round((Date.now() - startedAt) / 1000)} s`), 15_000);
  let { code, output } = await run(program, [...before, "ci", ...quietly]);
  // `npm ci` refuses a lock file that was made where the registry lacked other platforms' optional packages; `npm
  // install` takes the same versions from it, and leaves it as it is.
  if (code !== 0 && output.includes("EUSAGE")) {
    ({ code, output } = await run(program, [...before, "install", "--no-save", ...quietly]));
  }
  clearInterval(progress);
  if (code !== 0) {
    throw new SetupError(
      `npm could not install the packages:\n${output.trim().split("\n").slice(0, 15).join("\n")}\n` +
        "Check the network and the free disk space, then start again; npm config get registry shows where packages come from.",
    );
  }
  say(`packages installed in ${Math.round((Date.now() - startedAt) / 1000)} s`);
}

const quietly = ["--include=dev", "--no-audit", "--no-fund", "--loglevel=error"];

function run(program, args) {
  return new Promise((resolve, reject) => {
    // Whatever NODE_ENV says: PostgreSQL and Node 24 themselves are among the development packages.
    const env = { ...process.env, NODE_ENV: "development" };
    const child = spawn(program, args, { cwd: projectFolder, env, stdio: ["ignore", "pipe", "pipe"] });
    let output = "";
    const keep = (chunk) => {
      output = (output + chunk).slice(-20_000);
    };
    child.stdout.on("data", keep);
    child.stderr.on("data", keep);
    child.on("error", reject);
    child.on("close", (code) => resolve({ code, output }));
  });
}
