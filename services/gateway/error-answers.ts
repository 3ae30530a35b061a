import type { Socket } from "node:net";
import type { FastifyError, FastifyReply, FastifyRequest } from "fastify";
import { RpcError } from "#runtime/errors.ts";
import { problemBody, ProblemError, problems } from "./problems.ts";
import type { ProblemCode } from "./problems.ts";

/** Answers anything that was thrown with a `Problem`; what is our own fault is logged and says no more than that. */
export function answerError(error: unknown, request: FastifyRequest, reply: FastifyReply): FastifyReply {
  const problem = toProblem(error);
  if (problem.code === "internal") request.log.error({ err: error, url: request.url }, "request failed");
  return sendProblem(reply, problem);
}

export function sendProblem(reply: FastifyReply, problem: ProblemError): FastifyReply {
  return (
    reply
      .code(problem.statusCode)
      .headers(problem.headers)
      .header("content-type", "application/json; charset=utf-8")
      // Already text: a route's own schemas have no say in it.
      .serializer(String)
      .send(JSON.stringify(problemBody(problem)))
  );
}

function toProblem(error: unknown): ProblemError {
  if (error instanceof ProblemError) return error;
  if (error instanceof RpcError) return rpcProblem(error);
  const { code = "", statusCode = 500 } = error as Partial<FastifyError>;
  const known = frameworkCodes[code];
  if (known) return new ProblemError(known, undefined, { cause: error });
  // A folder among the page's files.
  if (statusCode === 403) return new ProblemError("unknown_route", undefined, { cause: error });
  if (statusCode >= 400 && statusCode < 500) {
    return new ProblemError("bad_request", undefined, { cause: error, status: statusCode });
  }
  return new ProblemError("internal", undefined, { cause: error });
}

/** What the store answered instead, or that it did not. */
function rpcProblem(error: RpcError): ProblemError {
  if (error.isTemporary) return new ProblemError("store_unavailable", undefined, { cause: error });
  if (error.code === "bad_cursor") return new ProblemError("bad_cursor", undefined, { cause: error });
  // A value that PostgreSQL cannot hold, hidden in a cursor or a name.
  if (error.code === "bad_request") return new ProblemError("bad_parameter", undefined, { cause: error });
  if (error.code === "too_large") return new ProblemError("answer_too_large", undefined, { cause: error });
  return new ProblemError("internal", undefined, { cause: error });
}

const frameworkCodes: Record<string, ProblemCode> = {
  FST_ERR_CTP_BODY_TOO_LARGE: "body_too_large",
  FST_ERR_CTP_INVALID_MEDIA_TYPE: "json_required",
  FST_ERR_CTP_INVALID_JSON_BODY: "bad_json",
  FST_ERR_MAX_PARAM_LENGTH: "unknown_route",
};

/** What is not even HTTP, or has headers past Node's limit, never reaches a route. */
export function answerBrokenRequest(error: NodeJS.ErrnoException, socket: Socket): void {
  if (error.code === "ECONNRESET" || !socket.writable) return void socket.destroy();
  const code = error.code === "HPE_HEADER_OVERFLOW" ? "headers_too_large" : "bad_request";
  const body = JSON.stringify(problemBody({ code, message: problems[code].sentence }));
  const status = code === "headers_too_large" ? "431 Request Header Fields Too Large" : "400 Bad Request";
  socket.end(
    `HTTP/1.1 ${status}\r\ncontent-type: application/json; charset=utf-8\r\nx-content-type-options: nosniff\r\n` +
      `content-length: ${Buffer.byteLength(body)}\r\nconnection: close\r\n\r\n${body}`,
  );
}
