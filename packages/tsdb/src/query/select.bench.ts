/**
 * Selecting many series over several blocks from disk: index lookup, chunk reads, CRC checks, decoding into columns. Beside them fewer series of
 * native histograms, without and with taking each histogram.
 *
 *   node --import tsx packages/tsdb/src/query/select.bench.ts          GAUNTLET_BENCH_SMALL=1: a small size, to see that it runs
 */
import * as nodeFs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createKernels, xorChunkBytesMax } from '@gauntlet/kernels';
import { CHUNK_ENCODING, createMatcher, labelsFromPairs } from '@gauntlet/model';
import { openBlock } from '../block/block-reader.ts';
import { type BlockChunk, createBlockWriter } from '../block/block-writer.ts';
import { createUlid } from '../block/ulid.ts';
import { HistogramAppender } from '../chunkenc/histogram-appender.ts';
import type { FileHandle, FileSystem } from '../file-system.ts';
import { createMemoryFileSystem } from '../testing/memory-file-system.ts';
import { createBlockQueryable } from './tsdb-queryable.ts';

const isSmall = process.env['GAUNTLET_BENCH_SMALL'] === '1';
const SERIES = isSmall ? 100 : 2400;
const HISTOGRAM_SERIES = isSmall ? 10 : 200;
const BUCKETS = 40;
const BLOCKS = 3;
const RANGE_MS = 7_200_000;
const STEP_MS = 15_000;
const RUNS = isSmall ? 2 : 15;

/** Reads only, straight through Node. */
function nodeReader(): FileSystem {
  const refuse = (): never => {
    throw new Error('read only');
  };
  return {
    open(path): FileHandle {
      const fd = nodeFs.openSync(path, 'r');
      return { path, read: (target, offset) => nodeFs.readSync(fd, target, 0, target.length, offset), size: () => nodeFs.fstatSync(fd).size, close: () => nodeFs.closeSync(fd), write: refuse, append: refuse, fsync: refuse, truncate: refuse };
    },
    list: (path) => nodeFs.readdirSync(path).sort(),
    stat(path) {
      const stat = nodeFs.statSync(path, { throwIfNoEntry: false });
      return stat === undefined ? undefined : { kind: stat.isDirectory() ? 'directory' : 'file', bytes: stat.size, modifiedMs: stat.mtimeMs };
    },
    rename: refuse,
    remove: refuse,
    mkdir: refuse,
    fsyncDir: refuse,
    lock: refuse,
  };
}

const kernels = createKernels();
const dir = nodeFs.mkdtempSync(join(tmpdir(), 'gauntlet-select-'));
let state = 1;
const random = (): number => (state = (Math.imul(state, 1103515245) + 12345) >>> 0) / 2 ** 32;

/** A block's time of a histogram that a service scrapes every 15 s: some buckets grow between scrapes. */
function histogramChunks(block: number): BlockChunk[] {
  const appender = new HistogramAppender(120);
  const layout = { schema: 3, zeroThreshold: 2 ** -128, positiveSpans: Int32Array.of(-20, BUCKETS), negativeSpans: new Int32Array(0), customBounds: new Float64Array(0) };
  let counts = new Float64Array(BUCKETS).fill(block * 1000);
  for (let at = 0; at < RANGE_MS; at += STEP_MS) {
    counts = counts.map((count) => (random() < 0.3 ? count + Math.floor(random() * 10) : count));
    const count = counts.reduce((sum, one) => sum + one, 0);
    appender.append({ isFloat: false, isStale: false, isGauge: false, timeMs: block * RANGE_MS + at, count, zeroCount: 0, sumHigh: 0x40000000, sumLow: count, layout, positive: counts, negative: new Float64Array(0) });
  }
  return appender.finish();
}

function writeBlocks(): string[] {
  const fs = createMemoryFileSystem();
  const all = Array.from({ length: SERIES }, (_, i) =>
    labelsFromPairs([['__name__', 'http_requests_total'], ['job', `job-${i % 8}`], ['instance', `10.0.${i >> 5}.${i & 31}:9100`], ['method', i % 2 === 0 ? 'GET' : 'POST'], ['code', String(200 + (i % 4) * 100)], ['handler', `/api/v1/${i % 13}`]]),
  ).sort((a, b) => (a.join('\0') < b.join('\0') ? -1 : 1));
  const histogramLabels = Array.from({ length: HISTOGRAM_SERIES }, (_, i) => labelsFromPairs([['__name__', 'request_duration_seconds'], ['instance', `10.0.${String(i).padStart(4, '0')}`]]));
  const symbols = [...new Set(['', ...all.flat(), ...histogramLabels.flat()])].sort();
  const perChunk = 120;
  const timesPtr = kernels.memory.alloc(perChunk * 8);
  const valuesPtr = kernels.memory.alloc(perChunk * 8);
  const outPtr = kernels.memory.alloc(xorChunkBytesMax(perChunk));
  const names: string[] = [];
  const counters = new Float64Array(SERIES);
  for (let block = 0; block < BLOCKS; block++) {
    const ulid = createUlid(1_700_000_000_000 + block, random);
    const writer = createBlockWriter(fs, 'out', { ulid, minTime: block * RANGE_MS, maxTime: (block + 1) * RANGE_MS, symbols });
    for (const [i, labels] of all.entries()) {
      const chunks: BlockChunk[] = [];
      for (let start = 0; start < RANGE_MS; start += perChunk * STEP_MS) {
        const times = kernels.memory.f64(timesPtr, perChunk);
        const values = kernels.memory.f64(valuesPtr, perChunk);
        for (let s = 0; s < perChunk; s++) {
          times[s] = block * RANGE_MS + start + s * STEP_MS + (i % 100) + (random() < 0.03 ? Math.floor(random() * 12) : 0);
          counters[i]! += Math.floor(random() * 20);
          values[s] = counters[i]!;
        }
        const [mint, maxt] = [times[0]!, times[perChunk - 1]!];
        const bytes = kernels.encodeXor(timesPtr, valuesPtr, perChunk, outPtr, xorChunkBytesMax(perChunk));
        chunks.push({ mint, maxt, encoding: CHUNK_ENCODING.xor, data: kernels.memory.u8(outPtr, bytes).slice() });
      }
      writer.addSeries(labels, chunks);
    }
    for (const labels of histogramLabels) writer.addSeries(labels, histogramChunks(block));
    writer.finish();
    names.push(ulid);
  }
  for (const [path, data] of fs.snapshot()) {
    const to = join(dir, path.slice('out/'.length));
    nodeFs.mkdirSync(join(to, '..'), { recursive: true });
    nodeFs.writeFileSync(to, data);
  }
  return names.map((name) => join(dir, name));
}

const blocks = writeBlocks().map((path) => openBlock(nodeReader(), path));
const queryable = createBlockQueryable(blocks, kernels);

async function select(mint: number, maxt: number): Promise<{ samples: number; sum: number }> {
  let samples = 0;
  let sum = 0;
  for await (const batch of queryable.select({ matchers: [createMatcher('=', '__name__', 'http_requests_total')], mint, maxt })) {
    samples += batch.values.length;
    sum += batch.values[0]! + batch.values[batch.values.length - 1]!;
  }
  return { samples, sum };
}

for (const [name, mint, maxt] of [['whole range', 0, BLOCKS * RANGE_MS], ['5 h out of 6', RANGE_MS / 2, BLOCKS * RANGE_MS], ['last 5 min', BLOCKS * RANGE_MS - 300_000, BLOCKS * RANGE_MS]] as const) {
  const times: number[] = [];
  let result = { samples: 0, sum: 0 };
  for (let run = 0; run < RUNS; run++) {
    const start = performance.now();
    result = await select(mint, maxt);
    times.push(performance.now() - start);
  }
  times.sort((a, b) => a - b);
  const median = times[times.length >> 1]!;
  console.log(`${name.padEnd(14)} ${result.samples} samples  median ${median.toFixed(1)} ms  min ${times[0]!.toFixed(1)} ms  ${(result.samples / median / 1000).toFixed(0)} M samples/s  (checksum ${result.sum})`);
}
for (const [name, isTaken] of [['histograms, times', false], ['histograms', true]] as const) {
  const times: number[] = [];
  let samples = 0;
  let sum = 0;
  for (let run = 0; run < RUNS; run++) {
    const start = performance.now();
    samples = 0;
    for await (const batch of queryable.select({ matchers: [createMatcher('=', '__name__', 'request_duration_seconds')], mint: 0, maxt: BLOCKS * RANGE_MS })) {
      samples += batch.values.length;
      if (isTaken) for (const id of batch.histograms!.ids) sum += batch.histograms!.get(id).positiveBuckets[0]!;
    }
    times.push(performance.now() - start);
  }
  times.sort((a, b) => a - b);
  const median = times[times.length >> 1]!;
  console.log(`${name.padEnd(17)} ${samples} samples of ${BUCKETS} buckets  median ${median.toFixed(1)} ms  min ${times[0]!.toFixed(1)} ms  ${((median / samples) * 1e6).toFixed(0)} ns per sample  (checksum ${sum})`);
}
for (const block of blocks) block.close();
nodeFs.rmSync(dir, { recursive: true });
