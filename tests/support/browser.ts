import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { AxeBuilder } from "@axe-core/playwright";
import { type BrowserContext, chromium, type Page } from "playwright-core";
import { findPeer } from "./peers.ts";

export interface TestBrowser {
  /** A page in the one profile; what it complains about is collected from the start. */
  open(url: string): Promise<OpenPage>;
  close(): Promise<void>;
}

export interface OpenPage {
  page: Page;
  /** Errors of scripts, and what the content security policy stopped. */
  complaints: string[];
}

/** Quiet on the network: no page of a test may depend on anything but the gateway. */
const flags = [
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

/** A real Chromium with a new, empty profile. */
export async function startBrowser(options: { colorScheme?: "light" | "dark" } = {}): Promise<TestBrowser> {
  const profile = mkdtempSync(join(tmpdir(), "paintdry-browser-"));
  const context = await chromium.launchPersistentContext(profile, {
    executablePath: findBrowser(),
    // As root it has no sandbox of its own.
    args: process.getuid?.() === 0 ? [...flags, "--no-sandbox"] : flags,
    viewport: { width: 1400, height: 900 },
    locale: "en-GB",
    ...options,
  });
  return {
    open: async (url) => await openPage(context, url),
    close: async () => {
      await context.close();
      rmSync(profile, { recursive: true, force: true });
    },
  };
}

function findBrowser(): string {
  const path = findPeer("chromium");
  if (path === null) throw new Error("no Chromium on PATH: install it (on Debian: apt-get install chromium)");
  return path;
}

async function openPage(context: BrowserContext, url: string): Promise<OpenPage> {
  const page = await context.newPage();
  const complaints: string[] = [];
  page.on("pageerror", (error) => complaints.push(`script: ${error.message}`));
  page.on("console", (message) => {
    if (/content security policy/i.test(message.text())) complaints.push(`policy: ${message.text()}`);
  });
  page.on("dialog", (dialog) => {
    complaints.push(`dialog: ${dialog.message()}`);
    void dialog.dismiss();
  });
  await page.goto(url);
  return { page, complaints };
}

/** What axe finds wrong with the page as it stands, by all its rules or some of them, one line each. */
export async function accessibilityFaults(page: Page, rules: string[] = []): Promise<string[]> {
  // Texts that fade in have other colours on the way.
  await page.evaluate("document.getAnimations().forEach((animation) => animation.finish())");
  const axe = new AxeBuilder({ page });
  const { violations } = await (rules.length > 0 ? axe.withRules(rules) : axe).analyze();
  return violations.flatMap(({ id, nodes }) =>
    nodes.map(({ html, failureSummary }) => `${id}: ${html} ${failureSummary}`),
  );
}
