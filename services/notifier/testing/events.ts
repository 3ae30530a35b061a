import { v7 } from "uuid";
import { changeEvent, healthEvent } from "#contracts/messages.ts";
import type { Change, ChangeEvent, Health, HealthEvent } from "#contracts/messages.ts";
import { resourceId } from "#contracts/subjects.ts";

/** A change as an assessor publishes it, with what a test cares about. */
export function someChange(facts: Partial<Change> = {}): Change {
  const { module = "git", resource = "github.com/acme/app" } = facts;
  return {
    id: v7(),
    position: 1,
    resourceId: resourceId(module, resource),
    module,
    resource,
    host: "github.com",
    owner: "acme",
    attribute: "tag/v4.1.2",
    kind: "changed",
    oldValue: "1111111111111111111111111111111111111111",
    newValue: "2222222222222222222222222222222222222222",
    severity: "critical",
    reason: "tag v4.1.2 moved to a commit that is on no branch",
    isLate: false,
    observedAt: "2026-11-22T10:00:00.000Z",
    recordedAt: "2026-11-22T10:00:01.000Z",
    ...facts,
  };
}

export function someChangeEvent(facts: Partial<Change> = {}, isReplay = false): ChangeEvent {
  return changeEvent(someChange(facts), isReplay);
}

export function someHealthEvent(facts: Partial<Health> = {}): HealthEvent {
  const { module = "http", resource = "https://example.org/" } = facts;
  return healthEvent({
    id: v7(),
    kind: "failing",
    resourceId: resourceId(module, resource),
    module,
    resource,
    host: "example.org",
    owner: "example.org",
    error: { kind: "timeout", message: "no answer within 60 s" },
    failures: 3,
    failingSince: "2026-11-22T09:00:00.000Z",
    lastSeenAt: null,
    reason: "3 looks in a row failed: no answer within 60 s",
    recordedAt: "2026-11-22T10:00:01.000Z",
    ...facts,
  });
}
