/** Longer names could not be stored as attributes. */
export const maxRefNameBytes = 512;

/**
 * Is it a name that git itself could have made (git-check-ref-format)? Names come from whoever can push, so one that
 * git would refuse was forged by the server.
 */
export function isRefName(name: string): boolean {
  return name === "HEAD" || (name.startsWith("refs/") && isWellFormed(name) && name.split("/").every(isComponent));
}

/** C1 controls are not git's rule but ours: terminals obey them. */
const forbidden = /[\p{Cc} ~^:?*[\\]/u;

function isWellFormed(name: string): boolean {
  return !forbidden.test(name) && !name.includes("..") && !name.includes("@{") && !name.endsWith(".");
}

function isComponent(component: string): boolean {
  return component !== "" && !component.startsWith(".") && !component.endsWith(".lock");
}
