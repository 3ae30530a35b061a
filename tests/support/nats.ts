import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Child } from "../../cli/embedded/child.ts";
import { findNatsServer } from "../../cli/embedded/nats-binary.ts";
import { startNatsServer, startOpenNatsServer } from "../../cli/embedded/nats.ts";
import { brokerUsers, generatePassword, natsUrl, withOutsideUsers } from "../../cli/embedded/permission-file.ts";
import type { BrokerUser } from "../../cli/embedded/permission-file.ts";
import { freePort } from "../../cli/embedded/ports.ts";

export interface NatsOptions {
  /** With the permission file that ships; else without users. */
  permissions?: boolean;
  /** Further users' blocks for the permission file. */
  outsideUsers?: string[];
}

export interface TestNats {
  port: number;
  pid: number;
  /** For `PAINTDRY_NATS_URL`. `admin` may do everything; with permissions there are also the services' users. */
  url(user?: BrokerUser | "admin"): string;
  passwordOf(user: BrokerUser | "admin"): string;
  /** Ends it by SIGKILL unless it has ended, and starts it again on the same port and streams. */
  restart(): Promise<void>;
  /** SIGKILL, and stays down. */
  kill(): Promise<void>;
  /** Ends it and removes its streams. */
  stop(): Promise<void>;
}

/** A real nats-server with JetStream in a folder of its own. */
export async function startNats(options: NatsOptions = {}): Promise<TestNats> {
  const { path: program } = await findNatsServer({ onProgress: console.log });
  const folder = mkdtempSync(join(tmpdir(), "paintdry-nats-"));
  const port = await freePort();
  const monitorPort = await freePort();
  const passwords: Record<string, string> = { admin: generatePassword() };
  for (const user of brokerUsers) passwords[user] = generatePassword();
  const configFile = join(folder, "nats-server.conf");
  const admin = `      { user: admin, password: ${passwords.admin} }\n`;
  writeFileSync(configFile, withOutsideUsers([admin, ...(options.outsideUsers ?? [])]), { mode: 0o600 });
  const storeFolder = join(folder, "streams");
  const start = async (): Promise<Child> =>
    options.permissions
      ? await startNatsServer({ program, configFile, port, monitorPort, storeFolder, passwords, syncInterval: "10s" })
      : await startOpenNatsServer({ program, port, storeFolder });
  const running = { child: await start() };
  const passwordOf = (user: string) => passwords[user] as string;
  return {
    port,
    get pid() {
      return running.child.pid;
    },
    url: (user = "admin") => (options.permissions ? natsUrl(port, user, passwordOf(user)) : `nats://127.0.0.1:${port}`),
    passwordOf,
    restart: async () => {
      await running.child.stop("SIGKILL", 0);
      running.child = await start();
    },
    kill: async () => {
      await running.child.stop("SIGKILL", 0);
    },
    stop: async () => {
      await running.child.stop("SIGTERM", 10_000);
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
