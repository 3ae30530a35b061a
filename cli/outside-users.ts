import { existsSync, readFileSync } from "node:fs";
import { z } from "zod";
import { token } from "#contracts/subjects.ts";
import { subscriberDurable } from "#runtime/provision.ts";
import type { Subscriber } from "#runtime/provision.ts";
import { StartError } from "#runtime/errors.ts";
import { brokerUsers, permissionFile } from "./embedded/permission-file.ts";
import { writePrivately } from "./embedded/private-file.ts";

const UserName = z
  .string()
  .regex(/^[a-z][a-z0-9-]{0,30}$/, "a user's name is lower-case letters, digits and -, and starts with a letter")
  .refine((name) => !brokerUsers.some((user) => user === name), "that is the name of one of paintdry's own users");

const ChangeFilter = z
  .string()
  .regex(
    /^paintdry\.change(\.[A-Za-z0-9_=*-]+)*(\.>)?$/,
    'a subject under paintdry.change, such as "paintdry.change.critical.>"',
  );

/** Somebody outside who has a user of the broker. */
export const OutsideUser = z.discriminatedUnion("kind", [
  z.object({ kind: z.literal("subscriber"), name: UserName, subjects: z.array(ChangeFilter).min(1) }),
  z.object({ kind: z.literal("source"), name: UserName, source: z.string().min(1).max(200) }),
  z.object({ kind: z.literal("fetcher"), name: UserName }),
]);
export type OutsideUser = z.infer<typeof OutsideUser>;

const UsersFile = z.array(z.intersection(OutsideUser, z.object({ password: z.string().min(1) })));
export type OutsideUserWithPassword = z.infer<typeof UsersFile>[number];

/** The block of the permission file that gives a user its rights. `password` is a literal or one of its variables. */
export function permissionBlock(user: OutsideUser, password: string): string {
  if (user.kind === "fetcher") return fetcherBlock(user.name, password);
  const rights = user.kind === "subscriber" ? subscriberRights(user) : sourceRights(user);
  return [
    `      { user: ${user.name}, password: ${password}, permissions: {`,
    `          publish: { allow: [ ${rights.publish.map(quote).join(", ")} ] }`,
    `          subscribe: { allow: [ ${rights.subscribe.map(quote).join(", ")} ] } }`,
    "      }",
    "",
  ].join("\n");
}

interface Rights {
  publish: string[];
  subscribe: string[];
}

/** It reads its own durable, which the provisioner made with its filter, or subscribes plainly to the same subjects. */
function subscriberRights({ name, subjects }: Extract<OutsideUser, { kind: "subscriber" }>): Rights {
  const durable = `CHANGES.${subscriberDurable(name)}`;
  return {
    publish: [
      `$JS.API.CONSUMER.INFO.${durable}`,
      `$JS.API.CONSUMER.MSG.NEXT.${durable}`,
      `$JS.ACK.${durable}.>`,
      `$JS.ACK.*.*.${durable}.>`,
    ],
    subscribe: [`_INBOX_${name}.>`, ...subjects],
  };
}

function sourceRights({ name, source }: Extract<OutsideUser, { kind: "source" }>): Rights {
  return { publish: [`paintdry.suggestion.${token(source)}.>`], subscribe: [`_INBOX_${name}.>`] };
}

/** A remote fetcher has exactly the rights of ours, and inboxes of its own. */
function fetcherBlock(name: string, password: string): string {
  const own = /^ {6}\{ user: fetcher, [^]*?^ {6}\}\n/m.exec(readFileSync(permissionFile, "utf8"))?.[0];
  if (!own) throw new Error("the permission file has no user fetcher");
  return own
    .replace("user: fetcher, password: $PD_FETCHER_PASSWORD", () => `user: ${name}, password: ${password}`)
    .replace("_INBOX_fetcher.>", () => `_INBOX_${name}.>`);
}

function quote(text: string): string {
  return JSON.stringify(text);
}

/** The outside users kept in a file; none when it is not there. */
export function readUsers(file: string): OutsideUserWithPassword[] {
  if (!existsSync(file)) return [];
  try {
    return UsersFile.parse(JSON.parse(readFileSync(file, "utf8")));
  } catch (error) {
    throw new StartError("bad_users_file", `${file} is not a list of users: mend it, or remove it and add them again`, {
      cause: error,
    });
  }
}

export function writeUsers(file: string, users: OutsideUserWithPassword[]): void {
  writePrivately(file, `${JSON.stringify(users, null, 2)}\n`);
}

export function subscribersOf(users: OutsideUser[]): Subscriber[] {
  return users.flatMap((user) => (user.kind === "subscriber" ? [{ name: user.name, subjects: user.subjects }] : []));
}
