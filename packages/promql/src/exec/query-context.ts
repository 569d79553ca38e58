/**
 * What all nodes of one query share: storage, kernels, limits, annotations and counters.
 *
 * Samples are counted as Prometheus does: every float that is held in memory at a time counts one, a native histogram by its size; the limit and `peakSamples` are about the
 * sum over everything held at once, `samples` about what was looked at in all.
 */
import type { Kernels } from '@gauntlet/kernels';
import type { Queryable } from '@gauntlet/model';
import type { Annotations } from '../annotations.ts';
import { PromqlError } from '../errors.ts';
import type { VectorSelector } from '../parser/ast.ts';
import type { Operators } from './operators.ts';

/** Limits from outside, asked again and again while a query runs. Every method may throw to end the query. */
export interface QueryControl {
  /** Throws when the query was canceled or ran out of time. Called at least every 10,000 samples or 1,000 series. */
  poll(): void;
  /** Charges bytes before they are allocated; throws when a budget would be passed. */
  reserve(bytes: number): void;
  /** Gives back what was reserved. */
  release(bytes: number): void;
}

/** Kernels the engine computes with. */
export type EngineKernels = Kernels;

/** Settings of one query. */
export interface QuerySettings {
  readonly lookbackMs: number;
  readonly samplesMax: number;
  readonly noStepSubqueryIntervalMs: number;
  readonly delayedNameRemoval: boolean;
  readonly typeAndUnitLabels: boolean;
}

/** The steps a node is evaluated for: startMs, startMs + stepMs, … (`steps` of them). */
export interface Grid {
  readonly startMs: number;
  readonly stepMs: number;
  readonly steps: number;
  /**
   * How long before startMs the windows of enclosing subqueries begin; undefined = 0. Nothing is evaluated there, but storage is asked for it as by
   * Prometheus: how replicas are united depends on where reading begins.
   */
  readonly leadMs?: number;
}

/** Work between two polls: a series counts as ten samples. */
const POLL_WORK = 10_000;

/** State of one running query. */
export class QueryContext {
  readonly queryable: Queryable;
  readonly kernels: EngineKernels;
  /** How operators evaluate their operands. */
  readonly operators: Operators;
  readonly settings: QuerySettings;
  readonly annotations: Annotations;
  readonly signal: AbortSignal | undefined;
  /** Selectors whose native histograms are read without buckets. */
  statsSelectors: ReadonlySet<VectorSelector> = new Set();
  readonly #control: QueryControl | undefined;
  #work = 0;
  #current = 0;
  #reserved = 0;

  /** Samples looked at. */
  samples = 0;
  /** Most samples held at once. */
  peakSamples = 0;
  /** Series read from storage. */
  series = 0;

  constructor(parts: {
    readonly queryable: Queryable;
    readonly kernels: EngineKernels;
    readonly operators: Operators;
    readonly settings: QuerySettings;
    readonly annotations: Annotations;
    readonly signal: AbortSignal | undefined;
    readonly control: QueryControl | undefined;
  }) {
    this.queryable = parts.queryable;
    this.kernels = parts.kernels;
    this.operators = parts.operators;
    this.settings = parts.settings;
    this.annotations = parts.annotations;
    this.signal = parts.signal;
    this.#control = parts.control;
  }

  /** Ends the query if it was canceled. */
  poll(): void {
    this.#work = 0;
    if (this.signal?.aborted === true) throw new PromqlError('ERR_CANCELED', 'query was canceled in expression evaluation', { cause: this.signal.reason });
    this.#control?.poll();
  }

  /** Notes work done, and polls when enough has come together. */
  worked(samples: number, series: number): void {
    this.#work += samples + 10 * series;
    if (this.#work >= POLL_WORK) this.poll();
  }

  /** Samples held from now on. @throws PromqlError ERR_TOO_MANY_SAMPLES */
  hold(samples: number): void {
    this.#current += samples;
    if (this.#current > this.peakSamples) this.peakSamples = this.#current;
    if (this.#current > this.settings.samplesMax) {
      throw new PromqlError('ERR_TOO_MANY_SAMPLES', 'query processing would load too many samples into memory in query execution');
    }
  }

  /** Samples no longer held. */
  drop(samples: number): void {
    this.#current -= samples;
  }

  /** Charges memory. */
  reserve(bytes: number): void {
    this.#control?.reserve(bytes);
    this.#reserved += bytes;
  }

  release(bytes: number): void {
    this.#reserved -= bytes;
    this.#control?.release(bytes);
  }

  /** Gives back everything still charged; the end of a query, failed or not. */
  releaseAll(): void {
    if (this.#reserved > 0) this.release(this.#reserved);
  }
}
