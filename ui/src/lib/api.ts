import { z } from "zod";
import { apiRoot, CheckAnswer, ModuleInfo, Problem, Status } from "#contracts/gateway.ts";
import { Change, type ResourceRef } from "#contracts/messages.ts";
import {
  ChangeDetail,
  ConfigInForce,
  Delivery,
  HistoryRow,
  ResourceDetail,
  ResourceSummary,
  SearchHit,
  ValueRow,
} from "#contracts/store.ts";

export type Query = Record<string, string | number | boolean | null | undefined>;
export interface Page<Item> {
  items: Item[];
  next: string | null;
}

/** What the gateway answered instead, or why nothing was answered (`code` is then `unreachable`). */
export class ApiError extends Error {
  readonly code: string;
  readonly status: number;
  constructor(code: string, message: string, status: number, cause?: unknown) {
    super(message, { cause });
    this.name = "ApiError";
    this.code = code;
    this.status = status;
  }
}

const Outcome = z.object({ outcome: z.string() });

/** The gateway's REST interface; every answer is checked against the contracts. */
export const api = {
  changes: (query: Query, signal?: AbortSignal) => getPage("changes", Change, query, signal),
  change: (id: string, signal?: AbortSignal) => get(`changes/${id}`, ChangeDetail, {}, signal),
  findings: (query: Query, signal?: AbortSignal) => getPage("findings", ValueRow, query, signal),
  resources: (query: Query, signal?: AbortSignal) => getPage("resources", ResourceSummary, query, signal),
  resource: (id: string, signal?: AbortSignal) => get(`resources/${id}`, ResourceDetail, {}, signal),
  history: (query: Query, signal?: AbortSignal) => getPage("history", HistoryRow, query, signal),
  search: (query: Query, signal?: AbortSignal) => getPage("search", SearchHit, query, signal),
  deliveries: (query: Query, signal?: AbortSignal) => getPage("deliveries", Delivery, query, signal),
  modules: (signal?: AbortSignal) => getPage("modules", ModuleInfo, {}, signal),
  config: (signal?: AbortSignal) => get("config", ConfigInForce, {}, signal),
  status: (signal?: AbortSignal) => get("status", Status, {}, signal),
  check: (resource: ResourceRef) => post("checks", CheckAnswer, resource),
  accept: (id: string) => post(`resources/${id}/accept`, Outcome),
  refuse: (id: string) => post(`resources/${id}/refuse`, Outcome),
};

/** The address of the live feed. */
export function liveAddress(): string {
  const scheme = location.protocol === "https:" ? "wss" : "ws";
  return `${scheme}://${location.host}${apiRoot}/live`;
}

function getPage<Item extends z.ZodType>(path: string, item: Item, query: Query, signal?: AbortSignal) {
  return get(path, z.object({ items: z.array(item), next: z.string().nullable() }), query, signal);
}

async function get<Schema extends z.ZodType>(path: string, schema: Schema, query: Query, signal?: AbortSignal) {
  const search = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    if (value !== undefined && value !== null && value !== "") search.set(name, String(value));
  }
  const suffix = search.size > 0 ? `?${search}` : "";
  return answer(path, schema, await send(`${apiRoot}/${path}${suffix}`, signal ? { signal } : {}));
}

async function post<Schema extends z.ZodType>(path: string, schema: Schema, body?: object) {
  const headers = { "content-type": "application/json" };
  return answer(
    path,
    schema,
    await send(`${apiRoot}/${path}`, { method: "POST", headers, body: JSON.stringify(body ?? {}) }),
  );
}

async function send(url: string, init: RequestInit): Promise<Response> {
  try {
    return await fetch(url, init);
  } catch (cause) {
    if (init.signal?.aborted) throw cause;
    throw new ApiError("unreachable", "paintdry cannot be reached. Is it running, and are you online?", 0, cause);
  }
}

async function answer<Schema extends z.ZodType>(path: string, schema: Schema, response: Response) {
  const body: unknown = await response.json().catch(() => null);
  if (!response.ok) {
    const problem = Problem.safeParse(body);
    const { code, message } = problem.success
      ? problem.data.error
      : { code: "unexpected", message: `paintdry answered ${response.status} to ${path}.` };
    throw new ApiError(code, message, response.status);
  }
  const parsed = schema.safeParse(body);
  if (parsed.success) return parsed.data;
  const message = `paintdry's answer to ${path} is not what this page expects. Reload the page: it may be another version's.`;
  throw new ApiError("unexpected", message, response.status, parsed.error);
}

/** Why something failed, in one line. */
export function whyNot(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** Was the request given up by ourselves? Then there is nothing to say. */
export function isAbort(error: unknown): boolean {
  return error instanceof DOMException && error.name === "AbortError";
}
