/**
 * A histogram chunk of the head that still takes samples. It is written as it grows; where the layout grows, what is written is decoded and
 * written anew, which happens a few times in the life of a series. One object per histogram series with an open chunk; closed chunks are
 * bytes like all others (series-table.ts).
 */
import { CHUNK_ENCODING } from '@gauntlet/model';
import { decodeHistogramChunk, RESET_HINT } from '../chunkenc/histogram-chunk.ts';
import { histogramSampleAt, type HistogramSample } from '../chunkenc/histogram-encoder.ts';
import { fitHistogram } from '../chunkenc/histogram-fit.ts';
import { HistogramStream } from '../chunkenc/histogram-stream.ts';

/** Bytes a chunk is aimed at, and samples it has at least unless its block range ends. */
export const HISTOGRAM_CHUNK_BYTES_TARGET = 1024;
export const HISTOGRAM_CHUNK_SAMPLES_MIN = 10;

/** Encoding of the chunks a histogram goes into. */
export function histogramEncoding(isFloat: boolean, withStarts: boolean): number {
  if (withStarts) return isFloat ? CHUNK_ENCODING.floatHistogramSt : CHUNK_ENCODING.histogramSt;
  return isFloat ? CHUNK_ENCODING.floatHistogram : CHUNK_ENCODING.histogram;
}

/** An open chunk; see the head of this file. */
export class OpenHistogramChunk {
  /** Whether its end has been predicted from its size. */
  isEndPredicted = false;
  #stream: HistogramStream;
  #last: HistogramSample;
  readonly #withStarts: boolean;

  /** Begins with a sample. @param header a RESET_HINT @param withStarts whether start timestamps are stored */
  constructor(sample: HistogramSample, header: number, withStarts: boolean) {
    this.#withStarts = withStarts;
    this.#stream = new HistogramStream(sample.isFloat, sample.layout, header, withStarts);
    this.#stream.add(sample);
    this.#last = sample;
  }

  /** The newest sample. */
  get last(): HistogramSample {
    return this.#last;
  }

  get count(): number {
    return this.#stream.count;
  }

  get byteLength(): number {
    return this.#stream.byteLength;
  }

  /** Payload; a view valid until the next sample. */
  bytes(): Uint8Array {
    return this.#stream.bytes();
  }

  /**
   * Appends a sample of the same kind.
   * @returns −1, or how the next chunk begins when this one cannot have it, a RESET_HINT
   */
  append(sample: HistogramSample): number {
    const stream = this.#stream;
    const fit = fitHistogram(stream.header, stream.layout, this.#last, sample);
    if ('nextHeader' in fit) return fit.nextHeader;
    if (fit !== stream.layout) {
      const grown = new HistogramStream(stream.isFloat, fit, stream.header, this.#withStarts);
      const columns = decodeHistogramChunk(histogramEncoding(stream.isFloat, this.#withStarts), stream.bytes(), 'the head');
      for (let i = 0; i < columns.count; i++) grown.add(histogramSampleAt(columns, i));
      this.#stream = grown;
    }
    this.#stream.add(sample);
    this.#last = sample;
    return -1;
  }

  /** How a chunk after this one begins that was cut for size or time, a RESET_HINT. */
  headerAfter(sample: HistogramSample): number {
    if (sample.isReset === true) return RESET_HINT.reset;
    const fit = fitHistogram(this.#stream.header, this.#stream.layout, this.#last, sample);
    if (!('nextHeader' in fit)) return RESET_HINT.notReset;
    return sample.isFloat && fit.nextHeader !== RESET_HINT.reset ? RESET_HINT.notReset : fit.nextHeader;
  }
}

/** How the first chunk of a series, or one after another kind of samples, begins. */
export function firstHeader(sample: HistogramSample): number {
  if (sample.isGauge) return RESET_HINT.gauge;
  return sample.isReset === true ? RESET_HINT.reset : RESET_HINT.unknown;
}
