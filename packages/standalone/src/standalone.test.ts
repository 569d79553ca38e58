import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseRuleFile } from '@gauntlet/ruler';
import { createNodeFileSystem, createNopLogger, createRunGroup, type RunPart } from '@gauntlet/service-kit';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { checkAddress } from './check-address.ts';
import { buildCompactor } from './compactor-part.ts';
import { claimDataDir } from './data-dir.ts';
import { nestedParts } from './nested-parts.ts';
import { SHOP_RULES, TARGET_RULES, writeSampleRules } from './rules/sample-rules.ts';
import { checkRules } from './ruler-part.ts';
import { graphUrl, welcomeText } from './welcome.ts';

let dir = '';
beforeAll(() => void (dir = mkdtempSync(join(tmpdir(), 'gauntlet-standalone-'))));
afterAll(() => rmSync(dir, { recursive: true, force: true }));

describe('the data directory', () => {
  test('is claimed by one at a time', () => {
    const first = claimDataDir(join(dir, 'claimed'));
    expect(first.isFresh).toBe(true);
    expect(() => claimDataDir(join(dir, 'claimed'))).toThrow(expect.objectContaining({ code: 'ERR_DATA_DIR_LOCKED', message: expect.stringContaining('another process uses it') }));
    first.release();
    claimDataDir(join(dir, 'claimed')).release();
  });

  test('that is a file is refused', () => {
    writeFileSync(join(dir, 'file'), '');
    expect(() => claimDataDir(join(dir, 'file'))).toThrow(expect.objectContaining({ code: 'ERR_DATA_DIR', message: expect.stringContaining('a file has that name') }));
  });
});

describe('rules', () => {
  test('the sample rules are good, and each alert says what is wrong', () => {
    for (const text of [TARGET_RULES, SHOP_RULES]) {
      const { groups, problems, warnings } = parseRuleFile(text, 'sample.yml');
      expect([problems, warnings]).toEqual([[], []]);
      for (const rule of groups.flatMap((group) => group.rules)) if (rule.kind === 'alerting') expect(rule.annotations.map(([name]) => name)).toEqual(['description', 'summary']);
    }
  });

  test('are written where they are missing; what was changed stays', () => {
    const rules = join(dir, 'rules');
    writeSampleRules(createNodeFileSystem(), rules, false);
    expect(readFileSync(join(rules, 'targets.yml'), 'utf8')).toBe(TARGET_RULES);
    writeFileSync(join(rules, 'targets.yml'), 'groups: []\n');
    writeSampleRules(createNodeFileSystem(), rules, true);
    expect(readFileSync(join(rules, 'targets.yml'), 'utf8')).toBe('groups: []\n');
    expect(readFileSync(join(rules, 'shop.yml'), 'utf8')).toBe(SHOP_RULES);
  });

  test('a file with a mistake is refused with its place before anything starts', () => {
    const file = join(dir, 'bad.yml');
    writeFileSync(file, 'groups:\n- name: g\n  rules:\n  - {alert: A, exp: up}\n');
    expect(() => checkRules([file], createNopLogger())).toThrow(expect.objectContaining({ code: 'ERR_RULE_FILES', message: expect.stringContaining(`${file}:4:`) }));
    expect(() => checkRules([join(dir, 'none-*.yml')], createNopLogger())).not.toThrow();
  });
});

test('the compactor begins its work later than everything else, and ends when asked to', async () => {
  const { parts, httpAddress } = await buildCompactor({ bucketDir: join(dir, 'bucket'), dataDir: join(dir, 'compact'), retentionMs: 0, intervalMs: 300_000, deleteDelayMs: 600_000, log: createNopLogger(), clock: Date.now });
  const group = createRunGroup({ log: createNopLogger(), signals: undefined });
  for (const part of parts) group.add(part);
  const ending = new AbortController();
  let page = '';
  group.add({ name: 'look', run: async () => void (page = await (await fetch(`http://${httpAddress()}/metrics`)).text()) });
  await group.run(ending.signal);
  expect(page).toMatch(/^thanos_compact_iterations_total 0$/m);
});

test('an address in use is refused with the flag to change', async () => {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as { port: number };
  try {
    await expect(checkAddress(`127.0.0.1:${port}`, 'http-address', '127.0.0.1:19090')).rejects.toMatchObject({
      code: 'ERR_ADDRESS',
      message: `listen on 127.0.0.1:${port}: port in use by another process; choose another with --http-address=127.0.0.1:19090`,
    });
  } finally {
    server.close();
  }
  await expect(checkAddress('127.0.0.1:0', 'http-address', '')).resolves.toBeUndefined();
});

describe('parts within a part', () => {
  const tracked = (name: string, log: string[], extra: Partial<RunPart> = {}): RunPart => ({ name, start: () => void log.push(`start ${name}`), stop: () => void log.push(`stop ${name}`), ...extra });

  test('start in order and stop in reverse', async () => {
    const log: string[] = [];
    const part = nestedParts('both', async () => [tracked('one', log), tracked('two', log)]);
    await part.start!();
    await part.stop!('enough');
    expect(log).toEqual(['start one', 'start two', 'stop two', 'stop one']);
  });

  test('one that does not start takes the others down', async () => {
    const log: string[] = [];
    const broken: RunPart = { name: 'broken', start: () => Promise.reject(new Error('no')) };
    await expect(nestedParts('both', async () => [tracked('one', log), broken]).start!()).rejects.toThrow('no');
    expect(log).toEqual(['start one', 'stop one']);
  });

  test('run until the signal, or until one of them ends', async () => {
    const ending = new AbortController();
    const idle = nestedParts('idle', async () => [tracked('one', [])]);
    await idle.start!();
    const running = idle.run!(ending.signal);
    ending.abort();
    await expect(running).resolves.toBeUndefined();
    const failing = nestedParts('failing', async () => [tracked('one', [], { run: () => Promise.reject(new Error('gone')) })]);
    await failing.start!();
    await expect(failing.run!(new AbortController().signal)).rejects.toThrow('gone');
  });
});

describe('the welcome', () => {
  const facts = { url: 'http://127.0.0.1:10902', grpcAddress: '127.0.0.1:10901', dataDir: '/data', scrapeIntervalMs: 5000, hasSampleService: true, history: undefined, ownTargets: 0, rulesDir: '/data/rules' };

  test('says that history is generated, and only then', () => {
    const text = welcomeText({ ...facts, history: { startMs: 0, endMs: 172_800_000, isComplete: true } });
    expect(text).toContain('History from 1970-01-01 00:00 to 1970-01-03 00:00 UTC is GENERATED, not measured');
    expect(text).toContain('origin="generated"');
    expect(welcomeText(facts)).not.toContain('GENERATED');
  });

  test('without the sample shop it proposes queries over what is scraped', () => {
    const text = welcomeText({ ...facts, hasSampleService: false, ownTargets: 2 });
    expect(text).not.toContain('http_requests_total');
    expect(text).toContain('2 of your jobs and itself every 5s');
  });

  test('links are made of the page\'s parameters', () => expect(graphUrl('http://h', 'sum(a{b="c"})', '1h')).toBe('http://h/graph?g0.expr=sum%28a%7Bb%3D%22c%22%7D%29&g0.tab=0&g0.range_input=1h'));
});
