/** Where a path leads. */
export type Screen =
  | { name: "feed" }
  | { name: "change"; id: string }
  | { name: "findings" }
  | { name: "resources" }
  | { name: "resource"; id: string }
  | { name: "search" }
  | { name: "system" }
  | { name: "unknown"; path: string };

const plain = ["findings", "resources", "search", "system"] as const;

/** The screen of a URL's path. */
export function screenOf(path: string): Screen {
  const [first = "", id, ...rest] = path.split("/").filter(Boolean);
  if (rest.length > 0) return { name: "unknown", path };
  if (id !== undefined) {
    if (first === "changes" && /^[0-9a-f-]{36}$/i.test(id)) return { name: "change", id };
    if (first === "resources" && /^[0-9a-f]{32}$/.test(id)) return { name: "resource", id };
    return { name: "unknown", path };
  }
  if (first === "" || first === "changes") return { name: "feed" };
  const name = plain.find((each) => each === first);
  return name ? { name } : { name: "unknown", path };
}

/** A path with its query; what is empty is left out, so that equal states have equal addresses. */
export function pathWith(path: string, query: Record<string, string | null | undefined>): string {
  const search = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) if (value) search.set(name, value);
  return search.size > 0 ? `${path}?${search}` : path;
}

export const paths = {
  change: (id: string) => `/changes/${id}`,
  resource: (id: string, query: Record<string, string | null | undefined> = {}) => pathWith(`/resources/${id}`, query),
};
