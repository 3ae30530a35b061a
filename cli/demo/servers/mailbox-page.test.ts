import { request } from "node:http";
import { once } from "node:events";
import { createTransport } from "nodemailer";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { startBrowser } from "../../../tests/support/browser.ts";
import type { TestBrowser } from "../../../tests/support/browser.ts";
import { startMailboxPage } from "./mailbox-page.ts";
import { startMailbox } from "./mailbox.ts";
import type { Mailbox } from "./mailbox.ts";
import type { WebServer } from "./web-server.ts";

const uiUrl = "http://localhost:8080";
const changeUrl = `${uiUrl}/changes/01a202f8-f8cc-7016-b700-eb7402ef1b59`;
let mailbox: Mailbox;
let page: WebServer;
let browser: TestBrowser;

beforeAll(async () => {
  mailbox = await startMailbox();
  page = await startMailboxPage(mailbox.mails, { uiUrl, port: 0 });
  browser = await startBrowser();
});
afterAll(async () => {
  await browser?.close();
  await page?.stop();
  await mailbox?.stop();
});

async function send(subject: string, text: string): Promise<void> {
  const transport = createTransport({ host: "127.0.0.1", port: mailbox.port });
  await transport.sendMail({ from: "paintdry@demo.example", to: "you@demo.example", subject, text });
  transport.close();
}

describe("the mailbox page", () => {
  it("shows new mails by itself, newest first, what is in them as text alone, and links to paintdry only", async () => {
    await send("<img src=x onerror=document.title='broken'> moved", `<script>alert(1)</script>\n${changeUrl}\n`);
    const { page: opened, complaints } = await browser.open(`${page.url}/`);
    await opened.getByText("<script>alert(1)</script>").waitFor();
    await send("from elsewhere", changeUrl.replace(uiUrl, "http://evil.example"));
    await opened.getByText("from elsewhere").waitFor();
    expect(await opened.locator("h2").allTextContents()).toEqual([
      "from elsewhere",
      "<img src=x onerror=document.title='broken'> moved",
    ]);
    expect(await opened.locator("img").count()).toBe(0);
    const links = opened.getByRole("link");
    expect(await links.evaluateAll((found) => found.map((link) => link.getAttribute("href")))).toEqual([changeUrl]);
    expect(complaints).toEqual([]);
  });

  it("answers its own host names alone", async () => {
    const asked = request(`${page.url}/mails.json`, { headers: { host: "evil.example" } }).end();
    const [response] = await once(asked, "response");
    response.resume();
    expect(response.statusCode).toBe(403);
  });
});
