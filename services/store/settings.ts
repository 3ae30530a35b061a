import { z } from "zod";
import { count } from "./columns.ts";
import type { Statements } from "./database.ts";

const Settings = z.object({
  revision: count,
  hash: z.string().nullable(),
  everyMs: count,
  everyMsByModule: z.record(z.string(), z.number()),
  retryAfterMs: count,
  soonerAfterChangeMs: count,
  announceAfter: count,
  rediscoverEveryMs: count,
});
/** The periods of the configuration in force. */
export type Settings = z.infer<typeof Settings>;

/** What holds before the first configuration: the defaults that ship. */
const beforeTheFirst: Settings = {
  revision: 0,
  hash: null,
  everyMs: 3_600_000,
  everyMsByModule: {},
  retryAfterMs: 60_000,
  soonerAfterChangeMs: 60_000,
  announceAfter: 3,
  rediscoverEveryMs: 86_400_000,
};

/** The settings in force. */
export async function readSettings(tx: Statements): Promise<Settings> {
  const row = await tx.row(
    Settings,
    `SELECT revision, hash, every_ms AS "everyMs", every_ms_by_module AS "everyMsByModule",
        retry_after_ms AS "retryAfterMs", sooner_after_change_ms AS "soonerAfterChangeMs",
        announce_after AS "announceAfter", rediscover_every_ms AS "rediscoverEveryMs"
      FROM config_revision ORDER BY revision DESC LIMIT 1`,
  );
  return row ?? beforeTheFirst;
}

/** How often a module's resource is looked at that has no period of its own. */
export function everyMsOf(settings: Settings, module: string): number {
  return settings.everyMsByModule[module] ?? settings.everyMs;
}
