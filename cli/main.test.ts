import { spawn } from "node:child_process";
import { once } from "node:events";
import { chmodSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { copyFile } from "node:fs/promises";
import { text } from "node:stream/consumers";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { projectFolder } from "./embedded/folders.ts";
import { permissionFile } from "./embedded/permission-file.ts";

let folder = "";

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "paintdry-cli-"));
});

afterEach(() => {
  rmSync(folder, { recursive: true, force: true });
});

interface Ran {
  code: number | null;
  stdout: string;
  stderr: string;
}

async function paintdry(...args: string[]): Promise<Ran> {
  const environment = { PATH: process.env.PATH, PAINTDRY_URL: "http://127.0.0.1:9" };
  const child = spawn(process.execPath, [join(projectFolder, "cli/main.ts"), ...args], {
    env: environment,
    cwd: folder,
  });
  const [stdout, stderr, [code]] = await Promise.all([text(child.stdout), text(child.stderr), once(child, "close")]);
  return { code: code as number | null, stdout, stderr };
}

function write(name: string, document: unknown, mode = 0o600): string {
  const file = join(folder, name);
  writeFileSync(file, JSON.stringify(document));
  chmodSync(file, mode);
  return file;
}

describe("the command line", () => {
  it("suggests the command that was meant, with exit code 2", async () => {
    const { code, stderr } = await paintdry("validat");
    expect(code).toBe(2);
    expect(stderr).toContain("Did you mean validate?");
  });

  it("names wrong options and values, with exit code 2", async () => {
    const wrong = await paintdry("up", "--port", "many");
    expect([wrong.code, wrong.stderr.includes("port number from 1 to 65535")]).toEqual([2, true]);
    expect((await paintdry("changes", "--least", "awful")).stderr).toContain("It must be one of critical, high");
  });

  it("says what to do when no paintdry runs, with exit code 1", async () => {
    const { code, stderr } = await paintdry("status");
    expect([code, stderr]).toEqual([1, expect.stringContaining("no paintdry answers at http://127.0.0.1:9: start it")]);
  });
});

describe("validate", () => {
  it("accepts the configuration that ships", async () => {
    const { code, stdout } = await paintdry("validate");
    expect([code, stdout]).toEqual([0, expect.stringContaining("config.json is valid")]);
  });

  it("lists all faults, as JSON when asked", async () => {
    write("bad.json", { targets: [{ modules: ["http"], resources: [1] }], schedule: { every: "soon" }, wrong: true });
    const { code, stdout } = await paintdry("validate", "bad.json", "--json");
    const answer = JSON.parse(stdout) as { isValid: boolean; faults: { path: string }[] };
    expect([code, answer.isValid]).toEqual([1, false]);
    expect(answer.faults.map(({ path }) => path).toSorted()).toEqual([
      "schedule.every",
      "targets[0].resources[0]",
      "wrong",
    ]);
  });
});

describe("look", () => {
  it("prints what one look sees, without any service", async () => {
    const server = createServer((_request, response) => void response.writeHead(204, { server: "looked-at" }).end());
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    const url = `http://127.0.0.1:${(server.address() as { port: number }).port}/`;
    const config = write("config.json", { egress: { allow: ["127.0.0.0/8"] } });
    const { code, stdout } = await paintdry("--json", "look", "http", url, "--config", config);
    server.close();
    server.closeAllConnections();
    const answer = JSON.parse(stdout) as {
      status: string;
      report: { observations: { attribute: string; value: unknown }[] };
    };
    expect([code, answer.status]).toEqual([0, "seen"]);
    expect(answer.report.observations).toContainEqual(
      expect.objectContaining({ attribute: "status_code", value: 204 }),
    );
  });

  it("tells that it could not look from what it saw, with exit code 1", async () => {
    const { code, stdout } = await paintdry("look", "http", "http://127.0.0.1:9/");
    expect([code, stdout]).toEqual([
      1,
      expect.stringMatching(/^could not look at http:\/\/127\.0\.0\.1:9\/: refused: /),
    ]);
  });

  it("knows its modules", async () => {
    expect((await paintdry("look", "htp", "x")).stderr).toContain(
      'there is no module "htp"; there are dns, git, http, tls',
    );
  });
});

describe("example", () => {
  it("replays a module's recorded examples", async () => {
    const { code, stdout } = await paintdry("example", "dns");
    expect([code, stdout.startsWith("dns, version ")]).toEqual([0, true]);
    expect(stdout).not.toContain("NOT AS RECORDED");
  });
});

describe("user add", () => {
  it("inserts users into a permission file, and each only once", async () => {
    const conf = join(folder, "nats-server.conf");
    await copyFile(permissionFile, conf);
    const added = await paintdry("user", "add", "siem", "--subjects", "paintdry.change.critical.>", "--conf", conf);
    expect([added.code, added.stdout]).toEqual([0, expect.stringContaining("PD_SIEM_PASSWORD=p")]);
    expect(readFileSync(conf, "utf8")).toContain("user: siem, password: $PD_SIEM_PASSWORD");
    const password = /PD_SIEM_PASSWORD=(\w+)/.exec(added.stdout)?.[1] ?? "";
    expect(readFileSync(conf, "utf8")).not.toContain(password);
    const again = await paintdry("user", "add", "siem", "--conf", conf);
    expect([again.code, again.stderr]).toEqual([1, expect.stringContaining("has a user siem already")]);
  });

  it("refuses names and subjects that would reach further", async () => {
    const conf = join(folder, "nats-server.conf");
    await copyFile(permissionFile, conf);
    for (const args of [
      ["collector"],
      ["Evil } }"],
      ["spy", "--subjects", "paintdry.>"],
      ["spy", "--subjects", '>", ">'],
    ]) {
      expect((await paintdry("user", "add", ...args, "--conf", conf)).code).toBe(2);
    }
    expect(readFileSync(conf, "utf8")).toBe(readFileSync(permissionFile, "utf8"));
  });
});

describe("migrate-config", () => {
  const token = "ghp_the-secret-itself";
  const secrets = { github_username: "ole", github_access_token: token, github_organizations: ["cfengine", "mender"] };

  it("puts the token into a file of its own and watches the organisations", async () => {
    const secretsFile = write("secrets.json", secrets);
    const config = write("override.json", {
      targets: [{ modules: ["github"], resources: ["cfengine"] }],
      modules: { github: { command: "python3 modgithub.py", slow: true } },
    });
    const out = join(folder, "config.json");
    const { code, stdout, stderr } = await paintdry(
      "migrate-config",
      "--secrets",
      secretsFile,
      "--config",
      config,
      "--out",
      out,
    );
    expect([code, stderr]).toEqual([0, ""]);
    expect(stdout).not.toContain(token);
    const migrated = JSON.parse(readFileSync(out, "utf8")) as {
      targets: unknown[];
      credentials: Record<string, unknown>;
    };
    const tokenFile = join(folder, "github-token");
    expect(migrated.targets).toEqual([
      { modules: ["github"], resources: ["cfengine"] },
      { modules: ["github"], resources: ["mender"] },
    ]);
    expect(migrated.credentials["api.github.com"]).toEqual({ username: "ole", token: { file: tokenFile } });
    expect(readFileSync(out, "utf8")).not.toContain(token);
    expect([readFileSync(tokenFile, "utf8"), statSync(tokenFile).mode & 0o777]).toEqual([`${token}\n`, 0o600]);
  });

  it("refuses secrets that others can read, and repeats nothing of a broken file", async () => {
    const config = write("override.json", { targets: [] });
    const open = write("open.json", secrets, 0o644);
    const refused = await paintdry("migrate-config", "--secrets", open, "--config", config);
    expect([refused.code, refused.stderr]).toEqual([1, expect.stringContaining("chmod 600")]);
    const broken = join(folder, "broken.json");
    writeFileSync(broken, `{"github_access_token": "${token}",`, { mode: 0o600 });
    const { code, stdout, stderr } = await paintdry("migrate-config", "--secrets", broken, "--config", config);
    expect([code, stdout + stderr]).toEqual([1, expect.not.stringContaining(token)]);
    expect(stderr).toContain("is not JSON");
  });
});
