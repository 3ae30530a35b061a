import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createServer } from "node:net";
import { text as readText } from "node:stream/consumers";
import { jetstream } from "@nats-io/jetstream";
import { connect } from "@nats-io/transport-node";
import type { NatsConnection } from "@nats-io/transport-node";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { projectFolder } from "../embedded/folders.ts";
import { freePort } from "../embedded/ports.ts";
import { processIdentity } from "../embedded/process-identity.ts";

/* The command itself, as `npm start` runs it, in a data folder of its own. */

interface Up {
  process: ChildProcess;
  said(): string;
  ended: Promise<number | null>;
}

let folder = "";
let configFile = "";
const started: ChildProcess[] = [];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "paintdry-up-"));
  chmodSync(folder, 0o711);
  configFile = join(folder, "config.json");
  writeFileSync(configFile, JSON.stringify({ targets: [] }));
});

afterEach(async () => {
  for (const child of started.splice(0)) {
    if (child.exitCode !== null || child.signalCode !== null) continue;
    child.kill("SIGTERM");
    await once(child, "exit");
  }
  // A test that failed half-way must not leave what its killed parent ran.
  if (existsSync(join(folder, "data", "running.json"))) {
    for (const { pid, identity } of runningChildren())
      if (processIdentity(pid) === identity) process.kill(pid, "SIGKILL");
  }
  rmSync(folder, { recursive: true, force: true });
});

function up(port: number, data = "data"): Up {
  const args = [join(projectFolder, "cli/bootstrap.mjs"), "up", "--port", String(port), "--config", configFile];
  const child = spawn(process.execPath, [...args, "--data", join(folder, data)], { stdio: ["ignore", "pipe", "pipe"] });
  started.push(child);
  let said = "";
  for (const output of [child.stdout, child.stderr]) output.on("data", (chunk) => (said += String(chunk)));
  const ended = once(child, "close").then(([code]) => code as number | null);
  return { process: child, said: () => said, ended };
}

async function ready(one: Up): Promise<void> {
  const isReady = () => /paintdry is ready at http:\/\/localhost:\d+\n/.test(one.said());
  const hasEnded = () => one.process.exitCode !== null;
  await expect.poll(() => isReady() || hasEnded(), { timeout: 90_000 }).toBe(true);
  expect([one.said(), isReady()]).toEqual([one.said(), true]);
}

function runningChildren(): { pid: number; identity: string }[] {
  return Object.values(JSON.parse(readFileSync(join(folder, "data", "running.json"), "utf8")));
}

/** Adds an outside user to the running system, and connects as that user. */
async function addUserAndConnect(name: string): Promise<NatsConnection> {
  const args = ["cli/main.ts", "--json", "user", "add", name, "--data", join(folder, "data")];
  const child = spawn(process.execPath, args, { cwd: projectFolder, stdio: ["ignore", "pipe", "inherit"] });
  const { url: text, inboxPrefix } = JSON.parse(await readText(child.stdout)) as { url: string; inboxPrefix: string };
  const url = new URL(text);
  return await connect({ servers: url.host, user: url.username, pass: url.password, inboxPrefix });
}

describe("paintdry up", { timeout: 180_000 }, () => {
  it("serves the page, refuses a second start there, and a signal ends it all cleanly", async () => {
    const port = await freePort();
    const first = up(port);
    await ready(first);
    const page = await fetch(`http://localhost:${port}/`, { headers: { accept: "text/html" } });
    expect([page.status, (await page.text()).includes("<html")]).toEqual([200, true]);
    const children = runningChildren();
    expect(children.length).toBe(9);
    expect(statSync(join(folder, "data", "secrets.json")).mode & 0o777).toBe(0o600);

    const outside = await addUserAndConnect("siem");
    const consumer = await jetstream(outside).consumers.get("CHANGES", "ext-siem");
    expect((await consumer.info()).num_pending).toBe(0);
    await outside.close();

    const samePort = up(port, "other");
    expect(await samePort.ended).toBe(2);
    expect(samePort.said()).toContain(`port ${port} on 127.0.0.1 is taken by another program`);
    const sameFolder = up(await freePort());
    expect(await sameFolder.ended).toBe(2);
    expect(sameFolder.said()).toMatch(/the data folder \S+ is in use by process \d+/);

    // The second is what npm passes on for the same Ctrl-C: it must not end everything at once.
    first.process.kill("SIGINT");
    first.process.kill("SIGINT");
    expect(await first.ended).toBe(0);
    expect(first.said()).toMatch(/stopped\n$/);
    expect(children.filter(({ pid, identity }) => processIdentity(pid) === identity)).toEqual([]);
    expect(existsSync(join(folder, "data", "lock"))).toBe(false);
  });

  it("goes on with the same data after its processes were killed", async () => {
    const port = await freePort();
    const first = up(port);
    await ready(first);
    const secrets = readFileSync(join(folder, "data", "secrets.json"), "utf8");
    const children = runningChildren();
    const lock = JSON.parse(readFileSync(join(folder, "data", "lock"), "utf8")) as { pid: number };
    // As a machine out of memory would: the parent is gone, broker, database and services run on.
    process.kill(lock.pid, "SIGKILL");
    await first.ended;
    const isLeft = ({ pid, identity }: (typeof children)[number]) => processIdentity(pid) === identity;
    expect(children.some(isLeft)).toBe(true);
    const second = up(port);
    await ready(second);
    expect(second.said()).toMatch(/ending \d+ processes that an earlier start left running/);
    expect(children.filter(isLeft)).toEqual([]);
    expect(readFileSync(join(folder, "data", "secrets.json"), "utf8")).toBe(secrets);
    second.process.kill("SIGTERM");
    expect(await second.ended).toBe(0);
  });

  it("lists all faults of the configuration before it starts anything", async () => {
    writeFileSync(configFile, JSON.stringify({ targets: [{ modules: ["htp"], resources: ["x"] }], limit: {} }));
    const refused = up(await freePort());
    expect(await refused.ended).toBe(2);
    expect(refused.said()).toContain("limit: found");
    expect(existsSync(join(folder, "data"))).toBe(false);
  });

  it("says so when it may not listen where it should", async () => {
    const holder = createServer().listen(0, "127.0.0.1");
    await once(holder, "listening");
    const { port } = holder.address() as { port: number };
    const refused = up(port);
    expect(await refused.ended).toBe(2);
    expect(refused.said()).toContain("choose another port: npm start -- --port");
    holder.close();
  });
});
