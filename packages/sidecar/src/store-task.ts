/**
 * What the main thread asks a store worker to do, as plain data.
 *
 *   task ─► worker ─► FramesPiece … (series, rules) ─► answer of a label call
 *                └─► StoreReport on a channel of its own: a call that was cancelled counts too
 */
import type { Labels } from '@gauntlet/model';
import type { ExemplarsRequest, RulesRequest } from '@gauntlet/proto';
import type { SeriesLimits, StoreCall } from '@gauntlet/storeapi';
import type { ReadCost } from './prometheus-store.ts';
import type { TransportSettings } from './prometheus-transport.ts';

/** What every worker gets at its start. */
export interface WorkerSettings {
  /** `--prometheus.url` */
  readonly prometheusUrl: string;
  readonly transport: TransportSettings;
  readonly limits: SeriesLimits;
  /** Where answers go whose reader is slow, and after how long without progress. */
  readonly spool: { readonly folder: string; readonly stallMs: number };
  /** Name of the broadcast channel that takes {@link StoreReport}s. */
  readonly reports: string;
}

/** What the sidecar knows of its Prometheus when a call comes in. */
export interface PrometheusFacts {
  readonly externalLabels: Labels;
  /** Announced range, ms. */
  readonly timeRange: { readonly mint: number; readonly maxt: number };
  readonly version: string;
}

/** One call: of the Store API, of the Rules API, or of the Exemplars API. */
export interface StoreTask {
  readonly call: StoreCall | { readonly kind: 'rules'; readonly request: RulesRequest } | { readonly kind: 'exemplars'; readonly request: ExemplarsRequest };
  readonly facts: PrometheusFacts;
}

/** What happened in a worker. */
export type StoreReport = { readonly kind: 'read'; readonly cost: ReadCost } | { readonly kind: 'spooled' };
