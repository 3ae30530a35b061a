import { Counter, Gauge } from "prom-client";
import type { Registry } from "#runtime/metrics.ts";
import type { Channel, Destination } from "./route.ts";

export interface DeliveryMetrics {
  count(destination: Destination, outcome: "delivered" | "failed" | "given_up" | "put_off"): void;
  /** How long the oldest unfinished delivery of a destination has waited, as the store says; null for none. */
  waitingSince(destination: Destination, oldestAt: string | null): void;
  /** An event is in hand until the function it returns is called. */
  take(eventTime: string): () => void;
}

export function createDeliveryMetrics(registry: Registry): DeliveryMetrics {
  const deliveries = new Counter<"route" | "channel" | "outcome">({
    name: "paintdry_alert_deliveries_total",
    help: "Attempts to deliver alerts, by route, channel and outcome.",
    labelNames: ["route", "channel", "outcome"],
    registers: [registry],
  });
  const waiting = new Gauge<"route" | "channel">({
    name: "paintdry_alert_waiting_seconds",
    help: "How long the oldest unfinished delivery of a route has waited.",
    labelNames: ["route", "channel"],
    registers: [registry],
  });
  const inHand = new Set<{ atMs: number }>();
  registry.registerMetric(
    new Gauge({
      name: "paintdry_alert_backlog_age_seconds",
      help: "The age of the oldest event in hand; it grows while the notifier is behind.",
      registers: [],
      collect() {
        const oldestMs = Math.min(...[...inHand].map(({ atMs }) => atMs));
        this.set(Number.isFinite(oldestMs) ? Math.max(0, (Date.now() - oldestMs) / 1000) : 0);
      },
    }),
  );
  const labels = ({ route, channel }: Destination): { route: string; channel: Channel } => ({
    route: route.name,
    channel,
  });
  return {
    count: (destination, outcome) => deliveries.inc({ ...labels(destination), outcome }),
    waitingSince: (destination, oldestAt) =>
      waiting.set(labels(destination), oldestAt === null ? 0 : Math.max(0, (Date.now() - Date.parse(oldestAt)) / 1000)),
    take: (eventTime) => {
      const taken = { atMs: Date.parse(eventTime) };
      inHand.add(taken);
      return () => void inHand.delete(taken);
    },
  };
}
