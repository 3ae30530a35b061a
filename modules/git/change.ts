import type { Json } from "#contracts/canonical.ts";
import type { Assessment, ChangeRequest } from "#contracts/module.ts";
import type { Severity } from "#contracts/severity.ts";
import { isFloating, type Options } from "./options.ts";
import { type Reachability, TagContext, TagValue } from "./tag.ts";

/** How bad a change of a repository's refs is, and why. Pure. */
export function assessChange(request: ChangeRequest<Options>): Assessment {
  const { attribute, kind } = request;
  if (attribute.startsWith("tag/")) return assessTag(attribute.slice("tag/".length), request);
  if (attribute.startsWith("branch/")) return assessBranch(attribute.slice("branch/".length), request);
  if (attribute === "moved_to") return assessMove(request);
  if (attribute === "default_branch") return assessDefaultBranch(request);
  if (attribute === "exists") return assessExistence(kind === "appeared");
  return { severity: "unknown", reason: `${attribute} ${kind}` };
}

function assessTag(name: string, request: ChangeRequest<Options>): Assessment {
  const isFloat = isFloating(name, request.options);
  const oldTag = TagValue.safeParse(request.oldValue).data;
  const newTag = TagValue.safeParse(request.newValue).data;
  const context = TagContext.safeParse(request.context).data;
  const title = `${isFloat ? "floating tag" : "tag"} ${name}`;
  if (newTag === undefined) {
    const from = oldTag === undefined ? "" : `; it was at ${short(oldTag.commit)}`;
    return { severity: isFloat ? "medium" : "high", reason: `${title} was deleted${from}` };
  }
  const before = oldTag ?? context?.deletedValue ?? undefined;
  if (before === undefined) return { severity: "notice", reason: `new ${title} at ${short(newTag.commit)}` };
  const again = oldTag === undefined ? "was deleted, made again and" : "";
  if (before.commit !== newTag.commit) {
    const reachability = context?.reachability ?? { outcome: "unknown", reason: "this look did not ask" };
    const way = `${again} moved from ${short(before.commit)} to ${short(newTag.commit)}`.trim();
    return { severity: moveSeverity(isFloat, reachability), reason: `${title} ${way}, ${whereabouts(reachability)}` };
  }
  const what = again === "" ? signedAnew(before, newTag) : "was deleted and made again";
  return { severity: "notice", reason: `${title} ${what}; it leads to the same commit ${short(newTag.commit)}` };
}

function moveSeverity(isFloat: boolean, reachability: Reachability): Severity {
  if (reachability.outcome === "unknown") return isFloat ? "medium" : "high";
  if (reachability.branches.length === 0) return isFloat ? "high" : "critical";
  return isFloat ? "notice" : "high";
}

function whereabouts(reachability: Reachability): string {
  if (reachability.outcome === "unknown") {
    return `and whether that is on a branch could not be found out: ${reachability.reason.slice(0, 200)}`;
  }
  const [first, ...others] = reachability.branches.map((branch) => branch.slice(0, 60));
  if (first === undefined) return "which is on no branch";
  if (others.length === 0) return `which is on branch ${first}`;
  const shown = others.slice(0, 2);
  const more = others.length > shown.length ? " and others" : "";
  return `which is on branches ${[first, ...shown].join(", ")}${more}`;
}

function signedAnew(before: TagValue, now: TagValue): string {
  if (before.object === null) return "was made an annotated tag";
  return now.object === null ? "lost its annotation" : "was signed or annotated anew";
}

function assessBranch(name: string, { kind, oldValue, newValue }: ChangeRequest<Options>): Assessment {
  if (kind === "disappeared") return { severity: "medium", reason: `branch ${name} was deleted at ${short(oldValue)}` };
  if (kind === "appeared") return { severity: "notice", reason: `new branch ${name} at ${short(newValue)}` };
  return { severity: "notice", reason: `branch ${name} went from ${short(oldValue)} to ${short(newValue)}` };
}

function assessMove({ kind, oldValue, newValue }: ChangeRequest<Options>): Assessment {
  if (kind !== "disappeared") {
    return { severity: "high", reason: `the repository's address now leads to ${text(newValue)}` };
  }
  const reason = `the address no longer leads on to ${text(oldValue)}: another repository may have taken its name`;
  return { severity: "high", reason };
}

function assessDefaultBranch({ kind, oldValue, newValue }: ChangeRequest<Options>): Assessment {
  if (kind === "appeared") return { severity: "notice", reason: `the default branch is ${text(newValue)}` };
  if (kind === "disappeared") return { severity: "medium", reason: `the default branch ${text(oldValue)} is gone` };
  return { severity: "medium", reason: `the default branch is now ${text(newValue)}, was ${text(oldValue)}` };
}

function assessExistence(isBack: boolean): Assessment {
  if (!isBack) return { severity: "high", reason: "the repository is gone: deleted, or hidden from us" };
  return { severity: "high", reason: "the repository is back: somebody else may have taken its name" };
}

function short(id: Json): string {
  return text(id).slice(0, 7);
}

function text(value: Json): string {
  return typeof value === "string" ? value.slice(0, 200) : JSON.stringify(value).slice(0, 200);
}
