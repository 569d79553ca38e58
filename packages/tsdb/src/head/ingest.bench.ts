/**
 * Appending and replaying: what a sample costs on its way into the head, and how fast a log comes back.
 *
 *   node --import tsx packages/tsdb/src/head/ingest.bench.ts          GAUNTLET_BENCH_SMALL=1: a small size, to see that it runs
 *   with --expose-gc before --import what a replay takes is seen apart from what the appends before it left
 */
import { createKernels } from '@gauntlet/kernels';
import { labelsFromPairs } from '@gauntlet/model';
import { createDb, type Db } from '../db.ts';
import { createMemoryFileSystem, type MemoryFileSystem } from '../testing/memory-file-system.ts';

const isSmall = process.env['GAUNTLET_BENCH_SMALL'] === '1';
const SERIES = isSmall ? 200 : 2000;
const COMMITS = isSmall ? 20 : 480;
const REPLAY_SERIES = isSmall ? 2000 : 1_000_000;
const kernels = createKernels();

function open(fs: MemoryFileSystem): Db {
  return createDb({ fs, dir: 'data', kernels, clock: Date, random: Math.random });
}

function seriesOf(i: number): readonly string[] {
  return labelsFromPairs([['__name__', 'http_requests_total'], ['job', `job-${i % 8}`], ['instance', `10.0.${i >> 8}.${i & 255}:9100`], ['method', i % 2 === 0 ? 'GET' : 'POST'], ['code', String(200 + (i % 4) * 100)], ['handler', `/api/v1/${i % 97}`]]);
}

/** Of the process: what else runs on the machine disturbs it less than time. */
function cpuMs(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}

function report(name: string, samples: number, ms: number): void {
  console.log(`${name.padEnd(34)} ${samples} samples  ${ms.toFixed(0)} ms of CPU  ${((ms * 1e6) / samples).toFixed(0)} ns/sample  rss ${(process.memoryUsage.rss() / 1e6).toFixed(0)} MB`);
}

const all = Array.from({ length: SERIES }, (_, i) => seriesOf(i));
for (const way of ['by reference', 'by columns', 'by labels'] as const) {
  const fs = createMemoryFileSystem();
  const db = open(fs);
  const refs = new Float64Array(SERIES);
  const values = new Float64Array(SERIES);
  const words = new Uint32Array(values.buffer);
  const timesMs = new Float64Array(SERIES);
  let state = 1;
  let work = 0;
  let start = cpuMs();
  for (let commit = 0; commit < COMMITS; commit++) {
    if (commit === 1) start = cpuMs();
    for (let i = 0; i < SERIES; i++) {
      state = (Math.imul(state, 1103515245) + 12345) >>> 0;
      values[i]! += state >>> 28;
    }
    const appender = db.appender();
    if (way === 'by columns' && commit > 0) work += appender.appendColumns(refs, timesMs.fill(commit * 15_000), words, 0, SERIES);
    else for (let i = 0; i < SERIES; i++) refs[i] = appender.append(way === 'by labels' ? 0 : refs[i]!, all[i]!, commit * 15_000, values[i]!);
    appender.commit();
  }
  report(`append ${way}`, SERIES * (COMMITS - 1), cpuMs() - start);
  if (way === 'by columns' && work !== SERIES * (COMMITS - 1)) throw new Error(`append by columns: ${work} samples taken`);
  start = cpuMs();
  const cut = db.compactHead({ force: true });
  report('cut a block', cut.reduce((sum, meta) => sum + meta.stats.numSamples, 0), cpuMs() - start);
  db.close();
}

const fs = createMemoryFileSystem();
let start = cpuMs();
fillLog();
// What was appended is garbage now; a log on disk and a process of its own would have none of it.
(globalThis as { gc?: () => void }).gc?.();
const emptyBytes = process.memoryUsage.rss();
start = cpuMs();
const db = open(fs);
report('replay', db.replay.samples, cpuMs() - start);
console.log(`  ${db.stats().headSeries} series, ${(db.stats().headChunkBytes / 1e6).toFixed(0)} MB of chunks; rss ${(emptyBytes / 1e6).toFixed(0)} MB before it`);
db.close();

/** Series, then samples of all. The database is opened here, for the caller's frame would keep its head: it is garbage when the function ends. */
function fillLog(): void {
  const db = open(fs);
  for (let round = 0; round < 3; round++) {
    for (let from = 0; from < REPLAY_SERIES; from += 5000) {
      const appender = db.appender();
      for (let i = from; i < Math.min(from + 5000, REPLAY_SERIES); i++) appender.append(round === 0 ? 0 : i + 1, round === 0 ? seriesOf(i) : [], round * 15_000, i);
      appender.commit();
    }
    report(`round ${round} of ${REPLAY_SERIES} series`, REPLAY_SERIES, cpuMs() - start);
    start = cpuMs();
  }
  db.close();
}
