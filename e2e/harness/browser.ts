/** A page in a real Chromium, with everything the console complained about. */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { type Page, chromium } from 'playwright-core';
import { needPeer } from './peers.ts';

const SCREENSHOTS = join(import.meta.dirname, '..', '..', '.cache', 'screenshots');

export interface BrowserPage {
  readonly page: Page;
  /** Errors and warnings of the console, exceptions of the page, requests that failed or were answered 4xx or 5xx. */
  readonly complaints: readonly string[];
  /** Writes .cache/screenshots/<name>.png; returns its path. */
  screenshot(name: string): Promise<string>;
  close(): Promise<void>;
}

/** Opens a browser with an empty page. */
export async function openBrowser(): Promise<BrowserPage> {
  const browser = await chromium.launch({ executablePath: needPeer('chromium'), args: ['--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage', '--no-proxy-server'] });
  const page = await browser.newPage({ viewport: { width: 1280, height: 900 } });
  const complaints: string[] = [];
  page.on('console', (message) => {
    if (message.type() === 'error' || message.type() === 'warning') complaints.push(`${message.type()}: ${message.text()}`);
  });
  page.on('pageerror', (error) => complaints.push(`exception: ${error.message}`));
  page.on('response', (response) => {
    if (response.status() >= 400) complaints.push(`HTTP ${response.status()} ${response.url()}`);
  });
  // What the page itself calls off (a query nobody waits for any more) is no complaint.
  page.on('requestfailed', (request) => {
    if (request.failure()?.errorText !== 'net::ERR_ABORTED') complaints.push(`${request.failure()?.errorText ?? 'failed'} ${request.url()}`);
  });
  return {
    page,
    complaints,
    screenshot: async (name) => {
      mkdirSync(SCREENSHOTS, { recursive: true });
      const path = join(SCREENSHOTS, `${name}.png`);
      await page.screenshot({ path });
      return path;
    },
    close: () => browser.close(),
  };
}
