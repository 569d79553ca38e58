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
import { type Acknowledged, readAckLog, seededRandom, seriesKey } from './harness/ack-log.ts';
import { type RunningProcess, startProcess, temporaryDir, waitFor } from './harness/process.ts';

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
      '--tsdb.block-duration=8s', '--shipper.interval=1s', '--debug.ack-log',
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
  const ackLog = (name: string): string => join(dataDir, `ack-${name}.log`);
  const verified = new Map(REPLICAS.map((name) => [name, 0]));
  let compared = 0;
  for (let round = 0; round < ROUNDS; round++) {
    const acknowledged = REPLICAS.map((name) => readAckLog(ackLog(name), verified.get(name)!));
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
  const acknowledged = REPLICAS.map((name) => readAckLog(ackLog(name)));
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
