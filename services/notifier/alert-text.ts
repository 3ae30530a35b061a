import type { Json } from "#contracts/canonical.ts";
import type { Change, Health } from "#contracts/messages.ts";
import { severityMeanings } from "#contracts/severity.ts";
import type { AlertEvent } from "./route.ts";
import type { TestEvent } from "./test-event.ts";

/** Everything that can be sent. */
export type SentEvent = AlertEvent | TestEvent;

/** What a person reads of an event. Every text in it is one that can be shown: see `visible`. */
export interface AlertText {
  /** One line, safe in a header. */
  subject: string;
  reason: string;
  rows: { label: string; text: string }[];
}

const maxNameLength = 120;
const maxReasonLength = 500;
const maxValueLength = 2000;

/** Where the UI shows an event. */
export function alertLink(event: SentEvent, uiUrl: string): string {
  const root = uiUrl.replace(/\/+$/, "");
  switch (event.type) {
    case "io.paintdry.change.v1":
      return `${root}/changes/${event.data.id}`;
    case "io.paintdry.health.v1":
      return `${root}/resources/${event.data.resourceId}`;
    case "io.paintdry.test.v1":
      return `${root}/`;
  }
}

/** An event in words. */
export function describeAlert(event: SentEvent): AlertText {
  switch (event.type) {
    case "io.paintdry.change.v1":
      return describeChange(event.data);
    case "io.paintdry.health.v1":
      return describeHealth(event.data);
    case "io.paintdry.test.v1":
      return {
        subject: "[test] paintdry: this is a test, nothing has changed",
        reason: visible(event.data.reason, maxReasonLength),
        rows: [
          { label: "Route", text: visible(event.data.route, maxNameLength) },
          { label: "Sent", text: event.time },
        ],
      };
  }
}

function describeChange(change: Change): AlertText {
  const severity = change.severity ?? "unknown";
  const reason = visible(change.reason || `${change.attribute} ${change.kind}`, maxReasonLength);
  const rows = [
    { label: "Severity", text: `${severity} (${severityMeanings[severity]})` },
    { label: "Module", text: change.module },
    { label: "Resource", text: visible(change.resource, maxReasonLength) },
    { label: "Attribute", text: visible(change.attribute, maxReasonLength) },
    { label: "What", text: change.isLate ? `${change.kind}, reported late by an older look` : change.kind },
  ];
  if (change.kind !== "appeared" && change.kind !== "happened") {
    rows.push({ label: "Old value", text: valueText(change.oldValue) });
  }
  if (change.kind !== "disappeared") rows.push({ label: "New value", text: valueText(change.newValue) });
  rows.push({ label: "Seen", text: change.observedAt });
  return { subject: subjectOf(severity, change, reason), reason, rows };
}

function describeHealth(health: Health): AlertText {
  const reason = visible(health.reason, maxReasonLength);
  const rows = [
    { label: "Module", text: health.module },
    { label: "Resource", text: visible(health.resource, maxReasonLength) },
    { label: "What", text: health.kind === "failing" ? "looks keep failing" : "looks succeed again" },
  ];
  if (health.error) {
    rows.push({ label: "Error", text: visible(`${health.error.kind}: ${health.error.message}`, maxReasonLength) });
  }
  rows.push(
    { label: "Failed looks", text: String(health.failures) },
    { label: "Failing since", text: health.failingSince },
    { label: "Last good look", text: health.lastSeenAt ?? "never" },
  );
  return { subject: subjectOf(health.kind, health, reason), reason, rows };
}

function subjectOf(mark: string, about: { module: string; resource: string }, reason: string): string {
  return visible(`[${mark}] ${about.module} ${visible(about.resource, maxNameLength)}: ${reason}`, 250);
}

function valueText(value: Json): string {
  return (JSON.stringify(value, null, 2) ?? "null").length > maxValueLength
    ? cut(JSON.stringify(value), maxValueLength)
    : visibleLines(JSON.stringify(value, null, 2));
}

function cut(text: string, most: number): string {
  return `${visible(text.slice(0, most), most * 10)}… (${text.length} characters in all)`;
}

function visibleLines(text: string): string {
  return text
    .split("\n")
    .map((line) => visible(line, maxValueLength * 10))
    .join("\n");
}

// Control, format (bidi, zero width, tags), separators, lone surrogates, private use, and the variation selectors in
// which hidden payloads travel.
const unseen = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}\p{Co}\u{E0100}-\u{E01EF}\u115F\u1160\u3164\uFFA0]/gu;

/** Hostile text as one line that hides, reorders and injects nothing, and is not longer than `most`. */
export function visible(text: string, most: number): string {
  const shown = text.length > most ? `${text.slice(0, most - 1)}…` : text;
  return shown.replace(unseen, (char) => `\\u{${(char.codePointAt(0) ?? 0).toString(16)}}`);
}
