import { existsSync } from "node:fs";
import { join } from "node:path";
import fastifyStatic from "@fastify/static";
import type { FastifyReply, FastifyRequest } from "fastify";
import { apiRoot } from "#contracts/gateway.ts";
import type { Api } from "./api.ts";
import { sendProblem } from "./error-answers.ts";
import { ProblemError } from "./problems.ts";

/** Vite names these by their content. */
const hashedFiles = "/assets/";

/**
 * Serves the built page. Its views have addresses of their own, so a browser that asks for one that is no file gets
 * the page; everybody else is told that nothing is there.
 */
export async function addUi(app: Api, folder: string): Promise<void> {
  await app.register(fastifyStatic, {
    root: folder,
    index: false,
    redirect: false,
    dotfiles: "ignore",
    cacheControl: false,
    suppressWarning: true,
    allowedPath: (path) => !path.startsWith("/api/"),
    setHeaders: (reply, path) => {
      const isHashed = path.slice(folder.length).replaceAll("\\", "/").startsWith(hashedFiles);
      reply.header("cache-control", isHashed ? "public, max-age=31536000, immutable" : "no-cache");
    },
  });
  app.get("/", { schema: { hide: true } }, (_request, reply) => sendPage(reply, folder));
  app.setNotFoundHandler((request, reply) => answerUnknownPath(request, reply, folder));
}

function answerUnknownPath(request: FastifyRequest, reply: FastifyReply, folder: string): FastifyReply {
  const [path = ""] = request.url.split("?");
  if (path === "/api" || path.startsWith("/api/")) {
    const message = `There is nothing under ${JSON.stringify(path.slice(0, 200))}; ${apiRoot}/openapi.json lists what there is.`;
    return sendProblem(reply, new ProblemError("unknown_route", message));
  }
  if (request.method !== "GET" && request.method !== "HEAD") {
    const headers = { allow: "GET, HEAD" };
    return sendProblem(reply, new ProblemError("method_not_allowed", "This path takes GET, HEAD.", { headers }));
  }
  const takesHtml = request.headers.accept?.includes("text/html") ?? false;
  if (!takesHtml || path.startsWith(hashedFiles)) return sendProblem(reply, new ProblemError("unknown_route"));
  return sendPage(reply, folder);
}

function sendPage(reply: FastifyReply, folder: string): FastifyReply {
  if (existsSync(join(folder, "index.html"))) return reply.code(200).sendFile("index.html");
  return reply.code(503).type("text/html; charset=utf-8").send(notBuiltPage);
}

const notBuiltPage = `<!doctype html>
<html lang="en">
  <meta charset="utf-8">
  <title>paintdry</title>
  <h1>paintdry is running, but its page has not been built</h1>
  <p>Build it with <code>npx vite build</code> and load this page again; <code>npm start</code> does so by itself.
  The same facts are at <a href="${apiRoot}/status">${apiRoot}</a>.</p>
</html>
`;
