import type { Command } from "commander";
import { readSecret } from "#runtime/secrets.ts";
import { sendTest } from "../../services/notifier/test-alert.ts";
import { configPath } from "../config-path.ts";
import { CommandFailure, print } from "../report.ts";
import { requireConfig } from "../valid-config.ts";

export function addNotify(program: Command): void {
  const notify = program.command("notify").description("alerts").showHelpAfterError();
  notify
    .command("test")
    .argument("[route]", "only this route; default all of notify.routes")
    .option("--config <file>", "the configuration")
    .description("send a clearly marked test alert by each route and say what came of it")
    .action(async (route: string | undefined, options: { config?: string }) => {
      const path = configPath(options.config);
      const { config } = await requireConfig(path);
      const results = await sendTest(config.notify, readSecret, route === undefined ? {} : { route });
      if (results.length === 0)
        throw new CommandFailure(
          noRoute(
            route,
            path,
            config.notify.routes.map(({ name }) => name),
          ),
        );
      print(program.opts<{ json?: boolean }>().json === true, { results }, () =>
        results.map(
          ({ route: name, channel, isDelivered, detail }) =>
            `${isDelivered ? "delivered" : "FAILED   "} ${name} (${channel}): ${detail}`,
        ),
      );
      if (results.some(({ isDelivered }) => !isDelivered)) process.exitCode = 1;
    });
}

function noRoute(route: string | undefined, path: string, names: string[]): string {
  if (names.length === 0) return `${path} has no notify.routes: add one, see docs/configuration.md`;
  return `${path} has no route ${JSON.stringify(route)}; it has ${names.join(", ")}`;
}
