import type { HttpAnswer } from "#contracts/io.ts";

/** The media type without its parameters, in lower case; "" where the server names none. */
export function mediaType({ headers }: Pick<HttpAnswer, "headers">): string {
  return (headers["content-type"]?.[0] ?? "").split(";")[0]?.trim().toLowerCase() ?? "";
}

/** A page: said to be one, or of no said type and beginning like one. */
export function isHtml(answer: HttpAnswer): boolean {
  const type = mediaType(answer);
  if (type === "text/html" || type === "application/xhtml+xml") return true;
  return (type === "" || type === "text/plain") && /^\s*<(!doctype\s+html|html[\s>])/i.test(answer.text.slice(0, 500));
}
