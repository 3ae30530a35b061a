import type { Json } from "#contracts/canonical.ts";
import type { Example, RecordedCall } from "#contracts/module.ts";

/** Recorded answers in the order asked: A, AAAA, CNAME, NS, MX, TXT, CAA, DS. */
function recorded(answers: Json[]): RecordedCall[] {
  return answers.map((returns) => ({ call: "dns.query", returns }));
}

function records(...texts: string[]): Json {
  return { outcome: "records", records: texts };
}

const empty: Json = { outcome: "empty" };
const nxdomain: Json = { outcome: "nxdomain" };

export const examples: Example[] = [
  {
    title: "a URL stands for its host",
    operation: "resource",
    input: "https://Bücher.Example.com:8443/path",
    output: "xn--bcher-kva.example.com",
  },
  {
    title: "an address has no records",
    operation: "resource",
    input: "192.0.2.1",
    output: { refusal: '"192.0.2.1" is an address: only names have records to watch' },
  },
  {
    title: "a name with some records",
    operation: "observation",
    resource: "example.com",
    io: recorded([
      records("192.0.2.1"),
      empty,
      empty,
      records("a.ns.example.", "b.ns.example."),
      records("10 mail.example.com."),
      records('"v=spf1 mx -all"'),
      empty,
      empty,
    ]),
    answer: [
      { type: "observe", attribute: "a", value: ["192.0.2.1"] },
      { type: "observe", attribute: "ns", value: ["a.ns.example.", "b.ns.example."] },
      { type: "observe", attribute: "mx", value: ["10 mail.example.com."] },
      { type: "observe", attribute: "txt", value: ['"v=spf1 mx -all"'] },
      { type: "save", state: null },
    ],
  },
  {
    title: "a name that does not exist",
    operation: "observation",
    resource: "old.example.com",
    io: recorded(Array.from({ length: 8 }, () => nxdomain)),
    answer: [{ type: "gone", reason: "the name old.example.com does not exist (NXDOMAIN)" }],
  },
  {
    title: "an alias of a name that nobody holds",
    operation: "observation",
    resource: "shop.example.com",
    io: recorded([
      nxdomain,
      nxdomain,
      records("closed.hosting.example."),
      ...Array.from({ length: 5 }, () => nxdomain),
    ]),
    answer: [
      {
        type: "observe",
        attribute: "cname",
        value: ["closed.hosting.example."],
        severity: "medium",
        reason:
          "the alias leads to closed.hosting.example., where no name exists: whoever gets that name gets this one",
      },
      { type: "save", state: null },
    ],
  },
  {
    title: "hijacked addresses",
    operation: "change",
    request: {
      resource: "example.com",
      attribute: "a",
      kind: "changed",
      oldValue: ["192.0.2.1"],
      newValue: ["203.0.113.66"],
    },
    answer: {
      severity: "high",
      reason:
        "every address was replaced: the IPv4 addresses (A) of example.com changed from 192.0.2.1 to 203.0.113.66",
    },
  },
  {
    title: "a lost record",
    operation: "change",
    request: {
      resource: "example.com",
      attribute: "mx",
      kind: "disappeared",
      oldValue: ["10 mail.example.com."],
      newValue: null,
    },
    answer: { severity: "high", reason: "example.com lost its mail servers (MX), which were 10 mail.example.com." },
  },
  {
    title: "a loosened mail policy",
    operation: "change",
    request: {
      resource: "example.com",
      attribute: "txt",
      kind: "changed",
      oldValue: ['"v=spf1 mx -all"'],
      newValue: ['"v=spf1 mx ~all"'],
    },
    answer: {
      severity: "medium",
      reason:
        'SPF now ends in ~all instead of -all: the texts (TXT) of example.com changed from "v=spf1 mx -all" to "v=spf1 mx ~all"',
    },
  },
];
