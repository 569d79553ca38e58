/**
 * What the tools of `tools tsdb` do, as plain data, so that it can be done in another thread: see tsdb-thread.ts.
 *
 *   tsdb-commands (flags) ─► TsdbJob ─► tsdb-thread ══► tsdb-worker ─► runTsdbJob ─► tsdb-list, tsdb-analyze, tsdb-dump, …
 */
import type { Logger } from '@gauntlet/service-kit';
import { type AnalyzeJob, analyzeDatabase } from './tsdb-analyze.ts';
import { type BenchJob, benchWrite } from './tsdb-bench.ts';
import { type DumpJob, dumpDatabase } from './tsdb-dump.ts';
import { type ImportJob, importOpenMetrics } from './tsdb-import.ts';
import { type ListJob, listBlocks } from './tsdb-list.ts';
import { type RepairJob, repairDatabaseBlock } from './tsdb-repair.ts';
import { type VerifyJob, verifyDatabase } from './tsdb-verify.ts';

/** One of the jobs. */
export type TsdbJob = ListJob | AnalyzeJob | DumpJob | ImportJob | VerifyJob | RepairJob | BenchJob;

/** What a job runs with. */
export interface TsdbJobDeps {
  /** Prints to standard output; waits where the reader is slower. */
  readonly print: (text: string) => void;
  readonly log: Logger;
  /** How far the work is; may be called often. @param unit of the counts, such as series or bytes */
  readonly progress: (label: string, done: number, total: number, unit: string) => void;
  /** Called now and then between pieces of work. @throws when the user wants it to end */
  readonly poll: () => void;
  /** Unix ms. */
  readonly clock: () => number;
  /** In [0, 1), for new block ids. */
  readonly random: () => number;
}

/** Does a job. @throws ToolsError, TsdbError and the file system's errors */
export async function runTsdbJob(job: TsdbJob, deps: TsdbJobDeps): Promise<void> {
  switch (job.kind) {
    case 'list':
      return listBlocks(job, deps);
    case 'analyze':
      return analyzeDatabase(job, deps);
    case 'dump':
      return dumpDatabase(job, deps);
    case 'import':
      return importOpenMetrics(job, deps);
    case 'verify':
      return verifyDatabase(job, deps);
    case 'repair':
      return repairDatabaseBlock(job, deps);
    case 'bench-write':
      return benchWrite(job, deps);
  }
}
