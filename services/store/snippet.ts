/** How much is shown on either side of a match. */
const contextLength = 60;

/** Plain text around the first match in any of the texts. */
export function snippetAround(texts: string[], query: string): string {
  const wanted = query.toLowerCase();
  for (const text of texts) {
    const at = text.toLowerCase().indexOf(wanted);
    if (at >= 0) return cut(text, at, query.length);
  }
  return cut(texts[0] ?? "", 0, 0);
}

function cut(text: string, at: number, length: number): string {
  const start = Math.max(0, at - contextLength);
  const end = Math.min(text.length, at + length + contextLength);
  // Half a surrogate pair at an edge is no character.
  const shown = text.slice(start, end).toWellFormed();
  return `${start > 0 ? "…" : ""}${shown}${end < text.length ? "…" : ""}`;
}
