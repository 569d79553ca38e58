/**
 * Appends native histograms one by one and decides where chunks end, as Prometheus does: where a counter was reset, where the layout
 * cannot be brought together, where a stale marker ends a run, where the kind changes, where start timestamps begin or end, and after a
 * number of samples.
 *
 *   counter   buckets may come; a bucket may go when it was 0     gauge   buckets come and go
 *   the layout grows:  chunk {0 1 3}  +  sample {0 2 3}, bucket 1 was 0   →   {0 1 2 3}
 *
 * Source: Prometheus tsdb/chunkenc/{histogram,float_histogram}.go, `appendable`, `appendableGauge`, `AppendHistogram`.
 */
import type { Kernels } from '@gauntlet/kernels';
import { EMPTY_LAYOUT, encodeHistogramChunk, type EncodedHistograms, hasStart, type HistogramLayout, type HistogramSample } from './histogram-encoder.ts';
import { RESET_HINT } from './histogram-chunk.ts';
import { fitHistogram } from './histogram-fit.ts';

/** Collects samples of one series and writes them as chunks. */
export class HistogramAppender {
  readonly #samplesMax: number;
  readonly #kernels: Kernels | undefined;
  readonly #chunks: EncodedHistograms[] = [];
  #samples: HistogramSample[] = [];
  #layout: HistogramLayout = EMPTY_LAYOUT;
  #header: number = RESET_HINT.unknown;

  /** @param samplesMax samples in a chunk @param kernels to encode with, see `encodeHistogramChunk` */
  constructor(samplesMax: number, kernels?: Kernels) {
    this.#samplesMax = samplesMax;
    this.#kernels = kernels;
  }

  /** Adds the next sample; times ascend. */
  append(sample: HistogramSample): void {
    const last = this.#samples.at(-1);
    if (last !== undefined && (last.isFloat !== sample.isFloat || hasStart(last) !== hasStart(sample) || this.#samples.length >= this.#samplesMax)) this.#cut();
    if (this.#samples.length === 0) {
      this.#begin(sample, sample.isGauge ? RESET_HINT.gauge : RESET_HINT.unknown);
      return;
    }
    const answer = fitHistogram(this.#header, this.#layout, this.#samples.at(-1)!, sample);
    if ('nextHeader' in answer) {
      this.#cut();
      this.#begin(sample, answer.nextHeader);
      return;
    }
    this.#layout = answer;
    this.#samples.push(sample);
  }

  /** Ends the chunk begun. @returns all chunks since the last call */
  finish(): EncodedHistograms[] {
    this.#cut();
    return this.#chunks.splice(0);
  }

  #begin(sample: HistogramSample, header: number): void {
    this.#samples.push(sample);
    this.#layout = sample.layout;
    this.#header = header;
  }

  #cut(): void {
    if (this.#samples.length > 0) this.#chunks.push(encodeHistogramChunk(this.#samples, this.#layout, this.#header, undefined, this.#kernels));
    this.#samples = [];
  }
}
