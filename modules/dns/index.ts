import { z } from "zod";
import type { Json } from "#contracts/canonical.ts";
import { matchesPattern } from "#contracts/config.ts";
import type { DnsAnswer, DnsIo, DnsType } from "#contracts/io.ts";
import { LookError } from "#contracts/look-error.ts";
import { confirm, defineModule, gone, observe, save, unseen } from "#contracts/module.ts";
import type { ObservationAnswer, Standing } from "#contracts/module.ts";
import { hostOwner, registrableDomain } from "../shared/web.ts";
import { assessChange } from "./change.ts";
import { examples } from "./examples.ts";
import { learnPool, Pool } from "./pool.ts";
import { HostName } from "./resource.ts";

const Options = z.strictObject({
  rotating: z
    .array(z.string().min(1))
    .default([])
    .describe(
      "Names (with `*` for any run of characters) that answer with changing parts of a pool: their addresses are " +
        "compared with the pool as learned over several looks.",
    ),
});

/** What the module keeps between looks: the learned pools by attribute. */
const State = z.object({ pools: z.record(z.string(), Pool) }).catch(() => ({ pools: {} }));

export default defineModule<z.infer<typeof Options>>({
  name: "dns",
  version: 1,
  summary: "Watches the DNS records of a name: addresses, alias, name and mail servers, texts, CAA and DNSSEC keys.",
  resource: HostName,
  options: Options,
  // The look touches our resolver, which in turn asks the domain's own servers: those are to be treated politely.
  lane: (resource) => `${registrableDomain(resource) ?? resource}~dns`,
  owner: hostOwner,
  async *discovery({ resource }) {
    yield confirm(resource);
  },
  async *observation({ resource, options, state }, io) {
    const answers = await askAll(io.dns, resource);
    if (isGone(answers)) {
      yield gone(`the name ${resource} does not exist (NXDOMAIN)`);
      return;
    }
    const isRotating = options.rotating.some((pattern) => matchesPattern(pattern.toLowerCase(), resource));
    const pools = { ...State.parse(state).pools };
    for (const [attribute, answer] of readable(answers)) {
      if (isRotating && isAddress(attribute) && answer.outcome === "records") {
        const { pool, members, look } = learnPool(pools[attribute], answer.records);
        pools[attribute] = pool;
        yield observe(attribute, members, { context: { ...look } });
      } else yield* report(attribute, answer, answers);
    }
    // Also says that the look was made, where the name exists but has no record at all.
    yield save(isRotating ? { pools } : null);
  },
  change: assessChange,
  examples,
});

/** In the order in which they are asked. */
const types = {
  a: "A",
  aaaa: "AAAA",
  cname: "CNAME",
  ns: "NS",
  mx: "MX",
  txt: "TXT",
  caa: "CAA",
  ds: "DS",
} as const satisfies Record<string, DnsType>;
type Attribute = keyof typeof types;

type Answer = DnsAnswer | { outcome: "failed"; reason: string };
type Answers = Record<Attribute, Answer>;

/** All questions at once: one resolver answers them. Throws when the answers say nothing about the name. */
async function askAll(dns: DnsIo, name: string): Promise<Answers> {
  const failures: LookError[] = [];
  const asked = Object.entries(types).map(async ([attribute, type]): Promise<[string, Answer]> => {
    try {
      return [attribute, await dns.query(name, type)];
    } catch (error) {
      if (!(error instanceof LookError)) throw error;
      failures.push(error);
      return [attribute, { outcome: "failed", reason: error.message }];
    }
  });
  const answers = Object.fromEntries(await Promise.all(asked)) as Answers;
  const [failure] = failures;
  if (failure !== undefined && !isTelling(answers)) throw failure;
  return answers;
}

/** Without the answer on the alias, NXDOMAIN may be about the alias's target. */
function isTelling(answers: Answers): boolean {
  const outcomes = Object.values(answers).map(({ outcome }) => outcome);
  return outcomes.includes("records") || outcomes.includes("empty") || answers.cname.outcome === "nxdomain";
}

/** NXDOMAIN is said of a name, whatever was asked; servers that say it of one type only mean "no such record". */
function isGone(answers: Answers): boolean {
  return Object.values(answers).every(({ outcome }) => outcome === "nxdomain" || outcome === "failed");
}

/** The answers that are about the name itself: all else that is asked of an alias is answered by its target. */
function readable(answers: Answers): [Attribute, Answer][] {
  const entries = Object.entries(answers) as [Attribute, Answer][];
  const { outcome } = answers.cname;
  if (outcome === "empty" || outcome === "nxdomain") return entries;
  const own = entries.filter(([attribute]) => attribute === "cname" || isAddress(attribute));
  if (outcome === "records") return own;
  const reason = "whether the name is an alias, which has no such records of its own, could not be asked";
  return entries.map((entry) => (own.includes(entry) ? entry : [entry[0], { outcome: "failed", reason }]));
}

function isAddress(attribute: Attribute): boolean {
  return attribute === "a" || attribute === "aaaa";
}

function* report(attribute: Attribute, answer: Answer, answers: Answers): Iterable<ObservationAnswer> {
  if (answer.outcome === "failed") yield unseen(attribute, answer.reason.slice(0, 500));
  if (answer.outcome !== "records") return;
  const value: Json = answer.records;
  yield observe(attribute, value, attribute === "cname" ? standingOfAlias(answer.records, answers) : {});
}

/** An alias of a name that does not exist is answered with NXDOMAIN for its addresses (RFC 6604). */
function standingOfAlias(records: string[], { a, aaaa }: Answers): Standing {
  if (a.outcome !== "nxdomain" && aaaa.outcome !== "nxdomain") return {};
  const reason = `the alias leads to ${records.join(", ").slice(0, 300)}, where no name exists: whoever gets that name gets this one`;
  return { severity: "medium", reason };
}
