import type { X509Certificate } from "node:crypto";
import { once } from "node:events";
import { connect as connectTcp, isIP, type Socket } from "node:net";
import {
  connect as connectTls,
  createSecureContext,
  getCACertificates,
  type SecureContext,
  type TLSSocket,
} from "node:tls";
import type { TlsAnswer, TlsIo } from "#contracts/io.ts";
import { LookError } from "#contracts/look-error.ts";
import type { EgressGuard } from "./egress.ts";

export interface TlsIoOptions {
  guard: Pick<EgressGuard, "resolve">;
  /** How long resolving, connection and handshake may take together; default 10 s. */
  timeoutMs?: number;
  /** Trusted roots as PEM, besides Node's own and those of NODE_EXTRA_CA_CERTS. */
  extraRoots?: string[];
  /** Aborts at the look's deadline. */
  signal?: AbortSignal;
}

type Target = Parameters<TlsIo["handshake"]>[0];

/**
 * TLS handshakes with whatever answers: versions and ciphers long given up, and certificates that do not verify, are
 * answers, since they are what a watch wants to see. Nothing is sent or read beyond the handshake.
 */
export function createTlsIo({ guard, timeoutMs = 10_000, extraRoots = [], signal }: TlsIoOptions): TlsIo {
  const secureContext = createLenientContext(extraRoots);

  async function handshake(target: Target): Promise<TlsAnswer> {
    const timeUp = AbortSignal.timeout(timeoutMs);
    const ending = signal === undefined ? timeUp : AbortSignal.any([timeUp, signal]);
    const socket = await connect(guard, target, ending);
    try {
      return readAnswer(await secure(socket, target, secureContext, ending), target, socket.remoteAddress ?? "");
    } finally {
      socket.destroy();
    }
  }
  return { handshake };
}

function createLenientContext(extraRoots: string[]): SecureContext {
  const trust = extraRoots.length === 0 ? {} : { ca: [...getCACertificates("default"), ...extraRoots] };
  return createSecureContext({ ...trust, minVersion: "TLSv1", ciphers: "DEFAULT@SECLEVEL=0" });
}

/** How long one of several addresses may take before the next is tried. */
const attemptTimeoutMs = 2000;

/** Connects to one of the very addresses that the guard allowed. */
async function connect(guard: TlsIoOptions["guard"], target: Target, ending: AbortSignal): Promise<Socket> {
  const addresses = await Promise.race([guard.resolve(target.host), rejection(ending, target)]);
  const socket = connectTcp({
    host: target.host,
    port: target.port,
    autoSelectFamily: true,
    autoSelectFamilyAttemptTimeout: attemptTimeoutMs,
    lookup: (_host, _options, callback) => callback(null, addresses),
  });
  socket.on("error", ignore);
  try {
    await once(socket, "connect", { signal: ending });
    return socket;
  } catch (cause) {
    socket.destroy();
    if (ending.aborted) throw timedOut(target);
    throw new LookError("unreachable", `no connection to ${describe(target)} (${reasonOf(cause)})`, { cause });
  }
}

async function secure(
  socket: Socket,
  target: Target,
  secureContext: SecureContext,
  ending: AbortSignal,
): Promise<TLSSocket> {
  const name = target.serverName ?? target.host;
  // An address is no server name (RFC 6066 §3), yet the certificate is checked for it.
  const sni = isIP(name) === 0 ? { servername: name } : {};
  const secured = connectTls({ socket, host: name, ...sni, secureContext, rejectUnauthorized: false });
  secured.on("error", ignore);
  try {
    await once(secured, "secureConnect", { signal: ending });
    return secured;
  } catch (cause) {
    secured.destroy();
    if (ending.aborted) throw timedOut(target);
    throw new LookError("malformed", `the TLS handshake with ${describe(target)} failed: ${reasonOf(cause)}`, {
      cause,
    });
  }
}

function readAnswer(secured: TLSSocket, target: Target, address: string): TlsAnswer {
  const chain = readChain(secured.getPeerX509Certificate());
  const protocol = secured.getProtocol();
  if (chain.length === 0 || protocol === null)
    throw new LookError("malformed", `${describe(target)} completed a TLS handshake without a certificate`);
  // Node's types promise an Error; what stands there is the error's code.
  const verificationError = secured.authorized ? null : String(secured.authorizationError);
  return { address, protocol, chain, verificationError };
}

/** OpenSSL refuses more than 100 KiB of certificates; this bounds how many of them are walked. */
const maxChainLength = 64;

function readChain(leaf: X509Certificate | undefined): Uint8Array[] {
  const chain: Uint8Array[] = [];
  for (let next = leaf; next !== undefined && chain.length < maxChainLength; next = next.issuerCertificate)
    chain.push(next.raw);
  return chain;
}

async function rejection(ending: AbortSignal, target: Target): Promise<never> {
  if (!ending.aborted) await once(ending, "abort");
  throw timedOut(target);
}

function timedOut(target: Target): LookError {
  return new LookError("timeout", `${describe(target)} did not complete a TLS handshake in time`);
}

function reasonOf(cause: unknown): string {
  const { reason, code, message } = cause as { reason?: string; code?: string; message?: string };
  return reason ?? code ?? message ?? "unknown error";
}

function describe({ host, port }: Target): string {
  return host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
}

/** Errors are heard of by whoever waits; one that comes later must not end the process. */
function ignore(): void {}
