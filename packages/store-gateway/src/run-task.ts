/** Runs one job: what a worker does, and, in tests, what the test's own thread does. */
import { isMainThread } from 'node:worker_threads';
import { buildIndexHeader, openIndexHeader } from '@gauntlet/block';
import type { BlockAccess, BlockTarget } from './block-access.ts';
import type { BlockIo } from './block-io.ts';
import type { FrameTools } from './block-series.ts';
import type { FrameMemory } from './frame-memory.ts';
import { headerBucket } from './header-bucket.ts';
import type { HeaderCache } from './header-cache.ts';
import { QueryLimits } from './query-limits.ts';
import { createQueryStats } from './query-stats.ts';
import { runLabelNames, runLabelValues } from './run-labels.ts';
import { runSeries, type SeriesCall } from './run-series.ts';
import type { StoreTask, TaskReport, TaskSettings } from './store-task.ts';

/** What a job runs with. */
export interface TaskDeps {
  readonly io: BlockIo;
  readonly headers: HeaderCache;
  readonly tools: FrameTools;
  readonly frames: FrameMemory;
  readonly settings: TaskSettings;
  readonly clock: () => number;
  readonly throwIfCancelled: () => void;
  /** Hands frames on; resolves when there is room for more. */
  readonly send: (frames: Uint8Array[]) => Promise<void>;
}

/** @throws StoreError, BlockError, ObjstoreError */
export async function runTask(task: StoreTask, deps: TaskDeps): Promise<TaskReport> {
  const stats = createQueryStats();
  const limits = new QueryLimits(deps.settings.limits);
  const { clock, tools, frames, io, headers, settings, throwIfCancelled } = deps;
  const access = (target: BlockTarget): BlockAccess => ({ target, header: headers.open(target.id, target.header, target.headerLoad), io, limits, stats, clock, throwIfCancelled });
  const call = (targets: readonly BlockTarget[]): SeriesCall => ({ accesses: targets.map(access), settings, limits, stats, clock, tools, slabs: frames.open() });
  const report = (value?: TaskReport['value']): TaskReport => ({ stats, dropped: limits.dropped, isMainThread, ...(value === undefined ? {} : { value }) });
  switch (task.kind) {
    case 'series':
      for await (const piece of runSeries(call(task.targets), task.request)) {
        throwIfCancelled();
        await deps.send(piece);
      }
      return report();
    case 'labelNames':
      return report({ names: await runLabelNames(call(task.targets), task.request), warnings: [], hints: undefined });
    case 'labelValues':
      return report({ values: await runLabelValues(call(task.targets), task.request), warnings: [], hints: undefined });
    case 'buildHeader':
      return report(await buildIndexHeader(headerBucket(io), task.block, task.indexBytes === undefined ? {} : { indexBytes: task.indexBytes }));
    case 'checkHeader':
      openIndexHeader(new Uint8Array(task.header), task.block);
      return report();
    default:
      return task satisfies never;
  }
}
