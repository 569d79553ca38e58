/**
 * Compacting blocks on disk, fsync included, and proving the result: three blocks one after the other, and two replicas side by side.
 *
 *   node --import tsx packages/tsdb/src/compact/compact.bench.ts          GAUNTLET_BENCH_SMALL=1: a small size, to see that it runs
 *   GAUNTLET_BENCH_BLOCKS=dir    writes the blocks there and leaves them, for a peer to compact
 */
import * as nodeFs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createKernels, xorChunkBytesMax } from '@gauntlet/kernels';
import { CHUNK_ENCODING, type Labels, labelsFromPairs } from '@gauntlet/model';
import { type Block, openBlock } from '../block/block-reader.ts';
import { type BlockChunk, createBlockWriter } from '../block/block-writer.ts';
import { createUlid } from '../block/ulid.ts';
import type { FileHandle, FileSystem, OpenMode } from '../file-system.ts';
import { compactBlocks } from './compact-blocks.ts';
import { verifyCompaction } from './verify-compaction.ts';

const isSmall = process.env['GAUNTLET_BENCH_SMALL'] === '1';
const SERIES = isSmall ? 100 : 7200;
const RANGE_MS = 7_200_000;
const STEP_MS = 15_000;
const PER_CHUNK = 120;
const RUNS = isSmall ? 1 : 7;
/** A multiple of all block ranges. */
const START_MS = 1_699_920_000_000;

/** Straight through Node. */
function nodeFileSystem(): FileSystem {
  const flags: Record<OpenMode, string> = { read: 'r', create: 'w+', 'create-new': 'wx+', modify: 'r+' };
  const wrap = (path: string, fd: number): FileHandle => {
    let end = nodeFs.fstatSync(fd).size;
    let isOpen = true;
    const write = (data: Uint8Array, offset: number): void => {
      for (let at = 0; at < data.length; ) at += nodeFs.writeSync(fd, data, at, data.length - at, offset + at);
      end = Math.max(end, offset + data.length);
    };
    return {
      path,
      read: (target, offset) => nodeFs.readSync(fd, target, 0, target.length, offset),
      write,
      append: (data) => write(data, end),
      fsync: () => nodeFs.fsyncSync(fd),
      truncate: (bytes) => nodeFs.ftruncateSync(fd, bytes),
      size: () => end,
      close() {
        if (isOpen) nodeFs.closeSync(fd);
        isOpen = false;
      },
    };
  };
  return {
    open: (path, mode) => wrap(path, nodeFs.openSync(path, flags[mode])),
    list: (path) => nodeFs.readdirSync(path).sort(),
    stat(path) {
      const stat = nodeFs.statSync(path, { throwIfNoEntry: false });
      return stat === undefined ? undefined : { kind: stat.isDirectory() ? 'directory' : 'file', bytes: stat.size, modifiedMs: stat.mtimeMs };
    },
    rename: (from, to) => nodeFs.renameSync(from, to),
    remove: (path) => nodeFs.rmSync(path, { recursive: true, force: true }),
    mkdir: (path) => void nodeFs.mkdirSync(path, { recursive: true }),
    fsyncDir(path) {
      const fd = nodeFs.openSync(path, 'r');
      nodeFs.fsyncSync(fd);
      nodeFs.closeSync(fd);
    },
    lock: () => ({ release: () => undefined }),
  };
}

const kernels = createKernels();
const fs = nodeFileSystem();
const kept = process.env['GAUNTLET_BENCH_BLOCKS'];
const dir = kept ?? nodeFs.mkdtempSync(join(tmpdir(), 'gauntlet-compact-'));
let state = 1;
const random = (): number => (state = (Math.imul(state, 1103515245) + 12345) >>> 0) / 2 ** 32;

const allLabels: Labels[] = Array.from({ length: SERIES }, (_, i) =>
  labelsFromPairs([['__name__', 'http_requests_total'], ['job', `job-${i % 8}`], ['instance', `10.0.${i >> 5}.${i & 31}:9100`], ['method', i % 2 === 0 ? 'GET' : 'POST'], ['code', String(200 + (i % 4) * 100)], ['handler', `/api/v1/${i % 13}`]]),
).sort((a, b) => (a.join('\0') < b.join('\0') ? -1 : 1));
const symbols = [...new Set(['', ...allLabels.flat()])].sort();

/** Two hours of all series as counters; `delayMs` shifts a replica's scrapes. */
function writeBlock(parent: string, number: number, delayMs: number): Block {
  const minTime = START_MS + number * RANGE_MS;
  const ulid = createUlid(minTime + delayMs, random);
  const writer = createBlockWriter(fs, parent, { ulid, minTime, maxTime: minTime + RANGE_MS, symbols });
  const timesPtr = kernels.memory.alloc(PER_CHUNK * 8);
  const valuesPtr = kernels.memory.alloc(PER_CHUNK * 8);
  const outPtr = kernels.memory.alloc(xorChunkBytesMax(PER_CHUNK));
  for (const [i, labels] of allLabels.entries()) {
    const chunks: BlockChunk[] = [];
    let counter = number * 10_000;
    for (let start = 0; start < RANGE_MS; start += PER_CHUNK * STEP_MS) {
      const times = kernels.memory.f64(timesPtr, PER_CHUNK);
      const values = kernels.memory.f64(valuesPtr, PER_CHUNK);
      for (let s = 0; s < PER_CHUNK; s++) {
        times[s] = minTime + start + s * STEP_MS + (i % 100) + delayMs + (random() < 0.03 ? Math.floor(random() * 12) : 0);
        counter += Math.floor(random() * 20);
        values[s] = counter;
      }
      const [mint, maxt] = [times[0]!, times[PER_CHUNK - 1]!];
      const bytes = kernels.encodeXor(timesPtr, valuesPtr, PER_CHUNK, outPtr, xorChunkBytesMax(PER_CHUNK));
      chunks.push({ mint, maxt, encoding: CHUNK_ENCODING.xor, data: kernels.memory.u8(outPtr, bytes).slice() });
    }
    writer.addSeries(labels, chunks);
  }
  writer.finish();
  for (const ptr of [timesPtr, valuesPtr, outPtr]) kernels.memory.free(ptr);
  return openBlock(fs, join(parent, ulid));
}

interface Lap {
  readonly wallMs: number;
  readonly cpuMs: number;
}

function startLap(): () => Lap {
  const start = performance.now();
  const cpu = process.cpuUsage();
  return () => {
    const used = process.cpuUsage(cpu);
    return { wallMs: performance.now() - start, cpuMs: (used.user + used.system) / 1000 };
  };
}

const median = (times: number[]): number => times.toSorted((a, b) => a - b)[times.length >> 1]!;

function measure(name: string, inputs: readonly Block[]): void {
  // Wall time, and the time of this process on a core, which a busy machine distorts less.
  const compacting: Lap[] = [];
  const verifying: Lap[] = [];
  const bytes = inputs.reduce((sum, block) => sum + block.bytes, 0);
  const samples = inputs.reduce((sum, block) => sum + block.meta.stats.numSamples, 0);
  let got = 0;
  for (let run = 0; run < RUNS; run++) {
    const ulid = createUlid(START_MS, random);
    const start = startLap();
    const meta = compactBlocks({ fs, kernels }, inputs, join(dir, 'out'), { ulid });
    compacting.push(start());
    const output = openBlock(fs, join(dir, 'out', ulid));
    const middle = startLap();
    verifyCompaction({ fs, kernels }, inputs, output);
    verifying.push(middle());
    output.close();
    fs.remove(join(dir, 'out', ulid));
    got = meta!.stats.numSamples;
  }
  const report = (what: string, laps: readonly Lap[]): void => {
    const wall = laps.map((lap) => lap.wallMs);
    const cpu = median(laps.map((lap) => lap.cpuMs));
    console.log(`${name}  ${what.padEnd(8)} median ${median(wall).toFixed(0)} ms  min ${Math.min(...wall).toFixed(0)} ms  first ${wall[0]!.toFixed(0)} ms  cpu ${cpu.toFixed(0)} ms  ${(bytes / cpu / 1000).toFixed(0)} MB/s and ${((cpu * 1e6) / samples).toFixed(1)} ns per sample of cpu`);
  };
  console.log(`${name}  ${inputs.length} blocks, ${(bytes / 1e6).toFixed(1)} MB, ${samples} samples → ${got}`);
  report('compact', compacting);
  report('verify', verifying);
}

const consecutive = [0, 1, 2].map((number) => writeBlock(join(dir, 'consecutive'), number, 0));
measure('one after the other', consecutive);
const replicas = [0, 7_000].map((delayMs) => writeBlock(join(dir, 'replicas'), 0, delayMs));
measure('side by side       ', replicas);
for (const block of [...consecutive, ...replicas]) block.close();
if (kept === undefined) nodeFs.rmSync(dir, { recursive: true });
