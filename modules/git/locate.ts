import type { GitIo, GitRefs } from "#contracts/io.ts";
import { LookError } from "#contracts/look-error.ts";
import { isDowngrade, isSameRepository } from "./resource.ts";

export interface Located {
  /** The last address that was asked. */
  url: string;
  /** Where the server sends to, if that is another repository's address and not only another spelling. */
  movedTo: string | null;
  /** `moved` where the way leads to another host or off https, and was not followed. */
  answer: GitRefs;
}

const maxHops = 3;

/** Asks for the refs; redirects are followed on the resource's own host, since users of the address follow them too. */
export async function locate(git: GitIo, resource: string, prefixes: string[]): Promise<Located> {
  let url = resource;
  let movedTo: string | null = null;
  for (let hop = 0; hop <= maxHops; hop++) {
    const answer = await git.refs(url, prefixes);
    if (answer.outcome !== "moved") return { url, movedTo, answer };
    if (!isSameRepository(url, answer.location)) movedTo = answer.location;
    const isElsewhere = new URL(answer.location).hostname !== new URL(resource).hostname;
    if (isElsewhere || isDowngrade(url, answer.location)) return { url, movedTo, answer };
    url = answer.location;
  }
  throw new LookError("malformed", `The git server redirects more than ${maxHops} times.`);
}
