// The demonstration's own git server, which tests use as their peer.
export { makeLocalRepository, type LocalRepository } from "../../cli/demo/servers/git-repository.ts";
export { startGitServer, type GitServer } from "../../cli/demo/servers/git-server.ts";
