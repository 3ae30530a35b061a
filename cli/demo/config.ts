import type { z } from "zod";
import type { Config } from "#contracts/config.ts";
import type { Scenery } from "./scenery.ts";

/** `config.json` of the demonstration: looks that follow one another closely, and an alert for all from medium on. */
export function demoConfig(scenery: Scenery, uiUrl: string): z.input<typeof Config> {
  return {
    targets: scenery.watched.map(({ module, resource }) => ({ modules: [module], resources: [resource] })),
    schedule: { every: "3s", retryAfter: "2s", soonerAfterChange: "1s" },
    limits: { default: { perSecond: 20, concurrency: 4 } },
    egress: { allow: ["127.0.0.0/8"] },
    dns: { servers: [`127.0.0.1:${scenery.dns.port}`] },
    notify: {
      routes: [{ name: "mailbox", least: "medium", email: { to: ["you@demo.example"] } }],
      smtp: { host: "127.0.0.1", port: scenery.smtpPort, from: "paintdry@demo.example" },
      link: uiUrl,
    },
  };
}
