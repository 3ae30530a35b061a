import { collectDefaultMetrics, Registry } from "prom-client";

export type { Registry } from "prom-client";

/** A Prometheus registry with the process's own metrics and every series labelled by service. */
export function createMetrics(service: string): Registry {
  const registry = new Registry();
  registry.setDefaultLabels({ service });
  collectDefaultMetrics({ register: registry });
  return registry;
}
