import type { Assessment, ChangeRequest } from "#contracts/module.ts";
import { maxReasonLength } from "#contracts/messages.ts";
import { isFinding } from "#contracts/severity.ts";
import {
  changeOfBase,
  changeOfDomains,
  changeOfDownloads,
  changeOfForms,
  changeOfFrames,
  changeOfRefresh,
  changeOfScripts,
} from "./change-content.ts";
import { findKnownPath } from "./known-paths.ts";
import { changeOfCookie, changeOfHeader } from "./change-headers.ts";
import { isSameSite } from "../shared/web.ts";
import type { HttpOptions } from "./options.ts";
import { asRecord, asText } from "./values.ts";

export type Change = ChangeRequest<HttpOptions>;

/** How bad a change at a URL is. A value that is a finding by itself is at least as bad as that. */
export function change(request: Change): Assessment {
  const standing = standingOf(request);
  if (request.kind === "rated") return standing ?? { severity: "none", reason: "no longer an issue" };
  const prefix = request.attribute.split("/", 1)[0] ?? "";
  const { severity, reason } = (judges[request.attribute] ?? judges[`${prefix}/`] ?? other)(request);
  if (standing !== null && severity === "none") return standing;
  return { severity, reason: reason.slice(0, maxReasonLength) };
}

function standingOf({ newSeverity, newReason }: Change): Assessment | null {
  if (newSeverity === null || !isFinding(newSeverity)) return null;
  return { severity: newSeverity, reason: newReason ?? "rated so by the last look" };
}

const judges: Record<string, (request: Change) => Assessment> = {
  exists: changeOfExistence,
  status_code: changeOfStatus,
  redirect_location: changeOfRedirect,
  "header/": changeOfHeader,
  "cookie/": changeOfCookie,
  scripts: changeOfScripts,
  frame_sources: changeOfFrames,
  form_actions: changeOfForms,
  base_href: changeOfBase,
  meta_refresh: changeOfRefresh,
  external_domains: changeOfDomains,
  download_links: changeOfDownloads,
  body_sha256: () => ({ severity: "medium", reason: "the body is another one" }),
};

function other({ attribute, kind }: Change): Assessment {
  if (kind === "appeared") return { severity: "none", reason: `${attribute} was seen for the first time` };
  return {
    severity: "notice",
    reason: `${attribute} ${kind === "disappeared" ? "is no longer there" : "is another one"}`,
  };
}

function changeOfExistence({ newValue }: Change): Assessment {
  if (newValue === false)
    return { severity: "medium", reason: "the page is gone: the server says that it does not exist" };
  return { severity: "notice", reason: "the page is there again" };
}

function changeOfStatus(request: Change): Assessment {
  const { kind, oldValue, newValue, oldSeverity } = request;
  const standing = standingOf(request);
  if (standing !== null) return standing;
  const strange = strangeTarget(request);
  if (strange !== null) return { severity: "high", reason: `the page now redirects to another site, ${strange}` };
  if (kind === "appeared") return { severity: "none", reason: "the status was seen for the first time" };
  const moved = `the server answers ${asText(newValue)} instead of ${asText(oldValue)}`;
  if (oldSeverity !== null && isFinding(oldSeverity))
    return { severity: "none", reason: `what was wrong is over: ${moved}` };
  if (request.options.knownPaths && findKnownPath(new URL(request.resource)) !== null)
    return { severity: "none", reason: moved };
  const before = Math.floor(Number(oldValue) / 100);
  const now = Math.floor(Number(newValue) / 100);
  if (before === now) return { severity: "notice", reason: moved };
  return { severity: "medium", reason: `${meaningOf(before, now)}: ${moved}` };
}

/** The host that a new redirect leads to, if that is not of the page's own site. */
function strangeTarget({ resource, context }: Change): string | null {
  const { location } = asRecord(context);
  if (typeof location !== "string") return null;
  return isSameSite(hostOf(resource), hostOf(location)) ? null : hostOf(location) || "which is none";
}

function meaningOf(before: number, now: number): string {
  if (now === 3) return "the page redirects now";
  if (before === 3) return "the page no longer redirects";
  return now === 4 ? "the page is no longer open" : "what was not open answers now";
}

function changeOfRedirect(request: Change): Assessment {
  const { kind, oldValue, newValue, resource } = request;
  if (kind === "disappeared") return { severity: "notice", reason: "there is no redirect any more" };
  const target = hostOf(newValue);
  const known = [resource, ...(kind === "appeared" ? [] : [oldValue])].map(hostOf);
  if (!known.some((host) => isSameSite(host, target))) {
    return { severity: "high", reason: `the redirect leads to another site, ${target || "which is none"}` };
  }
  const standing = standingOf(request);
  if (standing !== null) return standing;
  if (kind === "appeared") return { severity: "notice", reason: `the page redirects to ${target}` };
  return { severity: "medium", reason: "the redirect leads elsewhere on the same site" };
}

function hostOf(link: unknown): string {
  return (typeof link === "string" ? URL.parse(link)?.hostname : undefined) ?? "";
}
