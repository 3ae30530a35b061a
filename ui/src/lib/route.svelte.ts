import { tick } from "svelte";
import { pathWith, screenOf, type Screen } from "./paths.ts";

/** The address bar as state: the screen and its query, both in the URL so that a link shows what its sender saw. */
export interface Route {
  readonly screen: Screen;
  /** A query parameter, or "" when it is absent. */
  query(name: string): string;
  /** Goes to a path of this page. `replace` leaves no entry in the history (typing, filters). */
  go(path: string, how?: "push" | "replace"): void;
  /** Changes query parameters of the present screen; null removes one. */
  setQuery(changes: Record<string, string | null>): void;
}

/** Follows links, the back button and its own `go`, and keeps each entry's scroll position. */
export function createRoute(): Route {
  let path = $state(location.pathname);
  let search = $state(location.search);
  const screen = $derived(screenOf(path));
  const params = $derived(new URLSearchParams(search));

  history.scrollRestoration = "manual";
  window.addEventListener("popstate", (event) => {
    read();
    void tick().then(() => scrollTo(0, scrollOf(event.state)));
  });
  document.addEventListener("click", followLink);

  function read(): void {
    path = location.pathname;
    search = location.search;
  }

  function go(target: string, how: "push" | "replace" = "push"): void {
    if (how === "replace") history.replaceState(history.state, "", target);
    else {
      history.replaceState({ scrollY }, "");
      history.pushState(null, "", target);
    }
    read();
    if (how === "push") void tick().then(startOfScreen);
  }

  function followLink(event: MouseEvent): void {
    const link = event.target instanceof Element ? event.target.closest("a") : null;
    const isPlain = event.button === 0 && !(event.metaKey || event.ctrlKey || event.shiftKey || event.altKey);
    if (!link || !isPlain || event.defaultPrevented || link.target || link.hasAttribute("download")) return;
    const url = new URL(link.href);
    if (url.origin !== location.origin || url.pathname.startsWith("/api/") || url.hash) return;
    event.preventDefault();
    go(url.pathname + url.search);
  }

  return {
    get screen() {
      return screen;
    },
    query: (name) => params.get(name) ?? "",
    go,
    setQuery(changes) {
      go(pathWith(path, { ...Object.fromEntries(params), ...changes }), "replace");
    },
  };
}

function scrollOf(state: unknown): number {
  const kept = state as { scrollY?: unknown } | null;
  return typeof kept?.scrollY === "number" ? kept.scrollY : 0;
}

/** A new screen starts at its top, and a screen reader hears its heading. */
function startOfScreen(): void {
  scrollTo(0, 0);
  document.querySelector<HTMLElement>("main h1")?.focus({ preventScroll: true });
}
