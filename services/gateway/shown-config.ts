import type { Json } from "#contracts/canonical.ts";
import type { StoreReply } from "#contracts/store.ts";

/**
 * The configuration as everybody may see it. It names the places of secrets, never their content, but for addresses
 * that are secrets themselves: of webhooks, which many receivers tell senders by, and of a proxy with its password.
 */
export function shownConfig(config: StoreReply<"read.config">): StoreReply<"read.config"> {
  return { ...config, document: shown(config.document, []) };
}

function shown(value: Json, path: string[]): Json {
  if (typeof value === "string") return shownText(value, path);
  if (typeof value !== "object" || value === null) return value;
  if (Array.isArray(value)) return value.map((inner) => shown(inner, path));
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, shown(inner, [...path, key])]));
}

function shownText(text: string, path: string[]): string {
  const url = URL.parse(text);
  if (url === null || !/^https?:$/.test(url.protocol)) return text;
  if (path.at(-2) === "webhook") return `${url.origin}/…`;
  if (url.username === "" && url.password === "") return text;
  return text.replace(/\/\/.*@/, "//…@");
}
