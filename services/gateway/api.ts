import type { Server } from "node:http";
import fastifyWebsocket from "@fastify/websocket";
import { fastify, LogController } from "fastify";
import type { FastifyInstance, RawReplyDefaultExpression, RawRequestDefaultExpression } from "fastify";
import type { ZodTypeProvider } from "fastify-type-provider-zod";
import type { Logger } from "#runtime/log.ts";
import { answerBrokenRequest, answerError } from "./error-answers.ts";
import { checkHost, setSecurityHeaders } from "./guard.ts";
import type { GuardSettings } from "./guard.ts";
import { ProblemError } from "./problems.ts";
import { compileValidator } from "./validation.ts";

/** The HTTP server, with zod schemas. */
export type Api = FastifyInstance<
  Server,
  RawRequestDefaultExpression,
  RawReplyDefaultExpression,
  Logger,
  ZodTypeProvider
>;

const maxBodyBytes = 16 * 1024;
/** Live clients send nothing but pongs and a close. */
const maxMessageBytes = 1024;

/** A server without routes yet: what holds for every request and answer is here. */
export async function createApi({ log, guard }: { log: Logger; guard: GuardSettings }): Promise<Api> {
  const app = fastify({
    loggerInstance: log,
    logController: new LogController({ disableRequestLogging: true }),
    bodyLimit: maxBodyBytes,
    requestTimeout: 30_000,
    return503OnClosing: false,
    clientErrorHandler: answerBrokenRequest,
    // Paths that cannot be decoded reach no route and no hook.
    frameworkErrors(error, request, reply) {
      setSecurityHeaders(reply);
      void answerError(error, request, reply);
    },
  }).withTypeProvider<ZodTypeProvider>();
  app.setValidatorCompiler(compileValidator);
  // Answers of the store were checked against these schemas when they came in.
  app.setSerializerCompiler(() => (answer: unknown) => JSON.stringify(answer));
  app.setErrorHandler(answerError);
  parseJsonAlone(app);
  await app.register(fastifyWebsocket, {
    options: { maxPayload: maxMessageBytes, perMessageDeflate: false },
    // The socket closes by itself after a broken frame; live.ts closes the others.
    errorHandler: (error, _socket, request) => request.log.debug({ err: error }, "live connection failed"),
    preClose: (done) => done(),
  });
  app.addHook("onRequest", async (request, reply) => {
    setSecurityHeaders(reply);
    checkHost(request, guard);
    if (request.ws && !request.routeOptions.config.isLive) {
      throw new ProblemError("bad_request", "This path is not a WebSocket; /api/v1/live is.");
    }
  });
  return app;
}

declare module "fastify" {
  interface FastifyContextConfig {
    /** The one route that upgrades to a WebSocket. */
    isLive?: boolean;
  }
}

/** JSON is the only body there is, and an empty one is no body. */
function parseJsonAlone(app: Api): void {
  const parseJson = app.getDefaultJsonParser("error", "error");
  app.removeAllContentTypeParsers();
  app.addContentTypeParser("application/json", { parseAs: "string" }, (request, body, done) => {
    if (body === "") return done(null, undefined);
    void parseJson(request, String(body), (error: Error | null, parsed?: unknown) => {
      if (!error) return done(null, parsed);
      done(new ProblemError("bad_json", `The body is not JSON: ${error.message}.`, { cause: error }));
    });
  });
}

const allMethods = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"] as const;

/**
 * Registers routes, and after them an answer for every method their paths do not take. It comes before the body is
 * read, as there is nobody to read it for.
 */
export function withMethodAnswers(app: Api, addRoutes: () => void): void {
  const methodsByPath = new Map<string, Set<string>>();
  const answered = new Set<string>();
  app.addHook("onRoute", ({ routePath, method }) => {
    if (answered.has(routePath)) return;
    const methods = methodsByPath.get(routePath) ?? new Set();
    for (const each of [method].flat()) methods.add(each);
    methodsByPath.set(routePath, methods);
  });
  addRoutes();
  for (const [url, methods] of methodsByPath) {
    answered.add(url);
    const allow = [...methods].toSorted().join(", ");
    const refuse = () => {
      throw new ProblemError("method_not_allowed", `This path takes ${allow}.`, { headers: { allow } });
    };
    app.route({
      url,
      method: allMethods.filter((method) => !methods.has(method)),
      schema: { hide: true },
      onRequest: async () => refuse(),
      handler: refuse,
    });
  }
}
