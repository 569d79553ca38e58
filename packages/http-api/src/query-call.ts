/**
 * A query as plain data: what a request asks for after its parameters have been read. It can be sent to another thread, where `runQuery` answers it.
 *
 *   main thread   request ── parseInstantQuery / parseRangeQuery ──► QueryCall ┐
 *   worker                     pieces of JSON ◄── runQuery ◄───────────────────┘
 */
import { type ApiParams, badData, checkSelectors, parseBoolParam, parseDurationParam, parseShardInfo, type ShardInfo } from './api-params.ts';

/** Which series a request reads, and how. */
export interface ReadOptions {
  /** Resolve replicas. */
  readonly dedup: boolean;
  readonly replicaLabels: readonly string[];
  /** Selectors of stores by address (`storeMatch[]`), each already checked; a store must match one of them. Empty = all. */
  readonly storeMatchers: readonly string[];
  /** Coarsest resolution wanted, ms; 0 = raw data only. */
  readonly maxResolutionMs: number;
  readonly partialResponse: boolean;
  /** Only labels are wanted. */
  readonly skipChunks: boolean;
  readonly shardInfo: ShardInfo | undefined;
}

export type EngineName = 'prometheus' | 'thanos';

interface CallBase {
  readonly query: string;
  /** Time the caller allows, ms; undefined = the server's limit. */
  readonly timeoutMs: number | undefined;
  readonly engine: EngineName;
  /** Overrides the server's; undefined = none given. */
  readonly lookbackDeltaMs: number | undefined;
  readonly read: ReadOptions;
  /** Answer with `data.stats`. */
  readonly stats: boolean;
  /** Answer with `data.analysis` filled in. */
  readonly analyze: boolean;
  /** Most series of the answer, the rest is cut off with a warning; 0 or undefined = all. Prometheus only. */
  readonly limit?: number;
  /** What parsing the parameters had to remark. */
  readonly warnings?: readonly string[];
}

export interface InstantQueryCall extends CallBase {
  readonly kind: 'instant';
  readonly timeMs: number;
}

export interface RangeQueryCall extends CallBase {
  readonly kind: 'range';
  readonly startMs: number;
  readonly endMs: number;
  readonly stepMs: number;
}

export type QueryCall = InstantQueryCall | RangeQueryCall;

/** What applies where a request says nothing. */
export interface ApiDefaults {
  /** `--query.partial-response`. */
  readonly partialResponse: boolean;
  /** `--query.promql-engine`. */
  readonly engine: EngineName;
  /** `--query.default-step`, ms. */
  readonly stepMs: number;
  /** `--query.auto-downsampling`. */
  readonly autoDownsampling: boolean;
  /** `--query.instant.default.max_source_resolution`, ms. */
  readonly instantMaxResolutionMs: number;
  /** `--query.replica-label`. */
  readonly replicaLabels: readonly string[];
  /** `--query.metadata.default-time-range`, ms; 0 = all time. */
  readonly metadataRangeMs: number;
}

/** Thanos' defaults. */
export const API_DEFAULTS: ApiDefaults = {
  partialResponse: true,
  engine: 'prometheus',
  stepMs: 1000,
  autoDownsampling: false,
  instantMaxResolutionMs: 0,
  replicaLabels: [],
  metadataRangeMs: 0,
};

/** `replicaLabels[]`, or what the server was given. */
export function parseReplicaLabels(params: ApiParams, defaults: ApiDefaults): readonly string[] {
  const given = params.all('replicaLabels[]');
  return given.length > 0 ? given : defaults.replicaLabels;
}

/** `partial_response`. */
export function parsePartialResponse(params: ApiParams, defaults: ApiDefaults): boolean {
  return parseBoolParam(params, 'partial_response', defaults.partialResponse);
}

/** `max_source_resolution`: a duration or `auto`, ms. @param autoMs what `auto` means for this query */
export function parseMaxResolution(params: ApiParams, defaults: ApiDefaults, autoMs: number): number {
  const text = params.get('max_source_resolution');
  if (text === '' || text === 'auto') return text === 'auto' || defaults.autoDownsampling ? autoMs : 0;
  const resolutionMs = Math.trunc(parseDurationParam(params, 'max_source_resolution')!);
  if (resolutionMs < 0) throw badData("negative 'max_source_resolution' is not accepted. Try a positive integer");
  return resolutionMs;
}

/** `engine`. @throws HttpApiError `'magic' bad engine` */
export function parseEngine(params: ApiParams, defaults: ApiDefaults): EngineName {
  const engine = params.get('engine') || defaults.engine;
  if (engine !== 'prometheus' && engine !== 'thanos') throw badData(`'${engine}' bad engine`);
  return engine;
}

/** `storeMatch[]`, checked. */
export function parseStoreMatchers(params: ApiParams): readonly string[] {
  return checkSelectors(params.all('storeMatch[]'));
}

/** The parameters that follow those about stores, in the order both query endpoints check them. */
export function parseCallTail(params: ApiParams, defaults: ApiDefaults): Pick<CallBase, 'engine' | 'query' | 'lookbackDeltaMs' | 'stats' | 'analyze'> & { readonly shardInfo: ShardInfo | undefined } {
  const shardInfo = parseShardInfo(params);
  const engine = parseEngine(params, defaults);
  const query = params.get('query');
  const lookbackMs = parseDurationParam(params, 'lookback_delta');
  const analyze = params.get('analyze');
  return {
    shardInfo,
    engine,
    query,
    lookbackDeltaMs: lookbackMs !== undefined && lookbackMs > 0 ? Math.trunc(lookbackMs) : undefined,
    stats: params.get('stats') !== '',
    analyze: analyze === 'true' || analyze === '1',
  };
}
