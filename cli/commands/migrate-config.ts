import { existsSync, readFileSync, statSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import type { Command } from "commander";
import { z } from "zod";
import { errorMessage } from "#runtime/errors.ts";
import { readConfig } from "#runtime/load-config.ts";
import { projectFolder } from "../embedded/folders.ts";
import { writePrivately } from "../embedded/private-file.ts";
import { CommandFailure, print } from "../report.ts";
import { describeFault } from "../valid-config.ts";

/** The prototype's `config/secrets.json`. */
const PrototypeSecrets = z.object({
  github_username: z.string().optional(),
  github_access_token: z.string().min(1),
  github_organizations: z.array(z.string().min(1)).default([]),
});

const Target = z.looseObject({ modules: z.array(z.string()), resources: z.array(z.string()) });
const PrototypeConfig = z.looseObject({
  targets: z.array(Target).default([]),
  credentials: z.record(z.string(), z.unknown()).default({}),
});

interface MigrateOptions {
  secrets: string;
  config: string;
  out?: string;
}

const githubHosts = ["github.com", "api.github.com"];

export function addMigrateConfig(program: Command): void {
  const folder = join(projectFolder, "config");
  program
    .command("migrate-config")
    .description("turn the prototype's secrets.json and configuration into ours; the token goes into a file of its own")
    .option("--secrets <file>", "the prototype's secrets", join(folder, "secrets.json"))
    .option("--config <file>", "the prototype's configuration", join(folder, "config-override.json"))
    .option("--out <file>", "where ours is written; default: the configuration itself, the old one kept as .before")
    .action(async (options: MigrateOptions) => {
      const secretsFile = resolve(options.secrets);
      const source = resolve(options.config);
      const target = resolve(options.out ?? source);
      const secrets = readPrivately(secretsFile);
      const before = readJson(source, PrototypeConfig);
      const tokenFile = join(dirname(secretsFile), "github-token");
      const after = migrate(before, secrets, tokenFile);
      writePrivately(tokenFile, `${secrets.github_access_token}\n`);
      if (target === source) writePrivately(`${source}.before`, readFileSync(source, "utf8"));
      writePrivately(target, `${JSON.stringify(after, null, 2)}\n`);
      const checked = await readConfig(target);
      const faults = checked.isValid ? [] : checked.faults;
      print(program.opts<{ json?: boolean }>().json === true, { config: target, tokenFile, faults }, () => [
        `${target} is written; the token is in ${tokenFile}, readable by you alone. ${secretsFile} can be removed.`,
        ...(faults.length > 0 ? ["What is left to mend:", ...faults.map((fault) => `  ${describeFault(fault)}`)] : []),
      ]);
      if (faults.length > 0) process.exitCode = 1;
    });
}

/** A file with a token that others can read is a fault to be mended first. */
function readPrivately(file: string): z.infer<typeof PrototypeSecrets> {
  const secrets = readJson(file, PrototypeSecrets);
  const mode = statSync(file).mode & 0o777;
  if ((mode & 0o077) === 0) return secrets;
  throw new CommandFailure(
    `${file} holds a token and can be read by others (mode ${mode.toString(8)}): chmod 600 ${file}, and replace the token`,
  );
}

/** Never repeats what stands in the file: it may be the token. */
function readJson<Schema extends z.ZodType>(file: string, schema: Schema): z.infer<Schema> {
  if (!existsSync(file)) throw new CommandFailure(`there is no file ${file}`);
  let document: unknown;
  try {
    document = JSON.parse(readFileSync(file, "utf8"));
  } catch (error) {
    const isSyntax = error instanceof SyntaxError;
    throw new CommandFailure(`${file} ${isSyntax ? "is not JSON" : `cannot be read: ${errorMessage(error)}`}`, {
      cause: isSyntax ? undefined : error,
    });
  }
  const parsed = schema.safeParse(document);
  if (parsed.success) return parsed.data;
  const where = parsed.error.issues.map(({ path }) => path.join(".") || "the file").join(", ");
  throw new CommandFailure(`${file} is not as the prototype has it: look at ${where}`);
}

type Document = z.infer<typeof PrototypeConfig>;

function migrate(before: Document, secrets: z.infer<typeof PrototypeSecrets>, tokenFile: string): Document {
  const credential = {
    ...(secrets.github_username ? { username: secrets.github_username } : {}),
    token: { file: tokenFile },
  };
  const watched = new Set(
    before.targets.filter(({ modules }) => modules.includes("github")).flatMap((t) => t.resources),
  );
  const missing = secrets.github_organizations.filter((organisation) => !watched.has(organisation));
  const added = missing.length > 0 ? [{ modules: ["github"], resources: missing }] : [];
  const credentials = { ...Object.fromEntries(githubHosts.map((host) => [host, credential])), ...before.credentials };
  return { ...before, targets: [...before.targets, ...added], credentials };
}
