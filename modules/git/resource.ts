import { z } from "zod";
import { maxResourceBytes } from "#contracts/messages.ts";
import { hostOwner } from "../shared/web.ts";

/** Public forges whose addresses begin with the owner; each has one spelling by which it serves without a detour. */
const forges: Record<string, { spelling: "plain" | ".git" }> = {
  "github.com": { spelling: "plain" },
  "codeberg.org": { spelling: "plain" },
  "bitbucket.org": { spelling: "plain" },
  "gitlab.com": { spelling: ".git" },
};

/** The http or https URL of a git repository, in its one spelling; elsewhere `.git` stays as it was written. */
export const RepositoryUrl: z.ZodType<string, string> = z.string().transform((text, context) => {
  const read = readUrl(text.trim());
  if (typeof read !== "string") return read.href;
  context.addIssue({ code: "custom", message: read });
  return z.NEVER;
});

/** Takes a normalised resource. */
export function laneOf(resource: string): string {
  return `${new URL(resource).host}~git`;
}

/** The owner on a known forge, else the domain that somebody registered. */
export function ownerOf(resource: string): string {
  const { hostname, pathname } = new URL(resource);
  const [, owner = "-"] = pathname.split("/");
  return isForge(hostname) ? owner.toLowerCase() : hostOwner(hostname);
}

/** Are they two spellings of one repository's address: with or without `.git`, by http or, better, by https? */
export function isSameRepository(from: string, to: string): boolean {
  const [one, other] = [new URL(from), new URL(to)];
  const isSamePlace = one.host === other.host || (one.hostname === other.hostname && one.port + other.port === "");
  return isSamePlace && plainPath(one) === plainPath(other) && !isDowngrade(from, to);
}

/** Would following lead from an encrypted way to an open one? */
export function isDowngrade(from: string, to: string): boolean {
  return from.startsWith("https:") && !to.startsWith("https:");
}

function plainPath({ pathname }: URL): string {
  return pathname.replace(/\/+$/, "").replace(/\.git$/, "");
}

/** The URL, or why it is none that can be watched. */
function readUrl(text: string): URL | string {
  const scheme = /^([a-z][a-z0-9+.-]*):\/\//i.exec(text)?.[1]?.toLowerCase();
  if (scheme === undefined) return withoutScheme(text);
  if (scheme !== "https" && scheme !== "http") {
    return `${scheme} addresses are not watched: give the repository's https address`;
  }
  const url = URL.parse(text);
  if (url === null) return "not a URL: write it as https://example.org/owner/name.git";
  if (url.username !== "" || url.password !== "") {
    return "the URL carries a user name or password: put them under credentials in the configuration";
  }
  if (url.search !== "" || url.hash !== "") return "a repository's URL has no query (?) and no fragment (#)";
  return normalised(url);
}

function withoutScheme(text: string): string {
  if (/^[^/\s]+@[^/\s]+:/.test(text)) return "ssh addresses are not watched: give the repository's https address";
  if (/^[\w-]+(\.[\w-]+)+\/\S+$/.test(text))
    return `the scheme is missing: did you mean https://${text.slice(0, 200)}?`;
  return "not a URL: write it as https://example.org/owner/name.git";
}

function normalised(url: URL): URL | string {
  url.hostname = url.hostname.replace(/\.$/, "");
  const names = url.pathname.replace(/\/+$/, "").split("/").slice(1);
  if (names.length === 0) return `${url.host} is a host: the path of the repository is missing`;
  if (names.some((name) => name === "" || /%(?:[01][0-9a-f]|7f|2f|5c|20)/i.test(name))) {
    return "the path of the repository holds an empty name, a blank or a control character";
  }
  url.pathname = `/${names.join("/")}`;
  const forge = isForge(url.hostname) ? forges[url.hostname] : undefined;
  if (forge !== undefined) {
    if (names.length < 2) return `${url.host}/${names[0]} is an owner: the name of the repository is missing`;
    if (names.length > 2 && isPage(url.hostname, names))
      return "a page of the forge: give the repository's own address";
    url.protocol = "https:";
    url.pathname = plainPath(url) + (forge.spelling === ".git" ? ".git" : "");
  }
  return Buffer.byteLength(url.href) > maxResourceBytes ? `longer than ${maxResourceBytes} bytes` : url;
}

function isForge(hostname: string): boolean {
  return Object.hasOwn(forges, hostname);
}

/** GitLab has groups within groups; its pages follow a lone `-`. */
function isPage(hostname: string, names: string[]): boolean {
  return hostname !== "gitlab.com" || names.includes("-");
}
