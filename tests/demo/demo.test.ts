import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { chmodSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { steps } from "../../cli/demo/steps.ts";
import { projectFolder } from "../../cli/embedded/folders.ts";
import { freePort } from "../../cli/embedded/ports.ts";
import { isMissing } from "../support/peers.ts";

/* The demonstration itself, as `npm run demo` runs it, in a data folder of its own. */

interface Running {
  child: ChildProcess;
  told(): string;
  ended: Promise<number | null>;
}

let folder = "";
let running: Running | null = null;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "paintdry-demo-"));
  // PostgreSQL's own account passes through.
  chmodSync(folder, 0o711);
});

afterEach(async () => {
  if (running !== null && running.child.exitCode === null) {
    running.child.kill("SIGTERM");
    await running.ended;
  }
  running = null;
  rmSync(folder, { recursive: true, force: true });
});

async function startDemo(...options: string[]): Promise<Running> {
  const args = ["cli/main.ts", "demo", "--port", String(await freePort()), ...options];
  const environment = { ...process.env, PAINTDRY_DATA_DIR: folder, NO_COLOR: "1" };
  const child = spawn(process.execPath, args, {
    cwd: projectFolder,
    env: environment,
    stdio: ["ignore", "pipe", "pipe"],
  });
  let told = "";
  for (const output of [child.stdout, child.stderr]) output.on("data", (chunk) => (told += String(chunk)));
  const ended = once(child, "close").then(([code]) => code as number | null);
  running = { child, told: () => told, ended };
  return running;
}

/** What was told of each step, by its number. */
function chapters(told: string): string[] {
  return told.split(/^(?=\d of \d {2})/m).slice(1);
}

describe.skipIf(isMissing("git"))("paintdry demo", { timeout: 240_000 }, () => {
  it("catches, rates and mails every tampering, and ends well", async () => {
    const { told, ended } = await startDemo("--fast", "--once");
    const code = await ended;
    const caught = chapters(told()).map((chapter) => ({
      severity: /caught after [\d.]+ s: (\w+), /.exec(chapter)?.[1],
      isMailed: chapter.includes("mailed after"),
    }));
    const expected = steps.map(({ severity }) => ({ severity, isMailed: true }));
    expect({ caught, code, told: told() }).toEqual({ caught: expected, code: 0, told: told() });
  });

  it("shows what was mailed on a page of its own, and stops at once with success when asked in the middle", async () => {
    const { child, told, ended } = await startDemo("--fast");
    await expect
      .poll(() => told().includes("mailed after") || child.exitCode !== null, { timeout: 120_000 })
      .toBe(true);
    const mailbox = /the alert mails\s+(\S+)/.exec(told())?.[1] ?? "";
    const page = await fetch(mailbox);
    expect(page.headers.get("content-security-policy")).toContain("default-src 'none'; script-src 'self'");
    expect(await page.text()).toContain('src="/mailbox.js"');
    const mails = (await (await fetch(`${mailbox}/mails.json`)).json()) as { subject: string; link: string }[];
    expect(mails.at(-1)?.subject).toContain("[critical] git");
    expect(told()).toContain(mails.at(-1)?.link);
    child.kill("SIGINT");
    expect({ code: await ended, told: told() }).toEqual({ code: 0, told: told() });
  });
});
