/** The seam of storeapi. README.md has the reading order. */
export { StoreError, type StoreErrorCode } from './errors.ts';
export {
  type CallOptions, type FrameSender,
  infoFromMessage,
  infoToMessage,
  labelsFromMessage,
  labelsToMessage,
  type Store,
  type StoreInfo,
  type TsdbInfo,
} from './store.ts';
export { compileMatchers, matcherToMessage, splitExternalMatchers } from './request-matchers.ts';
export { labelSetsMatch, type SkipReason, skipReason, type StoreSelection } from './select-stores.ts';
export { createShardMatcher, type ShardMatcher } from './shard-matcher.ts';
export { FinalLabels, type FinalLabelsOptions } from './final-labels.ts';
export { SeriesRewriter, type SeriesRewriterOptions } from './series-rewriter.ts';
export { resortFrames } from './resort-frames.ts';
export { type ByteCharge, FrameBuffer, type FrameBufferOptions, type StreamEnd } from './frame-buffer.ts';
export {
  ChunkRows,
  createChunkRows,
  mergeChunks,
  type MergedBatch,
  type MergeInput,
  type MergeObserver,
  SeriesMerge,
} from './merge-series.ts';
export {
  abortsOnFailure,
  createProxyStore,
  endpointText,
  mergeUnique,
  type ProxyCallOptions,
  type ProxyEndpoint,
  type ProxySelect,
  type ProxyStore,
  type ProxyStoreOptions,
  type StoreOutcome,
} from './proxy-store.ts';
export { type FramesPiece, packFrames, sendFrames, unpackFrames } from './frames-piece.ts';
export { type CallTransport, createWorkerStore, type StoreCall, streamPieces, workerStoreError, type WorkerStoreDeps } from './worker-store.ts';
export { type SeriesLimits, limitSeries } from './series-limits.ts';
export { createLabelledStore, type LabelledSource } from './labelled-store.ts';
export { createTsdbStore, type TsdbStoreOptions } from './tsdb-store.ts';
export { errorCode, errorText, fromServiceError, type GrpcStatus, toGrpcStatus } from './grpc-status.ts';
export { grpcMethod, INFO_METHODS, STORE_METHODS } from './grpc-methods.ts';
export { createInfoService, createStoreService, type GrpcService, streamAnswer, TENANT_METADATA, unary } from './grpc-server.ts';
export { GrpcStoreClient } from './grpc-client.ts';
export { type ExemplarsAnswer, type ExemplarsEndpoint, type ExemplarsQuestion, fanOutExemplars } from './exemplars-fan-out.ts';
export { createExemplarsClient, createExemplarsFrameService, createExemplarsService, encodeExemplars, EXEMPLARS_METHODS, type ExemplarsClient, type ExemplarsFrames, type ExemplarsSource } from './exemplars-service.ts';
export { fanOutRules, proxyRules, type RulesAnswer, type RulesEndpoint, type RulesFanOutOptions } from './rules-fan-out.ts';
export { createRulesClient, createRulesFrameService, createRulesService, encodeRuleGroups, RULES_METHODS, type RulesClient, type RulesFrames, type RulesSource } from './rules-service.ts';
