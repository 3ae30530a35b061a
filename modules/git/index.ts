import { confirm, defineModule, refuse } from "#contracts/module.ts";
import { assessChange } from "./change.ts";
import { examples } from "./examples.ts";
import { locate } from "./locate.ts";
import { observeRepository } from "./observation.ts";
import { Options } from "./options.ts";
import { laneOf, ownerOf, RepositoryUrl } from "./resource.ts";

export default defineModule<Options>({
  name: "git",
  version: 1,
  summary:
    "Watches a git repository's tags, default branch and chosen branch heads; says of a moved tag where it leads.",
  resource: RepositoryUrl,
  options: Options,
  lane: laneOf,
  owner: ownerOf,
  async *discovery({ resource }, io) {
    const { url, movedTo, answer } = await locate(io.git, resource, ["HEAD"]);
    if (answer.outcome === "gone") {
      yield refuse(answer.reason);
      return;
    }
    // Another spelling is taken over, since each look at the first would cost a detour; another repository is not.
    yield confirm(movedTo === null ? url : resource);
  },
  observation: observeRepository,
  change: assessChange,
  examples,
});
