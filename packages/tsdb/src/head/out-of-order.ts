/**
 * Samples that came after newer ones of their series, within the out-of-order window. Few series have any: an object each, by reference.
 *
 *   open      up to 32 samples in order of time; encoded when somebody wants to read them, and again after the next sample
 *   closed    rows of the chunk table, which may overlap one another and the chunks in order
 *
 * A reader may hold rows for a while: rows that are replaced are handed to `retire`, which frees them once nobody can.
 * Source: Prometheus tsdb/{ooo_head,head_append}.go.
 */
import { CHUNK_ENCODING } from '@gauntlet/model';
import type { HistogramSample } from '../chunkenc/histogram-encoder.ts';
import { createXorAppend, createXorAppendState, XOR_HEADER_BYTES, XOR_SAMPLE_BYTES_MAX } from '../chunkenc/xor-appender.ts';
import { Xor2Stream } from '../chunkenc/xor2-encoder.ts';
import { firstHeader, histogramEncoding, OpenHistogramChunk } from './open-histogram.ts';

/** Samples of an open chunk. */
export const OUT_OF_ORDER_SAMPLES_MAX = 32;

/** Where encoded chunks are kept: the chunk table. */
export interface ChunkRows {
  /** Adds a chunk that belongs to no series' list. Returns its row. */
  addRow(mint: number, maxt: number, encoding: number, data: Uint8Array): number;
}

interface Series {
  /** Rows of closed chunks. */
  closed: number[];
  /** Rows of the open chunk as it was last encoded. */
  encoded: number[];
  isEncoded: boolean;
  count: number;
  readonly timesMs: Float64Array;
  readonly high: Uint32Array;
  readonly low: Uint32Array;
  /** The sample where it is a histogram. */
  readonly histograms: (HistogramSample | undefined)[];
  /** Start timestamps of floats, where they are kept. */
  readonly starts: Float64Array | undefined;
}

/** Out-of-order samples of a head. */
export class OutOfOrderSamples {
  readonly #rows: ChunkRows;
  readonly #retire: (rows: readonly number[]) => void;
  readonly #series = new Map<number, Series>();
  readonly #appendXor = createXorAppend();
  readonly #xorState = createXorAppendState(1);
  readonly #page = new Uint8Array(XOR_HEADER_BYTES + (OUT_OF_ORDER_SAMPLES_MAX + 1) * XOR_SAMPLE_BYTES_MAX);
  /** Bounds of all samples, ms; +Infinity and −Infinity when there are none. */
  minTimeMs: number = Number.POSITIVE_INFINITY;
  maxTimeMs: number = Number.NEGATIVE_INFINITY;

  readonly #withStarts: boolean;

  /** @param withStarts whether start timestamps are stored */
  constructor(rows: ChunkRows, retire: (rows: readonly number[]) => void, withStarts: boolean) {
    this.#withStarts = withStarts;
    this.#rows = rows;
    this.#retire = retire;
  }

  /** Series that have any. */
  get seriesCount(): number {
    return this.#series.size;
  }

  has(ref: number): boolean {
    return this.#series.has(ref);
  }

  /** References of the series that have any. */
  refs(): IterableIterator<number> {
    return this.#series.keys();
  }

  /**
   * Takes a sample: a float by its bits, or a histogram.
   * @returns false when the open chunk has one at that time already
   */
  insert(ref: number, timeMs: number, high: number, low: number, histogram?: HistogramSample, startMs: number = 0): boolean {
    let series = this.#series.get(ref);
    if (series === undefined) {
      series = newSeries(this.#withStarts);
      this.#series.set(ref, series);
    }
    if (series.count === OUT_OF_ORDER_SAMPLES_MAX) this.#close(series);
    const { timesMs } = series;
    let at = series.count;
    while (at > 0 && timesMs[at - 1]! > timeMs) at--;
    if (at > 0 && timesMs[at - 1] === timeMs) return false;
    timesMs.copyWithin(at + 1, at, series.count);
    series.high.copyWithin(at + 1, at, series.count);
    series.low.copyWithin(at + 1, at, series.count);
    series.starts?.copyWithin(at + 1, at, series.count);
    if (series.starts !== undefined) series.starts[at] = startMs;
    timesMs[at] = timeMs;
    series.high[at] = high;
    series.low[at] = low;
    series.histograms.splice(at, 0, histogram);
    series.count++;
    series.isEncoded = false;
    this.minTimeMs = Math.min(this.minTimeMs, timeMs);
    this.maxTimeMs = Math.max(this.maxTimeMs, timeMs);
    return true;
  }

  /** Calls `visit` with the rows of a series, all samples encoded. */
  visitRows(ref: number, visit: (row: number) => void): void {
    const series = this.#series.get(ref);
    if (series === undefined) return;
    if (!series.isEncoded) {
      this.#retire(series.encoded);
      series.encoded = this.#encode(series);
      series.isEncoded = true;
    }
    for (const row of series.closed) visit(row);
    for (const row of series.encoded) visit(row);
  }

  /** All rows, all samples encoded. Nothing may be inserted afterwards. */
  allRows(): number[] {
    const rows: number[] = [];
    for (const ref of this.#series.keys()) this.visitRows(ref, (row) => void rows.push(row));
    return rows;
  }

  #close(series: Series): void {
    if (!series.isEncoded) {
      this.#retire(series.encoded);
      series.encoded = this.#encode(series);
    }
    series.closed.push(...series.encoded);
    series.encoded = [];
    series.isEncoded = false;
    series.count = 0;
    series.histograms.length = 0;
  }

  /** Writes the open samples as chunks: one for each run of a kind, more where counters were reset. */
  #encode(series: Series): number[] {
    const rows: number[] = [];
    let at = 0;
    while (at < series.count) {
      const start = at;
      const first = series.histograms[at];
      if (first === undefined && series.starts !== undefined) {
        const stream = new Xor2Stream();
        for (; at < series.count && series.histograms[at] === undefined; at++) stream.add(series.timesMs[at]!, series.high[at]!, series.low[at]!, series.starts[at]!);
        rows.push(this.#rows.addRow(series.timesMs[start]!, series.timesMs[at - 1]!, CHUNK_ENCODING.xor2, stream.bytes()));
        continue;
      }
      if (first === undefined) {
        this.#page.fill(0);
        this.#xorState.count[0] = 0;
        this.#xorState.bits[0] = XOR_HEADER_BYTES * 8;
        for (; at < series.count && series.histograms[at] === undefined; at++) this.#appendXor(this.#page, 0, this.#xorState, 0, series.timesMs[at]!, series.high[at]!, series.low[at]!);
        rows.push(this.#rows.addRow(series.timesMs[start]!, series.timesMs[at - 1]!, CHUNK_ENCODING.xor, this.#page.subarray(0, (this.#xorState.bits[0]! + 7) >>> 3)));
        continue;
      }
      let open = new OpenHistogramChunk(first, firstHeader(first), this.#withStarts);
      let mint = first.timeMs;
      const end = (): void => void rows.push(this.#rows.addRow(mint, open.last.timeMs, histogramEncoding(first.isFloat, this.#withStarts), open.bytes()));
      for (at++; at < series.count; at++) {
        const next = series.histograms[at];
        if (next === undefined || next.isFloat !== first.isFloat) break;
        const header = open.append(next);
        if (header < 0) continue;
        end();
        open = new OpenHistogramChunk(next, header, this.#withStarts);
        mint = next.timeMs;
      }
      end();
    }
    return rows;
  }
}

function newSeries(withStarts: boolean): Series {
  return {
    closed: [],
    encoded: [],
    isEncoded: true,
    count: 0,
    timesMs: new Float64Array(OUT_OF_ORDER_SAMPLES_MAX + 1),
    high: new Uint32Array(OUT_OF_ORDER_SAMPLES_MAX + 1),
    low: new Uint32Array(OUT_OF_ORDER_SAMPLES_MAX + 1),
    histograms: [],
    starts: withStarts ? new Float64Array(OUT_OF_ORDER_SAMPLES_MAX + 1) : undefined,
  };
}
