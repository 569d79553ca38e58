/**
 * Proves that a compacted block holds what its inputs hold: every series, every timestamp once, with a value that an input has there.
 *
 *   output ─► series after series ─► which inputs have it? ─► their chunks and its own, compared (verify-samples.ts)
 *   input  ─► series that the output does not have ─────────► nothing of it may count
 *
 * Nothing of this is shared with the compaction but the formats and the kernels that read them: other readers, another order of symbols, and
 * no merge at all. Memory holds 128 series of every block.
 */
import { createKernels, type Kernels } from '@gauntlet/kernels';
import type { Labels } from '@gauntlet/model';
import type { Block } from '../block/block-reader.ts';
import { TsdbError } from '../errors.ts';
import type { CompactDeps } from './compact-blocks.ts';
import { type Mismatch, SampleComparer } from './verify-samples.ts';
import { SeriesWalk } from './verify-series.ts';
import { firstUnsorted, mapSymbols } from './verify-symbols.ts';

/** How to go about it. */
export interface VerifyCompactionOptions {
  /** Polled every 128 series. */
  readonly shouldStop?: () => boolean;
  /** Which series of the inputs the output is to have: those of its shard. Default: all. */
  readonly hasSeries?: (labels: Labels) => boolean;
}

const STOP_POLL_SERIES = 128;

/**
 * Compares `output` with what merging `inputs` must give.
 * @param deps the kernels that compaction used; what they decode is compared with others where there are any, now and then
 * @throws TsdbError ERR_COMPACT_MISMATCH naming the blocks and the first difference; ERR_COMPACT_CANCELED; damage in a block under the
 *   codes of reading it
 */
export function verifyCompaction(deps: CompactDeps, inputs: readonly Block[], output: Block, options: VerifyCompactionOptions = {}): void {
  const mint = Math.min(...inputs.map(({ meta }) => meta.minTime));
  const maxt = Math.max(...inputs.map(({ meta }) => meta.maxTime)) - 1;
  const title = `compare block ${output.meta.ulid} with its inputs ${inputs.map(({ meta }) => meta.ulid).join(', ')}`;
  const mismatch: Mismatch = (what) => new TsdbError('ERR_COMPACT_MISMATCH', `${title}: ${what}`);
  if (output.meta.minTime !== mint || output.meta.maxTime !== maxt + 1) throw mismatch(`got range [${output.meta.minTime}, ${output.meta.maxTime}), want [${mint}, ${maxt + 1})`);
  if (output.tombstones.size > 0) throw mismatch(`got deleted ranges for ${output.tombstones.size} series`);
  const { symbols } = output.index;
  const unsorted = firstUnsorted(symbols);
  if (unsorted >= 0) throw mismatch(`got symbol ${JSON.stringify(symbols.lookup(unsorted))} after ${JSON.stringify(symbols.lookup(unsorted - 1))}`);

  const { kernels } = deps;
  const { hasSeries } = options;
  const got = new SeriesWalk(output, undefined, kernels, -Infinity, Infinity);
  const wanted = inputs.map((block) => new SeriesWalk(block, mapSymbols(block.index.symbols, symbols), kernels, mint, maxt));
  const comparer = new SampleComparer(kernels, otherKernels(kernels), mint, maxt);
  let unpolled = 0;
  const poll = (): void => {
    if (unpolled++ % STOP_POLL_SERIES === 0 && options.shouldStop?.() === true) throw new TsdbError('ERR_COMPACT_CANCELED', `${title}: canceled after ${got.seriesDone} series`);
  };
  /** Moves an input to the next series that the output may have; it stands at none after the last. */
  const advance = (walk: SeriesWalk): boolean => {
    while (walk.next()) {
      poll();
      if (hasSeries !== undefined && !hasSeries(walk.labels())) continue;
      if (walk.isKnown) return true;
      // All its samples may be deleted: then it has none to miss.
      comparer.compare([walk], undefined, mismatch);
    }
    return false;
  };
  try {
    const stands = wanted.map(advance);
    const counts = { numSeries: 0, numChunks: 0, numSamples: 0 };
    const parts: SeriesWalk[] = [];
    const previous: SeriesOrder = { ordinals: new Uint32Array(32), ordinalCount: 0 };
    while (got.next()) {
      poll();
      if (counts.numSeries++ > 0 && compareSeries(previous, got) >= 0) throw mismatch(`got series ${JSON.stringify(got.labels())}, which is not after the one before it`);
      keep(previous, got);
      parts.length = 0;
      for (let i = 0; i < wanted.length; i++) {
        const walk = wanted[i]!;
        let order = 1;
        while (stands[i] && (order = compareSeries(walk, got)) < 0) {
          comparer.compare([walk], undefined, mismatch);
          stands[i] = advance(walk);
        }
        if (stands[i] && order === 0) parts.push(walk);
      }
      if (parts.length === 0) throw mismatch(`got series ${JSON.stringify(got.labels())}, which no input has${hasSeries === undefined ? '' : ', or not for this shard'}`);
      if (got.from === got.end) throw mismatch(`got series ${JSON.stringify(got.labels())} without chunks`);
      counts.numChunks += got.end - got.from;
      counts.numSamples += comparer.compare(parts, got, mismatch);
      for (let i = 0, part = 0; part < parts.length; i++) {
        if (wanted[i] !== parts[part]) continue;
        part++;
        stands[i] = advance(wanted[i]!);
      }
    }
    for (let i = 0; i < wanted.length; i++) for (; stands[i]; stands[i] = advance(wanted[i]!)) comparer.compare([wanted[i]!], undefined, mismatch);
    for (const key of ['numSeries', 'numChunks', 'numSamples'] as const) {
      if (output.meta.stats[key] !== counts[key]) throw mismatch(`meta.json says ${key} ${output.meta.stats[key]}, the block has ${counts[key]}`);
    }
  } finally {
    for (const one of [comparer, got, ...wanted]) one.free();
  }
}

/** Labels as ordinals of the output. */
interface SeriesOrder {
  ordinals: Uint32Array;
  ordinalCount: number;
}

/** Orders label sets as their bytes are ordered: ordinals are. */
function compareSeries(a: SeriesOrder, b: SeriesOrder): number {
  const left = a.ordinals;
  const right = b.ordinals;
  const shared = Math.min(a.ordinalCount, b.ordinalCount);
  for (let i = 0; i < shared; i++) if (left[i] !== right[i]) return left[i]! - right[i]!;
  return a.ordinalCount - b.ordinalCount;
}

function keep(to: SeriesOrder, { ordinals, ordinalCount }: SeriesOrder): void {
  if (to.ordinals.length < ordinalCount) to.ordinals = new Uint32Array(ordinalCount * 2);
  for (let i = 0; i < ordinalCount; i++) to.ordinals[i] = ordinals[i]!;
  to.ordinalCount = ordinalCount;
}

/** Kernels of another implementation than `used`; the same kind where there is only one. */
function otherKernels(used: Kernels): Kernels {
  const limits = { maxMemoryBytes: used.memory.maxBytes };
  return used.backend === 'wasm' ? createKernels({ ...limits, backend: 'js' }) : createKernels(limits);
}
