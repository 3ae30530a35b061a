import { describe, expect, it } from "vitest";
import { pathWith, screenOf } from "./paths.ts";

describe("paths", () => {
  it("lead to screens", () => {
    const id = "0198f2a0-0000-7000-8000-000000000001";
    expect(screenOf("/")).toEqual({ name: "feed" });
    expect(screenOf("/changes")).toEqual({ name: "feed" });
    expect(screenOf(`/changes/${id}`)).toEqual({ name: "change", id });
    expect(screenOf(`/resources/${"a".repeat(32)}`)).toEqual({ name: "resource", id: "a".repeat(32) });
    expect(screenOf("/findings/")).toEqual({ name: "findings" });
  });

  it("lead nowhere when they are not ours", () => {
    const foreign = ["/nowhere", "/changes/1", "/resources/..", "/findings/x", "/resources/a/b"];
    expect(foreign.filter((path) => screenOf(path).name !== "unknown")).toEqual([]);
  });

  it("hold only what is set", () => {
    expect(pathWith("/", { module: "git", least: "", q: null })).toBe("/?module=git");
    expect(pathWith("/", {})).toBe("/");
  });
});
