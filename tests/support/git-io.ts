import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { GitIo } from "#contracts/io.ts";
import { createCredentials } from "../../services/fetcher/io/credentials.ts";
import { createEgressGuard } from "../../services/fetcher/io/egress.ts";
import { createHttpCache } from "../../services/fetcher/io/http-cache.ts";
import { createHttpTransport } from "../../services/fetcher/io/http-transport.ts";
import { createHttpIo } from "../../services/fetcher/io/http.ts";
import type { RequestRecord } from "../../services/fetcher/io/record.ts";
import { createGitIo, type GitCaps } from "../../services/fetcher/io/git.ts";
import { createLimits } from "../../services/fetcher/io/limits.ts";

export interface TestGitIo {
  git: GitIo;
  requests: RequestRecord[];
  scratchFolder: string;
  /** What is left in the scratch folder: nothing, after each call. */
  leftovers(): string[];
  close(): Promise<void>;
}

export interface TestGitIoOptions {
  caps?: Partial<GitCaps>;
  signal?: AbortSignal;
  /** Networks that may be reached; default loopback. */
  allow?: string[];
  /** A token for a host, sent with this user name. */
  credential?: { host: string; username: string; token: string };
}

/** `io.git` as a look has it, with the real guard, transport and limits, for tests against servers on loopback. */
export function testGitIo(options: TestGitIoOptions = {}): TestGitIo {
  const requests: RequestRecord[] = [];
  const scratchFolder = mkdtempSync(join(tmpdir(), "paintdry-scratch-"));
  const guard = createEgressGuard({ allow: options.allow ?? ["127.0.0.0/8"], deny: [] });
  const transport = createHttpTransport({ guard });
  const cache = createHttpCache();
  const signal = options.signal ?? new AbortController().signal;
  const { credential } = options;
  const credentials = createCredentials(
    credential === undefined ? {} : { [credential.host]: { username: credential.username, token: { env: "TOKEN" } } },
    () => credential?.token ?? "",
  );
  const limits = createLimits({
    limitOf: () => ({ perSecond: 1000, concurrency: 10 }),
    liveFetchers: () => 1,
    maxConcurrent: 10,
  }).forLook({ lane: "127.0.0.1~git", signal });
  const common = {
    transport,
    guard,
    credentials,
    limits,
    signal,
    onRequest: (record: RequestRecord) => requests.push(record),
  };
  const http = createHttpIo({ ...common, cache });
  return {
    git: createGitIo({ ...common, http, scratchFolder, ...(options.caps === undefined ? {} : { caps: options.caps }) }),
    requests,
    scratchFolder,
    leftovers: () => readdirSync(scratchFolder),
    close: async () => {
      await transport.close();
      cache.close();
      rmSync(scratchFolder, { recursive: true, force: true });
    },
  };
}
