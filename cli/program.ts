import { readFileSync } from "node:fs";
import { Command } from "commander";
import { addChanges } from "./commands/changes.ts";
import { addCheck } from "./commands/check.ts";
import { addDemo } from "./commands/demo.ts";
import { addExample } from "./commands/example.ts";
import { addLook } from "./commands/look.ts";
import { addMigrateConfig } from "./commands/migrate-config.ts";
import { addNotify } from "./commands/notify.ts";
import { addProvision } from "./commands/provision.ts";
import { addStatus } from "./commands/status.ts";
import { addUp } from "./commands/up.ts";
import { addUser } from "./commands/user.ts";
import { addValidate } from "./commands/validate.ts";

/** The command line, one file a command. */
export function createProgram(): Command {
  const program = new Command("paintdry")
    .description("Watches what should not change, and tells people and machines at once when it does.")
    .version(readVersion())
    .option("--json", "print the answer as JSON")
    .showHelpAfterError("(paintdry --help lists all commands)")
    .exitOverride();
  addUp(program);
  addDemo(program);
  addStatus(program);
  addChanges(program);
  addCheck(program);
  addLook(program);
  addExample(program);
  addValidate(program);
  addMigrateConfig(program);
  addNotify(program);
  addProvision(program);
  addUser(program);
  program.addHelpText(
    "after",
    "\nchanges, check and status ask a running paintdry: PAINTDRY_URL, by default http://localhost:8080." +
      "\nExit codes: 0 done; 1 it did not succeed; 2 used wrongly, or it cannot start.",
  );
  return program;
}

function readVersion(): string {
  const path = new URL("../package.json", import.meta.url);
  return (JSON.parse(readFileSync(path, "utf8")) as { version: string }).version;
}
