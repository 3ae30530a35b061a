import type { GitRef } from "#contracts/io.ts";
import { LookError } from "#contracts/look-error.ts";
import { lineText, readPktLines } from "./git-pkt-line.ts";
import { addRef, peelRef, plain, type RefCaps } from "./git-ref-set.ts";

/** A server's first word: what it can do (v2), or at once all its refs (v0 and v1). */
export type Advertisement =
  | { version: 2; canListRefs: boolean; objectFormat: string }
  | { version: 0 | 1; refs: GitRef[] };

/** Reads the answer to `ls-refs`; null where it is not one, so that the server must be asked what it speaks. */
export function parseRefList(body: Uint8Array, caps: RefCaps): GitRef[] | null {
  if (body.length === 0 || Buffer.from(body.subarray(4, 8)).toString("latin1") === "ERR ") return null;
  const refs = new Map<string, GitRef>();
  for (const text of linesToTheEnd(body)) addRef(refs, parseRefLine(text), caps);
  return [...refs.values()];
}

/** The texts of the lines up to the flush that must be the last; throws `malformed` at any other end. */
function* linesToTheEnd(body: Uint8Array): Generator<string> {
  let isEnded = false;
  for (const line of readPktLines(body)) {
    if (isEnded) throw malformed("it goes on where it must end");
    if (line.type === "line") yield lineText(line.payload);
    else if (line.type === "flush") isEnded = true;
    else throw malformed("it holds a mark that does not belong there");
  }
  if (!isEnded) throw malformed("it is cut short");
}

/** `<id> <name>[ symref-target:<name>][ peeled:<id>]` (gitprotocol-v2, ls-refs). */
function parseRefLine(text: string): GitRef {
  const [objectId = "", name = "", ...attributes] = text.split(" ");
  const ref: GitRef = { name, objectId, peeledId: null, target: null };
  for (const attribute of attributes) {
    if (attribute.startsWith("peeled:")) ref.peeledId = attribute.slice("peeled:".length);
    else if (attribute.startsWith("symref-target:")) ref.target = attribute.slice("symref-target:".length);
  }
  return ref;
}

/** Reads the answer to `GET …/info/refs?service=git-upload-pack`, in whichever version the server chose. */
export function parseAdvertisement(body: Uint8Array, caps: RefCaps): Advertisement {
  const lines = linesToTheEnd(withoutServiceHeader(body));
  const first = takeLine(lines);
  if (first.startsWith("ERR ")) throw new LookError("unreachable", `The git server answered ${plain(first)}.`);
  if (first === "version 2") return parseCapabilities(lines);
  return first === "version 1"
    ? { version: 1, refs: parseEarlyRefs(takeLine(lines), lines, caps) }
    : { version: 0, refs: parseEarlyRefs(first, lines, caps) };
}

const serviceHeader = "001e# service=git-upload-pack\n0000";

function withoutServiceHeader(body: Uint8Array): Uint8Array {
  const head = Buffer.from(body.subarray(0, serviceHeader.length)).toString("latin1");
  return head === serviceHeader ? body.subarray(serviceHeader.length) : body;
}

function takeLine(lines: Generator<string>): string {
  const next = lines.next();
  if (next.done === true) throw malformed("it is empty");
  return next.value;
}

function parseCapabilities(lines: Iterable<string>): Advertisement {
  const advertisement = { version: 2 as const, canListRefs: false, objectFormat: "sha1" };
  for (const line of lines) {
    if (/^ls-refs(?:=|$)/.test(line)) advertisement.canListRefs = true;
    else if (line.startsWith("object-format=")) advertisement.objectFormat = line.slice("object-format=".length);
  }
  return advertisement;
}

/** `<id> <name>NUL<capabilities>`, then `<id> <name>`; a tag's peeled id follows it as `<id> <name>^{}`. */
function parseEarlyRefs(first: string, others: Iterable<string>, caps: RefCaps): GitRef[] {
  const [head = "", capabilities] = first.split("\0");
  if (capabilities === undefined) throw malformed("its first line names no capabilities");
  const refs = new Map<string, GitRef>();
  const targets = symbolicTargets(capabilities);
  addEarlyRef(refs, head, targets, caps);
  for (const text of others) addEarlyRef(refs, text, targets, caps);
  return [...refs.values()];
}

function addEarlyRef(refs: Map<string, GitRef>, text: string, targets: Map<string, string>, caps: RefCaps): void {
  const [id, name] = splitOnce(text, " ");
  if (name === "capabilities^{}" || id === "shallow") return;
  if (name.endsWith("^{}")) peelRef(refs, name.slice(0, -"^{}".length), id);
  else addRef(refs, { name, objectId: id, peeledId: null, target: targets.get(name) ?? null }, caps);
}

function symbolicTargets(capabilities: string): Map<string, string> {
  const pairs = capabilities.split(" ").filter((capability) => capability.startsWith("symref="));
  return new Map(pairs.map((pair) => splitOnce(pair.slice("symref=".length), ":")));
}

function splitOnce(text: string, separator: string): [string, string] {
  const at = text.indexOf(separator);
  return at < 0 ? [text, ""] : [text.slice(0, at), text.slice(at + separator.length)];
}

function malformed(what: string): LookError {
  return new LookError("malformed", `The git server's list of refs is broken: ${what}.`);
}
