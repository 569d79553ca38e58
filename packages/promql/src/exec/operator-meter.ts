/**
 * What one operator of an analyzed query takes: time, series and samples, memory. Memory and held samples go up through the operators around it, so
 * that each one's peak is that of all below it.
 *
 * Times are of the wall clock and include the operators below; while two sides of a binary operator wait for storage, both clocks run.
 */
import type { SeriesVisitor } from './read-series.ts';
import type { RowSink } from './rows.ts';

/** What was measured of one operator. */
export interface OperatorFigures {
  /** Wall time with everything below, ms. */
  readonly timeMs: number;
  /** Series read from storage by a selector. */
  readonly seriesRead: number;
  /** Samples read from storage by a selector. */
  readonly samplesRead: number;
  /** Series it gave to the operator above. */
  readonly series: number;
  /** Samples it gave to the operator above. */
  readonly samplesOut: number;
  /** Samples it and all below looked at, step by step, as `stats` counts them. */
  readonly totalSamples: number;
  /** Most samples held at once, as limits count them, by it and all below. */
  readonly peakSamples: number;
  /** Most memory charged at once, by it and all below. */
  readonly peakBytes: number;
}

/** Measures one operator. */
export class OperatorMeter implements OperatorFigures {
  readonly parent: OperatorMeter | undefined;
  timeMs = 0;
  seriesRead = 0;
  samplesRead = 0;
  series = 0;
  samplesOut = 0;
  totalSamples = 0;
  peakSamples = 0;
  peakBytes = 0;
  #held = 0;
  #bytes = 0;

  constructor(parent: OperatorMeter | undefined) {
    this.parent = parent;
  }

  /** A visitor that counts what is read. */
  readsInto(visit: SeriesVisitor): SeriesVisitor {
    return (labels, timestampsPtr, valuesPtr, count, histograms, starts) => {
      this.seriesRead++;
      this.samplesRead += count;
      visit(labels, timestampsPtr, valuesPtr, count, histograms, starts);
    };
  }

  /** A sink that counts what goes into another; what that one takes is not the time of this operator. */
  givesTo(sink: RowSink, now: () => number): RowSink {
    return {
      add: (labels, dropName, valuesPtr, presentPtr, found, histograms) => {
        this.series++;
        this.samplesOut += found;
        const from = now();
        sink.add(labels, dropName, valuesPtr, presentPtr, found, histograms);
        this.timeMs -= now() - from;
      },
    };
  }

  hold(samples: number): void {
    this.#held += samples;
    if (this.#held > this.peakSamples) this.peakSamples = this.#held;
    this.parent?.hold(samples);
  }

  drop(samples: number): void {
    this.#held -= samples;
    this.parent?.drop(samples);
  }

  reserve(bytes: number): void {
    this.#bytes += bytes;
    if (this.#bytes > this.peakBytes) this.peakBytes = this.#bytes;
    this.parent?.reserve(bytes);
  }

  release(bytes: number): void {
    this.#bytes -= bytes;
    this.parent?.release(bytes);
  }
}
