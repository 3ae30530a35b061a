import { z } from "zod";
import {
  ChangesQuery,
  FindingsQuery,
  HistoryQuery,
  ModuleInfo,
  ObservationsQuery,
  PageQuery,
  ResourcesQuery,
  SearchQuery,
  Status,
} from "#contracts/gateway.ts";
import { Change } from "#contracts/messages.ts";
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
import type { StoreClient } from "#runtime/rpc.ts";
import type { Api } from "./api.ts";
import { ProblemError } from "./problems.ts";
import { ChangeParams, describeRoute, pageOf, ResourceParams } from "./schemas.ts";
import { shownConfig } from "./shown-config.ts";

export interface ReadSources {
  store: StoreClient;
  /** The modules in use. */
  listModules(): Promise<ModuleInfo[]>;
  /** Of the program. */
  version: string;
  /** Live connections open now. */
  countClients(): number;
}

/** What can be read: each route is one request to the store. */
export function addReadRoutes(app: Api, sources: ReadSources): void {
  addResourceRoutes(app, sources.store);
  addChangeRoutes(app, sources.store);
  addSystemRoutes(app, sources);
}

function addResourceRoutes(app: Api, store: StoreClient): void {
  app.get(
    "/resources",
    {
      schema: describeRoute("The resources known, watched or not.", pageOf(ResourceSummary), {
        querystring: ResourcesQuery.strict(),
      }),
    },
    async ({ query: { failing, q, cursor = null, ...filter } }) =>
      await store.call("read.resources", { ...filter, cursor, isFailing: failing, text: q }),
  );
  app.get(
    "/resources/:id",
    {
      schema: describeRoute("One resource, its values and why it is watched.", ResourceDetail, {
        params: ResourceParams,
      }),
    },
    async ({ params: { id } }) => {
      const resource = await store.call("read.resource", { id });
      if (resource === null) throw new ProblemError("unknown_resource", `There is no resource ${id}.`);
      return resource;
    },
  );
  app.get(
    "/observations",
    {
      schema: describeRoute("Values as last seen.", pageOf(ValueRow), { querystring: ObservationsQuery.strict() }),
    },
    async ({ query: { resource, cursor = null, ...filter } }) =>
      await store.call("read.observations", { ...filter, cursor, resourceId: resource }),
  );
  app.get(
    "/history",
    {
      schema: describeRoute("What one resource's values were, newest first.", pageOf(HistoryRow), {
        querystring: HistoryQuery.strict(),
      }),
    },
    async ({ query: { resource, cursor = null, ...filter } }) =>
      await store.call("read.history", { ...filter, cursor, resourceId: resource }),
  );
}

function addChangeRoutes(app: Api, store: StoreClient): void {
  app.get(
    "/findings",
    {
      schema: describeRoute("Values whose standing severity is above `none`.", pageOf(ValueRow), {
        querystring: FindingsQuery.strict(),
      }),
    },
    async ({ query: { cursor = null, ...filter } }) => await store.call("read.findings", { ...filter, cursor }),
  );
  app.get(
    "/changes",
    { schema: describeRoute("Changes, newest first.", pageOf(Change), { querystring: ChangesQuery.strict() }) },
    async ({ query: { resource, cursor = null, ...filter } }) =>
      await store.call("read.changes", { ...filter, cursor, resourceId: resource }),
  );
  app.get(
    "/changes/:id",
    { schema: describeRoute("One change, with its evidence.", ChangeDetail, { params: ChangeParams }) },
    async ({ params: { id } }) => {
      const change = await store.call("read.change", { id });
      if (change === null) throw new ProblemError("unknown_change", `There is no change ${id}.`);
      return change;
    },
  );
  app.get(
    "/search",
    {
      schema: describeRoute("Resources, values and changes that hold a text.", pageOf(SearchHit), {
        querystring: SearchQuery.strict(),
      }),
    },
    async ({ query: { q, limit, cursor = null } }) => await store.call("read.search", { query: q, limit, cursor }),
  );
}

const NoQuery = z.strictObject({});

function addSystemRoutes(app: Api, { store, listModules, version, countClients }: ReadSources): void {
  app.get(
    "/modules",
    { schema: describeRoute("The modules in use.", pageOf(ModuleInfo), { querystring: NoQuery }) },
    async () => ({ items: await listModules(), next: null }),
  );
  app.get(
    "/config",
    {
      schema: describeRoute("The configuration in force; it never holds secrets.", ConfigInForce, {
        querystring: NoQuery,
      }),
    },
    async () => shownConfig(await store.call("read.config", {})),
  );
  app.get(
    "/status",
    { schema: describeRoute("How the whole is doing, in numbers.", Status, { querystring: NoQuery }) },
    async () => ({ ...(await store.call("read.status", {})), version, live: { clients: countClients() } }),
  );
  app.get(
    "/deliveries",
    { schema: describeRoute("Alerts sent, newest first.", pageOf(Delivery), { querystring: PageQuery.strict() }) },
    async ({ query: { limit, cursor = null } }) => await store.call("read.deliveries", { limit, cursor }),
  );
}
