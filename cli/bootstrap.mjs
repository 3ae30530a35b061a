#!/usr/bin/env node
// What `npm start`, `npm test` and the command `paintdry` run first: plain JavaScript for whatever Node is here. It
// sets up what is missing and then runs the real command under Node 24.
import { buildUi } from "./setup/build-ui.mjs";
import { installPackages } from "./setup/install.mjs";
import { findNode } from "./setup/node.mjs";
import { runAndExit } from "./setup/run.mjs";
import { SetupError } from "./setup/setup-error.mjs";

const leastNodeVersion = 18;

async function main() {
  if (Number(process.versions.node.split(".")[0]) < leastNodeVersion) {
    throw new SetupError(
      `this is Node ${process.versions.node}; paintdry's set-up needs ${leastNodeVersion} or newer. ` +
        "Install a current one from https://nodejs.org (it brings npm); Node 24 itself then comes with the packages.",
    );
  }
  const { program, args, needsUi } = chooseCommand(process.argv.slice(2));
  await installPackages();
  const node = findNode();
  if (needsUi) await buildUi(node);
  await runAndExit(node, program, args);
}

function chooseCommand(args) {
  if (args[0] !== "--dev") {
    return { program: "cli/main.ts", args, needsUi: args[0] === "up" || args[0] === "demo" };
  }
  if (args[1] === "test")
    return { program: "node_modules/vitest/vitest.mjs", args: ["run", ...args.slice(2)], needsUi: true };
  if (args[1] === "check") return { program: "cli/dev/check.ts", args: args.slice(2), needsUi: false };
  throw new SetupError(`there is no development command ${args[1] ?? ""}: use npm test or npm run check`);
}

try {
  await main();
} catch (error) {
  if (!(error instanceof SetupError)) throw error;
  console.error(`paintdry cannot start: ${error.message}`);
  process.exitCode = 2;
}
