import type { Answer, StringAnswer } from "dns-packet";
import type { DnsAnswer, DnsIo } from "#contracts/io.ts";
import { LookError } from "#contracts/look-error.ts";
import { present } from "./dns-presentation.ts";
import { describeResolver, readResolvers, type Resolver } from "./dns-servers.ts";
import { ask } from "./dns-transport.ts";
import { wireType, type Question, type Reply } from "./dns-wire.ts";

export interface DnsIoOptions {
  /** `address`, `address:port` or `[address]:port`; empty means the system's resolvers. Throws `TypeError` on others. */
  servers: string[];
  /** How long one resolver may take for one question; default 3 s. */
  timeoutMs?: number;
  /** How often each resolver is asked before giving up; default 2. */
  tries?: number;
  /** Aborts at the look's deadline. */
  signal?: AbortSignal;
}

/**
 * DNS as a stub resolver speaks it, for all types (Node's own cannot ask for DS, HTTPS or TLSA). Resolvers come from the
 * configuration or the system, never from watched input, so they are not subject to the egress guard.
 */
export function createDnsIo({ servers, timeoutMs = 3000, tries = 2, signal }: DnsIoOptions): DnsIo {
  const resolvers = readResolvers(servers);
  const attempts = Array.from({ length: tries }, () => resolvers).flat();
  return {
    query: async (name, type) => await queryInTurn({ name: readName(name), type }, attempts, { timeoutMs, signal }),
  };
}

async function queryInTurn(
  question: Question,
  attempts: Resolver[],
  options: { timeoutMs: number; signal: AbortSignal | undefined },
): Promise<DnsAnswer> {
  let failure: LookError | null = null;
  for (const resolver of attempts) {
    try {
      return readAnswer(resolver, question, await ask(resolver, question, options));
    } catch (error) {
      if (!(error instanceof LookError) || options.signal?.aborted === true) throw error;
      failure = moreTelling(failure, error);
    }
  }
  throw failure ?? new LookError("unreachable", "no resolver is known: name one in dns.servers");
}

/** What a resolver said says more than that another was silent. */
function moreTelling(before: LookError | null, latest: LookError): LookError {
  return before !== null && before.kind !== "timeout" && latest.kind === "timeout" ? before : latest;
}

const noError = 0;
const nameDoesNotExist = 3;

const rcodeMeanings: Record<number, string> = {
  1: "FORMERR: it did not understand the question",
  2: "SERVFAIL: it could not find the answer",
  4: "NOTIMP: it does not support the question",
  5: "REFUSED: it will not answer this question",
};

function readAnswer(resolver: Resolver, question: Question, reply: Reply): DnsAnswer {
  const asked = `${question.type} ${question.name}`;
  if (reply.rcode !== noError && reply.rcode !== nameDoesNotExist) {
    const meaning = rcodeMeanings[reply.rcode] ?? `response code ${reply.rcode}`;
    throw new LookError("unreachable", `${describeResolver(resolver)} answered ${asked} with ${meaning}`);
  }
  if (reply.answers.length === 0 && !reply.isFinal)
    throw new LookError("unreachable", `${describeResolver(resolver)} knows no answer to ${asked}, only whom to ask`);
  if (reply.rcode === nameDoesNotExist) return { outcome: "nxdomain" };
  const records = recordsAlongAliases(question, reply.answers).map((record) => present(question.type, record));
  return records.length === 0
    ? { outcome: "empty" }
    : { outcome: "records", records: [...new Set(records)].toSorted() };
}

/** The records of the asked type at the name, or where its chain of aliases ends. */
function recordsAlongAliases({ name, type }: Question, answers: Answer[]): Answer[] {
  const visited = new Set<string>();
  for (let owner = name; !visited.has(owner);) {
    visited.add(owner);
    const own = answers.filter((record) => record.name.toLowerCase() === owner);
    const wanted = own.filter((record) => record.type === wireType(type));
    if (wanted.length > 0) return wanted;
    const alias = own.find((record) => record.type === "CNAME");
    if (alias === undefined) return [];
    owner = (alias as StringAnswer).data.toLowerCase();
  }
  return [];
}

/** A name in lower case without its trailing dot, checked against the limits of RFC 1035 §2.3.4. */
function readName(name: string): string {
  const lowered = name.toLowerCase().replace(/\.$/, "");
  if (lowered.length <= 253 && /^[!-\-/-~]{1,63}(\.[!-\-/-~]{1,63})*$/.test(lowered)) return lowered;
  throw new LookError("malformed", `${JSON.stringify(name.slice(0, 100))} is not a name that DNS can be asked for`);
}
