import { describe, expect, it } from "vitest";
import type { Change } from "#contracts/messages.ts";
import {
  emptyView,
  keptChanges,
  withArrivals,
  withFirstPage,
  withHeldShown,
  withOlderPage,
  type FeedView,
} from "./feed-view.ts";

const changes = (...positions: number[]) =>
  positions.map((position) => ({ id: `change-${position}`, position }) as unknown as Change);
const shown = (view: FeedView) => view.changes.map((change) => change.position);

describe("the feed's view", () => {
  it("joins the first page with what came live meanwhile", () => {
    const view = withFirstPage(emptyView, { items: changes(3, 2), next: "c" }, changes(5, 4, 3));
    expect(shown(view)).toEqual([5, 4, 3, 2]);
    expect(view).toMatchObject({ next: "c", isLoaded: true, isLoading: false });
  });

  it("holds arrivals back while the reader is further down, and shows them on demand", () => {
    const start = withFirstPage(emptyView, { items: changes(2, 1), next: null }, []);
    const down = withArrivals(withArrivals(start, changes(3), false), changes(5, 4), false);
    expect(shown(down)).toEqual([2, 1]);
    expect(down.held).toHaveLength(3);
    const top = withHeldShown(down);
    expect(shown(top)).toEqual([5, 4, 3, 2, 1]);
    expect(top.held).toEqual([]);
  });

  it("reads on downwards without gaps", () => {
    const start = withFirstPage(emptyView, { items: changes(4, 3), next: "c" }, []);
    expect(shown(withOlderPage(start, { items: changes(2, 1), next: null }))).toEqual([4, 3, 2, 1]);
  });

  it("lets go of its oldest rows, and then does not read on past the gap", () => {
    const many = changes(...Array.from({ length: keptChanges }, (_, n) => keptChanges - n));
    const full = withFirstPage(emptyView, { items: many, next: "c" }, []);
    const view = withArrivals(full, changes(keptChanges + 1), true);
    expect(view.changes).toHaveLength(keptChanges);
    expect(shown(view)[0]).toBe(keptChanges + 1);
    expect(view.next).toBeNull();
  });
});
