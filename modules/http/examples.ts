import { confirm, type Example, observe, suggest } from "#contracts/module.ts";

export const examples: Example[] = [
  {
    title: "A URL is normalised",
    operation: "resource",
    input: "HTTPS://Bücher.example:443/a/../b#top",
    output: "https://xn--bcher-kva.example/b",
  },
  {
    title: "A URL must not carry a password",
    operation: "resource",
    input: "https://me:secret@example.org/",
    output: {
      refusal: "a URL must not carry a user name or password: put them under credentials in the configuration",
    },
  },
  {
    title: "A page confirms itself and suggests what stands behind it",
    operation: "discovery",
    resource: "https://www.example.org/shop",
    io: [],
    answer: [
      confirm("https://www.example.org/shop"),
      suggest("dns", "www.example.org"),
      suggest("tls", "www.example.org:443"),
    ],
  },
  {
    title: "A site that redirects to https",
    operation: "observation",
    resource: "http://example.org/",
    io: [
      {
        call: "http.request",
        returns: {
          url: "http://example.org/",
          status: 301,
          headers: { location: ["https://example.org/"], server: ["nginx"] },
          body: "",
          text: "",
          isRevalidated: false,
        },
      },
    ],
    answer: [
      observe("status_code", 301),
      observe("redirect_location", "https://example.org/"),
      observe("header/server", "nginx"),
    ],
  },
  {
    title: "A file that nobody should be served",
    operation: "observation",
    resource: "https://example.org/Dockerfile",
    io: [
      {
        call: "http.request",
        returns: {
          url: "https://example.org/Dockerfile",
          status: 200,
          headers: { "content-type": ["text/plain"] },
          body: "FROM debian:12\n",
          text: "FROM debian:12\n",
          isRevalidated: false,
        },
      },
    ],
    answer: [observe("status_code", 200, { severity: "high", reason: "Dockerfile is served to everybody" })],
  },
  {
    title: "A script from a host that was not used before",
    operation: "change",
    request: {
      resource: "https://shop.example.org/pay",
      attribute: "scripts",
      kind: "changed",
      oldValue: { count: 1, sources: ["https://shop.example.org/pay.js"] },
      newValue: { count: 2, sources: ["https://evil.example/skim.js", "https://shop.example.org/pay.js"] },
    },
    answer: {
      severity: "high",
      reason: "a script is now loaded from evil.example, which was not used before",
    },
  },
  {
    title: "A cookie that lost HttpOnly",
    operation: "change",
    request: {
      resource: "https://example.org/",
      attribute: "cookie/sid",
      kind: "changed",
      oldValue: { secure: true, http_only: true, same_site: "lax", domain: null, path: "/" },
      newValue: { secure: true, http_only: false, same_site: "lax", domain: null, path: "/" },
    },
    answer: { severity: "medium", reason: "scripts can now read the cookie sid (HttpOnly is gone)" },
  },
];
