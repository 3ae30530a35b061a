import { Config } from "#contracts/config.ts";
import type { NotifySettings } from "../send.ts";

/** Routes as they stand in config.json, for receivers on this machine. */
export function notifySettings(receivers: { webhookUrl?: string; smtpPort?: number }): NotifySettings {
  const { webhookUrl, smtpPort } = receivers;
  const routes = [
    ...(webhookUrl ? [{ name: "hook", least: "none", health: true, webhook: { url: webhookUrl } }] : []),
    ...(smtpPort ? [{ name: "mail", least: "none", health: true, email: { to: ["ops@example.org"] } }] : []),
  ];
  const smtp = { host: "127.0.0.1", port: smtpPort ?? 25, from: "paintdry@example.org" };
  return Config.parse({ notify: { routes, smtp } }).notify;
}
