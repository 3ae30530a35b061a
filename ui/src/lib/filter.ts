import { Severity, severities } from "#contracts/severity.ts";
import type { Route } from "./route.svelte.ts";

/** The feed's filter as the URL holds it; what is not a filter there is ignored. */
export function filterOf(route: Pick<Route, "query">): { module?: string; least?: Severity } {
  const module = route.query("module");
  const least = Severity.safeParse(route.query("least"));
  return {
    ...(/^[a-z][a-z0-9-]{0,62}$/.test(module) ? { module } : {}),
    ...(least.success ? { least: least.data } : {}),
  };
}

/** The options of a "least severity" filter. */
export const leastOptions = [
  { value: "", text: "any" },
  ...severities
    .filter((severity) => severity !== "none" && severity !== "unknown")
    .map((severity) => ({
      value: severity as string,
      text: severity === "critical" ? "critical only" : `${severity} or worse`,
    })),
];

/** The options of a module filter; the one chosen stays even where it is not known (any more). */
export function moduleOptions(names: string[], chosen: string) {
  const all = chosen && !names.includes(chosen) ? [...names, chosen] : names;
  return [{ value: "", text: "all" }, ...all.map((name) => ({ value: name, text: name }))];
}
