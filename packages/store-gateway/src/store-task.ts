/**
 * What the main thread asks a worker to do, as plain data.
 *
 *   task ─► worker ─► pieces: arrays of frames (series) ─► TaskReport
 */
import type { LabelNamesRequest, LabelNamesResponse, LabelValuesRequest, LabelValuesResponse, SeriesRequest } from '@gauntlet/proto';
import type { BlockTarget } from './block-access.ts';
import type { LimitReason, QueryLimitOptions } from './query-limits.ts';
import type { QueryStats } from './query-stats.ts';

/** Settings of all calls. */
export interface TaskSettings {
  readonly limits: QueryLimitOptions;
  /** `--debug.series-batch-size` */
  readonly batchSeries: number;
  readonly lazyPostings: boolean;
  readonly keySeriesRatioMax: number;
}

/** One job. */
export type StoreTask =
  | { readonly kind: 'series'; readonly request: SeriesRequest; readonly targets: readonly BlockTarget[] }
  | { readonly kind: 'labelNames'; readonly request: LabelNamesRequest; readonly targets: readonly BlockTarget[] }
  | { readonly kind: 'labelValues'; readonly request: LabelValuesRequest; readonly targets: readonly BlockTarget[] }
  /** Builds the index-header of a block. The answer's value is its file. */
  | { readonly kind: 'buildHeader'; readonly block: string; readonly indexBytes: number | undefined }
  /** Opens an index-header to see whether it is intact. */
  | { readonly kind: 'checkHeader'; readonly block: string; readonly header: SharedArrayBuffer };

/** What a job cost. */
export interface TaskReport {
  readonly stats: QueryStats;
  readonly dropped: LimitReason | undefined;
  /** Whether it ran in the main thread, where it must not. */
  readonly isMainThread: boolean;
  /** Answer of label calls (without hints) and of buildHeader. */
  readonly value?: LabelNamesResponse | LabelValuesResponse | Uint8Array;
}
