import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { RunPart } from '@gauntlet/service-kit';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { checkAddress } from './check-address.ts';
import { claimDataDir } from './data-dir.ts';
import { nestedParts } from './nested-parts.ts';
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
  const facts = { url: 'http://127.0.0.1:10902', grpcAddress: '127.0.0.1:10901', dataDir: '/data', scrapeIntervalMs: 5000, hasSampleService: true, history: undefined, ownTargets: 0 };

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
