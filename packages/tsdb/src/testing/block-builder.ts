/**
 * Blocks from a short notation, one series per line:
 *
 *   a{b='1'} 0+10x5            6 samples: 0, 10, … 50, one per step
 *   a{b="2", c="x"} 1 2 _ stale NaN -Inf 7x3     single values; `_` is a gap; 7x3 repeats 4 times
 *   {job='x'} 5-1x2
 *
 * Samples lie at start, start + step, …; `stale` is the stale marker. What is written is an ordinary block: chunks of 120 samples.
 */
import { type Kernels, xorChunkBytesMax } from '@gauntlet/kernels';
import { CHUNK_ENCODING, compareLabels, type Labels, labelsFromPairs } from '@gauntlet/model';
import { compareUtf8 } from '@gauntlet/bytes';
import type { BlockMeta } from '../block/block-meta.ts';
import { type BlockChunk, createBlockWriter } from '../block/block-writer.ts';
import { createUlid } from '../block/ulid.ts';
import { TsdbError } from '../errors.ts';
import { type FileSystem, joinPath } from '../file-system.ts';

/** A series in the notation: times relative to the start, in steps. */
export interface SeriesNotation {
  readonly labels: Labels;
  /** Step numbers, ascending. */
  readonly steps: readonly number[];
  /** Values; see `staleAt` for markers. */
  readonly values: readonly number[];
  /** Positions in `values` that are stale markers. */
  readonly staleAt: ReadonlySet<number>;
}

/** Where and when. */
export interface BuildBlockOptions {
  readonly kernels: Kernels;
  /** Time of the first sample, ms; default 0. */
  readonly startMs?: number;
  /** Distance of samples, ms; default 15 s. */
  readonly stepMs?: number;
  /** Name; default from `startMs` and a fixed randomness. */
  readonly ulid?: string;
  /** Range of the block; default from the first sample to behind the last. */
  readonly minTime?: number;
  readonly maxTime?: number;
  /** `thanos` section of meta.json. */
  readonly thanos?: unknown;
}

const SAMPLES_PER_CHUNK = 120;

function bad(line: string, what: string): TsdbError {
  return new TsdbError('ERR_BLOCK_NOTATION', `read series ${JSON.stringify(line)}: ${what}`);
}

function parseLabels(text: string, line: string): Labels {
  const match = /^([^{]*)(?:\{(.*)\})?$/s.exec(text.trim());
  if (match === null) throw bad(line, 'labels are not name{…}');
  const pairs: [string, string][] = match[1] === '' ? [] : [['__name__', match[1]!]];
  const body = match[2] ?? '';
  const pair = /\s*("(?:[^"\\]|\\.)*"|[^=,\s"']+)\s*=\s*("(?:[^"\\]|\\.)*"|'[^']*')\s*(?:,|$)/sy;
  while (pair.lastIndex < body.length) {
    const at = pair.lastIndex;
    const found = pair.exec(body);
    if (found === null) {
      if (body.slice(at).trim() === '') break;
      throw bad(line, `no label at ${JSON.stringify(body.slice(at))}`);
    }
    const unquote = (quoted: string): string => (quoted.startsWith('"') ? (JSON.parse(quoted) as string) : quoted.startsWith("'") ? quoted.slice(1, -1) : quoted);
    pairs.push([unquote(found[1]!), unquote(found[2]!)]);
  }
  return labelsFromPairs(pairs);
}

function parseNumber(text: string, line: string): number {
  if (text === 'NaN') return Number.NaN;
  if (/^[+-]?Inf$/.test(text)) return text.startsWith('-') ? Number.NEGATIVE_INFINITY : Number.POSITIVE_INFINITY;
  const value = Number(text);
  if (text === '' || Number.isNaN(value)) throw bad(line, `${JSON.stringify(text)} is not a number`);
  return value;
}

/** Reads one line of the notation. @throws TsdbError ERR_BLOCK_NOTATION */
export function parseSeriesNotation(line: string): SeriesNotation {
  const match = /^\s*([^\s{]*\{(?:"(?:[^"\\]|\\.)*"|'[^']*'|[^}"'])*\}|[^\s{]+)\s*(.*)$/s.exec(line);
  if (match === null) throw bad(line, 'no labels');
  const steps: number[] = [];
  const values: number[] = [];
  const staleAt = new Set<number>();
  let step = 0;
  for (const word of match[2]!.trim().split(/\s+/)) {
    if (word === '') continue;
    const run = /^([+-]?(?:[\d.]+(?:e[+-]?\d+)?|Inf|NaN)|_|stale)(?:([+-][\d.]+(?:e[+-]?\d+)?)?x(\d+))?$/.exec(word);
    if (run === null) throw bad(line, `${JSON.stringify(word)} is no value, run, '_' or 'stale'`);
    // `_x3` is three gaps, as in PromQL test scripts; values are repeated once more than the number says.
    const count = run[3] === undefined ? 1 : Number(run[3]) + (run[1] === '_' ? 0 : 1);
    for (let i = 0; i < count; i++, step++) {
      if (run[1] === '_') continue;
      steps.push(step);
      if (run[1] === 'stale') staleAt.add(values.length);
      values.push(run[1] === 'stale' ? Number.NaN : parseNumber(run[1]!, line) + i * (run[2] === undefined ? 0 : Number(run[2])));
    }
  }
  return { labels: parseLabels(match[1]!, line), steps, values, staleAt };
}

/**
 * Writes a block of the series in `notation` (see the head of this file) below `parentDir`.
 * @throws TsdbError ERR_BLOCK_NOTATION
 */
export function buildBlock(fs: FileSystem, parentDir: string, notation: string, options: BuildBlockOptions): { readonly dir: string; readonly meta: BlockMeta } {
  const { kernels, startMs = 0, stepMs = 15_000 } = options;
  const series = notation
    .split('\n')
    .filter((line) => line.trim() !== '')
    .map(parseSeriesNotation)
    .filter(({ values }) => values.length > 0)
    .sort((a, b) => compareLabels(a.labels, b.labels));
  if (series.length === 0) throw new TsdbError('ERR_BLOCK_NOTATION', 'build block: no samples');
  const firstStep = Math.min(...series.map(({ steps }) => steps[0]!));
  const lastStep = Math.max(...series.map(({ steps }) => steps.at(-1)!));
  const symbols = [...new Set(['', ...series.flatMap(({ labels }) => labels)])].sort(compareUtf8);
  const ulid = options.ulid ?? createUlid(Math.max(startMs, 0), () => 0.5);
  const writer = createBlockWriter(fs, parentDir, {
    ulid,
    minTime: options.minTime ?? startMs + firstStep * stepMs,
    maxTime: options.maxTime ?? startMs + lastStep * stepMs + 1,
    symbols,
    ...(options.thanos !== undefined && { thanos: options.thanos }),
  });
  for (const one of series) {
    const chunks: BlockChunk[] = [];
    for (let first = 0; first < one.values.length; first += SAMPLES_PER_CHUNK) {
      const times = one.steps.slice(first, first + SAMPLES_PER_CHUNK).map((step) => startMs + step * stepMs);
      chunks.push({ mint: times[0]!, maxt: times.at(-1)!, encoding: CHUNK_ENCODING.xor, data: encode(kernels, times, one, first) });
    }
    writer.addSeries(one.labels, chunks);
  }
  return { dir: joinPath(parentDir, ulid), meta: writer.finish()! };
}

function encode(kernels: Kernels, times: readonly number[], series: SeriesNotation, first: number): Uint8Array {
  const { memory } = kernels;
  const count = times.length;
  const timesPtr = memory.alloc(count * 8);
  const valuesPtr = memory.alloc(count * 8);
  const outPtr = memory.alloc(xorChunkBytesMax(count));
  try {
    const values = memory.f64(valuesPtr, count);
    const words = memory.i32(valuesPtr, count * 2);
    memory.f64(timesPtr, count).set(times);
    for (let i = 0; i < count; i++) {
      values[i] = series.values[first + i]!;
      if (!Number.isNaN(series.values[first + i]!)) continue;
      // Little-endian words: the stale marker, or Go's NaN.
      words[i * 2] = series.staleAt.has(first + i) ? 2 : 1;
      words[i * 2 + 1] = series.staleAt.has(first + i) ? 0x7ff00000 : 0x7ff80000;
    }
    const bytes = kernels.encodeXor(timesPtr, valuesPtr, count, outPtr, xorChunkBytesMax(count));
    return memory.u8(outPtr, bytes).slice();
  } finally {
    for (const ptr of [timesPtr, valuesPtr, outPtr]) memory.free(ptr);
  }
}
