/**
 * The goals that are set for the local database, against a Prometheus on the same data in one run: remote write, cutting, compaction, replay.
 * Figures are in packages/tsdb/README.md; what single kernels take, beside their twins, shows `npm run bench -- packages/kernels`.
 *
 *   npm run bench -- tsdb-goals                                 GAUNTLET_BENCH_SMALL=1 for a smoke run
 *   GAUNTLET_BENCH_PROMETHEUS=/path/to/prometheus               another Prometheus than the one on PATH
 *   GAUNTLET_BENCH_ROWS=write,compact,replay                    only these parts
 *
 * CPU is that of the whole process, with its HTTP, from procfs. What else runs on a machine disturbs wall time more than CPU time, so a row counts
 * by the better of both ratios, but remote write by CPU alone. The run fails when a row is below its floor; floors of a smoke run are lower, for that is
 * mostly code that is being compiled. Their CPU of a compaction holds the cut of a block of one sample, which sets it off.
 */
import { cpSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { Agent, request } from 'node:http';
import { join } from 'node:path';
import { snappyEncode } from '@gauntlet/bytes';
import { encodeLabelFields, WriteRequestEncoder } from '@gauntlet/proto';
import { freePort, type RunningProcess, startProcess, temporaryDir, waitFor, waitForUrl } from '../harness/process.ts';
import { copyForPrometheus, least, prometheusPath, showMs, Verdicts } from './beside-prometheus.ts';
import { cpuMs, median, peakRssMb } from './measure.ts';
import { type BenchReplica, benchLabels, RANGE_MS, START_MS, writeCompactionBlocks } from './tsdb-blocks.ts';
import { seededRandom } from '../harness/random.ts';

const small = process.env['GAUNTLET_BENCH_SMALL'] === '1';
const wanted = process.env['GAUNTLET_BENCH_ROWS']?.split(',');
const verdicts = new Verdicts();
const START_MAX_MS = 300_000;

type Which = 'ours' | 'theirs';
const BOTH: readonly Which[] = ['ours', 'theirs'];

interface Side {
  readonly process: RunningProcess;
  readonly base: string;
  readonly agent: Agent;
}

if (prometheusPath() === undefined) {
  console.log('tsdb-goals: skipped, there is no prometheus on PATH (scripts/install-peers.sh)');
  process.exit(0);
}

/** Starts a database and waits until it has read its log. */
async function start(which: Which, dir: string): Promise<Side> {
  const address = `127.0.0.1:${await freePort()}`;
  const running =
    which === 'ours'
      ? startProcess({ name: 'gauntlet', command: process.execPath, args: [join(import.meta.dirname, 'tsdb-side.mjs'), dir, address] })
      : startProcess({
          name: 'prometheus',
          command: prometheusPath()!,
          args: ['--config.file=/dev/null', `--storage.tsdb.path=${dir}`, '--storage.tsdb.retention.time=100y', `--web.listen-address=${address}`, '--web.enable-remote-write-receiver'],
        });
  await waitForUrl(`http://${address}/-/ready`, running, START_MAX_MS);
  return { process: running, base: `http://${address}`, agent: new Agent({ keepAlive: true, maxSockets: 1 }) };
}

/** Ends a process as a crash does: nothing is written. */
async function kill({ process: running, agent }: Side): Promise<void> {
  agent.destroy();
  await running.stop('SIGKILL');
}

/** @throws when the answer is no success */
function post({ base, agent }: Side, path: string, body: Uint8Array | string = ''): Promise<string> {
  return new Promise((resolve, reject) => {
    const headers = { 'content-encoding': 'snappy', 'content-type': 'application/x-protobuf', 'x-prometheus-remote-write-version': '0.1.0', 'content-length': Buffer.byteLength(body) };
    const sent = request(`${base}${path}`, { method: 'POST', agent, headers }, (response) => {
      const pieces: Buffer[] = [];
      response.on('data', (piece: Buffer) => pieces.push(piece));
      response.on('end', () => {
        const text = Buffer.concat(pieces).toString();
        if (response.statusCode! < 300) resolve(text);
        else reject(new Error(`POST ${path}: ${response.statusCode} ${text.slice(0, 2000)}`));
      });
      response.on('error', reject);
    });
    sent.on('error', reject);
    sent.end(body);
  });
}

/** Milliseconds of a Go duration, as `1m2.5s` or `310.2ms`. */
function goDurationMs(text: string): number {
  const units: Record<string, number> = { h: 3_600_000, m: 60_000, s: 1000, ms: 1, µs: 0.001 };
  return [...text.matchAll(/([\d.]+)(h|ms|m|s|µs)/g)].reduce((sum, [, number, unit]) => sum + Number(number) * units[unit!]!, 0);
}

/** Waits until Prometheus has logged a message. @returns its field */
function logged({ process: running }: Side, message: string, key: string): Promise<string> {
  return waitFor(`"${message}" in the log`, async () => running.output().split('\n').find((line) => line.includes(`msg="${message}"`))?.match(new RegExp(` ${key}=(\\S+)`))?.[1], { process: running, timeoutMs: START_MAX_MS });
}

/** A request with the given series, sample by sample. */
function writeRequest(series: readonly Uint8Array[], timesMs: Float64Array, values: Float64Array, from: number, to: number): Uint8Array {
  const encoder = new WriteRequestEncoder();
  for (let i = from; i < to; i++) {
    encoder.beginSeries(series[i]!);
    encoder.addSamples(timesMs, values, i, i + 1);
    encoder.endSeries();
  }
  return snappyEncode(encoder.take());
}

/** Bytes of a block's chunks and index, and its samples. */
function blockSize(dataDir: string): { readonly chunks: number; readonly index: number; readonly samples: number } {
  const ulids = readdirSync(dataDir).filter((name) => /^[0-9A-Z]{26}$/.test(name));
  if (ulids.length !== 1) throw new Error(`size of the block in ${dataDir}: found ${ulids.length} blocks`);
  const dir = join(dataDir, ulids[0]!);
  const chunks = readdirSync(join(dir, 'chunks')).reduce((sum, name) => sum + statSync(join(dir, 'chunks', name)).size, 0);
  const meta = JSON.parse(readFileSync(join(dir, 'meta.json'), 'utf8')) as { readonly stats: { readonly numSamples: number } };
  return { chunks, index: statSync(join(dir, 'index')).size, samples: meta.stats.numSamples };
}

/** Remote write in turns, then the block that both cut of it. */
async function writeAndCut(): Promise<void> {
  const SERIES = 10_000;
  const PER_REQUEST = 2000;
  const SCRAPE_MS = 15_000;
  const [warmScrapes, slices, scrapesPerSlice] = small ? [10, 4, 5] : [20, 10, 20];
  const startMs = (Math.floor(Date.now() / RANGE_MS) - 2) * RANGE_MS;
  const series = benchLabels(SERIES).map((labels) => encodeLabelFields(labels));
  const random = seededRandom(6);
  const [timesMs, values] = [new Float64Array(SERIES), new Float64Array(SERIES)];
  let scrape = 0;
  /** Requests of one scrape: counters, gauges of two decimals, of full precision, and constants. */
  const nextScrape = (): Uint8Array[] => {
    for (let i = 0; i < SERIES; i++) {
      timesMs[i] = startMs + scrape * SCRAPE_MS + (i % 100) + (random() < 0.03 ? Math.floor(random() * 12) : 0);
      const kind = i % 4;
      if (kind === 0) values[i]! += Math.floor(random() * 20);
      else if (kind === 1) values[i] = Math.floor(random() * 10_000) / 100;
      else if (kind === 2) values[i]! += random() - 0.4;
      else values[i] = 1;
    }
    scrape++;
    return Array.from({ length: SERIES / PER_REQUEST }, (_none, at) => writeRequest(series, timesMs, values, at * PER_REQUEST, (at + 1) * PER_REQUEST));
  };
  const dirs: Record<Which, string> = { ours: temporaryDir('bench-write'), theirs: temporaryDir('bench-write') };
  const sides: Record<Which, Side> = { ours: await start('ours', dirs.ours), theirs: await start('theirs', dirs.theirs) };
  const used: Record<Which, { ms: number; cpu: number }[]> = { ours: [], theirs: [] };
  const send = async (which: Which, bodies: readonly Uint8Array[]): Promise<void> => {
    for (const body of bodies) await post(sides[which], '/api/v1/write', body);
  };
  try {
    for (let i = 0; i < warmScrapes; i++) {
      const bodies = nextScrape();
      for (const which of BOTH) await send(which, bodies);
    }
    const workMs = async (): Promise<number> => ((await (await fetch(`${sides.ours.base}/stats`)).json()) as { readonly writeCpuMs: number }).writeCpuMs;
    const warmMs = await workMs();
    for (let slice = 0; slice < slices; slice++) {
      const bodies = Array.from({ length: scrapesPerSlice }, nextScrape).flat();
      for (const which of BOTH) {
        const cpu = cpuMs(sides[which].process.pid);
        const started = performance.now();
        await send(which, bodies);
        used[which].push({ ms: performance.now() - started, cpu: cpuMs(sides[which].process.pid) - cpu });
      }
    }
    const samples = scrapesPerSlice * SERIES;
    const column = (which: Which, key: 'ms' | 'cpu'): number[] => used[which].map((slice) => slice[key]);
    const work = ((await workMs()) - warmMs) / slices;
    const perCpu = (which: Which, pick: typeof least): string => (samples / pick(column(which, 'cpu'))).toFixed(0);
    const cell = (which: Which): string =>
      `${perCpu(which, least)} (${perCpu(which, median)}) k samples per CPU second, ${showMs(least(column(which, 'ms')), 1)} (${showMs(median(column(which, 'ms')), 1)}) ms for ${samples}, peak RSS ${peakRssMb(sides[which].process.pid).toFixed(0)} MB`;
    const ratioOf = (key: 'ms' | 'cpu'): number => least(column('theirs', key)) / least(column('ours', key));
    // The goal is about CPU alone.
    console.log(`remote write, ${SERIES} series, ${slices} times ${samples} samples by ${PER_REQUEST}: ours ${cell('ours')}; prometheus ${cell('theirs')}: wall ${ratioOf('ms').toFixed(1)}x cpu ${ratioOf('cpu').toFixed(1)}x ${verdicts.judge(ratioOf('cpu'), 3, small ? 1.2 : 2)}; ours without HTTP ${(samples / work).toFixed(0)} k samples per CPU second in the mean, ${(least(column('theirs', 'cpu')) / work).toFixed(1)}x`);

    // A sample of three hours later makes the head due.
    timesMs[0] = startMs + 3 * 3_600_000 + 60_000;
    const last = writeRequest(series, timesMs, values, 0, 1);
    const before = { ours: cpuMs(sides.ours.process.pid), theirs: cpuMs(sides.theirs.process.pid) };
    await send('theirs', [last]);
    const theirMs = goDurationMs(await logged(sides.theirs, 'write block', 'duration'));
    await waitFor('the block', async () => readdirSync(dirs.theirs).some((name) => /^[0-9A-Z]{26}$/.test(name)));
    const theirCpu = cpuMs(sides.theirs.process.pid) - before.theirs;
    await send('ours', [last]);
    const started = performance.now();
    await post(sides.ours, '/cut');
    const [ourMs, ourCpu] = [performance.now() - started, cpuMs(sides.ours.process.pid) - before.ours];
    const [ours, theirs] = [blockSize(dirs.ours), blockSize(dirs.theirs)];
    if (ours.samples !== theirs.samples || ours.samples !== scrape * SERIES) throw new Error(`cut a block: ours has ${ours.samples} samples, Prometheus' ${theirs.samples}, sent were ${scrape * SERIES}`);
    console.log(`cutting that, ${ours.samples} samples: ours ${showMs(ourMs, 1)} ms (cpu ${showMs(ourCpu, 1)}), prometheus ${showMs(theirMs, 1)} ms (cpu ${showMs(theirCpu, 1)}); no goal`);
    const part = (ours.chunks + ours.index) / (theirs.chunks + theirs.index);
    const BYTES_GOAL = 1.02;
    if (part > BYTES_GOAL) verdicts.below++;
    const size = (one: typeof ours): string => `${((one.chunks + one.index) / one.samples).toFixed(4)} (chunks ${one.chunks} index ${one.index} bytes)`;
    console.log(`bytes per sample of the block: ours ${size(ours)}, prometheus ${size(theirs)}: ${part.toFixed(4)}x ${part > BYTES_GOAL ? 'ABOVE THE LIMIT' : 'ok'} (at most ${BYTES_GOAL})`);
  } finally {
    await Promise.all([kill(sides.ours), kill(sides.theirs)]);
  }
}

/** One compaction of the same blocks by both. */
async function compaction(name: string, replicas: readonly BenchReplica[], goal: number, floor: number): Promise<void> {
  const [series, rounds, theirRounds] = small ? [900, 5, 2] : [7200, 9, 5];
  const root = temporaryDir('bench-compact');
  const inputs = writeCompactionBlocks(join(root, 'blocks'), series, replicas);
  const ours: { ms: number; cpuMs: number; samples: number }[] = [];
  const theirs: { ms: number; cpuMs: number }[] = [];
  const side = await start('ours', join(root, 'ours'));
  try {
    for (let round = 0; round < rounds; round++) ours.push(JSON.parse(await post(side, '/compact', JSON.stringify({ inputs, out: join(root, 'out') }))) as (typeof ours)[number]);
  } finally {
    await kill(side);
  }
  const labels = [encodeLabelFields(['__name__', 'trigger'])];
  const endMs = START_MS + 3 * RANGE_MS;
  for (let round = 0; round < theirRounds; round++) {
    const dir = copyForPrometheus(join(root, 'blocks'));
    const other = await start('theirs', dir);
    try {
      const cpu = cpuMs(other.process.pid);
      // Two samples that far apart make its head due; compaction of blocks follows at once.
      for (const timeMs of [endMs + 1, endMs + 3 * 3_600_000 + 60_000]) await post(other, '/api/v1/write', writeRequest(labels, Float64Array.of(timeMs), Float64Array.of(1), 0, 1));
      const ms = goDurationMs(await logged(other, 'compact blocks', 'duration'));
      theirs.push({ ms, cpuMs: cpuMs(other.process.pid) - cpu });
      const meta = JSON.parse(readFileSync(join(dir, await logged(other, 'compact blocks', 'ulid'), 'meta.json'), 'utf8')) as { readonly stats: { readonly numSamples: number } };
      if (meta.stats.numSamples !== ours[0]!.samples) throw new Error(`compact ${name}: ours has ${ours[0]!.samples} samples, Prometheus' ${meta.stats.numSamples}`);
    } finally {
      await kill(other);
      rmSync(dir, { recursive: true, force: true });
    }
  }
  const cell = (all: readonly { ms: number; cpuMs: number }[]): string =>
    `${showMs(least(all.map(({ ms }) => ms)), 1)} (${showMs(median(all.map(({ ms }) => ms)), 1)}) ms cpu ${showMs(least(all.map((one) => one.cpuMs)), 1)} (${showMs(median(all.map((one) => one.cpuMs)), 1)})`;
  const ratioOf = (key: 'ms' | 'cpuMs'): number => least(theirs.map((one) => one[key])) / least(ours.map((one) => one[key]));
  const ratio = Math.max(ratioOf('ms'), ratioOf('cpuMs'));
  console.log(
    `compact ${name}, ${inputs.length} blocks, ${series} series, ${ours[0]!.samples} samples: ours ${cell(ours)}, the first ${showMs(ours[0]!.ms, 1)} ms cpu ${showMs(ours[0]!.cpuMs, 1)}; prometheus ${cell(theirs)}: wall ${ratioOf('ms').toFixed(1)}x cpu ${ratioOf('cpuMs').toFixed(1)}x ${verdicts.judge(ratio, goal, floor)}`,
  );
}

/** Both open the same log; all of a process' CPU until it is ready. */
async function replay(): Promise<void> {
  const [series, rounds] = small ? [50_000, 2] : [1_000_000, 3];
  const RSS_GOAL_MB = 1024;
  const dirs: Record<Which, string> = { ours: temporaryDir('bench-replay'), theirs: temporaryDir('bench-replay') };
  const writer = await start('ours', dirs.ours);
  await post(writer, `/fill?series=${series}`);
  await kill(writer);
  mkdirSync(dirs.theirs, { recursive: true });
  cpSync(join(dirs.ours, 'wal'), join(dirs.theirs, 'wal'), { recursive: true });
  const all: Record<Which, { ms: number; cpu: number; rss: number }[]> = { ours: [], theirs: [] };
  for (let round = 0; round < rounds; round++) {
    for (const which of BOTH) {
      const side = await start(which, dirs[which]);
      const [cpu, rss] = [cpuMs(side.process.pid), peakRssMb(side.process.pid)];
      if (which === 'ours') {
        const stats = (await (await fetch(`${side.base}/stats`)).json()) as { readonly headSeries: number; readonly replayed: number; readonly replayMs: number };
        if (stats.headSeries !== series || stats.replayed !== 3 * series) throw new Error(`replay: ${stats.headSeries} series and ${stats.replayed} samples of ${series} and ${3 * series}`);
        all.ours.push({ ms: stats.replayMs, cpu, rss });
      } else {
        const ms = goDurationMs(await logged(side, 'WAL replay completed', 'total_replay_duration'));
        const found = /^prometheus_tsdb_head_series (\S+)/m.exec(await (await fetch(`${side.base}/metrics`)).text())?.[1];
        if (Number(found) !== series) throw new Error(`replay: Prometheus found ${found} series of ${series}`);
        all.theirs.push({ ms, cpu, rss });
      }
      await kill(side);
    }
  }
  const of = (which: Which, key: 'ms' | 'cpu' | 'rss'): number => (key === 'rss' ? median : least)(all[which].map((one) => one[key]));
  const cell = (which: Which): string => `${showMs(of(which, 'ms'), 1)} ms, cpu with the start ${showMs(of(which, 'cpu'), 1)}, peak RSS ${of(which, 'rss').toFixed(0)} MB`;
  const ratios = (['ms', 'cpu'] as const).map((key) => of('theirs', key) / of('ours', key)) as [number, number];
  console.log(`replay of a log, ${series} series of 3 samples: ours ${cell('ours')}; prometheus ${cell('theirs')}: wall ${ratios[0].toFixed(1)}x cpu ${ratios[1].toFixed(1)}x ${verdicts.judge(Math.max(...ratios), 1, small ? 0.25 : 1)}; RSS ${of('ours', 'rss') > RSS_GOAL_MB ? 'above' : 'within'} ${RSS_GOAL_MB} MB`);
}

const isWanted = (part: string): boolean => wanted === undefined || wanted.includes(part);
console.log(`beside ${prometheusPath()}; least (middle) of the rounds`);
if (isWanted('write')) await writeAndCut();
if (isWanted('compact')) {
  await compaction('one after the other', [{ blocks: 3, delayMs: 0 }], 1.5, small ? 0.6 : 1);
  await compaction('side by side', [0, 7000].map((delayMs) => ({ blocks: 1, delayMs })), 4, small ? 1.5 : 2.5);
}
if (isWanted('replay')) await replay();
if (verdicts.below > 0) {
  console.log(`tsdb-goals: ${verdicts.below} below their floor`);
  process.exitCode = 1;
}
