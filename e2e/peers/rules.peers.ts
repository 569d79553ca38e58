/**
 * Rules and alerts of two real Prometheus, replicas of each other, as a querier over their sidecars shows them: by API, through a querier on top, and on
 * its pages in Chromium.
 */
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { getApi } from '../harness/api.ts';
import { type BrowserPage, openBrowser } from '../harness/browser.ts';
import { describeWithPeers } from '../harness/describe-peers.ts';
import { type Service, startService } from '../harness/gauntlet.ts';
import { type PeerServer, startPrometheus } from '../harness/peers.ts';
import { freePort, temporaryDir, waitFor } from '../harness/process.ts';

interface Rule {
  readonly name: string;
  readonly type: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly state?: string;
  readonly health: string;
  readonly alerts?: readonly unknown[];
}
interface Rules {
  readonly groups: readonly { readonly name: string; readonly file: string; readonly rules: readonly Rule[] }[];
}

const RULES = `groups:
- name: shop
  interval: 1s
  rules:
  - {record: 'job:up:sum', expr: sum by (job) (up)}
  - {alert: TargetDown, expr: up == 0, labels: {severity: page}, annotations: {summary: '{{ $labels.instance }} is gone', runbook: 'https://example.org/runbook'}}
  - {alert: Later, expr: vector(2), for: 1h}
  - {alert: Never, expr: up > 5}
- name: broken
  interval: 1s
  rules:
  - {record: 'broken:rule', expr: up * on () group_left () up}
`;

/** What stays the same from one evaluation to the next. */
const lasting = (rules: Rules): unknown =>
  JSON.parse(JSON.stringify(rules, (key, value: unknown) => (['lastEvaluation', 'evaluationTime', 'activeAt', 'lastError'].includes(key) ? undefined : value)));

describeWithPeers('rules of two Prometheus', ['prometheus', 'chromium'], () => {
  const dir = temporaryDir('rules');
  const prometheus: PeerServer[] = [];
  const sidecars: Service[] = [];
  let querier: Service;
  let top: Service;
  let browser: BrowserPage;

  beforeAll(async () => {
    if (!existsSync(join(import.meta.dirname, '..', '..', 'packages', 'ui', 'dist', 'index.html'))) throw new Error('the page is not built: run `npm run build`');
    writeFileSync(join(dir, 'rules.yml'), RULES);
    for (const replica of ['a', 'b']) {
      const port = await freePort();
      // Nothing listens on port 9; the other target is Prometheus itself.
      const config = `global: {scrape_interval: 1s, scrape_timeout: 1s, external_labels: {cluster: eu, replica: ${replica}}}\nrule_files: ['${join(dir, 'rules.yml')}']\nscrape_configs:\n- {job_name: self, static_configs: [{targets: ['127.0.0.1:${port}']}]}\n- {job_name: gone, static_configs: [{targets: ['127.0.0.1:9']}]}\n`;
      const server = await startPrometheus({ port, config });
      prometheus.push(server);
      sidecars.push(await startService('sidecar', [`--prometheus.url=${server.url}`, '--prometheus.get_config_interval=1s']));
    }
    querier = await startService('query', ['--query.replica-label=replica', ...sidecars.map(({ grpc }) => `--endpoint=${grpc}`)]);
    top = await startService('query', ['--query.replica-label=replica', `--endpoint=${querier.grpc}`]);
    const settled = async (url: string): Promise<boolean> => {
      const { data } = await getApi<Rules>(url, 'rules');
      const rules = data.groups.flatMap((group) => group.rules);
      return rules.find(({ name }) => name === 'TargetDown')?.state === 'firing' && rules.find(({ name }) => name === 'broken:rule')?.health === 'err' && rules.find(({ name }) => name === 'Never')?.health === 'ok';
    };
    for (const { url, process } of [querier, top]) await waitFor('evaluated rules', () => settled(url), { process, timeoutMs: 60_000 });
    browser = await openBrowser();
  }, 180_000);

  afterAll(async () => {
    await browser?.close();
    await Promise.allSettled([top, querier, ...sidecars, ...prometheus].map((service) => service?.stop()));
  }, 60_000);

  test('each rule is there once, with external labels and without the replica', async () => {
    const { data, warnings } = await getApi<Rules>(querier.url, 'rules');
    expect(warnings).toBeUndefined();
    expect(data.groups.map(({ name, rules }) => [name, ...rules.map((rule) => `${rule.name} ${JSON.stringify(rule.labels)} ${rule.state ?? rule.health}`)])).toEqual([
      ['broken', 'broken:rule {"cluster":"eu"} err'],
      ['shop', 'Later {"cluster":"eu"} pending', 'Never {"cluster":"eu"} inactive', 'TargetDown {"cluster":"eu","severity":"page"} firing', 'job:up:sum {"cluster":"eu"} ok'],
    ]);
  });

  test('what Prometheus says of a rule is what the querier says, and the querier on top', async () => {
    const asked = { 'rule_name[]': 'TargetDown' };
    const [own] = (await getApi<Rules>(prometheus[0]!.url, 'rules', { type: 'alert' })).data.groups.flatMap(({ rules }) => rules.filter(({ name }) => name === 'TargetDown'));
    const [ours] = (await getApi<Rules>(querier.url, 'rules', asked)).data.groups.flatMap(({ rules }) => rules);
    const plain = (rule: Rule | undefined): unknown => JSON.parse(JSON.stringify(lasting({ groups: [{ name: '', file: '', rules: [rule!] }] }), (key, value: unknown) => (key === 'partialResponseStrategy' || key === 'cluster' || key === 'keepFiringFor' ? undefined : value)));
    expect(plain(ours)).toEqual(plain(own));
    const requests: Record<string, string>[] = [{}, asked, { type: 'alert' }, { type: 'record' }, { 'match[]': '{severity="page"}' }];
    for (const parameters of requests) {
      expect(lasting((await getApi<Rules>(top.url, 'rules', parameters)).data)).toEqual(lasting((await getApi<Rules>(querier.url, 'rules', parameters)).data));
    }
    const alerts = async (url: string): Promise<unknown> => lasting((await getApi<Rules>(url, 'alerts')).data);
    expect(await alerts(top.url)).toEqual(await alerts(querier.url));
  });

  test('the page of alerts: worst first, filtered by state and text', async () => {
    const { page } = browser;
    await page.goto(`${querier.url}/alerts`);
    const rules = page.locator('button[aria-expanded]');
    await rules.filter({ hasText: 'TargetDown' }).waitFor({ timeout: 30_000 });
    const names = async (): Promise<string[]> => (await rules.allInnerTexts()).map((text) => /TargetDown|Later|Never/.exec(text)![0]);
    expect(await names()).toEqual(['TargetDown', 'Later', 'Never']);
    // What fires is open: its summary, and a runbook that is a link.
    await page.getByText('127.0.0.1:9 is gone').waitFor();
    expect(await page.getByRole('link', { name: 'https://example.org/runbook' }).count()).toBe(1);
    await browser.screenshot('alerts');
    await page.getByText(/^firing \(1\)$/).click();
    expect(await names()).toEqual(['Later', 'Never']);
    await page.getByLabel('Filter by name').fill('later');
    await rules.filter({ hasText: 'Never' }).waitFor({ state: 'detached' });
    expect(await names()).toEqual(['Later']);
    expect(browser.complaints).toEqual([]);
  }, 60_000);

  test('the page of rules: errors with their text, expressions that open as queries', async () => {
    const { page } = browser;
    await page.goto(`${querier.url}/rules`);
    const broken = page.getByRole('region', { name: 'broken' });
    await broken.waitFor({ timeout: 30_000 });
    expect(await broken.getByRole('alert').textContent()).toContain('found duplicate series for the match group');
    await browser.screenshot('rules');
    await page.getByLabel('Only failing').check({ force: true });
    await page.getByRole('region', { name: 'shop' }).waitFor({ state: 'detached' });
    await page.getByLabel('Only failing').uncheck({ force: true });
    await page.getByRole('link', { name: 'sum by (job) (up)' }).click();
    await page.getByRole('row').filter({ hasText: 'job="self"' }).waitFor({ timeout: 30_000 });
    expect(browser.complaints).toEqual([]);
  }, 60_000);

  test('a Prometheus that is gone is a warning, on the page too; its replica still has the rules', async () => {
    await prometheus[1]!.stop('SIGKILL');
    await waitFor('the warning', async () => (await getApi<Rules>(querier.url, 'rules')).warnings !== undefined, { process: querier.process, timeoutMs: 60_000 });
    const { data, warnings } = await getApi<Rules>(querier.url, 'rules');
    expect(data.groups.map(({ name }) => name)).toEqual(['broken', 'shop']);
    expect(warnings).toEqual([expect.stringContaining(`rules from rules client ${sidecars[1]!.grpc}`)]);
    expect((await getApi<Rules>(querier.url, 'rules', { partial_response: 'false' })).httpStatus).toBe(500);
    const { page } = browser;
    await page.goto(`${querier.url}/alerts`);
    await page.getByRole('alert').filter({ hasText: sidecars[1]!.grpc }).waitFor({ timeout: 30_000 });
  }, 90_000);
});
