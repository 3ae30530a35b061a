import { createTransport } from "nodemailer";
import type { NodemailerError, SMTPTransportOptions, SendMailOptions } from "nodemailer";
import type { Config, NotifyRoute } from "#contracts/config.ts";
import { token } from "#contracts/subjects.ts";
import { alertLink, describeAlert, visible } from "./alert-text.ts";
import type { AlertText, SentEvent } from "./alert-text.ts";
import type { Attempt } from "./attempt.ts";

export type Smtp = NonNullable<Config["notify"]["smtp"]>;

/** How long the server may be silent; a whole mail may take twice that. */
const stepWithinMs = 15_000;

export interface MailSending {
  route: Pick<NotifyRoute, "name" | "email">;
  smtp: Smtp;
  /** Null where the server asks for none. */
  password: string | null;
  /** Where the UI is. */
  uiUrl: string;
  timeoutMs?: number;
}

/** Sends one mail to all of a route's addresses. */
export async function sendMail(event: SentEvent, sending: MailSending): Promise<Attempt> {
  const transport = createTransport(transportOptions(sending));
  try {
    const signal = AbortSignal.timeout((sending.timeoutMs ?? stepWithinMs) * 2);
    const sent = await transport.sendMail({ ...composeMail(event, sending), signal });
    const refused = sent.rejected.length;
    return {
      state: "delivered",
      detail:
        refused === 0
          ? "accepted by the mail server"
          : `accepted by the mail server, but ${refused} address(es) refused`,
    };
  } catch (error) {
    return judgeMailError(error as NodemailerError);
  } finally {
    transport.close();
  }
}

/**
 * The mail of an event. Its Message-ID is the same for every attempt, so that mail systems recognise the rare repeat
 * after a crash between the server's answer and our record of it.
 */
export function composeMail(event: SentEvent, { route, smtp, uiUrl }: MailSending): SendMailOptions {
  const alert = describeAlert(event);
  const link = alertLink(event, uiUrl);
  return {
    from: smtp.from,
    to: route.email?.to ?? [],
    subject: alert.subject,
    messageId: `<${event.id}.${token(route.name)}@paintdry>`,
    date: event.time,
    text: plainText(alert, link),
    html: htmlText(alert, link),
    // RFC 3834: no out-of-office answers, please.
    headers: { "Auto-Submitted": "auto-generated" },
    disableFileAccess: true,
    disableUrlAccess: true,
  };
}

function plainText({ reason, rows }: AlertText, link: string): string {
  const width = Math.max(...rows.map(({ label }) => label.length)) + 2;
  const lines = rows.map(
    ({ label, text }) => `${`${label}:`.padEnd(width)}${text.replaceAll("\n", `\n${" ".repeat(width)}`)}`,
  );
  return `${reason}\n\n${lines.join("\n")}\n\n${link}\n`;
}

function htmlText({ reason, rows }: AlertText, link: string): string {
  const cells = rows.map(
    ({ label, text }) =>
      `<tr><th align="left" valign="top">${escapeHtml(label)}</th>` +
      `<td style="white-space:pre-wrap;overflow-wrap:anywhere;font-family:monospace">${escapeHtml(text)}</td></tr>`,
  );
  return (
    `<!doctype html><html><body style="font-family:sans-serif"><p><b>${escapeHtml(reason)}</b></p>` +
    `<table cellpadding="4">${cells.join("")}</table>` +
    `<p><a href="${escapeHtml(link)}">Show it in paintdry</a></p></body></html>`
  );
}

const htmlEscapes: Record<string, string> = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;" };

function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (char) => htmlEscapes[char] ?? "");
}

function transportOptions({ smtp, password, timeoutMs = stepWithinMs }: MailSending): SMTPTransportOptions {
  // A password goes over an encrypted line to a server that proves its name, unless it stays on this machine.
  const requireTLS = !smtp.isTls && password !== null && !isLoopback(smtp.host);
  return {
    host: smtp.host,
    port: smtp.port,
    secure: smtp.isTls,
    requireTLS,
    // Where plain text would do, a certificate nobody can check is still better than plain text.
    tls: { rejectUnauthorized: smtp.isTls || requireTLS },
    ...(smtp.username === undefined ? {} : { auth: { user: smtp.username, pass: password ?? "" } }),
    connectionTimeout: timeoutMs,
    greetingTimeout: timeoutMs,
    dnsTimeout: timeoutMs,
    socketTimeout: timeoutMs,
    maxResponseSize: 65_536,
  };
}

function isLoopback(host: string): boolean {
  return host === "localhost" || host === "::1" || /^127(\.\d{1,3}){3}$/.test(host);
}

/**
 * 5xx is for good, but for a refused login, which the operator can put right while the mail waits. Everything else,
 * from 4xx to a lost connection, is tried again.
 */
function judgeMailError(error: NodemailerError): Attempt {
  const code = error.code ?? "error";
  const answer = error.responseCode === undefined ? code : `${code} ${error.responseCode}`;
  const detail = visible(`the mail server did not take it: ${answer}`, 200);
  const isForGood = (error.permanent === true || code === "EENVELOPE") && error.permanent !== false && code !== "EAUTH";
  return { state: isForGood ? "given_up" : "failed", detail };
}
