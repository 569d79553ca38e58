/** The seam of dedup. README.md has the reading order. */
export { applyCounterResets } from './counter-resets.ts';
export { groupReplicas, type ReplicaGroups, splitOverlappingChunks } from './group-replicas.ts';
export { mergeChain } from './merge-chain.ts';
export { isCounterFunction, mergePenalty, type PenaltyOptions } from './merge-penalty.ts';
export { DedupBuffer, type ReplicaColumns } from './replica-columns.ts';
export { isSeam, mergeStable, type StableOptions } from './stable.ts';
export type { HistogramAt } from './stable-order.ts';
export { summarizeWith } from './stable-kernel.ts';
export type { StableTrace } from './stable-trace.ts';
export { REACH_MS, UNION, WINDOW_MS, WindowTable } from './stable-windows.ts';
