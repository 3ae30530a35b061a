// Reads vitest's JSON report and fails unless every test ran and passed. The last line counts. Runs on any Node.
import { readFileSync } from "node:fs";

const [file] = process.argv.slice(2);
const files = readReport(file);
const tests = files.flatMap(({ assertionResults }) => assertionResults);
const passed = tests.filter(({ status }) => status === "passed");
const failed = tests.filter(({ status }) => status === "failed");
const notRun = tests.filter(({ status }) => status !== "passed" && status !== "failed");
// A file that could not be loaded fails without naming a test.
const broken = files.filter(
  (each) => each.status === "failed" && !each.assertionResults.some(({ status }) => status === "failed"),
);

for (const { name, message } of broken) console.log(`failed to run: ${name}: ${String(message).split("\n")[0]}`);
for (const { fullName } of notRun) console.log(`did not run: ${fullName}`);
if (tests.length === 0) console.log("no test ran");
console.log(`${passed.length} passed, ${failed.length + broken.length} failed, ${notRun.length} skipped`);
process.exitCode = passed.length > 0 && passed.length === tests.length && broken.length === 0 ? 0 : 1;

function readReport(path) {
  try {
    return JSON.parse(readFileSync(path, "utf8")).testResults;
  } catch {
    return [];
  }
}
