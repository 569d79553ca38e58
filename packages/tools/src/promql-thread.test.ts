/** Evaluation in a thread: what it prints and logs arrives, errors too, and an interruption ends it while it computes. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createLogger } from '@gauntlet/service-kit';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { QueryJob } from './promql-evaluate.ts';
import { evaluateInThread } from './promql-thread.ts';
import { writeRawBlock } from './testing/raw-block.ts';

const dir = mkdtempSync(join(tmpdir(), 'gauntlet-promql-thread-'));
const HOUR = 3_600_000;
beforeAll(() => void writeRawBlock(dir, '01M7YH8MWRAHCY0QHCESGFVHVY', 0, 2 * HOUR, [{ labels: ['__name__', 'up'], chunks: [[HOUR, HOUR + 60_000, 1]] }]));
afterAll(() => rmSync(dir, { recursive: true, force: true }));

/** Threads run what is built, and so does this test. */
const script = new URL('../dist/promql-worker.js', import.meta.url);
const jobOf = (text: string, times: QueryJob['times'] = { kind: 'instant', timeMs: HOUR }): QueryJob => ({
  text, times, blocks: { kind: 'folders', dirs: [dir] }, selector: [], features: [], maxMemoryBytes: 1 << 30, maxDownloadBytes: 0, lookbackDeltaMs: 300_000, samplesMax: 1e9, output: 'promql', analyze: false,
});

async function run(job: QueryJob, signal: AbortSignal = new AbortController().signal, heard: (line: string) => void = () => {}): Promise<{ readonly out: string; readonly log: readonly string[] }> {
  let out = '';
  const lines: string[] = [];
  const log = createLogger({ format: 'json', caller: false, sink: { write: (line) => heard(lines[lines.push(line) - 1]!), flush: () => {} } });
  await evaluateInThread(job, { log, print: (text) => (out += text), signal }, script);
  return { out, log: lines };
}

test('an answer', async () => expect(await run(jobOf('up'))).toMatchObject({ out: 'up{cluster="eu", replica="a"} => 1 @[3600]\n', log: [] }));

test('log lines', async () => {
  const { out, log } = await run(jobOf('up', { kind: 'instant', timeMs: 100 * HOUR }));
  expect(out).toBe('\n');
  expect(log.map((line) => JSON.parse(line) as object)).toEqual([expect.objectContaining({ level: 'warn', msg: 'answer', warning: expect.stringContaining('no block has samples between') })]);
});

test('an error', async () => {
  await expect(run({ ...jobOf('up'), selector: [['cluster', 'us']] })).rejects.toMatchObject({ code: 'ERR_QUERY_FAILED', message: 'query: none of 1 blocks has the external labels of --selector' });
});

test('an interruption ends an evaluation that would take hours, and one that has not begun', async () => {
  const interruption = new AbortController();
  const reason = new Error('interrupted');
  // The last that is said before the evaluation, which is one step over ten million steps of a subquery, 3,600 times.
  mkdirSync(join(dir, 'wal'));
  writeFileSync(join(dir, 'wal', '00000000'), 'x');
  const job = { ...jobOf('sum_over_time(vector(1)[10000s:1ms])', { kind: 'range', startMs: 0, endMs: HOUR, stepMs: 1000 }), samplesMax: Number.MAX_SAFE_INTEGER, maxMemoryBytes: 4 * 2 ** 30 };
  const long = run(job, interruption.signal, (line) => {
    expect(line).toContain('samples that are in no block yet are not read');
    interruption.abort(reason);
  });
  await expect(long).rejects.toBe(reason);
  await expect(run(jobOf('up'), interruption.signal)).rejects.toBe(reason);
});
