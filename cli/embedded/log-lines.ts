import { z } from "zod";

const PinoLine = z.looseObject({
  level: z.number(),
  msg: z.string().optional(),
  reason: z.string().optional(),
  err: z.looseObject({ message: z.string().optional() }).optional(),
});

export type Urgency = "info" | "warning" | "error" | "fatal";

export interface LogLine {
  urgency: Urgency;
  text: string;
}

/** What a line of a child's log says to a person: of our services (pino), nats-server or PostgreSQL. */
export function readLogLine(line: string): LogLine {
  if (line.startsWith("{")) return readPino(line);
  const nats = /^\[\d+\] \S+ \S+ \[(INF|WRN|ERR|FTL|DBG|TRC)\] (.*)$/.exec(line);
  if (nats) {
    const urgencies: Record<string, Urgency> = { WRN: "warning", ERR: "error", FTL: "fatal" };
    return { urgency: urgencies[nats[1] ?? ""] ?? "info", text: nats[2] ?? "" };
  }
  const postgres = / (WARNING|ERROR|FATAL|PANIC): +(.*)$/.exec(line);
  if (postgres) return { urgency: postgres[1] === "PANIC" ? "fatal" : "warning", text: postgres[2] ?? "" };
  return { urgency: "info", text: line };
}

function readPino(line: string): LogLine {
  try {
    const { level, msg, reason, err } = PinoLine.parse(JSON.parse(line));
    const urgency = level >= 60 ? "fatal" : level >= 50 ? "error" : level >= 40 ? "warning" : "info";
    return { urgency, text: [msg, reason ?? err?.message].filter(Boolean).join(": ") };
  } catch {
    return { urgency: "info", text: line };
  }
}
