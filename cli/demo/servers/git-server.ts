import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { type LocalRepository, makeLocalRepository } from "./git-repository.ts";

export interface GitServer {
  /** Such as `http://127.0.0.1:40123`. */
  url: string;
  /** The folder that holds the repositories. */
  root: string;
  /** All requests so far, such as `POST /a.git/git-upload-pack`. */
  requests: string[];
  /** Repositories that answer 301: from a path such as `/old.git` to a URL. */
  redirects: Map<string, string>;
  /** A bare repository at `<url>/<name>`. */
  createRepository(name: string, options?: { objectFormat?: "sha1" | "sha256" }): Promise<LocalRepository>;
  stop(): Promise<void>;
}

export interface GitServerOptions {
  /** Requests without this `authorization` are answered 401. */
  authorization?: string;
  port?: number;
  /** Speak this version of the protocol whatever the client asks for; default the newest it asks for. */
  protocol?: "0" | "1";
  /** Where repositories are kept; default a new temporary folder that `stop` removes. */
  root?: string;
}

/** A real git server: git's own `http-backend` behind node:http, on loopback. */
export async function startGitServer(options: GitServerOptions = {}): Promise<GitServer> {
  const root = options.root ?? (await mkdtemp(join(tmpdir(), "paintdry-git-")));
  const backend = join(await execPath(), "git-http-backend");
  const requests: string[] = [];
  const redirects = new Map<string, string>();
  const server = createServer((request, response) => {
    const path = request.url ?? "";
    requests.push(`${request.method} ${path}`);
    const redirect = [...redirects].find(([from]) => path.startsWith(`${from}/`));
    if (redirect !== undefined) {
      response.writeHead(301, { location: redirect[1] + path.slice(redirect[0].length) }).end();
      return;
    }
    const isAllowed = options.authorization === undefined || request.headers.authorization === options.authorization;
    if (isAllowed) void runBackend(backend, cgiEnvironment(root, request, options), request, response);
    else response.writeHead(401, { "www-authenticate": 'Basic realm="git"' }).end();
  });
  server.listen(options.port ?? 0, "127.0.0.1");
  await once(server, "listening");
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    root,
    requests,
    redirects,
    createRepository: (name, { objectFormat = "sha1" } = {}) => makeLocalRepository(join(root, name), objectFormat),
    stop: async () => {
      server.closeAllConnections();
      server.close();
      await once(server, "close");
      if (options.root === undefined) await rm(root, { recursive: true, force: true });
    },
  };
}

async function execPath(): Promise<string> {
  const { stdout } = await promisify(execFile)("git", ["--exec-path"]);
  return stdout.trim();
}

/** One request as CGI (RFC 3875). */
async function runBackend(
  backend: string,
  environment: NodeJS.ProcessEnv,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const child = spawn(backend, { env: environment, stdio: ["pipe", "pipe", "ignore"] });
  child.on("error", () => response.destroy());
  child.stdin.on("error", () => undefined);
  response.on("close", () => child.kill());
  request.pipe(child.stdin);
  let head = Buffer.alloc(0);
  for await (const chunk of child.stdout as AsyncIterable<Buffer>) {
    if (response.headersSent) {
      if (!response.write(chunk) && !response.destroyed)
        await Promise.race([once(response, "drain"), once(response, "close")]);
      continue;
    }
    head = Buffer.concat([head, chunk]);
    const end = head.indexOf("\r\n\r\n");
    if (end < 0) continue;
    writeHead(response, head.subarray(0, end).toString("latin1"));
    response.write(head.subarray(end + 4));
  }
  response.end();
}

function cgiEnvironment(root: string, request: IncomingMessage, { protocol }: GitServerOptions): NodeJS.ProcessEnv {
  const [path = "", query = ""] = (request.url ?? "").split("?");
  const { headers } = request;
  const spoken = protocol === undefined ? headers["git-protocol"] : `version=${protocol}`;
  return {
    PATH: process.env.PATH,
    GIT_PROJECT_ROOT: root,
    GIT_HTTP_EXPORT_ALL: "1",
    GIT_CONFIG_NOSYSTEM: "1",
    GIT_CONFIG_GLOBAL: "/dev/null",
    // Folders may belong to another user when this runs as root.
    GIT_CONFIG_COUNT: "1",
    GIT_CONFIG_KEY_0: "safe.directory",
    GIT_CONFIG_VALUE_0: "*",
    GATEWAY_INTERFACE: "CGI/1.1",
    REQUEST_METHOD: request.method,
    PATH_INFO: decodeURIComponent(path),
    QUERY_STRING: query,
    REMOTE_ADDR: "127.0.0.1",
    CONTENT_TYPE: headers["content-type"] ?? "",
    HTTP_CONTENT_ENCODING: headers["content-encoding"] ?? "",
    ...(headers["content-length"] === undefined ? {} : { CONTENT_LENGTH: headers["content-length"] }),
    ...(spoken === undefined ? {} : { GIT_PROTOCOL: String(spoken) }),
  };
}

function writeHead(response: ServerResponse, head: string): void {
  let status = 200;
  for (const line of head.split("\r\n")) {
    const at = line.indexOf(":");
    const [name, value] = [line.slice(0, at).trim(), line.slice(at + 1).trim()];
    if (name.toLowerCase() === "status") status = Number.parseInt(value, 10);
    else response.setHeader(name, value);
  }
  response.writeHead(status);
}
