import { createSocket, type RemoteInfo } from "node:dgram";
import { once } from "node:events";
import { createServer, type AddressInfo, type Socket } from "node:net";
import dnsPacket, { type Packet } from "dns-packet";
import { afterEach, describe, expect, it } from "vitest";
import { createDnsIo } from "./dns.ts";

type Respond = (query: Buffer, send: (message: Buffer) => void, from: RemoteInfo) => void;
type RespondByTcp = (query: Buffer, socket: Socket) => void;

const closers: (() => void)[] = [];
afterEach(() => {
  for (const close of closers.splice(0)) close();
});

/** A server that answers datagrams, and TCP on the same port, however a test wants. */
async function startHostile(respond: Respond, respondByTcp?: RespondByTcp): Promise<string> {
  const tcp = createServer((socket) => {
    socket.on("error", () => socket.destroy());
    closers.push(() => socket.destroy());
    socket.once("data", (query) => respondByTcp?.(query.subarray(2), socket));
  });
  tcp.listen(0, "127.0.0.1");
  await once(tcp, "listening");
  const { port } = tcp.address() as AddressInfo;
  const udp = createSocket("udp4");
  udp.on("message", (query, from) =>
    respond(query, (message) => udp.send(message, from.port, from.address, () => undefined), from),
  );
  udp.bind(port, "127.0.0.1");
  await once(udp, "listening");
  closers.push(
    () => tcp.close(),
    () => udp.close(),
  );
  return `127.0.0.1:${port}`;
}

function ask(server: string, timeoutMs = 250) {
  return createDnsIo({ servers: [server], timeoutMs, tries: 1 }).query("example.test", "A");
}

function answerTo(query: Buffer, changes: Packet = {}): Buffer {
  const { id = 0, questions = [] } = dnsPacket.decode(query);
  return dnsPacket.encode({
    type: "response",
    id,
    flags: dnsPacket.RECURSION_AVAILABLE,
    questions,
    answers: [{ type: "A", name: "example.test", ttl: 1, data: "192.0.2.1" }],
    ...changes,
  });
}

const trueAnswer = { outcome: "records", records: ["192.0.2.1"] };
const forged: Packet = { answers: [{ type: "A", name: "example.test", ttl: 1, data: "203.0.113.66" }] };

describe("answers that are not the resolver's", () => {
  it.each<[string, Respond]>([
    [
      "with another id",
      (query, send) => send(answerTo(query, { ...forged, id: (query.readUInt16BE(0) + 1) % 65_536 })),
    ],
    [
      "to another question",
      (query, send) => send(answerTo(query, { ...forged, questions: [{ type: "A", name: "other.test" }] })),
    ],
    [
      "to another type",
      (query, send) => send(answerTo(query, { ...forged, questions: [{ type: "NS", name: "example.test" }] })),
    ],
    ["without a question", (query, send) => send(answerTo(query, { ...forged, questions: [] }))],
    ["that are queries themselves", (query, send) => send(answerTo(query, { ...forged, type: "query" }))],
    ["that are noise", (_query, send) => send(Buffer.from("no DNS at all, but longer than a header"))],
    [
      "from another address",
      (query, _send, from) => {
        const stranger = createSocket("udp4");
        stranger.send(answerTo(query, forged), from.port, from.address, () => stranger.close());
      },
    ],
  ])("%s are passed over", async (_name, lie) => {
    const server = await startHostile((query, send, from) => {
      lie(query, send, from);
      setTimeout(() => send(answerTo(query)), 50);
    });
    expect(await ask(server, 5000)).toEqual(trueAnswer);
  });

  it("records of other names are left out", async () => {
    const stray = { type: "A", name: "other.test", ttl: 1, data: "203.0.113.66" } as const;
    const mine = { type: "A", name: "EXAMPLE.test", ttl: 1, data: "192.0.2.1" } as const;
    const server = await startHostile((query, send) => send(answerTo(query, { answers: [stray, mine] })));
    expect(await ask(server)).toEqual(trueAnswer);
  });

  it("aliases that lead in a circle end in nothing", async () => {
    const server = await startHostile((query, send) =>
      send(
        answerTo(query, {
          answers: [
            { type: "CNAME", name: "example.test", ttl: 1, data: "b.test" },
            { type: "CNAME", name: "b.test", ttl: 1, data: "example.test" },
          ],
        }),
      ),
    );
    expect(await ask(server)).toEqual({ outcome: "empty" });
  });
});

describe("answers that are broken", () => {
  it.each<[string, (query: Buffer) => Buffer]>([
    ["cut short", (query) => answerTo(query).subarray(0, -2)],
    ["a loop of compression", (query) => Buffer.concat([header(query, 0, 1), Buffer.from("c00cc00c00010001", "hex")])],
    ["65,535 records", (query) => Buffer.concat([header(query, 1, 65_535), query.subarray(12)])],
    ["an address of three bytes", (query) => withRecord(query, "c00c0001000100000001000 3c00002".replace(" ", ""))],
    ["a record longer than the message", (query) => withRecord(query, "c00c001000010000000100ff0161")],
    ["a text longer than its record", (query) => withRecord(query, "c00c0010000100000001000209 61".replace(" ", ""))],
  ])("%s: malformed", async (_name, broken) => {
    const server = await startHostile((query, send) => send(broken(query)));
    await expect(ask(server)).rejects.toMatchObject({ kind: "malformed" });
  });

  it("an extended response code is not taken for success", async () => {
    const opt = { type: "OPT", name: ".", udpPayloadSize: 1232, extendedRcode: 1, ednsVersion: 0, flags: 0 } as const;
    const server = await startHostile((query, send) =>
      send(answerTo(query, { answers: [], additionals: [{ ...opt, flag_do: false, options: [] }] })),
    );
    await expect(ask(server)).rejects.toMatchObject({
      kind: "unreachable",
      message: expect.stringContaining("code 16"),
    });
  });
});

const truncated: Respond = (query, send) => send(answerTo(query, { flags: dnsPacket.TRUNCATED_RESPONSE, answers: [] }));

describe("truncated answers", () => {
  it.each<[string, string, RespondByTcp]>([
    ["closes at once", "malformed", (_query, socket) => socket.destroy()],
    ["stops in the middle", "malformed", (query, socket) => socket.end(framed(answerTo(query)).subarray(0, 20))],
    ["answers something else", "malformed", (query, socket) => socket.end(framed(answerTo(query, { id: 1 })))],
    ["is silent", "timeout", () => undefined],
    ["never ends", "malformed", (_query, socket) => flood(socket)],
  ])("a server that over TCP %s gives no value: %s", async (_name, kind, respondByTcp) => {
    const server = await startHostile(truncated, respondByTcp);
    await expect(ask(server)).rejects.toMatchObject({ kind });
  });
});

describe("no answer", () => {
  it("a silent resolver is a time-out", async () => {
    const server = await startHostile(() => undefined);
    await expect(ask(server)).rejects.toMatchObject({ kind: "timeout", message: expect.stringContaining(server) });
  });

  it("a resolver that is not there is unreachable", async () => {
    await expect(ask("127.0.0.1:1")).rejects.toMatchObject({ kind: "unreachable" });
  });

  it("is asked for no longer than the look may take", async () => {
    const server = await startHostile(() => undefined);
    const dns = createDnsIo({ servers: [server], timeoutMs: 60_000, signal: AbortSignal.timeout(50) });
    await expect(dns.query("example.test", "A")).rejects.toMatchObject({ kind: "timeout" });
    await expect(dns.query("example.test", "A")).rejects.toMatchObject({ kind: "timeout" });
  });

  it("is asked for again", async () => {
    let asked = 0;
    const server = await startHostile((query, send) => (++asked > 1 ? send(answerTo(query)) : undefined));
    const dns = createDnsIo({ servers: [server], timeoutMs: 250, tries: 2 });
    expect(await dns.query("example.test", "A")).toEqual(trueAnswer);
  });
});

/** A response's header for the query, with the counts of questions and answers. */
function header(query: Buffer, questions: number, answers: number): Buffer {
  const bytes = Buffer.alloc(12);
  query.copy(bytes, 0, 0, 2);
  bytes.writeUInt16BE(0x8180, 2);
  bytes.writeUInt16BE(questions, 4);
  bytes.writeUInt16BE(answers, 6);
  return bytes;
}

function withRecord(query: Buffer, recordHex: string): Buffer {
  const question = query.subarray(12, query.length - 11);
  return Buffer.concat([header(query, 1, 1), question, Buffer.from(recordHex, "hex")]);
}

function framed(message: Buffer): Buffer {
  const length = Buffer.alloc(2);
  length.writeUInt16BE(message.length);
  return Buffer.concat([length, message]);
}

function flood(socket: Socket): void {
  const write = () => {
    while (!socket.destroyed && socket.write(Buffer.alloc(65_536, 0x41)));
  };
  socket.on("drain", write);
  write();
}
