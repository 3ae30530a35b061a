import { z } from "zod";
import { confirm, defineModule, observe, suggest } from "#contracts/module.ts";
import { hostOwner } from "../shared/web.ts";
import { readCertificate, toPem } from "./certificate.ts";
import { assessChange, type CertificateContext } from "./change.ts";
import { examples } from "./examples.ts";
import { EndpointName, endpointOf } from "./resource.ts";
import { standingOfCertificate, standingOfProtocol } from "./standing.ts";

const Options = z.strictObject({});

export default defineModule<z.infer<typeof Options>>({
  name: "tls",
  version: 1,
  summary: "Watches the certificate a TLS server shows: key, issuer, names, chain, validity, and whether it verifies.",
  resource: EndpointName,
  options: Options,
  // A lane of its own beside the host's web lane: a handshake is cheap and must not wait behind slow pages.
  lane: (resource) => `${endpointOf(resource).host}~tls`,
  owner: (resource) => hostOwner(endpointOf(resource).host),
  async *discovery({ resource }) {
    const { host } = endpointOf(resource);
    yield confirm(resource);
    if (hostOwner(host) !== "-") yield suggest("dns", host);
  },
  async *observation({ resource }, io) {
    const answer = await io.tls.handshake(endpointOf(resource));
    const certificate = readCertificate(answer);
    const now = new Date();
    const context: z.infer<typeof CertificateContext> = { seenAt: now.toISOString() };
    const evidence = { mediaType: "application/pem-certificate-chain", text: toPem(answer) };
    yield observe("certificate", certificate, { ...standingOfCertificate(certificate, now), context, evidence });
    yield observe("protocol", answer.protocol, standingOfProtocol(answer.protocol));
  },
  change: assessChange,
  examples,
});
