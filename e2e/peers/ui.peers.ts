/** The page of the querier in a real Chromium: a query typed, a graph drawn, a table, the stores, an error; and a quiet console. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { instant } from '../harness/api.ts';
import { writeHistory } from '../harness/blocks.ts';
import { type BrowserPage, openBrowser } from '../harness/browser.ts';
import { describeWithPeers } from '../harness/describe-peers.ts';
import { type Service, startService } from '../harness/gauntlet.ts';
import { type PeerServer, startPrometheus } from '../harness/peers.ts';
import { freePort, temporaryDir, waitFor } from '../harness/process.ts';

describeWithPeers('the page in Chromium', ['prometheus', 'promtool', 'chromium'], () => {
  let prometheus: PeerServer;
  let sidecar: Service;
  let querier: Service;
  let browser: BrowserPage;

  beforeAll(async () => {
    if (!existsSync(join(import.meta.dirname, '..', '..', 'packages', 'ui', 'dist', 'index.html'))) throw new Error('the page is not built: run `npm run build`');
    const port = await freePort();
    const dataDir = temporaryDir('browser');
    // An hour of a sine, so that there is a line to see.
    const nowMs = Date.now();
    writeHistory(
      join(dataDir, 'data'),
      ['left', 'right'].map((side, index) => ({ name: 'swing', labels: [['side', side]] as const, valueAt: (tMs: number) => Math.sin(tMs / 300_000 + index) })),
      Array.from({ length: 240 }, (_, step) => nowMs - 3_600_000 + step * 15_000),
    );
    prometheus = await startPrometheus({
      port,
      dataDir,
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
    await page.getByLabel('PromQL expression').click();
    await page.keyboard.type('2 * swing');
    await page.keyboard.press('Escape');
    await page.getByRole('button', { name: 'Execute' }).click();
    await page.getByRole('img', { name: 'Graph of 2 series' }).waitFor({ timeout: 30_000 });
    expect(await page.locator('.legend-row').allTextContents()).toEqual(['{cluster="browser", side="left"}', '{cluster="browser", side="right"}']);
    expect(page.url()).toContain('swing');
    // Grid and text are grey; two lines of an hour have thousands of coloured pixels.
    const coloured = await page.evaluate(() => {
      const canvas = document.querySelector('.graph canvas') as HTMLCanvasElement;
      const { data } = canvas.getContext('2d')!.getImageData(0, 0, canvas.width, canvas.height);
      let count = 0;
      for (let at = 0; at < data.length; at += 4) if (data[at + 3]! > 100 && Math.max(data[at]!, data[at + 1]!, data[at + 2]!) - Math.min(data[at]!, data[at + 1]!, data[at + 2]!) > 60) count++;
      return count;
    });
    expect(coloured).toBeGreaterThan(2000);
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
