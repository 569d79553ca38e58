/** The seam of compactor. README.md has the reading order. */
export { CompactorError, type CompactorErrorCode, type CompactorErrorKind } from './errors.ts';
export { type CompactorConfig, type CompactorFlags, compactorFlags } from './flags.ts';
export { type Compactor, type CompactorDeps, createCompactor } from './compactor.ts';
export { main, run } from './main.ts';
export { type CompactRunner, createCompactRunner, createInlineRunner } from './compact-runner.ts';
export type { CompactorOverview, CompactorStatus } from './compactor-status.ts';
export type { IterationReport } from './run-loop.ts';
export { type BlockGroup, groupBlocks } from './group-blocks.ts';
export { COMPACTION_RANGES_MS, type GroupPlan, planGroup, type PlanOptions } from './plan-group.ts';
