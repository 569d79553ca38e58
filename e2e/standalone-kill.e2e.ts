/**
 * SIGKILL at random moments: whatever a replica or the ruler has acknowledged is there after the next start, once; and history that was
 * being generated is completed, that was being compacted is whole, without doubles. Blocks are cut every few seconds here and compacted
 * as soon as there are some, so that kills also fall into cutting, uploading, compacting and deleting.
 *
 *   round:  start ─► (odd rounds) ready, everything acknowledged so far is asked for ─► a moment ─► SIGKILL
 *                └─► (even rounds) a moment of the start-up ─► SIGKILL
 *
 * GAUNTLET_KILL_ROUNDS (default 3) and GAUNTLET_KILL_SEED (printed) choose how often and when.
 */
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleepFor } from 'node:timers/promises';
import { expect, test } from '@jest/globals';
import { type Acknowledged, readAckLog, seriesKey } from './harness/ack-log.ts';
import { getApi } from './harness/api.ts';
import { type RunningProcess, startProcess, temporaryDir, waitFor } from './harness/process.ts';
import { seededRandom } from './harness/random.ts';

const ROUNDS = Number(process.env['GAUNTLET_KILL_ROUNDS'] ?? 3);
const SEED = Number(process.env['GAUNTLET_KILL_SEED'] ?? Date.now() % 1_000_000);
const REPLICAS = ['a', 'b'];
const bin = join(import.meta.dirname, '..', 'bin', 'gauntlet');

function start(dataDir: string): RunningProcess {
  return startProcess({
    name: 'standalone',
    command: process.execPath,
    args: [
      bin, 'standalone', `--data-dir=${dataDir}`, '--http-address=127.0.0.1:0', '--grpc-address=127.0.0.1:0', '--scrape.interval=500ms',
      '--tsdb.block-duration=8s', '--shipper.interval=1s', '--eval-interval=500ms', '--compact.wait-interval=500ms', '--delete-delay=10s', '--debug.ack-log',
    ],
  });
}

/** Waits until it says where it runs. */
function url(process: RunningProcess): Promise<string> {
  return waitFor('the address', async () => /Gauntlet runs at {2}(http:\S+)/.exec(process.output())?.[1], { process, timeoutMs: 60_000 });
}

interface MatrixSeries {
  readonly metric: Readonly<Record<string, string>>;
  readonly values: readonly (readonly [number, string])[];
}

/** A complete answer. An endpoint that a busy machine keeps from answering its checks is refused honestly, and asked again. */
async function query(base: string, text: string, timeMs: number): Promise<readonly MatrixSeries[]> {
  const body = new URLSearchParams({ query: text, time: String(timeMs / 1000), dedup: 'false', partial_response: 'false' });
  const answer = await waitFor(`an answer to ${text}`, async () => {
    const response = await fetch(`${base}/api/v1/query`, { method: 'POST', body });
    const { error = '', ...rest } = (await response.json()) as { readonly status: string; readonly error?: string; readonly warnings?: readonly string[]; readonly data: { readonly result: readonly MatrixSeries[] } };
    return !error.includes('the endpoint is down') && { ...rest, error: error === '' ? undefined : error };
  });
  expect({ status: answer.status, error: answer.error, warnings: answer.warnings ?? [] }).toEqual({ status: 'success', error: undefined, warnings: [] });
  return answer.data.result;
}

/** Who acknowledges: external label and its value, and the file of what it did. */
interface Writer {
  readonly label: 'replica' | 'ruler';
  readonly name: string;
  readonly ackLog: string;
}

/** Asks for everything acknowledged. @returns number of samples compared */
async function expectAllThere(base: string, { label, name }: Writer, acknowledged: Acknowledged): Promise<number> {
  if (acknowledged.series.size === 0) return 0;
  const rangeMs = acknowledged.toMs - acknowledged.fromMs + 2;
  const found = await query(base, `{__name__=~".+",origin="",${label}="${name}"}[${rangeMs}ms]`, acknowledged.toMs);
  const stored = new Map<string, Map<number, string>>();
  for (const { metric, values } of found) {
    const { cluster, [label]: own, ...labels } = metric;
    expect([cluster, own]).toEqual(['local', name]);
    const samples = new Map<number, string>();
    for (const [seconds, value] of values) samples.set(Math.round(seconds * 1000), value);
    // Once: as many times as samples.
    expect(samples.size).toBe(values.length);
    const key = seriesKey(Object.entries(labels));
    expect(stored.has(key)).toBe(false);
    stored.set(key, samples);
  }
  let compared = 0;
  const missing: string[] = [];
  for (const [labels, samples] of acknowledged.series) {
    // Rules over series of the querier have found its external label there already.
    const key = seriesKey((JSON.parse(labels) as [string, string][]).filter(([labelName]) => labelName !== 'cluster'));
    for (const [timeMs, value] of samples) {
      const there = stored.get(key)?.get(timeMs);
      if (there === undefined || !Object.is(Number(there), Number(value))) missing.push(`${label} ${name} ${key} at ${timeMs}: acknowledged ${value}, there is ${there}`);
      compared++;
    }
  }
  expect(missing.slice(0, 5)).toEqual([]);
  return compared;
}

interface GeneratedBlock {
  readonly replica: string;
  readonly minTime: number;
  readonly maxTime: number;
  readonly level: number;
}

/** Blocks of generated history in the bucket, by time; those that are marked for deletion are left out. */
function generatedBlocks(dataDir: string): GeneratedBlock[] {
  const bucket = join(dataDir, 'bucket');
  const blocks: GeneratedBlock[] = [];
  for (const name of readdirSync(bucket)) {
    const path = join(bucket, name, 'meta.json');
    if (!existsSync(path) || existsSync(join(bucket, name, 'deletion-mark.json'))) continue;
    const meta = JSON.parse(readFileSync(path, 'utf8')) as { minTime: number; maxTime: number; compaction: { level: number }; thanos: { source: string; labels: Record<string, string> } };
    if (meta.thanos.labels['origin'] !== 'generated') continue;
    expect(meta.thanos.labels).toMatchObject({ cluster: 'local', origin: 'generated' });
    expect(meta.thanos.source).toBe(meta.compaction.level > 1 ? 'compactor' : 'gauntlet-backfill');
    blocks.push({ replica: meta.thanos.labels['replica']!, minTime: meta.minTime, maxTime: meta.maxTime, level: meta.compaction.level });
  }
  return blocks.sort((x, y) => x.minTime - y.minTime);
}

/** Waits until the querier knows the ruler, whose address it is told after its own start. */
async function untilRulerIsSeen(base: string, process: RunningProcess): Promise<void> {
  await waitFor('the ruler among the stores', async () => {
    const answer = await getApi<Record<string, readonly { readonly lastError: string | null }[]>>(base, 'stores');
    return answer.data['rule']?.some(({ lastError }) => lastError === null) === true;
  }, { process });
}

test(`killed ${ROUNDS} times at random moments: nothing acknowledged is lost, start-up recovers by itself`, async () => {
  const random = seededRandom(SEED);
  const dataDir = temporaryDir('standalone-kill');
  process.stderr.write(`standalone-kill: seed ${SEED}, ${ROUNDS} rounds\n`);
  const writers: readonly Writer[] = [
    ...REPLICAS.map((name) => ({ label: 'replica' as const, name, ackLog: join(dataDir, `ack-${name}.log`) })),
    { label: 'ruler', name: 'local', ackLog: join(dataDir, 'ruler', 'ack.log') },
  ];
  const verified = writers.map(() => 0);
  let compared = 0;
  for (let round = 0; round < ROUNDS; round++) {
    const acknowledged = writers.map(({ ackLog }, i) => readAckLog(ackLog, verified[i]!));
    const running = start(dataDir);
    try {
      if (round % 2 === 1) {
        const base = await url(running);
        await untilRulerIsSeen(base, running);
        for (const [i, writer] of writers.entries()) {
          compared += await expectAllThere(base, writer, acknowledged[i]!);
          verified[i] = acknowledged[i]!.bytes;
        }
        // On a busy machine the first evaluation may come later than the kill would.
        await waitFor('a sample of the ruler', async () => writers.every(({ ackLog }) => existsSync(ackLog) && statSync(ackLog).size > 0), { process: running });
        await sleepFor(random() * 3000);
      } else {
        await sleepFor(300 + random() * 4000);
      }
      expect(running.isRunning() ? '' : running.output()).toBe('');
    } finally {
      await running.stop('SIGKILL');
    }
  }

  // Everything once more, from the first sample to the last.
  const acknowledged = writers.map(({ ackLog }) => readAckLog(ackLog));
  const last = start(dataDir);
  try {
    const base = await url(last);
    await untilRulerIsSeen(base, last);
    for (const [i, writer] of writers.entries()) compared += await expectAllThere(base, writer, acknowledged[i]!);
    expect(acknowledged.map(({ series }) => series.size > 0)).toEqual([true, true, true]);
    // Compacted, it covers what was generated, without a gap, and is no more than it.
    await waitFor('a compaction of the history', async () => REPLICAS.every((name) => generatedBlocks(dataDir).some(({ replica, level }) => replica === name && level > 1)), { process: last });
    for (const name of REPLICAS) {
      const blocks = generatedBlocks(dataDir).filter(({ replica }) => replica === name);
      let end = blocks[0]!.minTime;
      for (const { minTime, maxTime } of blocks) {
        // From sample to sample: 15 s lie between two blocks, less than 30.
        expect(minTime - end).toBeLessThan(30_000);
        end = Math.max(end, maxTime);
      }
      expect(end - blocks[0]!.minTime).toBeGreaterThan(2 * 86_400_000 - 60_000);
    }
    // Two days at 15 s, each sample once.
    const counts = await query(base, 'count_over_time(up{origin="generated"}[49h])', Date.now());
    const values = (counts as unknown as readonly { readonly value: readonly [number, string] }[]).map(({ value }) => value[1]);
    expect(values).toEqual(Array.from({ length: 3 * REPLICAS.length }, () => '11520'));
    expect(compared).toBeGreaterThan(1000);
    process.stderr.write(`standalone-kill: ${compared} acknowledged samples compared\n`);
  } finally {
    await last.stop();
  }
  expect((await last.exited).code).toBe(0);
}, 60_000 + ROUNDS * 20_000);
