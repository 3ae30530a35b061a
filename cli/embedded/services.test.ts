import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { serviceCommand, serviceNames } from "./services.ts";

const folder = mkdtempSync(join(tmpdir(), "paintdry-services-"));
const configFile = join(folder, "config.json");
const secrets = { TEST_CREDENTIAL: "c", TEST_MODULE_KEY: "m", TEST_HOOK_KEY: "h", TEST_UNNAMED: "u" };

afterAll(() => {
  rmSync(folder, { recursive: true });
  for (const name of Object.keys(secrets)) delete process.env[name];
});

/** Which of the secrets each service is given. */
function givenSecrets(): Record<string, string[]> {
  const settings = { configFile, dataFolder: folder, usersFile: "", host: "", databaseUrl: "", natsUrl: () => "" };
  return Object.fromEntries(
    serviceNames.map((name) => {
      const { environment } = serviceCommand(name, 0, settings);
      return [name, Object.keys(secrets).filter((secret) => secret in environment)];
    }),
  );
}

describe("a service", () => {
  it("is given the secrets that it uses, and no other's", () => {
    Object.assign(process.env, secrets);
    const document = {
      credentials: { "git.example": { token: { env: "TEST_CREDENTIAL" } } },
      modules: { mine: { command: "python3 mine.py", environment: ["TEST_MODULE_KEY"] } },
      notify: { routes: [{ name: "a", webhook: { url: "https://a.example", secret: { env: "TEST_HOOK_KEY" } } }] },
    };
    writeFileSync(configFile, JSON.stringify(document));
    expect(givenSecrets()).toEqual({
      provisioner: [],
      store: [],
      collector: [],
      fetcher: ["TEST_CREDENTIAL", "TEST_MODULE_KEY"],
      // It runs a command's `change`.
      assessor: ["TEST_MODULE_KEY"],
      gateway: [],
      notifier: ["TEST_HOOK_KEY"],
    });
  });
});
