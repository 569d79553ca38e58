/** A job in a thread: output, log, progress, errors, an interruption; and a reader slower than the job. */
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createLogger } from '@gauntlet/service-kit';
import { afterAll, expect, test } from '@jest/globals';
import type { TsdbJob } from './tsdb-job.ts';
import { PRINTS_AHEAD, runInThread, type TsdbThreadDeps } from './tsdb-thread.ts';

const here = import.meta.dirname;
const blocks = join(here, '../../tsdb/testdata/tsdb');
const root = mkdtempSync(join(tmpdir(), 'gauntlet-tsdb-thread-'));
afterAll(() => rmSync(root, { recursive: true, force: true }));

/** Threads run what is built, and so does this test. */
const script = new URL('../dist/tsdb-worker.js', import.meta.url);

async function run(job: TsdbJob, more: Partial<TsdbThreadDeps> = {}): Promise<{ readonly out: string; readonly log: readonly string[]; readonly drawn: string }> {
  let out = '';
  let drawn = '';
  const lines: string[] = [];
  const log = createLogger({ format: 'json', caller: false, sink: { write: (line) => lines.push(line), flush: () => {} } });
  const deps = { log, print: (text: string) => (out += text), printError: (text: string) => (drawn += text), printed: async () => {}, progressColumns: undefined, signal: new AbortController().signal, clock: Date.now };
  await runInThread(job, { ...deps, ...more }, script);
  return { out, log: lines, drawn };
}

const dump = (path: string): TsdbJob => ({ kind: 'dump', path, sandboxDir: mkdtempSync(join(root, 'sandbox-')), mint: -(2 ** 53), maxt: 2 ** 53, match: ['{__name__!=""}'], format: 'prom' });
const bench = (name: string, scrapes: number): TsdbJob => ({ kind: 'bench-write', outDir: join(root, name), metrics: 2000, scrapes, seriesFile: '' });

test('what it prints', async () => {
  expect(await run(dump(join(blocks, 'head-floats')))).toEqual({ out: readFileSync(join(here, '../testdata/tsdb/head-floats/dump.txt'), 'utf8'), log: [], drawn: '' });
});

test('an error', async () => {
  await expect(run({ kind: 'list', path: join(root, 'none'), isReadable: false })).rejects.toMatchObject({ code: 'ERR_TSDB_JOB', message: `look for blocks in ${join(root, 'none')}: there is no such folder` });
});

test('progress is drawn and taken away', async () => {
  const { drawn, out } = await run(bench('drawn', 200), { progressColumns: 80 });
  expect(drawn).toContain('\r\u001b[Kingest  [');
  expect(drawn.endsWith('\r\u001b[K')).toBe(true);
  expect(out).toContain(' > total samples: 400000\n');
});

test('pieces wait until standard output has taken those before', async () => {
  let ahead = 0;
  let most = 0;
  let pieces = 0;
  const { out } = await (async () => {
    let text = '';
    await run(dump(join(blocks, 'tombstones')), {
      print(piece) {
        text += piece;
        pieces++;
        most = Math.max(most, ++ahead);
      },
      printed: () => new Promise((resolve) => setImmediate(() => (ahead--, resolve()))),
    });
    return { out: text };
  })();
  expect(out.split('\n')).toHaveLength(2042);
  expect(pieces).toBeGreaterThan(1);
  expect(most).toBeLessThanOrEqual(PRINTS_AHEAD);
});

test('a reader who left holds up nothing', async () => {
  const closed = new AbortController();
  const reason = new Error('EPIPE');
  const left = run(dump(join(blocks, 'tombstones')), { signal: closed.signal, print: () => closed.abort(reason), printed: () => new Promise(() => {}) });
  await expect(left).rejects.toBe(reason);
  const failing = new AbortController();
  const refused = run(dump(join(blocks, 'tombstones')), { signal: failing.signal, print: () => failing.abort(reason), printed: () => Promise.reject(reason) });
  await expect(refused).rejects.toBe(reason);
});

test('an interruption ends it soon, and cleanly', async () => {
  const interruption = new AbortController();
  const reason = new Error('interrupted');
  const long = run(bench('long', 1_000_000_000), { signal: interruption.signal, progressColumns: 80, printError: () => interruption.abort(reason) });
  await expect(long).rejects.toBe(reason);
  expect(existsSync(join(root, 'long', 'storage', 'wal'))).toBe(true);
  await expect(run(dump(join(blocks, 'head-floats')), { signal: interruption.signal })).rejects.toBe(reason);
  expect(readdirSync(join(root, 'long'))).toEqual(['storage']);
});
