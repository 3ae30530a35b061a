import { readFileSync } from "node:fs";
import type { IncomingMessage, ServerResponse } from "node:http";
import type { ReceivedMail } from "./mailbox.ts";
import { startWebServer } from "./web-server.ts";
import type { WebServer } from "./web-server.ts";

/** A mail as the page is told of it. Every text in it is whatever was sent: the page shows it as text alone. */
interface ShownMail {
  subject: string;
  from: string;
  to: string;
  date: string;
  text: string;
  /** Where paintdry shows the change, or null. */
  link: string | null;
}

const shownMails = 100;

const files = new Map([
  ["/", { file: "index.html", type: "text/html; charset=utf-8" }],
  ["/mailbox.js", { file: "mailbox.js", type: "text/javascript; charset=utf-8" }],
  ["/mailbox.css", { file: "mailbox.css", type: "text/css; charset=utf-8" }],
]);

/** Nothing but the page's own files may run in it. */
const headers = {
  "content-security-policy":
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; " +
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  "x-content-type-options": "nosniff",
  "referrer-policy": "no-referrer",
  "cache-control": "no-store",
};

/** A page that shows what came into a mailbox, newest first. */
export async function startMailboxPage(
  mails: readonly ReceivedMail[],
  { uiUrl, port }: { uiUrl: string; port: number },
): Promise<WebServer> {
  return await startWebServer((request, response) => {
    if (!isLocal(request)) return void response.writeHead(403, headers).end();
    if (request.url === "/mails.json") {
      const shown = mails.slice(-shownMails).toReversed();
      return sendText(response, "application/json", JSON.stringify(shown.map((mail) => showMail(mail, uiUrl))));
    }
    const found = files.get(request.url ?? "");
    if (found === undefined) return void response.writeHead(404, headers).end();
    sendText(response, found.type, readFileSync(new URL(`../mailbox-page/${found.file}`, import.meta.url), "utf8"));
  }, port);
}

/** A page elsewhere whose name was bound to loopback gets nothing. */
function isLocal({ headers: { host = "" } }: IncomingMessage): boolean {
  return /^(localhost|127\.0\.0\.1):\d+$/.test(host);
}

function sendText(response: ServerResponse, type: string, text: string): void {
  response.writeHead(200, { ...headers, "content-type": type }).end(text);
}

function showMail({ mail, recipients }: ReceivedMail, uiUrl: string): ShownMail {
  const text = mail.text ?? "";
  return {
    subject: mail.subject ?? "(no subject)",
    from: mail.from?.address ?? "",
    to: recipients.join(", "),
    date: mail.date ?? "",
    text,
    link: linkIn(text, uiUrl),
  };
}

/** Only paintdry's own addresses of changes become links. */
function linkIn(text: string, uiUrl: string): string | null {
  const id = /\/changes\/([0-9a-f-]{36})\b/.exec(text)?.[1];
  return id !== undefined && text.includes(`${uiUrl}/changes/${id}`) ? `${uiUrl}/changes/${id}` : null;
}
