import { observe, type ObservationAnswer, type Standing } from "#contracts/module.ts";
import type { HttpAnswer } from "#contracts/io.ts";
import { isHtml } from "./html.ts";

/** Paths that mean the same on every site: some should be there, others should never be served. */
export interface KnownPath {
  path: string;
  isWelcome: boolean;
}

const welcome = ["/.well-known/security.txt", "/security.txt"];

const unwelcome = [
  "/Dockerfile",
  "/Makefile",
  "/README.md",
  "/authorized_keys",
  "/go.mod",
  "/known_hosts",
  "/package-lock.json",
  "/package.json",
];

export const knownPaths: KnownPath[] = [
  ...welcome.map((path) => ({ path, isWelcome: true })),
  ...unwelcome.map((path) => ({ path, isWelcome: false })),
];

export function findKnownPath(url: URL): KnownPath | null {
  return url.search === "" ? (knownPaths.find(({ path }) => path === url.pathname) ?? null) : null;
}

/** On a known path "not found" is a value like any other, and what matters is only whether the file is served. */
export function observeKnownPath(known: KnownPath, answer: HttpAnswer): ObservationAnswer {
  return observe(
    "status_code",
    answer.status,
    known.isWelcome ? welcomeStanding(known, answer) : unwelcomeStanding(known, answer),
  );
}

function welcomeStanding({ path }: KnownPath, answer: HttpAnswer): Standing {
  // RFC 9116 §3: the well-known place is the one that counts.
  if (isServed(answer) || !path.startsWith("/.well-known/") || answer.status < 400) return {};
  return { severity: "recommendation", reason: "nobody is told where to report a vulnerability (no security.txt)" };
}

function unwelcomeStanding({ path }: KnownPath, answer: HttpAnswer): Standing {
  if (!isServed(answer)) return {};
  return { severity: "high", reason: `${path.slice(1)} is served to everybody` };
}

/** Many sites answer every path with their start page: a page is not the file. */
function isServed(answer: HttpAnswer): boolean {
  return answer.status === 200 && !isHtml(answer) && answer.text !== "";
}
