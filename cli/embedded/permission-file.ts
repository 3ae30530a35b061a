import { randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { projectFolder } from "./folders.ts";

/** The permission file that ships. */
export const permissionFile = join(projectFolder, "deploy", "nats-server.conf");

/** The users it names. */
export const brokerUsers = [
  "sys",
  "provisioner",
  "collector",
  "fetcher",
  "assessor",
  "store",
  "gateway",
  "notifier",
] as const;
export type BrokerUser = (typeof brokerUsers)[number];

const marker = "      # Outside users: `paintdry user add` inserts them here.\n";

/** The permission file that ships with further users' blocks in their place. */
export function withOutsideUsers(blocks: string[]): string {
  return insertUsers(readFileSync(permissionFile, "utf8"), blocks);
}

export function insertUsers(text: string, blocks: string[]): string {
  if (!text.includes(marker)) throw new Error("the permission file has no place for outside users");
  // A function, since a replacement text would have its `$` read as patterns.
  return text.replace(marker, () => `${marker}${blocks.join("")}`);
}

/** A password of 256 bits that starts with a letter, as the permission file's syntax wants it. */
export function generatePassword(): string {
  return `p${randomBytes(32).toString("hex")}`;
}

export function natsUrl(port: number, user: string, password: string): string {
  return `nats://${encodeURIComponent(user)}:${encodeURIComponent(password)}@127.0.0.1:${port}`;
}
