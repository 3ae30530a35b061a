import { type Authority, createAuthority, startTlsServer, type TlsServer } from "./tls-server.ts";
import { type DnsServer, startDnsServer } from "./dns-server.ts";
import { type GitServer, startGitServer } from "./git-server.ts";
import { type Nginx, startNginx } from "./nginx.ts";

/** Real servers on loopback whose values can be tampered with: what the pipeline watches in tests. */
export interface Watched {
  web: Nginx;
  dns: DnsServer;
  git: GitServer;
  tls: TlsServer;
  /** Issues what `tls` shows; it shows a certificate for 127.0.0.1 at first. */
  authority: Authority;
  stop(): Promise<void>;
}

export async function startWatched(): Promise<Watched> {
  const opened: (() => Promise<unknown>)[] = [];
  const stop = async (): Promise<void> => {
    for (const close of opened.splice(0).toReversed()) await close();
  };
  const keep = async <Server extends { stop(): Promise<void> }>(starting: Promise<Server>): Promise<Server> => {
    const server = await starting;
    opened.push(() => server.stop());
    return server;
  };
  try {
    const authority = await createAuthority();
    opened.push(() => authority.remove());
    const web = await keep(startNginx());
    const dns = await keep(startDnsServer());
    const git = await keep(startGitServer());
    const tls = await keep(startTlsServer(await authority.issue({ names: ["127.0.0.1"] })));
    return { web, dns, git, tls, authority, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** Settings under which looks follow one another quickly, at servers of this machine. */
export const quickly = {
  schedule: {
    every: "1s",
    retryAfter: "1s",
  },
  limits: { default: { perSecond: 50, concurrency: 2 } },
  egress: { allow: ["127.0.0.0/8"] },
};
