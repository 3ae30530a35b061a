export type Theme = "system" | "light" | "dark";
const order: Theme[] = ["system", "light", "dark"];
const storageKey = "paintdry.theme";

export interface ThemeChoice {
  readonly current: Theme;
  next(): void;
}

/** The chosen theme, kept in this browser; `theme.js` applies it before the first paint. */
export function createTheme(): ThemeChoice {
  let current = $state<Theme>(applied());
  return {
    get current() {
      return current;
    },
    next() {
      current = order[(order.indexOf(current) + 1) % order.length] ?? "system";
      apply(current);
    },
  };
}

function applied(): Theme {
  const { theme } = document.documentElement.dataset;
  return theme === "light" || theme === "dark" ? theme : "system";
}

function apply(theme: Theme): void {
  if (theme === "system") delete document.documentElement.dataset["theme"];
  else document.documentElement.dataset["theme"] = theme;
  try {
    localStorage.setItem(storageKey, theme);
  } catch {
    // Storage is blocked: the choice holds for this visit.
  }
}
