/** The page of the querier in a real Chromium: a query typed, a graph drawn, a table, the stores, an error; and a quiet console. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { instant } from '../harness/api.ts';
import { type BrowserPage, openBrowser } from '../harness/browser.ts';
import { type Service, startService } from '../harness/gauntlet.ts';
import { type PeerServer, missingPeers, startPrometheus } from '../harness/peers.ts';
import { freePort, waitFor } from '../harness/process.ts';

const missing = missingPeers(['prometheus', 'chromium']);
const isSkipped = missing.length > 0;
if (isSkipped) console.warn(`the page in Chromium: skipped, this machine has no ${missing.join(', ')} (scripts/install-peers.sh)`);

(isSkipped ? describe.skip : describe)(`the page in Chromium${isSkipped ? ` (skipped: no ${missing.join(', ')})` : ''}`, () => {
  let prometheus: PeerServer;
  let sidecar: Service;
  let querier: Service;
  let browser: BrowserPage;

  beforeAll(async () => {
    if (!existsSync(join(import.meta.dirname, '..', '..', 'packages', 'ui', 'dist', 'index.html'))) throw new Error('the page is not built: run `npm run build`');
    const port = await freePort();
    prometheus = await startPrometheus({
      port,
      config: `global: {scrape_interval: 1s, scrape_timeout: 1s, external_labels: {cluster: browser, replica: a}}\nscrape_configs:\n- job_name: prometheus\n  static_configs: [{targets: ['127.0.0.1:${port}']}]\n`,
    });
    sidecar = await startService('sidecar', [`--prometheus.url=${prometheus.url}`, '--prometheus.get_config_interval=1s']);
    querier = await startService('query', ['--query.replica-label=replica', `--endpoint=${sidecar.grpc}`]);
    await waitFor('samples', async () => (await instant(querier.url, 'count_over_time(up[1m]) > 10', Date.now() / 1000)).length > 0, { process: querier.process, timeoutMs: 60_000 });
    browser = await openBrowser();
  }, 180_000);

  afterAll(async () => {
    await browser?.close();
    await Promise.allSettled([querier?.stop(), sidecar?.stop(), prometheus?.stop()]);
  }, 60_000);

  test('a query is typed and drawn', async () => {
    const { page } = browser;
    await page.goto(`${querier.url}/`);
    await page.getByLabel('PromQL expression').fill('rate(prometheus_http_requests_total[30s])');
    await page.getByRole('button', { name: 'Execute' }).click();
    const graph = page.getByRole('img', { name: /^Graph of [1-9]\d* series$/ });
    await graph.waitFor({ timeout: 30_000 });
    expect(await page.locator('.legend-row').count()).toBeGreaterThan(0);
    // Something was drawn: the canvas has pixels that are not transparent.
    const inked = await page.evaluate(() => {
      const canvas = document.querySelector('.graph canvas') as HTMLCanvasElement;
      return canvas.getContext('2d')!.getImageData(0, 0, canvas.width, canvas.height).data.some((value) => value !== 0);
    });
    expect(inked).toBe(true);
    expect(page.url()).toContain('g0.expr=rate');
    expect(existsSync(await browser.screenshot('graph'))).toBe(true);
    expect(browser.complaints).toEqual([]);
  }, 60_000);

  test('the table shows values', async () => {
    const { page } = browser;
    await page.goto(`${querier.url}/graph?g0.expr=up&g0.tab=1`);
    const row = page.getByRole('row').filter({ hasText: 'up{' });
    await row.waitFor({ timeout: 30_000 });
    expect(await row.textContent()).toMatch(/cluster="browser".*1$/);
    expect(await row.textContent()).not.toContain('replica');
    expect(browser.complaints).toEqual([]);
  }, 60_000);

  test('the stores page names the sidecar, its labels, and that it is up', async () => {
    const { page } = browser;
    await page.goto(`${querier.url}/stores`);
    const row = page.getByRole('row').filter({ hasText: sidecar.grpc });
    await row.waitFor({ timeout: 30_000 });
    expect(await row.textContent()).toContain('replica="a"');
    expect((await row.textContent())!.toLowerCase()).toContain('up');
    await browser.screenshot('stores');
    expect(browser.complaints).toEqual([]);
  }, 60_000);

  test('a mistake in the expression is shown with its place', async () => {
    const { page } = browser;
    await page.goto(`${querier.url}/graph?g0.expr=sum(up&g0.tab=1`);
    const alert = page.getByRole('alert').filter({ hasText: 'parse error' });
    await alert.waitFor({ timeout: 30_000 });
    expect(await alert.textContent()).toContain('1:7: parse error: unclosed left parenthesis');
    await browser.screenshot('error');
    // The answer is a 400, which the console mentions; nothing else.
    expect(browser.complaints.filter((text) => !text.includes('400'))).toEqual([]);
  }, 60_000);
});
