/**
 * The Store API's messages except Series frames (protos/store.proto, store-types.proto, hints.proto). Numbers of enums are
 * kept as numbers: servers must tell an unknown one from a known one. Times are milliseconds, both ends inclusive, with
 * MIN_TIME_MS and MAX_TIME_MS as "open".
 */
import { type Codec, field, message, repeated } from './message-codec.ts';

/** Name and value of one label. */
export interface Label {
  readonly name: string;
  readonly value: string;
}

/** Wire numbers of matcher types, by their PromQL operator. */
export const MATCHER_TYPE = { '=': 0, '!=': 1, '=~': 2, '!~': 3 } as const;

export interface LabelMatcher {
  /** See {@link MATCHER_TYPE}. */
  readonly type: number;
  readonly name: string;
  readonly value: string;
}

/** Wire numbers of aggregates of downsampled data. */
export const AGGREGATE = { raw: 0, count: 1, sum: 2, min: 3, max: 4, counter: 5 } as const;

/** What a failing store does to an answer. */
export const PARTIAL_RESPONSE = { warn: 0, abort: 1 } as const;

/** google.protobuf.Any. */
export interface Any {
  readonly typeUrl: string;
  readonly value: Uint8Array;
}

export interface ShardInfo {
  readonly shardIndex: number;
  readonly totalShards: number;
  readonly by: boolean;
  readonly labels: readonly string[];
}

export interface QueryHints {
  readonly stepMs: number;
  readonly func: { readonly name: string } | undefined;
  readonly grouping: { readonly by: boolean; readonly labels: readonly string[] } | undefined;
  readonly range: { readonly millis: number } | undefined;
  readonly projectionLabels: readonly string[];
  readonly projectionInclude: boolean;
  readonly seriesHashLabelName: string;
}

export interface SeriesRequest {
  readonly minTime: number;
  readonly maxTime: number;
  readonly matchers: readonly LabelMatcher[];
  /** Coarsest resolution wanted, ms; 0 asks for raw data. */
  readonly maxResolutionWindow: number;
  /** See {@link AGGREGATE}. */
  readonly aggregates: readonly number[];
  readonly partialResponseDisabled: boolean;
  /** See {@link PARTIAL_RESPONSE}. */
  readonly partialResponseStrategy: number;
  readonly skipChunks: boolean;
  readonly hints: Any | undefined;
  readonly step: number;
  readonly range: number;
  readonly queryHints: QueryHints | undefined;
  readonly shardInfo: ShardInfo | undefined;
  readonly withoutReplicaLabels: readonly string[];
  /** Most series; 0 is all. */
  readonly limit: number;
  readonly responseBatchSize: number;
}

export interface LabelNamesRequest {
  readonly partialResponseDisabled: boolean;
  readonly partialResponseStrategy: number;
  readonly start: number;
  readonly end: number;
  readonly hints: Any | undefined;
  readonly matchers: readonly LabelMatcher[];
  readonly withoutReplicaLabels: readonly string[];
  readonly limit: number;
}

export interface LabelValuesRequest extends LabelNamesRequest {
  readonly label: string;
}

export interface LabelNamesResponse {
  readonly names: readonly string[];
  readonly warnings: readonly string[];
  readonly hints: Any | undefined;
}

export interface LabelValuesResponse {
  readonly values: readonly string[];
  readonly warnings: readonly string[];
  readonly hints: Any | undefined;
}

export const label: Codec<Label> = message<Label>({ name: field(1, 'string'), value: field(2, 'string') });

export const labelMatcher: Codec<LabelMatcher> = message<LabelMatcher>({
  type: field(1, 'int32'),
  name: field(2, 'string'),
  value: field(3, 'string'),
});

export const any: Codec<Any> = message<Any>({ typeUrl: field(1, 'string'), value: field(2, 'bytes') });

const shardInfo: Codec<ShardInfo> = message<ShardInfo>({
  shardIndex: field(1, 'int64'),
  totalShards: field(2, 'int64'),
  by: field(3, 'bool'),
  labels: repeated(4, 'string'),
});

const queryHints: Codec<QueryHints> = message<QueryHints>({
  stepMs: field(1, 'int64'),
  func: field(2, message<{ readonly name: string }>({ name: field(1, 'string') })),
  grouping: field(4, message<{ readonly by: boolean; readonly labels: readonly string[] }>({ by: field(1, 'bool'), labels: repeated(3, 'string') })),
  range: field(5, message<{ readonly millis: number }>({ millis: field(1, 'int64') })),
  projectionLabels: repeated(6, 'string'),
  projectionInclude: field(7, 'bool'),
  seriesHashLabelName: field(8, 'string'),
});

export const seriesRequest: Codec<SeriesRequest> = message<SeriesRequest>({
  minTime: field(1, 'int64'),
  maxTime: field(2, 'int64'),
  matchers: repeated(3, labelMatcher),
  maxResolutionWindow: field(4, 'int64'),
  aggregates: repeated(5, 'int32'),
  partialResponseDisabled: field(6, 'bool'),
  partialResponseStrategy: field(7, 'int32'),
  skipChunks: field(8, 'bool'),
  hints: field(9, any),
  step: field(10, 'int64'),
  range: field(11, 'int64'),
  queryHints: field(12, queryHints),
  shardInfo: field(13, shardInfo),
  withoutReplicaLabels: repeated(14, 'string'),
  limit: field(15, 'int64'),
  responseBatchSize: field(16, 'int64'),
});

export const labelNamesRequest: Codec<LabelNamesRequest> = message<LabelNamesRequest>({
  partialResponseDisabled: field(1, 'bool'),
  partialResponseStrategy: field(2, 'int32'),
  start: field(3, 'int64'),
  end: field(4, 'int64'),
  hints: field(5, any),
  matchers: repeated(6, labelMatcher),
  withoutReplicaLabels: repeated(7, 'string'),
  limit: field(8, 'int64'),
});

export const labelValuesRequest: Codec<LabelValuesRequest> = message<LabelValuesRequest>({
  label: field(1, 'string'),
  partialResponseDisabled: field(2, 'bool'),
  partialResponseStrategy: field(3, 'int32'),
  start: field(4, 'int64'),
  end: field(5, 'int64'),
  hints: field(6, any),
  matchers: repeated(7, labelMatcher),
  withoutReplicaLabels: repeated(8, 'string'),
  limit: field(9, 'int64'),
});

export const labelNamesResponse: Codec<LabelNamesResponse> = message<LabelNamesResponse>({
  names: repeated(1, 'string'),
  warnings: repeated(2, 'string'),
  hints: field(3, any),
});

export const labelValuesResponse: Codec<LabelValuesResponse> = message<LabelValuesResponse>({
  values: repeated(1, 'string'),
  warnings: repeated(2, 'string'),
  hints: field(3, any),
});

/** A request for raw chunks of everything, to be spread and overridden. */
export const EMPTY_SERIES_REQUEST: SeriesRequest = {
  minTime: 0,
  maxTime: 0,
  matchers: [],
  maxResolutionWindow: 0,
  aggregates: [],
  partialResponseDisabled: false,
  partialResponseStrategy: PARTIAL_RESPONSE.warn,
  skipChunks: false,
  hints: undefined,
  step: 0,
  range: 0,
  queryHints: undefined,
  shardInfo: undefined,
  withoutReplicaLabels: [],
  limit: 0,
  responseBatchSize: 0,
};

/** A request for all label names, to be spread and overridden; with `label` it is a LabelValuesRequest. */
export const EMPTY_LABEL_NAMES_REQUEST: LabelNamesRequest = {
  partialResponseDisabled: false,
  partialResponseStrategy: PARTIAL_RESPONSE.warn,
  start: 0,
  end: 0,
  hints: undefined,
  matchers: [],
  withoutReplicaLabels: [],
  limit: 0,
};
