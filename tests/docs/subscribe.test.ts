import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { changeEvent } from "#contracts/messages.ts";
import type { Change } from "#contracts/messages.ts";
import { messageIds, resourceId, streams, subjects } from "#contracts/subjects.ts";
import { connectBroker } from "#runtime/broker.ts";
import type { Broker } from "#runtime/broker.ts";
import { createLog } from "#runtime/log.ts";
import { provision } from "#runtime/provision.ts";
import { publish } from "#runtime/publish.ts";
import { natsUrl } from "../../cli/embedded/permission-file.ts";
import { projectFolder } from "../../cli/embedded/folders.ts";
import { permissionBlock } from "../../cli/outside-users.ts";
import type { OutsideUser } from "../../cli/outside-users.ts";
import { startNats } from "../support/nats.ts";
import type { TestNats } from "../support/nats.ts";

/** The page's snippets, run as they stand by a user such as `paintdry user add siem` makes. */
const siem: OutsideUser = { kind: "subscriber", name: "siem", subjects: ["paintdry.change.>"] };
const password = "p-siem-password";
const log = createLog("test", { PAINTDRY_LOG_LEVEL: "silent" });
const folder = join(projectFolder, ".paintdry", `test-subscribe-${process.pid}`);
const children: ChildProcess[] = [];
let nats: TestNats;
let assessor: Broker;

beforeAll(async () => {
  mkdirSync(folder, { recursive: true });
  nats = await startNats({ permissions: true, outsideUsers: [permissionBlock(siem, password)] });
  const provisioner = await connectBroker({ natsUrl: nats.url("provisioner"), natsCaFile: null }, "test", log);
  await provision(provisioner, log, { subscribers: [siem], storeWaitMs: 0 });
  await provisioner.close();
  assessor = await connectBroker({ natsUrl: nats.url("assessor"), natsCaFile: null }, "test", log);
});
afterAll(async () => {
  for (const child of children) child.kill("SIGKILL");
  await assessor.close();
  await nats.stop();
  rmSync(folder, { recursive: true, force: true });
});

function runSnippet(index: number): { output(): string } {
  const page = readFileSync(join(projectFolder, "docs/subscribe.md"), "utf8");
  const snippet = [...page.matchAll(/```js\n(.*?)```/gs)][index]?.[1];
  if (snippet === undefined) throw new Error(`docs/subscribe.md has no snippet ${index}`);
  const file = join(folder, `snippet-${index}.mjs`);
  writeFileSync(file, snippet);
  const child = spawn(process.execPath, [file], {
    env: { PATH: process.env.PATH, NATS_URL: natsUrl(nats.port, "siem", password) },
    stdio: ["ignore", "pipe", "pipe"],
  });
  children.push(child);
  let output = "";
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (chunk: Buffer) => (output += chunk.toString()));
  return { output: () => output };
}

async function publishChange(number: number): Promise<void> {
  const address = { module: "git", resource: "https://github.com/acme/app", attribute: "tag/v1.2.3" };
  const change: Change = {
    ...address,
    id: `0190a000-0000-7000-8000-${String(number).padStart(12, "0")}`,
    position: number,
    resourceId: resourceId(address.module, address.resource),
    host: "github.com",
    owner: "acme",
    kind: "changed",
    oldValue: "a",
    newValue: "b",
    severity: "critical",
    reason: `tag v1.2.3 moved, ${number}`,
    isLate: false,
    observedAt: "2026-01-01T00:00:00.000Z",
    recordedAt: "2026-01-01T00:00:00.000Z",
  };
  await publish(assessor.js, {
    stream: streams.changes,
    subject: subjects.change(change),
    body: changeEvent(change),
    messageId: messageIds.change(change.id),
    isPlain: true,
  });
}

describe("docs/subscribe.md", () => {
  it("has a plain subscription that prints changes as they come", async () => {
    const subscriber = runSnippet(0);
    let published = 0;
    await vi.waitFor(
      async () => {
        // What comes before it is connected it cannot see.
        await publishChange(++published);
        expect(subscriber.output()).toContain("critical git https://github.com/acme/app tag/v1.2.3 tag v1.2.3 moved");
      },
      { timeout: 20_000, interval: 200 },
    );
  });

  it("has a durable subscription that brings also what came while it was away", async () => {
    await publishChange(1000);
    const subscriber = runSnippet(1);
    await vi.waitFor(() => expect(subscriber.output()).toContain("tag v1.2.3 moved, 1000"), { timeout: 20_000 });
    await publishChange(1001);
    await vi.waitFor(() => expect(subscriber.output()).toContain("tag v1.2.3 moved, 1001"), { timeout: 20_000 });
  });
});
