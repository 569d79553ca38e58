/**
 * SIGKILL at random moments: whatever a replica has acknowledged is there after the next start, once; and history that was being
 * generated is completed without doubles. Blocks are cut every few seconds here, so that kills also fall into cutting and uploading.
 *
 *   round:  start ─► (odd rounds) ready, everything acknowledged so far is asked for ─► a moment ─► SIGKILL
 *                └─► (even rounds) a moment of the start-up ─► SIGKILL
 *
 * GAUNTLET_KILL_ROUNDS (default 3) and GAUNTLET_KILL_SEED (printed) choose how often and when.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleepFor } from 'node:timers/promises';
import { expect, test } from '@jest/globals';
import { type RunningProcess, startProcess, temporaryDir, waitFor } from './harness/process.ts';

const ROUNDS = Number(process.env['GAUNTLET_KILL_ROUNDS'] ?? 3);
const SEED = Number(process.env['GAUNTLET_KILL_SEED'] ?? Date.now() % 1_000_000);
const REPLICAS = ['a', 'b'];
const bin = join(import.meta.dirname, '..', 'bin', 'gauntlet');

/** mulberry32: numbers in [0, 1) that a seed repeats. */
function seededRandom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

function start(dataDir: string): RunningProcess {
  return startProcess({
    name: 'standalone',
    command: process.execPath,
    args: [
      bin, 'standalone', `--data-dir=${dataDir}`, '--http-address=127.0.0.1:0', '--grpc-address=127.0.0.1:0', '--scrape.interval=500ms',
      '--tsdb.block-duration=8s', '--shipper.interval=1s', '--debug.ack-log',
    ],
  });
}

/** Waits until it says where it runs. */
function url(process: RunningProcess): Promise<string> {
  return waitFor('the address', async () => /Gauntlet runs at {2}(http:\S+)/.exec(process.output())?.[1], { process, timeoutMs: 60_000 });
}

interface Acknowledged {
  /** Series key → time in ms → value as text. */
  readonly series: Map<string, Map<number, string>>;
  fromMs: number;
  toMs: number;
}

function seriesKey(pairs: readonly (readonly [string, string])[]): string {
  return JSON.stringify(pairs.toSorted((x, y) => (x[0] < y[0] ? -1 : 1)));
}

/** What a replica's log has from byte `fromByte` on; stale markers are left out, since queries do not show them. */
function readAckLog(dataDir: string, replica: string, fromByte: number): Acknowledged & { readonly bytes: number } {
  const path = join(dataDir, `ack-${replica}.log`);
  const all = existsSync(path) ? readFileSync(path) : Buffer.alloc(0);
  const text = all.subarray(fromByte).toString('utf8');
  const acknowledged: Acknowledged = { series: new Map(), fromMs: Number.POSITIVE_INFINITY, toMs: Number.NEGATIVE_INFINITY };
  for (const line of text.split('\n')) {
    let batch: [string[], number, string][];
    try {
      batch = JSON.parse(line) as typeof batch;
    } catch {
      // The end of a line was cut off by a kill, and the next process went on behind it: neither was lost, the former was never complete.
      const next = line.lastIndexOf('[[[');
      if (next <= 0) continue;
      batch = JSON.parse(line.slice(next)) as typeof batch;
    }
    for (const [labels, timeMs, value] of batch) {
      if (value === 'stale') continue;
      const key = seriesKey(labels.flatMap((name, i) => (i % 2 === 0 ? [[name, labels[i + 1]!] as const] : [])));
      let samples = acknowledged.series.get(key);
      if (samples === undefined) acknowledged.series.set(key, (samples = new Map()));
      samples.set(timeMs, value);
      acknowledged.fromMs = Math.min(acknowledged.fromMs, timeMs);
      acknowledged.toMs = Math.max(acknowledged.toMs, timeMs);
    }
  }
  return { ...acknowledged, bytes: all.length };
}

interface MatrixSeries {
  readonly metric: Readonly<Record<string, string>>;
  readonly values: readonly (readonly [number, string])[];
}

async function query(base: string, text: string, timeMs: number): Promise<readonly MatrixSeries[]> {
  const body = new URLSearchParams({ query: text, time: String(timeMs / 1000), dedup: 'false', partial_response: 'false' });
  const response = await fetch(`${base}/api/v1/query`, { method: 'POST', body });
  const answer = (await response.json()) as { readonly status: string; readonly error?: string; readonly warnings?: readonly string[]; readonly data: { readonly result: readonly MatrixSeries[] } };
  expect({ status: answer.status, error: answer.error, warnings: answer.warnings ?? [] }).toEqual({ status: 'success', error: undefined, warnings: [] });
  return answer.data.result;
}

/** Asks for everything acknowledged. @returns number of samples compared */
async function expectAllThere(base: string, replica: string, acknowledged: Acknowledged): Promise<number> {
  if (acknowledged.series.size === 0) return 0;
  const rangeMs = acknowledged.toMs - acknowledged.fromMs + 2;
  const found = await query(base, `{job=~".+",origin="",replica="${replica}"}[${rangeMs}ms]`, acknowledged.toMs);
  const stored = new Map<string, Map<number, string>>();
  for (const { metric, values } of found) {
    const { cluster, replica: own, ...labels } = metric;
    expect([cluster, own]).toEqual(['local', replica]);
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
  for (const [key, samples] of acknowledged.series) {
    for (const [timeMs, value] of samples) {
      const there = stored.get(key)?.get(timeMs);
      if (there === undefined || !Object.is(Number(there), Number(value))) missing.push(`replica ${replica} ${key} at ${timeMs}: acknowledged ${value}, there is ${there}`);
      compared++;
    }
  }
  expect(missing.slice(0, 5)).toEqual([]);
  return compared;
}

/** Ranges of the generated blocks in the bucket, by replica. */
function generatedRanges(dataDir: string): Map<string, string[]> {
  const ranges = new Map(REPLICAS.map((name) => [name, [] as string[]]));
  const bucket = join(dataDir, 'bucket');
  for (const name of readdirSync(bucket)) {
    const path = join(bucket, name, 'meta.json');
    if (!existsSync(path)) continue;
    const meta = JSON.parse(readFileSync(path, 'utf8')) as { minTime: number; maxTime: number; thanos: { source: string; labels: Record<string, string> } };
    if (meta.thanos.source !== 'gauntlet-backfill') continue;
    expect(meta.thanos.labels).toMatchObject({ cluster: 'local', origin: 'generated' });
    ranges.get(meta.thanos.labels['replica']!)!.push(`${meta.minTime}-${meta.maxTime}`);
  }
  for (const list of ranges.values()) list.sort();
  return ranges;
}

test(`killed ${ROUNDS} times at random moments: nothing acknowledged is lost, start-up recovers by itself`, async () => {
  const random = seededRandom(SEED);
  const dataDir = temporaryDir('standalone-kill');
  process.stderr.write(`standalone-kill: seed ${SEED}, ${ROUNDS} rounds\n`);
  const verified = new Map(REPLICAS.map((name) => [name, 0]));
  let compared = 0;
  for (let round = 0; round < ROUNDS; round++) {
    const acknowledged = REPLICAS.map((name) => readAckLog(dataDir, name, verified.get(name)!));
    const running = start(dataDir);
    try {
      if (round % 2 === 1) {
        const base = await url(running);
        for (const [i, name] of REPLICAS.entries()) {
          compared += await expectAllThere(base, name, acknowledged[i]!);
          verified.set(name, acknowledged[i]!.bytes);
        }
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
  const acknowledged = REPLICAS.map((name) => readAckLog(dataDir, name, 0));
  const last = start(dataDir);
  try {
    const base = await url(last);
    for (const [i, name] of REPLICAS.entries()) compared += await expectAllThere(base, name, acknowledged[i]!);
    const [a, b] = REPLICAS.map((name) => generatedRanges(dataDir).get(name)!);
    expect(a!.length).toBeGreaterThanOrEqual(24);
    expect(new Set(a).size).toBe(a!.length);
    expect(b).toEqual(a);
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
