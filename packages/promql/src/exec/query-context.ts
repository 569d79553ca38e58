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
import type { Expr, VectorSelector } from '../parser/ast.ts';
import { memoryError } from './limit-errors.ts';
import type { OperatorMeter } from './operator-meter.ts';
import type { Operators } from './operators.ts';
import type { SampleCounts } from './sample-counts.ts';
import type { SharedReads } from './shared-read.ts';
import type { SharedValues } from './shared-value.ts';

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
  /** 0 = no limit. */
  readonly seriesMax: number;
  readonly noStepSubqueryIntervalMs: number;
  readonly delayedNameRemoval: boolean;
  readonly typeAndUnitLabels: boolean;
  readonly useStartTimestamps: boolean;
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
  /** How long after the last step the query, or the last window of the subquery, ends; undefined = 0. Nothing is evaluated there. */
  readonly tailMs?: number;
}

/** Whether nothing but one time is asked for. A query over a range may have only one step and still end later. */
export function isOneTime({ steps, tailMs = 0 }: Grid): boolean {
  return steps === 1 && tailMs === 0;
}

/** Work between two polls: a series counts as ten samples. */
const POLL_WORK = 10_000;

/** What all parts of one query have in common: limits, and what is shared between places. */
interface Ledger {
  readonly control: QueryControl | undefined;
  work: number;
  series: number;
  current: number;
  peak: number;
  reserved: number;
  readonly sharedReads: SharedReads;
  readonly sharedValues: SharedValues;
}

/** Meters of the nodes of an analyzed query, and the clock they use. */
export interface Analysis {
  readonly meters: Map<Expr, OperatorMeter>;
  /** A clock that never goes back, ms. */
  readonly now: () => number;
}

/** What a query runs with. */
export interface QueryParts {
  readonly queryable: Queryable;
  readonly kernels: EngineKernels;
  readonly operators: Operators;
  readonly settings: QuerySettings;
  readonly annotations: Annotations;
  readonly signal: AbortSignal | undefined;
  readonly control: QueryControl | undefined;
}

/** What a part of a query does apart from the rest. */
export interface QueryPart {
  readonly annotations?: Annotations;
  readonly counts?: SampleCounts | undefined;
  readonly meter?: OperatorMeter | undefined;
}

/** State of one running query, or of a part of it that is counted by itself. */
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
  /** Samples counted as Prometheus does; absent unless asked for. */
  counts: SampleCounts | undefined;
  /** The operator being measured; absent unless asked for. */
  meter: OperatorMeter | undefined;
  /** What was measured of each node; absent unless asked for. */
  analysis: Analysis | undefined;
  readonly #ledger: Ledger;
  readonly #parts: QueryParts;

  /** Samples looked at. */
  samples = 0;
  /** Series read from storage. */
  series = 0;

  constructor(parts: QueryParts, ledger?: Ledger) {
    this.queryable = parts.queryable;
    this.kernels = parts.kernels;
    this.operators = parts.operators;
    this.settings = parts.settings;
    this.annotations = parts.annotations;
    this.signal = parts.signal;
    this.#parts = parts;
    this.#ledger = ledger ?? { control: parts.control, work: 0, series: 0, current: 0, peak: 0, reserved: 0, sharedReads: new Map(), sharedValues: new Map() };
  }

  /** A context for a part of the query, with counters of its own and the limits of the whole; `join` adds the counters. */
  part({ annotations = this.annotations, counts = this.counts, meter = this.meter }: QueryPart): QueryContext {
    const part = new QueryContext(annotations === this.annotations ? this.#parts : { ...this.#parts, annotations }, this.#ledger);
    part.statsSelectors = this.statsSelectors;
    part.counts = counts;
    part.meter = meter;
    part.analysis = this.analysis;
    return part;
  }

  /** Adds what a part has looked at. */
  join(part: QueryContext): void {
    this.samples += part.samples;
    this.series += part.series;
  }

  /** Reads of storage for several selectors, by number. */
  get sharedReads(): SharedReads {
    return this.#ledger.sharedReads;
  }

  /** Vectors computed for several places, by number. */
  get sharedValues(): SharedValues {
    return this.#ledger.sharedValues;
  }

  /** Most samples held at once by the query. */
  get peakSamples(): number {
    return this.#ledger.peak;
  }

  /** Ends the query if it was canceled. */
  poll(): void {
    this.#ledger.work = 0;
    if (this.signal?.aborted === true) throw new PromqlError('ERR_CANCELED', 'query was canceled in expression evaluation', { cause: this.signal.reason });
    this.#ledger.control?.poll();
  }

  /** Notes work done, and polls when enough has come together. */
  worked(samples: number, series: number): void {
    const ledger = this.#ledger;
    ledger.work += samples + 10 * series;
    if (ledger.work >= POLL_WORK) this.poll();
  }

  /** Series that storage hands out. @throws PromqlError ERR_TOO_MANY_SERIES */
  readSeries(count: number): void {
    const ledger = this.#ledger;
    const { seriesMax } = this.settings;
    this.series += count;
    ledger.series += count;
    if (seriesMax > 0 && ledger.series > seriesMax) {
      throw new PromqlError('ERR_TOO_MANY_SERIES', `query would read too many series from storage: more than ${seriesMax} (raise with --query.max-series)`);
    }
  }

  /** Samples held from now on. @throws PromqlError ERR_TOO_MANY_SAMPLES */
  hold(samples: number): void {
    const ledger = this.#ledger;
    ledger.current += samples;
    if (ledger.current > ledger.peak) ledger.peak = ledger.current;
    this.meter?.hold(samples);
    if (ledger.current > this.settings.samplesMax) {
      const limit = `more than ${this.settings.samplesMax} (raise with --query.max-samples)`;
      throw new PromqlError('ERR_TOO_MANY_SAMPLES', `query processing would load too many samples into memory in query execution: ${limit}`);
    }
  }

  /** Samples that Prometheus would hold for a moment beside the others, for comparing peaks; they do not count for the limit. */
  touch(samples: number): void {
    const ledger = this.#ledger;
    if (ledger.current + samples > ledger.peak) ledger.peak = ledger.current + samples;
  }

  /** Samples no longer held. */
  drop(samples: number): void {
    this.#ledger.current -= samples;
    this.meter?.drop(samples);
  }

  /** Charges memory. @throws PromqlError ERR_MEMORY with what the budget says */
  reserve(bytes: number): void {
    try {
      this.#ledger.control?.reserve(bytes);
    } catch (error) {
      throw memoryError(error);
    }
    this.#ledger.reserved += bytes;
    this.meter?.reserve(bytes);
  }

  release(bytes: number): void {
    this.#ledger.reserved -= bytes;
    this.#ledger.control?.release(bytes);
    this.meter?.release(bytes);
  }

  /** Gives back everything still charged; the end of a query, failed or not. */
  releaseAll(): void {
    const { reserved } = this.#ledger;
    if (reserved > 0) this.release(reserved);
  }
}
