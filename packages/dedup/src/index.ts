/** The seam of dedup. README.md has the reading order. */
export {
  AGGREGATE_NAMES,
  AGGREGATE_RESOLUTIONS_MS,
  type AggregateColumns,
  mergeAggregates,
  mergeCounterTotals,
  type MergedAggregates,
} from './aggregates.ts';
export { CHUNK_SAMPLES, type ChunkedReplica, type ChunkMergeOptions, type ChunkPiece, mergeChunksPenalty, mergeChunksStable } from './chunks.ts';
export { applyCounterResets } from './counter-resets.ts';
export { DEDUP_FUNCTIONS, deduplicate, type DedupFunction, type DeduplicateOptions, parseDedupFunction } from './deduplicate.ts';
export { DedupError, type DedupErrorCode } from './errors.ts';
export { explainStable, type Explanation, type SampleRange } from './explain.ts';
export { groupReplicas, type ReplicaGroups, splitOverlappingChunks } from './group-replicas.ts';
export { mergeChain } from './merge-chain.ts';
export { isCounterFunction, mergePenalty, type PenaltyOptions } from './merge-penalty.ts';
export { type MemoryColumns, mergePenaltyInMemory, penaltyRoomBytes } from './penalty-in-memory.ts';
export { DedupBuffer, type ReplicaColumns } from './replica-columns.ts';
export { isCounterSeries, uniteSources } from './replica-sources.ts';
export { isSeam, mergeStable, type StableOptions } from './stable.ts';
export { DecisionCounter, type StableCounts } from './stable-counts.ts';
export { summarizeWith } from './stable-kernel.ts';
export type { HistogramAt } from './stable-order.ts';
export type { StableTrace } from './stable-trace.ts';
export { REACH_MS, UNION, WINDOW_MS, WindowTable } from './stable-windows.ts';
