/**
 * What the main thread asks a query worker to do, and what comes back. Everything is plain data: requests keep their parameters
 * as texts, and the worker reads them.
 *
 *   task ─► worker ─► pieces: AnswerHead, then bytes of the body (HTTP) or FramesPiece (StoreAPI, rules) ─► TaskReport
 */
import type { ApiDefaults } from '@gauntlet/http-api';
import type { ParserOptions } from '@gauntlet/promql';
import type { RulesRequest } from '@gauntlet/proto';
import type { MemoryLedgerShare } from '@gauntlet/service-kit';
import type { SeriesLimits, StoreCall } from '@gauntlet/storeapi';
import type { EndpointSnapshot } from './endpoint-set.ts';
import type { DedupFunction } from './unite-streams.ts';

/** Settings every worker gets at its start. */
export interface WorkerSettings {
  readonly defaults: ApiDefaults;
  /** Whether an endpoint that fails is only a warning in rules and alerts. */
  readonly rulePartialResponse: boolean;
  /** The same in exemplars. */
  readonly exemplarPartialResponse: boolean;
  readonly dedupFunction: DedupFunction;
  readonly timeoutMs: number;
  readonly maxSamples: number;
  /** 0 = no limit. */
  readonly maxSeries: number;
  readonly maxMemoryBytes: number;
  /** 0: the engine's default. */
  readonly lookbackDeltaMs: number;
  readonly dynamicLookback: boolean;
  readonly defaultEvaluationIntervalMs: number;
  readonly parser: ParserOptions;
  readonly responseTimeoutMs: number;
  readonly proxyStrategy: 'eager' | 'lazy';
  readonly selectorLabels: readonly (readonly [string, string])[];
  /** Limits of a StoreAPI call, 0 = none. */
  readonly storeLimits: SeriesLimits;
  readonly ledger: MemoryLedgerShare;
}

/** HTTP endpoints whose answers are computed. */
export type ApiRoute = 'query' | 'query_range' | 'query_explain' | 'query_range_explain' | 'series' | 'labels' | 'label_values' | 'format_query' | 'parse_query' | 'rules' | 'alerts' | 'query_exemplars';

interface TaskBase {
  /** For messages and the ledger. */
  readonly name: string;
  /** Of rules and alerts: those with rules; of exemplars: those with exemplars. */
  readonly endpoints: readonly EndpointSnapshot[];
  readonly tenant: string;
}

export interface ApiTask extends TaskBase {
  readonly kind: 'api';
  readonly route: ApiRoute;
  /** Query string of the URL, and of a form in the body. */
  readonly url: string;
  readonly form: string | undefined;
  /** Label of `label_values`, as in the path. */
  readonly label: string;
}

export type StoreTask = TaskBase & StoreCall;

/** A call of the Rules API. */
export interface RulesTask extends TaskBase {
  readonly kind: 'rules';
  readonly request: RulesRequest;
}

export type QueryTask = ApiTask | StoreTask | RulesTask;

/** First piece of an HTTP answer. */
export interface AnswerHead {
  readonly status: number;
  readonly noStore: boolean;
}

/** What a task cost; the thread that did the work counts it. */
export interface TaskReport {
  readonly isMainThread: boolean;
  readonly mergedSeries: number;
  readonly decodedChunks: number;
  readonly samples: number;
  readonly encodedBytes: number;
  readonly peakBytes: number;
  /** Answer of labelNames and labelValues. */
  readonly value?: unknown;
}

/** Code of the error by which a query in a shared worker says that it needs one of its own. */
export const OUTGROWN = 'ERR_QUERY_OUTGROWN';
/** What a query in a shared worker may hold and how long it may work, before it moves to an exclusive one. Waiting for stores is no work. */
export const SHARED_BYTES_MAX: number = 32 << 20;
export const SHARED_MS_MAX = 2000;
