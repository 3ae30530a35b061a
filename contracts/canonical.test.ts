import { assert, jsonValue, property } from "fast-check";
import { describe, expect, it } from "vitest";
import { canonical, fingerprint, isSameValue, sha256Hex } from "./canonical.ts";

describe("canonical form", () => {
  it("orders keys and writes numbers as RFC 8785 says", () => {
    expect(canonical({ b: 1e21, a: [0.1, "é", null, true] })).toBe('{"a":[0.1,"é",null,true],"b":1e+21}');
  });

  it("makes values equal that differ only in the order of keys, and no others", () => {
    expect(isSameValue({ a: 1, b: 2 }, { b: 2, a: 1 })).toBe(true);
    expect(isSameValue([1, 2], [2, 1])).toBe(false);
    expect(isSameValue("1", 1)).toBe(false);
  });

  it("is one text for one value", () => {
    assert(
      property(jsonValue(), (value) => {
        const json = JSON.parse(JSON.stringify(value));
        expect(isSameValue(json, JSON.parse(canonical(json)))).toBe(true);
      }),
    );
  });
});

describe("fingerprint", () => {
  const a = { attribute: "a", value: 1, severity: null, reason: null };
  const b = { attribute: "b", value: { x: 1, y: 2 }, severity: "low", reason: "why" };

  it("does not depend on the order of the values", () => {
    expect(fingerprint([a, b])).toBe(fingerprint([b, a]));
  });

  it("moves with a value, a severity, a reason or a name", () => {
    const others = [
      [{ ...a, value: 2 }, b],
      [{ ...a, severity: "low" }, b],
      [{ ...a, reason: "r" }, b],
      [{ ...a, attribute: "c" }, b],
      [a],
    ];
    for (const other of others) expect(fingerprint(other)).not.toBe(fingerprint([a, b]));
  });

  it("hashes by SHA-256", () => {
    expect(sha256Hex("abc")).toBe("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  });
});
