import { installPeers } from "./peers.ts";

/** Runs once before all tests. */
export default function setup(): void {
  installPeers();
}
