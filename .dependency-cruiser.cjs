/** Three floors: services, command line and page stand on the runtime and the modules; all stand on the contracts. */
const tests = "\\.test\\.ts$";

module.exports = {
  forbidden: [
    {
      name: "services-stay-apart",
      comment: "A service never imports another service: they meet on the bus.",
      severity: "error",
      from: { path: "^services/([^/]+)/" },
      to: { path: "^services/", pathNot: "^services/$1/" },
    },
    {
      name: "contracts-stand-on-nothing",
      comment: "Contracts run in the browser too: they import one another, zod, canonicalize and @noble only.",
      severity: "error",
      from: { path: "^contracts/", pathNot: tests },
      to: { pathNot: "^(contracts/|node_modules/(zod|canonicalize|@noble)/)" },
    },
    {
      name: "runtime-stands-on-contracts",
      comment: "The runtime imports contracts and libraries, and loads modules by name only.",
      severity: "error",
      from: { path: "^runtime/", pathNot: tests },
      to: { path: "^(services|modules|cli|ui|tests|bench)/" },
    },
    {
      name: "modules-know-their-contract-alone",
      comment:
        "A module imports the module contract, what modules share, node: and libraries: io is its only road out.",
      severity: "error",
      from: { path: "^modules/", pathNot: tests },
      to: { path: "^(services|runtime|cli|ui|tests|bench)/" },
    },
    {
      name: "modules-use-few-contracts",
      severity: "error",
      comment:
        "Of the contracts a module needs its own, io's, look errors, messages, severities, canonical JSON and patterns.",
      from: { path: "^modules/", pathNot: tests },
      to: {
        path: "^contracts/",
        pathNot: "^contracts/(module|io|look-error|messages|canonical|config|severity)\\.ts$",
      },
    },
    {
      name: "modules-stay-apart",
      comment: "A module never imports another one; what they share stands in modules/shared.",
      severity: "error",
      from: { path: "^modules/([^/.]+)(/|\\.ts$)", pathNot: tests },
      to: { path: "^modules/", pathNot: "^modules/($1(/|\\.ts$)|shared/)" },
    },
    {
      name: "page-stands-on-contracts",
      comment: "The page imports only contracts and what it is built with.",
      severity: "error",
      from: { path: "^ui/", pathNot: tests },
      to: { path: "^(services|runtime|modules|cli|tests|bench)/" },
    },
    {
      name: "nothing-stands-on-the-command-line",
      comment: "Only the command line itself and tests import cli/.",
      severity: "error",
      from: { pathNot: [tests, "^(cli|tests|bench)/"] },
      to: { path: "^cli/" },
    },
    {
      name: "nothing-stands-on-tests",
      comment: "Only tests import what supports tests.",
      severity: "error",
      from: { pathNot: [tests, "^(tests|bench)/", "^services/[^/]+/testing/"] },
      to: { path: "^tests/" },
    },
    {
      name: "no-circles",
      severity: "error",
      from: {},
      to: { circular: true, viaOnly: { dependencyTypesNot: ["type-only"] } },
    },
    { name: "no-unresolved", severity: "error", from: {}, to: { couldNotResolve: true } },
  ],
  options: {
    doNotFollow: { path: "node_modules" },
    exclude: { path: "^ui/dist" },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: "tsconfig.json" },
    enhancedResolveOptions: {
      exportsFields: ["exports"],
      conditionNames: ["import", "node", "default", "svelte"],
      extensions: [".ts", ".mjs", ".js", ".svelte"],
    },
  },
};
