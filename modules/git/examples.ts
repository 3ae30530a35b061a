import type { Json } from "#contracts/canonical.ts";
import type { Example } from "#contracts/module.ts";

const [v1, v2, evil] = ["1".repeat(40), "2".repeat(40), "e".repeat(40)];
const [object, objectAgain] = ["a".repeat(40), "b".repeat(40)];
const resource = "https://github.com/example/tool";

function ref(name: string, objectId: string, more: { peeledId?: string; target?: string } = {}): Json {
  return { name, objectId, peeledId: more.peeledId ?? null, target: more.target ?? null };
}

const head = ref("HEAD", v2, { target: "refs/heads/main" });
const onMain = { deletedValue: null, reachability: { outcome: "known", branches: ["main"] } };
const onNoBranch = { deletedValue: null, reachability: { outcome: "known", branches: [] } };

export const examples: Example[] = [
  {
    title: "one spelling for a repository on GitHub",
    operation: "resource",
    input: "http://GitHub.com/example/tool.git/",
    output: resource,
  },
  {
    title: "an ssh address",
    operation: "resource",
    input: "git@github.com:example/tool.git",
    output: { refusal: "ssh addresses are not watched: give the repository's https address" },
  },
  {
    title: "a repository that answers",
    operation: "discovery",
    resource,
    io: [{ call: "git.refs", returns: { outcome: "refs", refs: [head] } }],
    answer: [{ type: "confirm", resource }],
  },
  {
    title: "a lightweight and an annotated tag",
    operation: "observation",
    resource,
    io: [
      {
        call: "git.refs",
        returns: {
          outcome: "refs",
          refs: [head, ref("refs/tags/v1.0.0", v1), ref("refs/tags/v1.1.0", object, { peeledId: v2 })],
        },
      },
    ],
    answer: [
      { type: "observe", attribute: "default_branch", value: "main" },
      { type: "observe", attribute: "tag/v1.0.0", value: { commit: v1, object: null } },
      { type: "observe", attribute: "tag/v1.1.0", value: { commit: v2, object } },
      { type: "save", state: null },
    ],
  },
  {
    title: "a moved tag is followed up in the same look",
    operation: "observation",
    resource,
    previous: [{ attribute: "tag/v1.0.0", value: { commit: v1, object: null }, severity: null, reason: null }],
    io: [
      { call: "git.refs", returns: { outcome: "refs", refs: [head, ref("refs/tags/v1.0.0", evil)] } },
      { call: "git.branchesWith", returns: { outcome: "known", branches: { [evil]: [] } } },
    ],
    answer: [
      { type: "observe", attribute: "default_branch", value: "main" },
      { type: "observe", attribute: "tag/v1.0.0", value: { commit: evil, object: null }, context: onNoBranch },
      { type: "save", state: null },
    ],
  },
  {
    title: "a repository that was deleted",
    operation: "observation",
    resource,
    io: [{ call: "git.refs", returns: { outcome: "gone", reason: "The git server answered 404." } }],
    answer: [{ type: "gone", reason: "The git server answered 404." }],
  },
  {
    title: "a release's tag moved to a commit that nobody reviewed",
    operation: "change",
    request: {
      resource,
      attribute: "tag/v4.1.2",
      kind: "changed",
      oldValue: { commit: v1, object: null },
      newValue: { commit: evil, object: null },
      context: onNoBranch,
    },
    answer: { severity: "critical", reason: "tag v4.1.2 moved from 1111111 to eeeeeee, which is on no branch" },
  },
  {
    title: "a floating tag moved along",
    operation: "change",
    request: {
      resource,
      attribute: "tag/v4",
      kind: "changed",
      oldValue: { commit: v1, object: null },
      newValue: { commit: v2, object: null },
      context: onMain,
    },
    answer: { severity: "notice", reason: "floating tag v4 moved from 1111111 to 2222222, which is on branch main" },
  },
  {
    title: "a tag signed anew",
    operation: "change",
    request: {
      resource,
      attribute: "tag/v1.1.0",
      kind: "changed",
      oldValue: { commit: v2, object },
      newValue: { commit: v2, object: objectAgain },
    },
    answer: {
      severity: "notice",
      reason: "tag v1.1.0 was signed or annotated anew; it leads to the same commit 2222222",
    },
  },
];
