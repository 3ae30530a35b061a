import { describe, expect, it } from "vitest";
import { readContent } from "./content.ts";
import { stableLink } from "./links.ts";

const url = new URL("https://www.example.org/shop/index.html");
const read = (html: string) => readContent(html, url);

describe("a page's content", () => {
  it("is what a browser would load, send to and point at", () => {
    const content = read(`
      <!doctype html><title><script src="in-a-title.js"></script></title>
      <!-- <script src="commented.js"></script> -->
      <link rel="modulepreload" href="/module.mjs"><link rel=preload as=script href=preloaded.js>
      <link rel="stylesheet" href="https://fonts.example/a.css">
      <SCRIPT SRC="//cdn.example/lib.js" integrity="sha384-b sha256-a"></SCRIPT>
      <script>document.write('<script src="written.js">')</script>
      <svg><script href="https://svg.example/x.js"></script></svg>
      <textarea><script src="in-a-textarea.js"></script></textarea>
      <iframe src="https://frames.example/"></iframe><object data="/movie.swf"></object>
      <form action="https://pay.example/submit"><button formaction="/other">Go</button></form><form></form>
      <a href="/files/app-1.0.tar.gz">get</a> <a download href="/plain">get</a> <a href="https://www.example.org/x">own</a>
      <a href="mailto:a@b.example">mail</a> <img srcset="https://img.example/1.png 1x, https://img2.example/2.png 2x">`);
    expect(content).toEqual({
      scripts: {
        count: 3,
        sources: [
          "https://cdn.example/lib.js",
          "https://svg.example/x.js",
          "https://www.example.org/module.mjs",
          "https://www.example.org/shop/preloaded.js",
        ],
        integrity: { "https://cdn.example/lib.js": "sha256-a sha384-b" },
      },
      frameSources: ["https://frames.example/", "https://www.example.org/movie.swf"],
      formActions: [
        "https://pay.example/submit",
        "https://www.example.org/other",
        "https://www.example.org/shop/index.html",
      ],
      baseHref: null,
      metaRefresh: null,
      externalDomains: ["fonts.example", "img.example", "img2.example"],
      downloadLinks: ["https://www.example.org/files/app-1.0.tar.gz", "https://www.example.org/plain"],
    });
  });

  it("counts the scripts inside srcdoc frames", () => {
    const content = read(`<iframe srcdoc="&lt;script src='https://evil.example/x.js'&gt;&lt;/script&gt;"></iframe>`);
    expect(content.scripts).toEqual({ count: 1, sources: ["https://evil.example/x.js"], integrity: {} });
  });

  it("is relative to the base, which is reported", () => {
    const content = read(`<base href="/app/"><base href="/second"><script src="app.js"></script>`);
    expect([content.baseHref, content.scripts.sources]).toEqual([
      "https://www.example.org/app/",
      ["https://www.example.org/app/app.js"],
    ]);
  });

  it.each([
    [`<script src="https://evil.example/x.js"></script>`, ["scripts"]],
    [`<link rel="modulepreload" href="https://evil.example/x.mjs">`, ["scripts"]],
    [`<script>evil()</script>`, ["scripts"]],
    [`<iframe src="https://evil.example/"></iframe>`, ["frameSources"]],
    [`<iframe srcdoc="&lt;script src=//evil.example/x.js>&lt;/script>"></iframe>`, ["scripts"]],
    [`<form action="https://evil.example/"></form>`, ["formActions"]],
    [`<button formaction="https://evil.example/">`, ["formActions"]],
    [`<a href="https://evil.example/app.exe">get</a>`, ["downloadLinks"]],
    [`<a href="https://evil.example/">look</a>`, ["externalDomains"]],
    [`<img src="https://evil.example/1.png" srcset="https://evil.example/2.png 2x">`, ["externalDomains"]],
    [`<base href="https://evil.example/">`, ["baseHref"]],
    [`<meta http-equiv="refresh" content="0;url=https://evil.example/">`, ["metaRefresh"]],
  ])("%s put into a page moves one value", (tampering, moved) => {
    const page = `<link rel="icon" href="icon.png"><a href="next">next</a><script src="app.js"></script><form action="pay"></form>`;
    const [before, after] = [read(page), read(`${tampering}${page}`)];
    const names = Object.keys(before) as (keyof typeof before)[];
    expect(names.filter((name) => JSON.stringify(before[name]) !== JSON.stringify(after[name]))).toEqual(moved);
  });

  it.each([
    ["0;url=https://evil.example/", "https://evil.example/"],
    ["5; URL='/next'", "https://www.example.org/next"],
    ["30", null],
  ])("knows where a refresh of %s leads", (content, target) => {
    expect(read(`<meta http-equiv=Refresh content="${content}">`).metaRefresh).toBe(target);
  });

  it("does not move with caches, builds and sessions", () => {
    const first = read(
      `<script src="/app.8f3c2a1b.js?v=1"></script><script src="/i-BQx3zL91.js"></script><form action="/pay;jsessionid=AB12">`,
    );
    const second = read(
      `<script src="/app.77aa01cd.js?v=2"></script><script src="/i-Zz81kPq0.js"></script><form action="/pay;jsessionid=CD34">`,
    );
    expect(second).toEqual(first);
    const third = (hash: string) => read(`<script src="https://cdn.example/lib.${hash}.js"></script>`).scripts;
    expect(third("8f3c2a1b")).not.toEqual(third("77aa01cd"));
  });

  it("tells opaque addresses apart without keeping them", () => {
    const place = { url, base: url };
    const [one, two] = ["data:text/javascript,alert(1)", "data:text/javascript,alert(2)"].map((text) =>
      stableLink(text, place),
    );
    expect(one).toMatch(/^data:sha256-[0-9a-f]{16}$/);
    expect(one).not.toBe(two);
    expect(stableLink(`https://a.example/${"x".repeat(5000)}`, place)?.length).toBeLessThan(1100);
    expect(stableLink("https://user:secret@a.example/", place)).toBe("https://a.example/");
    expect(stableLink("http://[nonsense", place)).toBeNull();
  });

  it.each([
    ["a million nested elements", "<div>".repeat(1_000_000)],
    [
      "formatting opened anew in every block",
      Array.from({ length: 100_000 }, (_, index) => `<p><b x=${index}></p>a`).join(""),
    ],
    ["more elements than a page has", "<br>".repeat(300_000)],
    ["nested namespaces", "<svg>".repeat(300_000)],
  ])("is refused where a page is built to be costly: %s", (_name, html) => {
    expect(() => read(html)).toThrow(expect.objectContaining({ kind: "too_large" }));
  });

  it("takes whatever else a page throws at it", () => {
    for (const html of ["", "<", "\0", "<!--".repeat(1000), `<a ${"x=1 ".repeat(10_000)}>`, "</x>".repeat(100_000)]) {
      expect(read(html).scripts.sources).toEqual([]);
    }
  });
});
