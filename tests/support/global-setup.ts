import type { TestProject } from "vitest/node";
import { findNatsServer } from "../../cli/embedded/nats-binary.ts";
import { installPeers } from "./peers.ts";
import { offerSharedPostgres } from "./shared-postgres.ts";

declare module "vitest" {
  interface ProvidedContext {
    /** Answers with the URL of a PostgreSQL that all test files share. */
    sharedPostgres: string;
  }
}

/** Runs once before all tests; what it answers runs after them. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  installPeers();
  // Fetched once, here, and not by each test file.
  await findNatsServer({ onProgress: console.log });
  const postgres = await offerSharedPostgres();
  project.provide("sharedPostgres", postgres.address);
  return postgres.stop;
}
