import { existsSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { InvalidArgumentError } from "commander";
import type { Command } from "commander";
import { connectBroker } from "#runtime/broker.ts";
import { StartError } from "#runtime/errors.ts";
import { createLog } from "#runtime/log.ts";
import { provision, subscriberDurable } from "#runtime/provision.ts";
import { dataFolderPath } from "../config-path.ts";
import { passwordVariable } from "../embedded/nats.ts";
import { generatePassword, insertUsers, natsUrl, withOutsideUsers } from "../embedded/permission-file.ts";
import { readNatsPort, readSecrets, runningPid, usersFileOf } from "../embedded/data-folder.ts";
import { writePrivately } from "../embedded/private-file.ts";
import { OutsideUser, permissionBlock, readUsers, subscribersOf, writeUsers } from "../outside-users.ts";
import { CommandFailure, print } from "../report.ts";

interface AddOptions {
  subjects?: string[];
  suggest?: string;
  fetcher?: boolean;
  data?: string;
  conf?: string;
}

export function addUser(program: Command): void {
  const user = program.command("user").description("who may use the broker from outside").showHelpAfterError();
  user
    .command("add")
    .argument("<name>", "lower-case letters, digits and -", parseName)
    .description("let somebody outside subscribe to changes, suggest resources, or run a fetcher elsewhere")
    .option("--subjects <subject...>", "may receive these changes; default paintdry.change.>")
    .option("--suggest <source>", "may suggest resources, under this name of a source")
    .option("--fetcher", "may work as a remote fetcher")
    .option("--data <folder>", "the data folder of npm start (default .paintdry)")
    .option("--conf <file>", "insert into this permission file instead, for a broker that is run otherwise")
    .action(async (name: string, options: AddOptions) => {
      const isJson = program.opts<{ json?: boolean }>().json === true;
      const added = parseUser(name, options);
      if (options.conf) addToFile(added, resolve(options.conf), isJson);
      else await addToDataFolder(added, dataFolderPath(options.data), isJson);
    });
}

function parseName(name: string): string {
  const parsed = OutsideUser.safeParse({ kind: "fetcher", name });
  if (parsed.success) return name;
  throw new InvalidArgumentError(parsed.error.issues.map(({ message }) => message).join("; "));
}

function parseUser(name: string, options: AddOptions): OutsideUser {
  const chosen = [options.subjects, options.suggest, options.fetcher].filter((option) => option !== undefined);
  if (chosen.length > 1) {
    throw new StartError(
      "usage",
      "choose one of --subjects, --suggest and --fetcher; add a second user for another role",
    );
  }
  const wanted = options.fetcher
    ? { kind: "fetcher", name }
    : options.suggest !== undefined
      ? { kind: "source", name, source: options.suggest }
      : { kind: "subscriber", name, subjects: options.subjects ?? ["paintdry.change.>"] };
  const parsed = OutsideUser.safeParse(wanted);
  if (parsed.success) return parsed.data;
  throw new StartError("usage", parsed.error.issues.map(({ message }) => `it must be ${message}`).join("; "));
}

/** For `npm start`: a running broker takes the user over at once. */
async function addToDataFolder(user: OutsideUser, folder: string, isJson: boolean): Promise<void> {
  const secrets = readSecrets(folder);
  if (secrets === null) {
    throw new CommandFailure(`${folder} is no data folder: start paintdry once with npm start, or name it with --data`);
  }
  const file = usersFileOf(folder);
  const users = readUsers(file);
  if (users.some(({ name }) => name === user.name)) throw new CommandFailure(`there is a user ${user.name} already`);
  const password = generatePassword();
  const all = [...users, { ...user, password }];
  writeUsers(file, all);
  const blocks = all.map((one) => permissionBlock(one, JSON.stringify(one.password)));
  writePrivately(join(folder, "nats-server.conf"), withOutsideUsers(blocks));
  const port = readNatsPort(folder) ?? 4222;
  const pid = runningPid(folder, "nats");
  if (pid !== null) {
    // The broker reads its users anew; connections stay.
    process.kill(pid, "SIGHUP");
    await makeDurables(natsUrl(port, "provisioner", secrets.nats.provisioner), all);
  }
  const url = natsUrl(port, user.name, password);
  const isInForce = pid !== null;
  print(isJson, { ...user, url, inboxPrefix: `_INBOX_${user.name}`, isInForce }, () => [
    `user ${user.name} is added${isInForce ? "" : " and in force from the next start on"}:`,
    `  ${url}`,
    `  inbox prefix _INBOX_${user.name}`,
    ...(user.kind === "subscriber" ? [`  durable ${subscriberDurable(user.name)} on the stream CHANGES`] : []),
  ]);
}

/** The provisioner would make them within half a minute; here they are made at once. */
async function makeDurables(url: string, users: OutsideUser[]): Promise<void> {
  const log = createLog("paintdry", { PAINTDRY_LOG_LEVEL: "silent" });
  const broker = await connectBroker({ natsUrl: url, natsCaFile: null }, "user-add", log);
  try {
    await provision(broker, log, { subscribers: subscribersOf(users), storeWaitMs: 0 });
  } finally {
    await broker.close();
  }
}

function addToFile(user: OutsideUser, file: string, isJson: boolean): void {
  if (!existsSync(file)) throw new CommandFailure(`there is no file ${file}`);
  const text = readFileSync(file, "utf8");
  if (text.includes(`{ user: ${user.name},`)) throw new CommandFailure(`${file} has a user ${user.name} already`);
  const variable = passwordVariable(user.name);
  writePrivately(file, insertUsers(text, [permissionBlock(user, `$${variable}`)]));
  const password = generatePassword();
  print(isJson, { ...user, file, variable, password }, () => [
    `user ${user.name} is inserted into ${file}. Give the broker this variable and have it read the file anew:`,
    `  ${variable}=${password}`,
    ...(user.kind === "subscriber"
      ? [`and the provisioner a users file with: ${JSON.stringify([{ ...user, password: variable }])}`]
      : []),
  ]);
}
