import type { Status } from "#contracts/gateway.ts";
import { plural, within } from "./format.ts";

/** How fresh all that is shown is, in words; `isWell` false where a person should look. */
export function freshness(status: Status, nowMs: number): { isWell: boolean; sentences: string[] } {
  const watched = status.resources.confirmed ?? 0;
  if (watched === 0) return { isWell: true, sentences: ["Nothing is watched yet."] };
  const sentences: string[] = [];
  if (status.oldestSeenAt) {
    sentences.push(
      `Every resource seen so far was last seen well within the last ${within(nowMs - Date.parse(status.oldestSeenAt))}.`,
    );
  }
  if (status.neverSeen > 0) {
    sentences.push(`${plural(status.neverSeen, "resource has", "resources have")} not been seen well yet.`);
  }
  sentences.push(
    status.failing > 0
      ? `${plural(status.failing, "resource")} cannot be looked at right now: whether anything changed there is not known.`
      : "No look is failing.",
  );
  if (status.unpublished > 0) {
    sentences.push(`${plural(status.unpublished, "change waits", "changes wait")} to be announced to subscribers.`);
  }
  return { isWell: status.failing === 0 && status.unpublished === 0, sentences };
}
