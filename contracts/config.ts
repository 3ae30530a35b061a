import { z } from "zod";
import { ModuleName, ResourceName } from "./messages.ts";
import { Severity } from "./severity.ts";
import { laneHost } from "./subjects.ts";

const unitMs = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;

/** `30s`, `15m`, `1h`, `7d`; becomes milliseconds. */
export const Duration = z
  .string()
  .regex(/^\d{1,9}(ms|s|m|h|d)$/, 'a duration such as "30s", "15m", "1h" or "7d"')
  .transform((text) => {
    const [, amount, unit] = /^(\d+)(\D+)$/.exec(text) as unknown as [string, string, keyof typeof unitMs];
    return Number(amount) * unitMs[unit];
  });

const period = Duration.refine((ms) => ms >= 1000, "at least 1s");

const Schedule = z
  .strictObject({
    every: period.optional().describe("How often each resource is looked at; default 1h."),
  })
  .describe("When to look.");

/** Where a secret is: never the secret itself. */
export const SecretRef = z
  .union([
    z.strictObject({ env: z.string().min(1).describe("The name of an environment variable.") }),
    z.strictObject({ file: z.string().min(1).describe("The path of a file that holds only the secret.") }),
  ])
  .describe("Where a secret is read from; the secret itself never stands in the configuration.");
export type SecretRef = z.infer<typeof SecretRef>;

const Limit = z.strictObject({
  perSecond: z.number().positive().max(1000).default(1).describe("Looks a second."),
  concurrency: z.int().positive().max(100).default(1).describe("Looks at the same time."),
});
export type Limit = z.infer<typeof Limit>;

/** `address`, `address:port` or, for IPv6 with a port, `[address]:port`. */
const Resolver = z
  .string()
  .refine(isResolver, 'an address such as "192.0.2.53", "192.0.2.53:5353" or "[2001:db8::53]:53"');

function isResolver(text: string): boolean {
  const [, bracketed, plain, port = "53"] = /^(?:\[([^\]]+)\]|([^:]+))(?::(\d{1,5}))?$/.exec(text) ?? [];
  if (Number(port) < 1 || Number(port) > 65_535) return false;
  if (plain !== undefined) return z.ipv4().safeParse(plain).success;
  return z.ipv6().safeParse(bracketed ?? text).success;
}

const Pattern = z.string().min(1).describe("An exact text, or one with `*` for any run of characters.");

const RuleMatch = z.strictObject({
  module: Pattern.optional(),
  resource: Pattern.optional(),
  attribute: Pattern.optional(),
});

const WebhookRoute = z.strictObject({
  url: z.url({ protocol: /^https?$/ }).describe("Where the event is posted; redirects are not followed."),
  secret: SecretRef.optional().describe("The key of the HMAC-SHA256 signature."),
});

const MailRoute = z.strictObject({ to: z.array(z.email()).min(1).describe("The addresses it goes to.") });

const NotifyRoute = z.strictObject({
  name: z.string().min(1).max(64).describe("Names the route in the delivery log."),
  least: Severity.default("medium").describe("The least severity that is sent."),
  modules: z.array(Pattern).min(1).optional().describe("Only these modules."),
  owners: z.array(Pattern).min(1).optional().describe("Only these owners."),
  health: z.boolean().default(false).describe("Also looks that keep failing, and their recovery."),
  webhook: WebhookRoute.optional(),
  email: MailRoute.optional(),
});
export type NotifyRoute = z.infer<typeof NotifyRoute>;

/**
 * A module's own section. Keys beyond these are the module's options, validated by the module itself.
 * `command` and `slow` are the prototype's.
 */
export const ModuleSection = z
  .looseObject({
    command: z.string().min(1).optional().describe("A command that speaks JSON lines; overrides a native module."),
    environment: z.array(z.string()).optional().describe("Names of environment variables the command is given."),
    slow: z.boolean().optional().describe("Looks get the long deadline of 10 minutes."),
    deadline: period.optional().describe("How long a look may take; default 60s, or 10m where it is slow."),
    schedule: Schedule.optional(),
  })
  .describe("Options of one module.");
export type ModuleSection = z.infer<typeof ModuleSection>;

/** `config.json`. Unknown keys are faults, but for modules' options, which their modules check. */
export const Config = z.strictObject({
  $schema: z.string().optional().describe("For editors."),
  targets: z
    .array(
      z.strictObject({
        modules: z.array(ModuleName).min(1).describe("By these modules…"),
        resources: z.array(ResourceName).describe("…each of these, as the modules name them."),
        schedule: Schedule.optional(),
      }),
    )
    .default([])
    .describe("What is watched: each of the resources by each of the modules."),
  modules: z.record(ModuleName, ModuleSection).default({}).describe("Options by module."),
  schedule: Schedule.extend({
    every: period.prefault("1h").describe("How often each resource is looked at."),
    retryAfter: period.prefault("1m").describe("How long after a failed look to try again; doubles up to `every`."),
    soonerAfterChange: period.prefault("1m").describe("How long after a change to look again."),
    announceAfter: z.int().positive().default(3).describe("Failed looks in a row before it is announced."),
    rediscoverEvery: period.prefault("1d").describe("How often discovery runs again."),
  }).prefault({}),
  limits: z
    .strictObject({
      default: Limit.prefault({}),
      hosts: z.record(z.string(), Limit).default({}).describe("By host, or by lane such as `github.com~git`."),
    })
    .prefault({})
    .describe("How politely each host is treated."),
  scope: z
    .strictObject({
      hosts: z.array(Pattern).default([]).describe("Hosts that suggestions may bring, beyond the targets' own."),
      owners: z.array(Pattern).default([]).describe("Owners that suggestions may bring, beyond the targets' own."),
      perSource: z.int().positive().default(10_000).describe("The most resources that one source may bring."),
    })
    .prefault({})
    .describe("What suggestions may add without asking a person."),
  egress: z
    .strictObject({
      allow: z
        .array(z.union([z.cidrv4(), z.cidrv6()]))
        .default([])
        .describe("Private networks that may be reached."),
      deny: z
        .array(z.union([z.cidrv4(), z.cidrv6()]))
        .default([])
        .describe("Public networks that may not be reached."),
      proxy: z
        .url({ protocol: /^https?$/ })
        .optional()
        .describe("An upstream HTTP proxy."),
    })
    .prefault({})
    .describe("Where fetchers may connect to."),
  dns: z
    .strictObject({
      servers: z
        .array(Resolver)
        .default([])
        .describe("Resolvers as `address`, `address:port` or `[address]:port`; default the system's."),
    })
    .prefault({}),
  credentials: z
    .record(
      z.string(),
      z.strictObject({
        username: z.string().optional().describe("For basic authentication; a token alone is sent as a bearer token."),
        token: SecretRef,
      }),
    )
    .default({})
    .describe("By host: read by fetchers only."),
  rules: z
    .strictObject({
      ignore: z.array(RuleMatch).default([]).describe("Changes that are recorded in the history but raise nothing."),
      severity: z
        .array(RuleMatch.extend({ severity: Severity, reason: z.string().min(1).describe("Shown with the change.") }))
        .default([])
        .describe("The first that matches decides the severity of a change."),
    })
    .prefault({}),
  notify: z
    .strictObject({
      routes: z
        .array(NotifyRoute)
        .refine(hasDistinctNames, "routes with different names: the delivery log tells them apart by name")
        .default([]),
      smtp: z
        .strictObject({
          host: z.string().min(1).describe("The mail server."),
          port: z.int().min(1).max(65_535).default(587),
          isTls: z.boolean().default(false).describe("TLS from the first byte; else STARTTLS where offered."),
          from: z.string().min(1).describe("The sender's address."),
          username: z.string().optional(),
          password: SecretRef.optional(),
        })
        .optional(),
      link: z
        .url({ protocol: /^https?$/ })
        .default("http://localhost:8080")
        .describe("Where the UI is, for links in alerts."),
    })
    .prefault({}),
});
export type Config = z.infer<typeof Config>;

function hasDistinctNames(routes: readonly { name: string }[]): boolean {
  return new Set(routes.map((route) => route.name)).size === routes.length;
}

/** One thing that is wrong with a configuration, in plain words. */
export interface ConfigFault {
  /** Such as `targets[0].modules[1]`; empty for the file as a whole. */
  path: string;
  /** What was found there, cut to a line. */
  found: string;
  /** What is allowed there. */
  allowed: string;
}

/** The limit of a lane: its own, its host's, or the default. */
export function laneLimit(lane: string, { hosts, default: fallback }: Config["limits"]): Limit {
  const named = [lane, laneHost(lane)].find((name) => Object.hasOwn(hosts, name));
  return (named === undefined ? undefined : hosts[named]) ?? fallback;
}

/** Does a pattern with `*` match the whole text? Linear in the text. */
export function matchesPattern(pattern: string, text: string): boolean {
  const parts = pattern.split("*");
  const [first = ""] = parts;
  const last = parts.at(-1) ?? "";
  if (parts.length === 1) return pattern === text;
  if (!text.startsWith(first) || !text.endsWith(last) || text.length < first.length + last.length) return false;
  let at = first.length;
  const end = text.length - last.length;
  for (const part of parts.slice(1, -1)) {
    const found = text.indexOf(part, at);
    if (found < 0 || found + part.length > end) return false;
    at = found + part.length;
  }
  return true;
}
