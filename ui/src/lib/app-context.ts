import { createContext } from "svelte";
import type { ModuleInfo, Status } from "#contracts/gateway.ts";
import type { Feed } from "../views/feed/feed.svelte.ts";
import type { Clock } from "./clock.svelte.ts";
import type { Loaded } from "./loaded.svelte.ts";
import type { Page } from "./api.ts";
import type { Route } from "./route.svelte.ts";

/** What every screen shares. */
export interface AppContext {
  route: Route;
  clock: Clock;
  feed: Feed;
  status: Loaded<Status>;
  modules: Loaded<Page<ModuleInfo>>;
}

export const [appContext, setAppContext] = createContext<AppContext>();
