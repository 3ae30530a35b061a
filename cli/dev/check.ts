import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { projectFolder } from "../embedded/folders.ts";

interface Check {
  name: string;
  /** The program's own JavaScript, under node_modules. */
  script: string;
  args: string[];
}

const folders = ["contracts", "runtime", "modules", "services", "cli", "tests", "bench", "ui"].filter((folder) =>
  existsSync(join(projectFolder, folder)),
);

const checks: Check[] = [
  { name: "format (oxfmt)", script: "oxfmt/bin/oxfmt", args: ["--check"] },
  { name: "lint (oxlint)", script: "oxlint/bin/oxlint", args: ["--type-aware"] },
  { name: "types (tsc)", script: "typescript/bin/tsc", args: ["-p", "tsconfig.json"] },
  ...(existsSync(join(projectFolder, "ui", "tsconfig.json"))
    ? [
        {
          name: "types of the page (svelte-check)",
          script: "svelte-check/bin/svelte-check",
          args: ["--tsconfig", "ui/tsconfig.json"],
        },
      ]
    : []),
  { name: "dead code (knip)", script: "knip/bin/knip.js", args: [] },
  {
    name: "floors (dependency-cruiser)",
    script: "dependency-cruiser/bin/dependency-cruiser.mjs",
    args: ["--config", ".dependency-cruiser.cjs", ...folders],
  },
];

/** Every check runs, whatever the one before found, so that all faults show at once. */
const faulty: string[] = [];
for (const check of checks) {
  const startedAt = performance.now();
  const { code, output } = await run(check);
  const seconds = ((performance.now() - startedAt) / 1000).toFixed(1);
  console.log(`${code === 0 ? "ok    " : "FAULTS"} ${check.name}, ${seconds} s`);
  if (code !== 0) {
    console.log(output.trimEnd());
    faulty.push(check.name);
  }
}
console.log(faulty.length === 0 ? `${checks.length} checks passed` : `faults: ${faulty.join(", ")}`);
process.exitCode = faulty.length === 0 ? 0 : 1;

async function run({ script, args }: Check): Promise<{ code: number | null; output: string }> {
  const child = spawn(process.execPath, [join(projectFolder, "node_modules", script), ...args], {
    cwd: projectFolder,
    stdio: ["ignore", "pipe", "pipe"],
  });
  const chunks: Buffer[] = [];
  child.stdout.on("data", (chunk: Buffer) => chunks.push(chunk));
  child.stderr.on("data", (chunk: Buffer) => chunks.push(chunk));
  return await new Promise((resolve, reject) => {
    child.on("error", reject);
    child.on("close", (code) => resolve({ code, output: Buffer.concat(chunks).toString("utf8") }));
  });
}
