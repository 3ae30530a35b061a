import { execFile } from "node:child_process";
import { once } from "node:events";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { isIP, type AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createServer, type TlsOptions } from "node:tls";
import { promisify } from "node:util";
import { findPeer } from "./peers.ts";

/** What a server shows: PEM, the certificate first and what stands above it behind. */
export interface Identity {
  certificate: string;
  key: string;
}

export interface IssueOptions {
  /** Host names and addresses; the first is the subject too. */
  names: string[];
  notBefore?: Date;
  notAfter?: Date;
  /** Keep this private key (PEM) instead of making a new one. */
  key?: string;
  /** Signed by itself instead of by the authority. */
  isSelfSigned?: boolean;
}

export interface Authority {
  /** The root's certificate, as PEM. */
  certificate: string;
  issue(options: IssueOptions): Promise<Identity>;
  /** An authority below this one, whose certificate its identities bring along. */
  createIntermediate(name: string): Promise<Authority>;
  /** Removes the authority's folder, and those of its intermediates. */
  remove(): Promise<void>;
}

const dayMs = 86_400_000;

/** A real certificate authority, made by openssl in a folder of its own. */
export async function createAuthority(name = "Paintdry Test Root"): Promise<Authority> {
  const folder = await mkdtemp(join(tmpdir(), "paintdry-ca-"));
  return await prepareAuthority(folder, name, null);
}

interface Signer {
  folder: string;
  /** Certificates that come behind a signed one. */
  above: string;
}

async function prepareAuthority(folder: string, name: string, parent: Signer | null): Promise<Authority> {
  await mkdir(join(folder, "new"));
  await writeFile(join(folder, "index.txt"), "");
  await writeFile(join(folder, "index.txt.attr"), "unique_subject = no\n");
  await writeFile(join(folder, "ca.key"), await createKey());
  const years = { notBefore: new Date(Date.now() - 3650 * dayMs), notAfter: new Date(Date.now() + 3650 * dayMs) };
  const request = { ...years, subject: name, keyFile: join(folder, "ca.key"), extensions: authorityExtensions };
  const certificate = await sign(parent?.folder ?? folder, { ...request, isSelfSigned: parent === null });
  await writeFile(join(folder, "ca.crt"), certificate);
  const above = parent === null ? "" : certificate + parent.above;
  let intermediates = 0;

  async function issue({ names, key, isSelfSigned = false, ...validity }: IssueOptions): Promise<Identity> {
    const keyFile = join(folder, "leaf.key");
    await writeFile(keyFile, key ?? (await createKey()));
    const subject = names[0] ?? "nameless";
    const leaf = { ...withDefaults(validity), subject, keyFile, extensions: leafExtensions(names), isSelfSigned };
    const own = await sign(folder, leaf);
    return { certificate: isSelfSigned ? own : own + above, key: await readFile(keyFile, "utf8") };
  }

  async function createIntermediate(below: string): Promise<Authority> {
    const subfolder = join(folder, `intermediate-${++intermediates}`);
    await mkdir(subfolder);
    return await prepareAuthority(subfolder, below, { folder, above });
  }

  return { certificate, issue, createIntermediate, remove: () => rm(folder, { recursive: true, force: true }) };
}

function withDefaults(validity: { notBefore?: Date; notAfter?: Date }): { notBefore: Date; notAfter: Date } {
  const now = Date.now();
  return { notBefore: new Date(now - dayMs), notAfter: new Date(now + 89 * dayMs), ...validity };
}

const authorityExtensions = "basicConstraints = critical, CA:TRUE\nkeyUsage = critical, keyCertSign\n";

function leafExtensions(names: string[]): string {
  const alternatives = names.map((name) => `${isIP(name) === 0 ? "DNS" : "IP"}:${name}`);
  const subjectAltName = names.length === 0 ? "" : `subjectAltName = ${alternatives.join(", ")}\n`;
  return `basicConstraints = CA:FALSE\n${subjectAltName}`;
}

interface SigningRequest {
  subject: string;
  keyFile: string;
  notBefore: Date;
  notAfter: Date;
  extensions: string;
  isSelfSigned: boolean;
}

/** `openssl ca`, the one command of every openssl that takes dates as they are. */
async function sign(folder: string, request: SigningRequest): Promise<string> {
  const configuration = join(folder, "ca.cnf");
  await writeFile(configuration, signingConfiguration(folder, request.extensions));
  const requestFile = join(folder, "request.pem");
  const subject = `/CN=${request.subject}`;
  await openssl(
    "req",
    "-new",
    "-config",
    configuration,
    "-key",
    request.keyFile,
    "-subj",
    subject,
    "-out",
    requestFile,
  );
  const signer = request.isSelfSigned
    ? ["-selfsign", "-keyfile", request.keyFile]
    : ["-keyfile", join(folder, "ca.key"), "-cert", join(folder, "ca.crt")];
  const dates = ["-startdate", opensslDate(request.notBefore), "-enddate", opensslDate(request.notAfter)];
  const options = ["-batch", "-notext", "-config", configuration, "-in", requestFile];
  return await openssl("ca", ...options, ...signer, ...dates);
}

function signingConfiguration(folder: string, extensions: string): string {
  return `[ca]
default_ca = authority
[authority]
dir = ${folder}
database = ${folder}/index.txt
new_certs_dir = ${folder}/new
default_md = sha256
policy = any
rand_serial = yes
x509_extensions = extensions
[any]
commonName = supplied
[req]
distinguished_name = subject
[subject]
[extensions]
${extensions}`;
}

async function createKey(): Promise<string> {
  return await openssl("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256");
}

/** `20260131120000Z`. */
function opensslDate(date: Date): string {
  return `${date.toISOString().replaceAll(/[-:T]|\..*/g, "")}Z`;
}

async function openssl(...options: string[]): Promise<string> {
  const program = findPeer("openssl");
  if (program === null) throw new Error("openssl is not installed");
  const { stdout } = await promisify(execFile)(program, options);
  return stdout;
}

export interface TlsServer {
  port: number;
  /** New connections are shown this identity. */
  swap(identity: Identity): void;
  stop(): Promise<void>;
}

/** A real TLS server on a free port of loopback that greets and closes. */
export async function startTlsServer(identity: Identity, options: TlsOptions = {}): Promise<TlsServer> {
  const server = createServer({ ...options, cert: identity.certificate, key: identity.key }, (socket) => {
    socket.on("error", () => socket.destroy());
    socket.end("hello\n");
  });
  server.on("tlsClientError", (_error, socket) => socket.destroy());
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    port: (server.address() as AddressInfo).port,
    swap: ({ certificate, key }) => server.setSecureContext({ ...options, cert: certificate, key }),
    stop: async () => {
      server.close();
      await once(server, "close");
    },
  };
}
