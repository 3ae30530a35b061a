import type { z } from "zod";
import { apiRoot, Problem } from "#contracts/gateway.ts";
import { CommandFailure } from "./report.ts";

/** A running paintdry's API, at `PAINTDRY_URL`. */
export interface GatewayClient {
  get<Answer extends z.ZodType>(path: string, query: Record<string, string>, answer: Answer): Promise<z.infer<Answer>>;
  post<Answer extends z.ZodType>(path: string, body: unknown, answer: Answer): Promise<z.infer<Answer>>;
  liveUrl(query: Record<string, string>): URL;
}

export function connectGateway(environment: NodeJS.ProcessEnv = process.env): GatewayClient {
  const base = environment.PAINTDRY_URL || "http://localhost:8080";
  const urlOf = (path: string, query: Record<string, string>): URL => {
    const url = URL.parse(`${base.replace(/\/$/, "")}${apiRoot}/${path}`);
    if (!url || !["http:", "https:"].includes(url.protocol)) {
      throw new CommandFailure(`PAINTDRY_URL is ${base}; it must be an address such as http://localhost:8080`);
    }
    for (const [name, value] of Object.entries(query)) url.searchParams.set(name, value);
    return url;
  };
  return {
    get: async (path, query, answer) => await ask(urlOf(path, query), {}, answer),
    post: async (path, body, answer) => {
      const headers = { "content-type": "application/json" };
      return await ask(urlOf(path, {}), { method: "POST", headers, body: JSON.stringify(body) }, answer);
    },
    liveUrl: (query) => {
      const url = urlOf("live", query);
      url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
      return url;
    },
  };
}

async function ask<Answer extends z.ZodType>(url: URL, request: RequestInit, schema: Answer): Promise<z.infer<Answer>> {
  let response: Response;
  try {
    response = await fetch(url, { ...request, signal: AbortSignal.timeout(30_000) });
  } catch (error) {
    throw new CommandFailure(
      `no paintdry answers at ${url.origin}: start it with npm start, or set PAINTDRY_URL to where it is`,
      { cause: error },
    );
  }
  const text = await response.text();
  if (!response.ok) throw new CommandFailure(problemOf(text) ?? `${url.pathname} answers ${response.status}`);
  const parsed = schema.safeParse(parseJson(text));
  if (parsed.success) return parsed.data;
  throw new CommandFailure(`${url.origin} does not answer like paintdry; is PAINTDRY_URL right?`);
}

function problemOf(text: string): string | null {
  const problem = Problem.safeParse(parseJson(text));
  return problem.success ? problem.data.error.message : null;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
