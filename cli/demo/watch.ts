import { setTimeout as sleep } from "node:timers/promises";
import { z } from "zod";
import { Change } from "#contracts/messages.ts";
import { ResourceSummary } from "#contracts/store.ts";
import type { GatewayClient } from "../gateway-client.ts";
import type { Scenery } from "./scenery.ts";
import type { Step } from "./steps.ts";

const Resources = z.object({ items: z.array(ResourceSummary) });
const Changes = z.object({ items: z.array(Change) });

const askAgainAfterMs = 100;

/** Until every watched resource was looked at once; answers those that were not in time. */
export async function waitForBaseline(
  gateway: GatewayClient,
  { watched }: Scenery,
  { signal, withinMs }: { signal: AbortSignal; withinMs: number },
): Promise<string[]> {
  const endsAt = performance.now() + withinMs;
  for (;;) {
    const { items } = await gateway.get("resources", { limit: "100" }, Resources);
    const seen = new Set(items.filter((found) => found.lastSeenAt !== null).map((found) => found.resource));
    const missing = watched.map(({ resource }) => resource).filter((resource) => !seen.has(resource));
    if (missing.length === 0 || performance.now() > endsAt) return missing;
    await sleep(askAgainAfterMs, undefined, { signal });
  }
}

/** The feed position of the newest change, or 0. */
export async function newestPosition(gateway: GatewayClient): Promise<number> {
  const { items } = await gateway.get("changes", { limit: "1" }, Changes);
  return items[0]?.position ?? 0;
}

/** The change that a step raised, or null when none came in time. */
export async function waitForChange(
  gateway: GatewayClient,
  { module, attribute }: Step,
  { after, signal, withinMs }: { after: number; signal: AbortSignal; withinMs: number },
): Promise<Change | null> {
  const endsAt = performance.now() + withinMs;
  for (;;) {
    const { items } = await gateway.get("changes", { limit: "50", module }, Changes);
    const found = items.find((change) => change.attribute === attribute && change.position > after);
    if (found !== undefined) return found;
    if (performance.now() > endsAt) return null;
    await sleep(askAgainAfterMs, undefined, { signal });
  }
}

/** Has the alert of a change come into the mailbox in time? */
export async function waitForMail(
  { mails }: Pick<Scenery, "mails">,
  link: string,
  { signal, withinMs }: { signal: AbortSignal; withinMs: number },
): Promise<boolean> {
  const endsAt = performance.now() + withinMs;
  for (;;) {
    if (mails.some(({ mail }) => mail.text?.includes(link))) return true;
    if (performance.now() > endsAt) return false;
    await sleep(askAgainAfterMs, undefined, { signal });
  }
}
