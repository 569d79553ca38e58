/** What a query answers: series as columns, or one number, or one string, with remarks and counters. */
import type { FloatHistogram, Labels } from '@gauntlet/model';
import type { Explanation } from './plan/explain.ts';

/** Samples counted as Prometheus does for `stats`; what each means is in exec/sample-counts.ts. */
export interface SampleStats {
  readonly totalQueryableSamples: number;
  readonly samplesRead: number;
  /** One entry per step of the query. */
  readonly totalQueryableSamplesPerStep: Float64Array;
  readonly samplesReadPerStep: Float64Array;
}

/** How long parts of a query took, ms. */
export interface QueryTimings {
  /** Parsing and planning. */
  readonly preparationMs: number;
  readonly evaluationMs: number;
}

/** Counters of one query. */
export interface QueryStats {
  /** Samples looked at. */
  readonly samples: number;
  /** Most samples held in memory at once, as the sample limit counts them. */
  readonly peakSamples: number;
  /** Series read from storage. */
  readonly series: number;
  /** Only if asked for. */
  readonly counts?: SampleStats;
  /** Only if a clock was given. */
  readonly timings?: QueryTimings;
}

/**
 * Series as rows over the same steps, one value and one presence byte per step: how a range query computes, and the cheapest form to write out.
 * Read only; belongs to the result.
 */
export interface StepRows {
  readonly startMs: number;
  readonly stepMs: number;
  readonly steps: number;
  /** Row of each series of the answer; every one has a value at some step. */
  readonly rows: Int32Array;
  /** Row-major, `steps` per row. */
  readonly values: Float64Array;
  /** 1 = value, 0 = none; same shape. */
  readonly present: Uint8Array;
}

/**
 * A finished answer.
 *
 * Series i has the samples offsets[i] … offsets[i + 1] of both columns. A `vector` has one sample per series, a `scalar` one series without
 * labels, a `string` none. The columns are ordinary arrays that belong to the result: they stay valid after other queries have run.
 */
export interface QueryResult {
  readonly type: 'vector' | 'matrix' | 'scalar' | 'string';
  /** Ascending in a matrix; in a vector in the order of evaluation, which `sort` and `topk` define. */
  readonly labels: readonly Labels[];
  /** `labels.length + 1` entries. */
  readonly offsets: Int32Array;
  readonly timestampsMs: Float64Array;
  /** 0 where the sample is a native histogram. */
  readonly values: Float64Array;
  /** Beside each value the histogram, if the sample is one; undefined if none of the answer's samples is. */
  readonly histograms: readonly (FloatHistogram | undefined)[] | undefined;
  /**
   * The samples of a matrix as rows of steps. Where there are some, `offsets`, `timestampsMs` and `values` are made of them when first asked for,
   * and charged then. Undefined for other answers and where there are native histograms.
   */
  readonly steps?: StepRows | undefined;
  /** The answer of type `string`. */
  readonly string: string | undefined;
  readonly warnings: readonly string[];
  readonly infos: readonly string[];
  readonly stats: QueryStats;
  /** The plan with what each operator took, if asked for. */
  readonly analysis?: Explanation | undefined;
  /** Gives back the memory charged for the answer; call when it has been written out. */
  dispose(): void;
}
