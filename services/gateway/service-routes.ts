import type { Registry } from "#runtime/metrics.ts";
import type { Api } from "./api.ts";

/** What operators and their tools ask: is it alive, could it work, and its numbers. */
export function addServiceRoutes(
  app: Api,
  { metrics, notReadyBecause }: { metrics: Registry; notReadyBecause(): string | null },
): void {
  const schema = { hide: true };
  app.get("/healthz", { schema }, async (_request, reply) => reply.type("text/plain; charset=utf-8").send("ok\n"));
  app.get("/readyz", { schema }, async (_request, reply) => {
    const reason = notReadyBecause();
    return reply
      .code(reason === null ? 200 : 503)
      .type("text/plain; charset=utf-8")
      .send(`${reason ?? "ok"}\n`);
  });
  app.get("/metrics", { schema }, async (_request, reply) =>
    reply.type(metrics.contentType).send(await metrics.metrics()),
  );
}
