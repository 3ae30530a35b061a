import type { GitRef } from "#contracts/io.ts";
import { LookError } from "#contracts/look-error.ts";
import { isRefName, maxRefNameBytes } from "./git-ref-name.ts";

export interface RefCaps {
  maxRefs: number;
}

/** Keeps a ref that a server named, after checking all of it; throws `malformed` or `too_large`. */
export function addRef(refs: Map<string, GitRef>, ref: GitRef, caps: RefCaps): void {
  requireRefName(ref.name);
  if (ref.target !== null) requireRefName(ref.target);
  requireObjectId(refs, ref.objectId);
  if (ref.peeledId !== null) requireObjectId(refs, ref.peeledId);
  if (refs.has(ref.name)) throw malformed("it names a ref twice");
  if (refs.size >= caps.maxRefs)
    throw new LookError("too_large", `The git server lists more than ${caps.maxRefs} refs.`);
  refs.set(ref.name, ref);
}

/** Adds the id of the commit behind an annotated tag that was named before. */
export function peelRef(refs: Map<string, GitRef>, name: string, peeledId: string): void {
  const ref = refs.get(name);
  if (ref === undefined || ref.peeledId !== null) throw malformed("it peels a ref that it does not name");
  requireObjectId(refs, peeledId);
  ref.peeledId = peeledId;
}

/** Hostile text made fit for a message. */
export function plain(text: string): string {
  return JSON.stringify(text.slice(0, 200)).replaceAll(/[\u007f-\uffff]/g, "?");
}

function requireRefName(name: string): void {
  if (Buffer.byteLength(name) > maxRefNameBytes) {
    throw new LookError("too_large", `The git server names a ref of more than ${maxRefNameBytes} bytes.`);
  }
  if (!isRefName(name)) throw malformed(`it names a ref that git does not allow, ${plain(name)}`);
}

/** SHA-1 or SHA-256, one and the same in the whole answer. */
function requireObjectId(refs: Map<string, GitRef>, id: string): void {
  const [first] = refs.values();
  const isId = /^(?:[0-9a-f]{40}|[0-9a-f]{64})$/.test(id) && !/^0+$/.test(id);
  if (!isId || (first !== undefined && first.objectId.length !== id.length)) throw malformed("an object id is wrong");
}

function malformed(what: string): LookError {
  return new LookError("malformed", `The git server's list of refs is broken: ${what}.`);
}
