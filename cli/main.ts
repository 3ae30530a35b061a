import { createProgram } from "./program.ts";
import { exitCodeOf, reportFailure } from "./report.ts";

try {
  await createProgram().parseAsync();
} catch (error) {
  reportFailure(error);
  process.exitCode = exitCodeOf(error);
}
