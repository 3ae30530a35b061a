import { Counter, Gauge } from "prom-client";
import type { Registry } from "#runtime/metrics.ts";
import type { Api } from "./api.ts";
import type { Live } from "./live/live.ts";

/** The gateway's own series. A route's label is its pattern, so that no address makes a series of its own. */
export function measure(app: Api, metrics: Registry, live: Live): void {
  const requests = new Counter({
    name: "paintdry_gateway_requests_total",
    help: "HTTP requests answered.",
    labelNames: ["method", "route", "status"],
    registers: [metrics],
  });
  app.addHook("onResponse", async (request, reply) => {
    const route = request.routeOptions.url ?? "none";
    requests.inc({ method: request.method, route, status: reply.statusCode });
  });
  addGauge(metrics, "paintdry_gateway_live_clients", "Open WebSockets.", () => live.clients());
  addGauge(metrics, "paintdry_gateway_feed_position", "The newest change read from the feed.", () => live.position());
}

function addGauge(metrics: Registry, name: string, help: string, read: () => number): void {
  const gauge = new Gauge({
    name,
    help,
    registers: [metrics],
    collect() {
      this.set(read());
    },
  });
  gauge.set(0);
}
