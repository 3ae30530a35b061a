import { z } from "zod";
import { matchesPattern } from "#contracts/config.ts";
import type { NotifyRoute } from "#contracts/config.ts";
import { ChangeEvent, HealthEvent } from "#contracts/messages.ts";
import { isAtLeast } from "#contracts/severity.ts";
import type { Delivery } from "#contracts/store.ts";

/** What people can be alerted to. */
export const AlertEvent = z.discriminatedUnion("type", [ChangeEvent, HealthEvent]);
export type AlertEvent = z.infer<typeof AlertEvent>;

export type Channel = Delivery["channel"];

/** One channel of one route: what a delivery goes to. */
export interface Destination {
  route: NotifyRoute;
  channel: Channel;
}

/** Where an event goes. A replayed event goes nowhere: it was sent when it was new. */
export function destinationsOf(event: AlertEvent, routes: readonly NotifyRoute[]): Destination[] {
  if (event.type === "io.paintdry.change.v1" && event.replay) return [];
  return routes.filter((route) => isRoutedTo(event, route)).flatMap(channelsOf);
}

/** A route's channels. */
export function channelsOf(route: NotifyRoute): Destination[] {
  const destinations: Destination[] = [];
  if (route.webhook) destinations.push({ route, channel: "webhook" });
  if (route.email) destinations.push({ route, channel: "email" });
  return destinations;
}

function isRoutedTo(event: AlertEvent, route: NotifyRoute): boolean {
  const { module, owner } = event.data;
  if (!isAnyOf(route.modules, module) || !isAnyOf(route.owners, owner)) return false;
  if (event.type === "io.paintdry.health.v1") return route.health;
  return isAtLeast(event.data.severity, route.least);
}

function isAnyOf(patterns: readonly string[] | undefined, text: string): boolean {
  return patterns === undefined || patterns.some((pattern) => matchesPattern(pattern, text));
}
