import type { GitRef, GitRefs, HttpAnswer, HttpIo } from "#contracts/io.ts";
import { LookError } from "#contracts/look-error.ts";
import { delimiterPkt, flushPkt, pktLine } from "./git-pkt-line.ts";
import { parseAdvertisement, parseRefList } from "./git-ref-lines.ts";

export interface RefListingCaps {
  maxBytes: number;
  maxRefs: number;
}

/**
 * The refs under the prefixes. `ls-refs` is stateless, so it is sent without asking first what the server speaks: an
 * ordinary repository costs one request. Any answer but a list of refs is cleared up by `GET …/info/refs`.
 */
export async function listRefs(http: HttpIo, url: string, prefixes: string[], caps: RefListingCaps): Promise<GitRefs> {
  const direct = await requestRefList(http, url, prefixes, caps, "sha1");
  if (direct.refs !== null) return { outcome: "refs", refs: within(prefixes, direct.refs) };
  const answer = await http.request({
    url: `${url}/info/refs?service=git-upload-pack`,
    headers: { "git-protocol": "version=2", accept: "*/*" },
    maxBytes: caps.maxBytes,
    isFresh: true,
  });
  const absence = absenceBy(answer, url);
  if (absence !== null) return absence;
  requireType(answer, "application/x-git-upload-pack-advertisement");
  const advertisement = parseAdvertisement(answer.body, caps);
  if (advertisement.version !== 2) return { outcome: "refs", refs: within(prefixes, advertisement.refs) };
  if (!advertisement.canListRefs) throw new LookError("malformed", "The git server cannot list refs.");
  const asked = await requestRefList(http, url, prefixes, caps, advertisement.objectFormat);
  if (asked.refs === null) throw refusal(asked.answer);
  return { outcome: "refs", refs: within(prefixes, asked.refs) };
}

async function requestRefList(
  http: HttpIo,
  url: string,
  prefixes: string[],
  caps: RefListingCaps,
  objectFormat: string,
): Promise<{ refs: GitRef[] | null; answer: HttpAnswer }> {
  const answer = await http.request({
    url: `${url}/git-upload-pack`,
    method: "POST",
    headers: {
      "git-protocol": "version=2",
      "content-type": "application/x-git-upload-pack-request",
      accept: resultType,
    },
    body: lsRefs(prefixes, objectFormat),
    maxBytes: caps.maxBytes,
  });
  const isResult = answer.status === 200 && contentType(answer) === resultType;
  return { refs: isResult ? parseRefList(answer.body, caps) : null, answer };
}

const resultType = "application/x-git-upload-pack-result";

function lsRefs(prefixes: string[], objectFormat: string): string {
  // Servers older than object formats refuse to be told of the one they have.
  const capabilities = ["command=ls-refs", ...(objectFormat === "sha1" ? [] : [`object-format=${objectFormat}`])];
  const parameters = ["peel", "symrefs", ...prefixes.map((prefix) => `ref-prefix ${prefix}`)];
  return capabilities.map(pktLine).join("") + delimiterPkt + parameters.map(pktLine).join("") + flushPkt;
}

/** Servers may send more than was asked for. */
function within(prefixes: string[], refs: GitRef[]): GitRef[] {
  return refs.filter((ref) => prefixes.some((prefix) => ref.name.startsWith(prefix)));
}

/** Definitive answers other than a repository here; anything else that is not one throws. */
function absenceBy(answer: HttpAnswer, url: string): GitRefs | null {
  const { status } = answer;
  if (status === 200) return null;
  if (status === 404 || status === 410) return { outcome: "gone", reason: `The git server answered ${status}.` };
  if ([301, 302, 303, 307, 308].includes(status)) return { outcome: "moved", location: newLocation(answer, url) };
  throw refusal(answer);
}

function refusal({ status }: HttpAnswer): LookError {
  if (status === 401 || status === 403) {
    const message = `The git server answered ${status}: the repository is private or missing, or the credentials are wrong.`;
    return new LookError("denied", message);
  }
  if (status === 200) return new LookError("malformed", "The git server answered with no list of refs.");
  return new LookError("unreachable", `The git server answered ${status}.`);
}

/** Where `…/info/refs` was redirected to, as a repository's URL. */
function newLocation(answer: HttpAnswer, url: string): string {
  const [location = ""] = answer.headers.location ?? [];
  const target = URL.canParse(location, answer.url) ? new URL(location, answer.url) : null;
  const isRepository = target !== null && /^https?:$/.test(target.protocol) && target.pathname.endsWith("/info/refs");
  if (!isRepository || target.username !== "" || target.password !== "") {
    throw new LookError("malformed", "The git server redirects to what is not a git repository.");
  }
  const moved = `${target.origin}${target.pathname.slice(0, -"/info/refs".length)}`;
  if (moved === url) throw new LookError("malformed", "The git server redirects in a circle.");
  return moved;
}

function requireType(answer: HttpAnswer, type: string): void {
  const found = contentType(answer);
  if (found === type) return;
  const isDumb = found === "text/plain" && /^(?:[0-9a-f]{40,64}\t|$)/.test(answer.text.slice(0, 70));
  const message = isDumb
    ? "The server offers the repository as plain files (dumb HTTP), which cannot be watched."
    : "The answer is not a git server's.";
  throw new LookError("malformed", message);
}

function contentType(answer: HttpAnswer): string {
  const [type = ""] = answer.headers["content-type"] ?? [];
  return (type.split(";")[0] ?? "").trim().toLowerCase();
}
