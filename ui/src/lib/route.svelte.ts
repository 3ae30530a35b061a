import { tick } from "svelte";
import { z } from "zod";
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
    void tick().then(() => returnTo(event.state));
  });
  document.addEventListener("click", followLink);

  function read(): void {
    path = location.pathname;
    search = location.search;
  }

  function go(target: string, how: "push" | "replace" = "push", link?: HTMLElement): void {
    if (how === "replace") history.replaceState(history.state, "", target);
    else {
      history.replaceState(placeOf(link), "");
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
    go(url.pathname + url.search, "push", link);
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

const Place = z.object({ scrollY: z.number(), href: z.string(), top: z.number() });

/** Where the reader is: the scroll position, and the link that leads away with its place on the screen. */
function placeOf(link: HTMLElement | undefined): z.infer<typeof Place> {
  return { scrollY, href: link?.getAttribute("href") ?? "", top: link?.getBoundingClientRect().top ?? 0 };
}

/** Rows out of sight have estimated heights, so the link itself is the better mark than the scroll position. */
function returnTo(state: unknown): void {
  const place = Place.safeParse(state).data;
  scrollTo(0, place?.scrollY ?? 0);
  if (!place?.href) return;
  const link = document.querySelector<HTMLElement>(`main a[href="${CSS.escape(place.href)}"]`);
  if (!link) return;
  link.focus({ preventScroll: true });
  const settle = () => scrollBy(0, link.getBoundingClientRect().top - place.top);
  settle();
  requestAnimationFrame(settle);
}

/** A new screen starts at its top, and a screen reader hears its heading. */
function startOfScreen(): void {
  scrollTo(0, 0);
  // A search field that took the focus keeps it.
  if (document.activeElement?.closest("main input")) return;
  document.querySelector<HTMLElement>("main h1")?.focus({ preventScroll: true });
}
