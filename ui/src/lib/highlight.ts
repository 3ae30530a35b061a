/** A run of a snippet, and whether it is what was searched for. */
export interface SnippetPart {
  text: string;
  isHit: boolean;
}

/** Splits a snippet at the words of a query, in any case. Linear; nothing in the query is a pattern. */
export function highlight(snippet: string, query: string): SnippetPart[] {
  const folded = snippet.toLowerCase();
  const words = query.toLowerCase().split(/\s+/).filter(Boolean);
  // Folding that changes lengths (İ → i̇) would shift the marks: then nothing is marked.
  if (folded.length !== snippet.length || words.length === 0) return [{ text: snippet, isHit: false }];
  const parts: SnippetPart[] = [];
  let at = 0;
  while (at < snippet.length) {
    const hit = nextHit(folded, words, at);
    if (!hit) break;
    if (hit.start > at) parts.push({ text: snippet.slice(at, hit.start), isHit: false });
    parts.push({ text: snippet.slice(hit.start, hit.end), isHit: true });
    at = hit.end;
  }
  if (at < snippet.length) parts.push({ text: snippet.slice(at), isHit: false });
  return parts;
}

function nextHit(folded: string, words: string[], from: number): { start: number; end: number } | null {
  let best: { start: number; end: number } | null = null;
  for (const word of words) {
    const start = folded.indexOf(word, from);
    if (start >= 0 && (!best || start < best.start)) best = { start, end: start + word.length };
  }
  return best;
}
