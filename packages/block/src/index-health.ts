/**
 * How healthy the index of a block is: one pass over all series entries, in label order, chunks against each other and against the
 * range of the block.
 *
 *   block            [minTime ───────────────────── maxTime]
 *   outside                                    [────────]          reaches past an end, critical
 *   complete outside                                   [───]       never read by anybody, critical
 *   issue 347                                      [───]           begins at maxTime: a copy of what the next block has, harmless
 *   within a series  [── a ──][── b ──]   in order
 *                    [── a ──]
 *                    [── a'──]            duplicated: same range
 *                    [── a ──]
 *                         [── b ──]       out of order
 *
 * Counts and sizes are those Thanos puts into meta.json (`index_stats`) and logs. Source: Thanos pkg/block/index.go.
 */
import { compareBytes } from '@gauntlet/bytes';
import { formatLabels } from '@gauntlet/model';
import type { Labels } from '@gauntlet/model';
import { createSeriesEntry, SERIES_ALIGN } from '@gauntlet/tsdb';
import type { IndexReader, SeriesEntry } from '@gauntlet/tsdb';

import { BlockError } from './errors.ts';

/** Least, greatest and mean of a figure; the mean is rounded towards zero. All 0 when `count` is. */
export interface Spread {
  readonly count: number;
  readonly min: number;
  readonly avg: number;
  readonly max: number;
}

/** What was found in an index. */
export interface IndexHealth {
  /** Name of the block, for the errors. */
  readonly block: string;
  readonly totalSeries: number;
  readonly totalChunks: number;
  /** Series with at least one chunk out of order. */
  readonly outOfOrderSeries: number;
  /** Chunks that begin before the chunk in front of them ends, exact duplicates not counted. */
  readonly outOfOrderChunks: number;
  /** Chunks with the very time range of the chunk in front of them. */
  readonly duplicatedChunks: number;
  /** Chunks that are not within the range of the block; the two below are among them. */
  readonly outsideChunks: number;
  /** Chunks that share no millisecond with the range of the block. */
  readonly completeOutsideChunks: number;
  /** Chunks that begin at the block's end and go on. */
  readonly issue347OutsideChunks: number;
  /** Neighbouring labels of a series in the wrong order (Prometheus 2.8.0 and before). */
  readonly outOfOrderLabels: number;
  /** Sum of the time ranges of a series' chunks, ms. */
  readonly seriesLifeMs: Spread;
  /** As `seriesLifeMs`, without series that have no length. */
  readonly seriesLifeMsWithoutSingleSample: Spread;
  /** Chunks per series. */
  readonly seriesChunks: Spread;
  /** Time range of a chunk, ms. */
  readonly chunkDurationMs: Spread;
  /** Distance between neighbouring chunks in a segment, bytes: their size or a little more. */
  readonly chunkBytes: Spread;
  /** Distance between neighbouring entries, bytes, likewise. */
  readonly seriesBytes: Spread;
  readonly singleSampleSeries: number;
  readonly singleSampleChunks: number;
  readonly labelNames: number;
  readonly metricNames: number;

  /** Chunks outside the block that only a repair by hand mends. Code ERR_INDEX_OUTSIDE_CHUNKS. */
  criticalError(): BlockError | undefined;
  /** Chunks of a series that overlap. Code ERR_INDEX_OUT_OF_ORDER_CHUNKS. */
  outOfOrderChunksError(): BlockError | undefined;
  /** Chunks of the next block. Code ERR_INDEX_ISSUE_347. */
  issue347Error(): BlockError | undefined;
  /** Labels in the wrong order. Code ERR_INDEX_OUT_OF_ORDER_LABELS. */
  outOfOrderLabelsError(): BlockError | undefined;
  /** All of the above in one. Code of the first. */
  anyError(): BlockError | undefined;
}

/** Who wants to hear of single findings. */
export interface IndexHealthObserver {
  /** A series whose labels are out of order. @param ref its reference in postings */
  readonly outOfOrderLabels?: (labels: Labels, ref: number) => void;
  /** A series with chunks out of order. */
  readonly outOfOrderChunks?: (labels: Labels, chunks: number) => void;
}

/** Gathers a {@link Spread}; called per chunk, so no objects are made. */
class SpreadBuilder {
  #count: number = 0;
  #sum: number = 0;
  #min: number = Infinity;
  #max: number = -Infinity;

  add(value: number): void {
    this.#count++;
    this.#sum += value;
    if (value < this.#min) this.#min = value;
    if (value > this.#max) this.#max = value;
  }

  finish(): Spread {
    if (this.#count === 0) return { count: 0, min: 0, avg: 0, max: 0 };
    return { count: this.#count, min: this.#min, avg: Math.trunc(this.#sum / this.#count), max: this.#max };
  }
}

/** Distance of chunk references in different segments. */
const SEGMENT = 2 ** 32;

/** Order of two label sets by symbol ordinals, which are in byte order: see {@link checkSymbols}. */
function compareOrdinals(a: Uint32Array, aCount: number, b: Uint32Array, bCount: number): number {
  const length = Math.min(aCount, bCount) * 2;
  for (let i = 0; i < length; i++) if (a[i] !== b[i]) return a[i]! - b[i]!;
  return aCount - bCount;
}

/** Ordinals can stand for strings only if the symbols ascend. */
function checkSymbols(index: IndexReader): void {
  const { symbols, name } = index;
  for (let i = 1; i < symbols.count; i++) {
    if (compareBytes(symbols.bytesOf(i - 1), symbols.bytesOf(i)) >= 0) {
      throw new BlockError('ERR_INDEX_SERIES', `check index of block ${name}: symbol ${i} ${JSON.stringify(symbols.lookup(i))} does not follow ${JSON.stringify(symbols.lookup(i - 1))}`);
    }
  }
}

/**
 * Reads every series entry of an index once and says what is wrong with it.
 * @param block an open block, or just its index
 * @param minTime range of the block, ms, as its meta.json has it
 * @param maxTime its end
 * @throws BlockError ERR_INDEX_SERIES for what makes the index useless: series or symbols out of order, series without labels or chunks;
 *   TsdbError ERR_INDEX_CORRUPT for damage
 */
export function gatherIndexHealth(block: { readonly index: IndexReader }, minTime: number, maxTime: number, observer: IndexHealthObserver = {}): IndexHealth {
  const { index } = block;
  const { name } = index;
  checkSymbols(index);
  const fail = (what: string): BlockError => new BlockError('ERR_INDEX_SERIES', `check index of block ${name}: ${what}`);
  const seriesLifeMs = new SpreadBuilder();
  const seriesLifeMsWithoutSingleSample = new SpreadBuilder();
  const seriesChunks = new SpreadBuilder();
  const chunkDurationMs = new SpreadBuilder();
  const chunkBytes = new SpreadBuilder();
  const seriesBytes = new SpreadBuilder();
  let totalChunks = 0;
  let outOfOrderSeries = 0;
  let outOfOrderChunks = 0;
  let duplicatedChunks = 0;
  let outsideChunks = 0;
  let completeOutsideChunks = 0;
  let issue347OutsideChunks = 0;
  let outOfOrderLabels = 0;
  let singleSampleSeries = 0;
  let singleSampleChunks = 0;

  const postings = index.allPostings();
  let entry: SeriesEntry = createSeriesEntry();
  let previous: SeriesEntry = createSeriesEntry();
  for (let i = 0; i < postings.length; i++) {
    const ref = postings[i]!;
    if (i > 0) seriesBytes.add((ref - postings[i - 1]!) * SERIES_ALIGN);
    index.readSeries(ref, entry);
    const { labelCount, symbols, chunkCount, mint, maxt, refs } = entry;
    if (labelCount === 0) throw fail(`empty label set of series ${ref}`);
    for (let j = 0; j < labelCount * 2; j++) if (symbols[j]! >= index.symbols.count) throw fail(`series ${ref} has symbol ${symbols[j]} of ${index.symbols.count}`);
    if (i > 0 && compareOrdinals(previous.symbols, previous.labelCount, symbols, labelCount) >= 0) {
      throw fail(`series ${formatLabels(index.labelsOf(entry))} out of order; previous ${formatLabels(index.labelsOf(previous))}`);
    }
    let labelsOutOfOrder = 0;
    for (let j = 2; j < labelCount * 2; j += 2) if (symbols[j]! < symbols[j - 2]!) labelsOutOfOrder++;
    if (labelsOutOfOrder > 0) {
      outOfOrderLabels += labelsOutOfOrder;
      observer.outOfOrderLabels?.(index.labelsOf(entry), ref);
    }
    if (chunkCount === 0) throw fail(`empty chunks of series ${formatLabels(index.labelsOf(entry))}`);

    let outOfOrder = 0;
    let lifeMs = 0;
    for (let chunk = 0; chunk < chunkCount; chunk++) {
      const start = mint[chunk]!;
      const end = maxt[chunk]!;
      lifeMs += end - start;
      chunkDurationMs.add(end - start);
      if (end === start) singleSampleChunks++;
      // The last distance of a series is left out, as upstream does: index_stats are to be equal.
      if (chunk < chunkCount - 2 && Math.floor(refs[chunk]! / SEGMENT) === Math.floor(refs[chunk + 1]! / SEGMENT)) chunkBytes.add(refs[chunk + 1]! - refs[chunk]!);
      if (start < minTime || end > maxTime) {
        outsideChunks++;
        if (start > maxTime || end < minTime) completeOutsideChunks++;
        else if (start === maxTime) issue347OutsideChunks++;
      }
      if (chunk === 0 || start > maxt[chunk - 1]!) continue;
      if (start === mint[chunk - 1] && end === maxt[chunk - 1]) duplicatedChunks++;
      else outOfOrder++;
    }
    if (outOfOrder > 0) {
      outOfOrderSeries++;
      outOfOrderChunks += outOfOrder;
      observer.outOfOrderChunks?.(index.labelsOf(entry), outOfOrder);
    }
    totalChunks += chunkCount;
    seriesChunks.add(chunkCount);
    seriesLifeMs.add(lifeMs);
    if (lifeMs === 0) singleSampleSeries++;
    else seriesLifeMsWithoutSingleSample.add(lifeMs);
    const done = previous;
    previous = entry;
    entry = done;
  }

  return createIndexHealth({
    block: name,
    totalSeries: postings.length,
    totalChunks,
    outOfOrderSeries,
    outOfOrderChunks,
    duplicatedChunks,
    outsideChunks,
    completeOutsideChunks,
    issue347OutsideChunks,
    outOfOrderLabels,
    seriesLifeMs: seriesLifeMs.finish(),
    seriesLifeMsWithoutSingleSample: seriesLifeMsWithoutSingleSample.finish(),
    seriesChunks: seriesChunks.finish(),
    chunkDurationMs: chunkDurationMs.finish(),
    chunkBytes: chunkBytes.finish(),
    seriesBytes: seriesBytes.finish(),
    singleSampleSeries,
    singleSampleChunks,
    labelNames: index.labelNames().filter((label) => label !== '').length,
    metricNames: index.labelValues('__name__').length,
  });
}

type Figures = Omit<IndexHealth, 'criticalError' | 'outOfOrderChunksError' | 'issue347Error' | 'outOfOrderLabelsError' | 'anyError'>;

/** Adds the judgements. Texts are upstream's, so that people find them. */
function createIndexHealth(figures: Figures): IndexHealth {
  const fault = (code: 'ERR_INDEX_OUTSIDE_CHUNKS' | 'ERR_INDEX_OUT_OF_ORDER_CHUNKS' | 'ERR_INDEX_ISSUE_347' | 'ERR_INDEX_OUT_OF_ORDER_LABELS', what: string): BlockError => new BlockError(code, `index of block ${figures.block}: ${what}`);
  const criticalText = (): string => {
    const partly = figures.outsideChunks - figures.completeOutsideChunks - figures.issue347OutsideChunks;
    const texts: string[] = [];
    if (partly > 0) texts.push(`found ${partly} chunks non-completely outside the block time range`);
    if (figures.completeOutsideChunks > 0) texts.push(`found ${figures.completeOutsideChunks} chunks completely outside the block time range`);
    return texts.join(', ');
  };
  const issue347Text = (): string => (figures.issue347OutsideChunks === 0 ? '' : `found ${figures.issue347OutsideChunks} chunks outside the block time range introduced by https://github.com/prometheus/tsdb/issues/347`);
  const labelsText = (): string => (figures.outOfOrderLabels === 0 ? '' : `index contains ${figures.outOfOrderLabels} postings with out of order labels`);
  const chunksText = (): string => {
    const { outOfOrderChunks, outOfOrderSeries, totalSeries, duplicatedChunks } = figures;
    if (outOfOrderChunks === 0) return '';
    return `${outOfOrderSeries}/${totalSeries} series have an average of ${(outOfOrderChunks / outOfOrderSeries).toFixed(3)} out-of-order chunks: ${(duplicatedChunks / outOfOrderChunks).toFixed(3)} of these are exact duplicates (in terms of data and time range)`;
  };
  const health: IndexHealth = {
    ...figures,
    criticalError: () => (criticalText() === '' ? undefined : fault('ERR_INDEX_OUTSIDE_CHUNKS', criticalText())),
    outOfOrderChunksError: () => (chunksText() === '' ? undefined : fault('ERR_INDEX_OUT_OF_ORDER_CHUNKS', chunksText())),
    issue347Error: () => (issue347Text() === '' ? undefined : fault('ERR_INDEX_ISSUE_347', issue347Text())),
    outOfOrderLabelsError: () => (labelsText() === '' ? undefined : fault('ERR_INDEX_OUT_OF_ORDER_LABELS', labelsText())),
    anyError() {
      const first = health.criticalError() ?? health.issue347Error() ?? health.outOfOrderLabelsError() ?? health.outOfOrderChunksError();
      if (first === undefined) return undefined;
      return new BlockError(first.code, `index of block ${figures.block}: ${[criticalText(), issue347Text(), labelsText(), chunksText()].filter((text) => text !== '').join(', ')}`);
    },
  };
  return health;
}
