import type { ServerResponse } from "node:http";
import { startWebServer } from "./web-server.ts";
import type { WebServer } from "./web-server.ts";

/** A small shop's page, and what an intruder can do to it. */
export interface Shop extends WebServer {
  injectScript(source: string): void;
  dropHeader(name: string): void;
}

export async function startShop(port: number): Promise<Shop> {
  const scripts = ["/cart.js"];
  const headers = new Map([
    ["content-type", "text/html; charset=utf-8"],
    ["x-content-type-options", "nosniff"],
    ["x-frame-options", "DENY"],
  ]);
  const server = await startWebServer((request, response) => {
    if (request.url === "/") response.writeHead(200, Object.fromEntries(headers)).end(page(scripts));
    else if (request.url === "/cart.js") sendScript(response);
    else response.writeHead(404).end();
  }, port);
  return {
    ...server,
    injectScript: (source) => void scripts.push(source),
    dropHeader: (name) => void headers.delete(name),
  };
}

function sendScript(response: ServerResponse): void {
  response.writeHead(200, { "content-type": "text/javascript" }).end("// The shop's own script.\n");
}

function page(scripts: string[]): string {
  const tags = scripts.map((source) => `    <script src="${source}"></script>\n`).join("");
  return `<!doctype html>
<html lang="en">
  <head>
    <meta charset="utf-8">
    <title>A small shop</title>
${tags}  </head>
  <body>
    <h1>A small shop</h1>
    <p>This page is watched by paintdry. Look at its source after each step.</p>
    <form action="/pay" method="post"><label>Card number <input name="card"></label> <button>Pay</button></form>
  </body>
</html>
`;
}
