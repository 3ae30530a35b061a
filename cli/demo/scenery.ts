import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { freePort } from "../embedded/ports.ts";
import { createAuthority } from "./servers/certificates.ts";
import { startDnsServer } from "./servers/dns-server.ts";
import type { DnsServer } from "./servers/dns-server.ts";
import type { LocalRepository } from "./servers/git-repository.ts";
import { startGitServer } from "./servers/git-server.ts";
import { startMailboxPage } from "./servers/mailbox-page.ts";
import { startMailbox } from "./servers/mailbox.ts";
import type { ReceivedMail } from "./servers/mailbox.ts";
import { startShop } from "./servers/shop.ts";
import type { Shop } from "./servers/shop.ts";
import { startTlsServer } from "./servers/tls-server.ts";

/** The small servers that are watched, and what an intruder can do to each. */
export interface Scenery {
  shop: Shop;
  repository: LocalRepository;
  dns: DnsServer;
  swapCertificate(): void;
  /** What is watched, by module. */
  watched: { module: string; resource: string; what: string }[];
  smtpPort: number;
  mails: readonly ReceivedMail[];
  mailboxUrl: string;
  /** PEM of the root that issued the certificate before it was swapped. */
  rootFile: string;
  stop(): Promise<void>;
}

export const releaseTag = "v1.2.3";
export const shopName = "shop.example";

/** Addresses that stay the same from start to start, where they are free. */
const preferredPorts = { shop: 8081, git: 8082, mailbox: 8025, dns: 8053, tls: 8443 };

/** `folder` keeps the repository and the root's certificate; `uiPort` is left to the page. */
export async function startScenery(folder: string, uiPort: number): Promise<Scenery> {
  await using started = new AsyncDisposableStack();
  const portFor = async (preferred: number) => await freePort(preferred === uiPort ? 0 : preferred);
  const keep = <Server extends { stop(): Promise<void> }>(server: Server): Server => {
    started.defer(server.stop);
    return server;
  };

  const shop = keep(await startShop(await portFor(preferredPorts.shop)));
  const git = keep(await startGitServer({ port: await portFor(preferredPorts.git), root: join(folder, "git") }));
  const repository = await git.createRepository("acme/app");
  await repository.commit("main", "First release");
  await repository.annotatedTag(releaseTag, await repository.commit("main", "Fix the totals"));

  const dns = keep(await startDnsServer(shopName, honestRecords(), await portFor(preferredPorts.dns)));
  const [honest, rogue] = await Promise.all([createAuthority("Honest Trust"), createAuthority("Rogue Certificates")]);
  const rootFile = join(folder, "root.pem");
  writeFileSync(rootFile, honest.certificate);
  const address = "127.0.0.1";
  const [identity, forged] = await Promise.all([honest.issueFor(address), rogue.issueFor(address)]);
  const tls = keep(await startTlsServer(identity, await portFor(preferredPorts.tls)));

  const mailbox = keep(await startMailbox());
  const uiUrl = `http://localhost:${uiPort}`;
  const page = keep(await startMailboxPage(mailbox.mails, { uiUrl, port: await portFor(preferredPorts.mailbox) }));
  const stack = started.move();
  return {
    shop,
    repository,
    dns,
    swapCertificate: () => tls.swap(forged),
    watched: [
      { module: "http", resource: `${shop.url}/`, what: "a shop's page" },
      { module: "git", resource: `${git.url}/acme/app`, what: "a git repository" },
      { module: "tls", resource: `${address}:${tls.port}`, what: "a TLS certificate" },
      { module: "dns", resource: shopName, what: "a name's DNS records" },
    ],
    smtpPort: mailbox.port,
    mails: mailbox.mails,
    mailboxUrl: page.url.replace("127.0.0.1", "localhost"),
    rootFile,
    stop: async () => await stack.disposeAsync(),
  };
}

function honestRecords(): Parameters<typeof startDnsServer>[1] {
  const of = { name: shopName, ttl: 5 };
  return [
    { ...of, type: "A", data: "192.0.2.10" },
    { ...of, type: "NS", data: `ns1.${shopName}` },
    { ...of, type: "MX", data: { preference: 10, exchange: `mail.${shopName}` } },
    { ...of, type: "TXT", data: "v=spf1 mx -all" },
    { ...of, type: "CAA", data: { flags: 0, tag: "issue", value: "honest-trust.example" } },
  ];
}
