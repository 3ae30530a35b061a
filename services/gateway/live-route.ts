import { LiveFrame, LiveQuery } from "#contracts/gateway.ts";
import type { Api } from "./api.ts";
import { checkOrigin } from "./guard.ts";
import type { GuardSettings } from "./guard.ts";
import type { Live } from "./live/live.ts";
import { ProblemError } from "./problems.ts";
import { describeRoute } from "./schemas.ts";

/** `GET live`: whatever is wrong is answered in plain HTTP, before the upgrade. */
export function addLiveRoute(app: Api, { live, guard }: { live: Live; guard: GuardSettings }): void {
  app.route({
    method: "GET",
    url: "/live",
    exposeHeadRoute: false,
    config: { isLive: true },
    schema: describeRoute(
      "Upgrades to a WebSocket that sends each change as it happens; a text frame is this.",
      LiveFrame,
      { querystring: LiveQuery.strict() },
      101,
    ),
    onRequest: async (request) => checkOrigin(request, guard),
    preHandler: async (request) => {
      if (!request.ws) throw new ProblemError("upgrade_required", undefined, { headers: { upgrade: "websocket" } });
      if (!live.isReady()) throw new ProblemError("store_unavailable");
      if (live.isFull()) throw new ProblemError("too_many_clients");
    },
    handler: async () => {
      throw new ProblemError("upgrade_required");
    },
    wsHandler: (socket, request) => live.accept(socket, request.query),
  });
}
