import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdir, mkdtemp, readFile, rename, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import pLimit from "p-limit";
import { freePort } from "../../cli/embedded/ports.ts";
import { findPeer } from "./peers.ts";
import { until } from "./world.ts";

/** What a path answers. Text is a file that nginx serves with its own validators; the rest is what goes wrong. */
export type WebAnswer =
  | { html: string; headers?: Record<string, string> }
  | { status: number; headers?: Record<string, string> }
  /** Another server speaks through nginx, as an application behind it does. */
  | { behind: string };

export interface Site {
  /** Such as `http://127.0.0.1:40123`. */
  url: string;
  /** `127.0.0.1:40123`: the lane of its pages. */
  lane: string;
  /** How many requests have reached it. */
  requestCount(): Promise<number>;
}

export interface Nginx {
  /** One more server with a port of its own. */
  addSite(pages: Record<string, WebAnswer>): Promise<Site>;
  /** Replaces what a path answers; resolves once nginx answers so. */
  answer(site: Site, path: string, answer: WebAnswer): Promise<void>;
  /** A site that is down refuses connections. */
  setDown(site: Site, isDown: boolean): Promise<void>;
  stop(): Promise<void>;
}

interface ServedSite extends Site {
  port: number;
  isDown: boolean;
  pages: Map<string, WebAnswer>;
}

/** A real nginx in a folder of its own, whose sites can be tampered with while it runs. */
export async function startNginx(): Promise<Nginx> {
  const folder = await mkdtemp(join(tmpdir(), "paintdry-nginx-"));
  await mkdir(join(folder, "temporary"));
  const sites: ServedSite[] = [];
  const control = { port: await freePort(), generation: 0 };
  await writeConfiguration(folder, sites, control);
  const nginx = await run(folder);

  const inTurn = pLimit(1);

  async function reload(): Promise<void> {
    await inTurn(async () => {
      control.generation++;
      await writeConfiguration(folder, sites, control);
      nginx.kill("SIGHUP");
      await until("nginx answers by its new configuration", () => isInForce(control));
    });
  }

  function served(site: Site): ServedSite {
    const found = sites.find(({ url }) => url === site.url);
    if (found === undefined) throw new Error(`${site.url} is not one of this nginx`);
    return found;
  }

  async function stop(): Promise<void> {
    if (nginx.exitCode === null && nginx.kill("SIGTERM")) await once(nginx, "exit");
    await rm(folder, { recursive: true, force: true });
  }

  try {
    await until("nginx is up", () => isInForce(control), 10_000);
  } catch (error) {
    await stop();
    throw error;
  }
  return {
    addSite: async (pages) => {
      const port = await freePort();
      const site: ServedSite = {
        url: `http://127.0.0.1:${port}`,
        lane: `127.0.0.1:${port}`,
        port,
        isDown: false,
        pages: new Map(Object.entries(pages)),
        requestCount: async () => await countLines(join(folder, `${port}.log`)),
      };
      sites.push(site);
      await reload();
      return site;
    },
    answer: async (site, path, answer) => {
      served(site).pages.set(path, answer);
      await reload();
    },
    setDown: async (site, isDown) => {
      served(site).isDown = isDown;
      await reload();
    },
    stop,
  };
}

async function run(folder: string): Promise<ChildProcess> {
  const program = findPeer("nginx");
  if (program === null) throw new Error("nginx is not installed: it comes with Debian's nginx-light");
  const options = ["-e", join(folder, "error.log"), "-p", folder, "-c", join(folder, "nginx.conf")];
  const nginx = spawn(program, options, { stdio: "ignore" });
  await once(nginx, "spawn");
  return nginx;
}

/** Old workers may hold on to a listening socket for a moment: each connection is new, and all must agree. */
async function isInForce({ port, generation }: { port: number; generation: number }): Promise<boolean> {
  for (let time = 0; time < 3; time++) {
    const response = await fetch(`http://127.0.0.1:${port}/`, { headers: { connection: "close" } });
    if ((await response.text()) !== String(generation)) return false;
  }
  return true;
}

async function countLines(file: string): Promise<number> {
  return (await readFile(file, "utf8")).split("\n").length - 1;
}

async function writeConfiguration(
  folder: string,
  sites: ServedSite[],
  control: { port: number; generation: number },
): Promise<void> {
  const servers = await Promise.all(sites.filter(({ isDown }) => !isDown).map((site) => serverBlock(folder, site)));
  const temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map(
    (kind) => `${kind}_temp_path ${folder}/temporary/${kind};`,
  );
  // Started by root, workers would be another user, who cannot read the folder.
  const user = process.getuid?.() === 0 ? "user root;\n" : "";
  await writeFile(
    join(folder, "nginx.conf"),
    `${user}daemon off;
pid ${folder}/nginx.pid;
worker_processes 1;
events { worker_connections 256; }
http {
  access_log off;
  default_type text/html;
  ${temporary.join("\n  ")}
  server { listen 127.0.0.1:${control.port}; location / { return 200 "${control.generation}"; } }
${servers.join("\n")}
}
`,
  );
}

async function serverBlock(folder: string, { port, pages }: ServedSite): Promise<string> {
  const locations = await Promise.all(
    Array.from(pages, async ([path, answer], index) => {
      const file = join(folder, `${port}-${index}.html`);
      if ("html" in answer) await replaceFile(file, answer.html);
      return `    location = ${quoted(path)} { ${directives(answer, file)} }`;
    }),
  );
  return `  server {
    listen 127.0.0.1:${port};
    access_log ${folder}/${port}.log;
${locations.join("\n")}
    location / { return 404; }
  }`;
}

/** In one step: a look must not find a page half written. */
async function replaceFile(file: string, text: string): Promise<void> {
  await writeFile(`${file}.new`, text);
  await rename(`${file}.new`, file);
}

function directives(answer: WebAnswer, file: string): string {
  if ("behind" in answer) return `proxy_pass ${answer.behind}; proxy_buffering off;`;
  const headers = Object.entries(answer.headers ?? {}).map(
    ([name, value]) => `add_header ${quoted(name)} ${quoted(value)} always;`,
  );
  const body = "html" in answer ? `root /; try_files ${quoted(file)} =404;` : `return ${answer.status};`;
  return [...headers, body].join(" ");
}

/** nginx knows no way to write a plain `$` in a value. */
function quoted(text: string): string {
  if (text.includes("$")) throw new Error(`nginx would read a variable in ${text}`);
  return `"${text.replaceAll("\\", "\\\\").replaceAll('"', '\\"')}"`;
}
