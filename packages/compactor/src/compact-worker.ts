/** The worker thread of the compactor: one module, started by the pool of compact-runner.ts. */
import { createNodeFileSystem, serveTasks } from '@gauntlet/service-kit/worker';
import { type CompactProgress, type CompactTask, runCompactTask } from './compact-task.ts';

/** Time between two reports of progress. */
const REPORT_MS = 1_000;

const fs = createNodeFileSystem();

serveTasks((request, task) => {
  let reportedMs = -Infinity;
  let phase = '';
  const onProgress = (progress: CompactProgress): void => {
    const nowMs = performance.now();
    if (progress.phase === phase && nowMs - reportedMs < REPORT_MS) return;
    reportedMs = nowMs;
    phase = progress.phase;
    // The work does not wait for whoever looks on.
    void task.send(progress);
  };
  const outcome = runCompactTask(request as CompactTask, { fs, clock: () => performance.now(), shouldStop: () => task.isCancelled(), onProgress });
  return { value: outcome };
});
