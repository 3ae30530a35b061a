/*
 * What TXT records say about who may send mail for a name: SPF (RFC 7208) and DMARC (RFC 7489).
 */

/** How the change of a set of TXT records loosens a mail policy, in plain words, or null. */
export function loosenedPolicy(before: string[], after: string[]): string | null {
  return loosenedSpf(before.map(unquote), after.map(unquote)) ?? loosenedDmarc(before.map(unquote), after.map(unquote));
}

/** Inside a presented TXT record; escapes matter in neither policy. */
function unquote(record: string): string {
  return record.replace(/^"|"$/g, "");
}

function loosenedSpf(before: string[], after: string[]): string | null {
  const old = termsOfSpf(before);
  if (old === null) return null;
  const now = termsOfSpf(after);
  if (now === null) return "the SPF record is gone";
  if (strictness(now) < strictness(old)) return `SPF now ends in ${allTerm(now)} instead of ${allTerm(old)}`;
  const added = now.filter((term) => isSender(term) && !old.includes(term));
  return added.length > 0 ? `SPF now also allows ${added.join(" ")}` : null;
}

/** The terms of the one SPF record; two of them count as none (RFC 7208 §4.5). */
function termsOfSpf(records: string[]): string[] | null {
  const [only, ...others] = records.filter((record) => /^v=spf1( |$)/i.test(record));
  return only === undefined || others.length > 0 ? null : only.toLowerCase().split(/ +/).slice(1);
}

function isSender(term: string): boolean {
  return /^\+?(include|a|mx|ptr|ip4|ip6|exists)([:/]|$)|^redirect=/.test(term);
}

function allTerm(terms: string[]): string {
  return terms.find((term) => /^[-~?+]?all$/.test(term)) ?? "nothing";
}

const qualifiers = ["+", "?", "~", "-"];

/** Higher is stricter. Without `all` the result is neutral, unless another record is referred to. */
function strictness(terms: string[]): number {
  const all = allTerm(terms);
  if (all !== "nothing") return all === "all" ? 0 : qualifiers.indexOf(all.slice(0, 1));
  return terms.some((term) => term.startsWith("redirect=")) ? qualifiers.indexOf("-") : qualifiers.indexOf("?");
}

const dmarcPolicies = ["none", "quarantine", "reject"];

function loosenedDmarc(before: string[], after: string[]): string | null {
  const old = policyOfDmarc(before);
  if (old === null) return null;
  const now = policyOfDmarc(after);
  if (now === null) return "the DMARC record is gone";
  return dmarcPolicies.indexOf(now) < dmarcPolicies.indexOf(old)
    ? `the DMARC policy is now "${now}" instead of "${old}"`
    : null;
}

function policyOfDmarc(records: string[]): string | null {
  const [only, ...others] = records.filter((record) => /^v=DMARC1 *(;|$)/i.test(record));
  if (only === undefined || others.length > 0) return null;
  return /; *p *= *(none|quarantine|reject) *(;|$)/i.exec(only)?.[1]?.toLowerCase() ?? "none";
}
