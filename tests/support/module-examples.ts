export { expectedOf, replayExample } from "#runtime/replay-example.ts";
