import { pino } from "pino";
import type { Logger } from "pino";

export type { Logger } from "pino";

/** Names under which a secret could reach a log line; redacted here and nowhere else. */
const secretPaths = ["password", "token", "authorization", "cookie", "secret", "natsUrl", "databaseUrl"];

/** Structured log lines on standard output. `PAINTDRY_LOG_LEVEL` sets the least level; default `info`. */
export function createLog(service: string, environment: NodeJS.ProcessEnv = process.env): Logger {
  return pino({
    name: service,
    level: environment.PAINTDRY_LOG_LEVEL || "info",
    redact: { paths: secretPaths.flatMap((path) => [path, `*.${path}`, `*.*.${path}`]), censor: "[redacted]" },
    timestamp: pino.stdTimeFunctions.isoTime,
  });
}
