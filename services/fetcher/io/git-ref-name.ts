/** Longer names could not be stored as attributes. */
export const maxRefNameBytes = 512;

/**
 * Is it a name that git itself could have made (git-check-ref-format)? Names come from whoever can push, so one that
 * git would refuse was forged by the server.
 */
export function isRefName(name: string): boolean {
  return name === "HEAD" || (name.startsWith("refs/") && isWellFormed(name) && name.split("/").every(isComponent));
}

function isWellFormed(name: string): boolean {
  return !hasForbiddenCharacter(name) && !name.includes("..") && !name.includes("@{") && !name.endsWith(".");
}

function isComponent(component: string): boolean {
  return component !== "" && !component.startsWith(".") && !component.endsWith(".lock");
}

function hasForbiddenCharacter(name: string): boolean {
  for (const char of name) {
    // C1 controls are not git's rule but ours: terminals obey them.
    const code = char.codePointAt(0) ?? 0;
    if (code <= 0x20 || (code >= 0x7f && code <= 0x9f) || "~^:?*[\\".includes(char)) return true;
  }
  return false;
}
