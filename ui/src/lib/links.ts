/** An observed text as an address that may be linked to, or null: only http and https, and no user name in it. */
export function safeLink(text: string): string | null {
  if (!/^https?:\/\//i.test(text) || text.length > 2048) return null;
  const url = URL.parse(text);
  if (!url || (url.protocol !== "http:" && url.protocol !== "https:")) return null;
  return url.username || url.password ? null : url.href;
}
