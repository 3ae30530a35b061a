/** A run of observed text: shown as it is, or a character that would hide or reorder its neighbours. */
export type TextPart = { kind: "text"; text: string } | { kind: "mark"; mark: string; name: string };

// Control, format (bidi, zero width, tags), line and paragraph separators, lone surrogates, private use, and the
// variation selectors in which hidden payloads travel.
const unseen = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}\p{Co}\u{E0100}-\u{E01EF}\u115F\u1160\u3164\uFFA0]/u;
const unseenAll = new RegExp(unseen.source, "gu");

const controls = [
  "NUL SOH STX ETX EOT ENQ ACK BEL BS TAB LF VT FF CR SO SI",
  "DLE DC1 DC2 DC3 DC4 NAK SYN ETB CAN EM SUB ESC FS GS RS US",
].flatMap((row) => row.split(" "));

const names: Record<number, string> = {
  0x00: "null",
  0x09: "tab",
  0x0a: "line feed",
  0x0d: "carriage return",
  0x1b: "escape",
  0x7f: "delete",
  0xad: "soft hyphen",
  0x61c: "Arabic letter mark",
  0x200b: "zero width space",
  0x200c: "zero width non-joiner",
  0x200d: "zero width joiner",
  0x200e: "left-to-right mark",
  0x200f: "right-to-left mark",
  0x202a: "left-to-right embedding",
  0x202b: "right-to-left embedding",
  0x202c: "pop directional formatting",
  0x202d: "left-to-right override",
  0x202e: "right-to-left override",
  0x2028: "line separator",
  0x2029: "paragraph separator",
  0x2066: "left-to-right isolate",
  0x2067: "right-to-left isolate",
  0x2068: "first strong isolate",
  0x2069: "pop directional isolate",
  0xfeff: "byte order mark",
};

/**
 * Splits hostile text into parts that can be shown without being obeyed. With `keepLines`, line ends and tabs stay
 * as they are; else they are marks too.
 */
export function visibleParts(text: string, keepLines = false): TextPart[] {
  const parts: TextPart[] = [];
  let at = 0;
  for (const match of text.matchAll(unseenAll)) {
    if (keepLines && isLayout(match[0], text[match.index + 1])) continue;
    if (match.index > at) parts.push({ kind: "text", text: text.slice(at, match.index) });
    parts.push(markOf(match[0]));
    at = match.index + match[0].length;
  }
  if (at < text.length) parts.push({ kind: "text", text: text.slice(at) });
  return parts;
}

/** The same as one plain string, for titles and labels. */
export function visibleText(text: string): string {
  return unseen.test(text) ? text.replace(unseenAll, (char) => markOf(char).mark) : text;
}

function isLayout(char: string, next: string | undefined): boolean {
  return char === "\n" || char === "\t" || (char === "\r" && next === "\n");
}

function markOf(char: string): TextPart & { kind: "mark" } {
  const code = char.codePointAt(0) ?? 0;
  const point = `U+${code.toString(16).toUpperCase().padStart(4, "0")}`;
  return { kind: "mark", mark: shortMark(code) ?? `‹${point}›`, name: names[code] ? `${point} ${names[code]}` : point };
}

/** ASCII's own names for its controls; Unicode's pictures of them are missing from many fonts. */
function shortMark(code: number): string | null {
  if (code === 0x0a) return "↵";
  if (code < 0x20) return `‹${controls[code]}›`;
  return code === 0x7f ? "‹DEL›" : null;
}
