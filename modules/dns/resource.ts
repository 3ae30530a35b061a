import { isIP } from "node:net";
import { z } from "zod";

/**
 * A host name in lower case and punycode, without the trailing dot. Of a URL its host is taken, since a configuration
 * lists the same URLs for several modules.
 */
export const HostName = z.string().transform((text, context) => {
  const read = readHostName(text);
  if ("name" in read) return read.name;
  context.addIssue({ code: "custom", message: read.refusal });
  return z.NEVER;
});

type ReadName = { name: string } | { refusal: string };

function readHostName(text: string): ReadName {
  const shown = JSON.stringify(text.replace(/\/\/.*@/, "//").slice(0, 100));
  const host = hostOf(text.trim());
  if (host === null) return { refusal: `${shown} is neither a host name nor a URL` };
  const name = host.replace(/\.$/, "");
  if (host.startsWith("[") || isIP(name) !== 0)
    return { refusal: `${shown} is an address: only names have records to watch` };
  if (!isHostName(name)) return { refusal: `${shown} is not a host name` };
  if (!name.includes("."))
    return { refusal: `${shown} is a single label: give the whole name, such as www.example.com` };
  return { name };
}

/** The host by the URL standard, which also brings names to lower case and punycode. */
function hostOf(text: string): string | null {
  const isUrl = /^[a-z][a-z0-9+.-]*:\/\//i.test(text);
  if (!isUrl && /[/\\?#@:%\s]/.test(text)) return null;
  // The host of a scheme that the standard does not name would be left as it is.
  const url = `http://${isUrl ? text.slice(text.indexOf("://") + 3) : text}`;
  return URL.canParse(url) ? new URL(url).hostname : null;
}

/** Labels of letters, digits, `-` and, as for `_dmarc`, `_`, within the limits of RFC 1035 §2.3.4. */
function isHostName(name: string): boolean {
  const label = /^[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?$/;
  return name.length <= 253 && name.split(".").every((part) => label.test(part));
}
