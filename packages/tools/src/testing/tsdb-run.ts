/** Runs a tool of `tools tsdb` with its job in this thread, so that nothing has to be built. */
import type { RunToolDeps } from '../main.ts';
import { runTsdbJob, type TsdbJobDeps } from '../tsdb-job.ts';
import { runWith, type ToolRun } from './tool-run.ts';

/** Runs `tools tsdb <words>`. @param more replaces what the job runs with */
export function runTsdb(argv: readonly string[], more: Partial<TsdbJobDeps> & Pick<RunToolDeps, 'tmpDir'> = {}): Promise<ToolRun> {
  const { tmpDir, ...deps } = more;
  return runWith([], ['tsdb', ...argv], {
    ...(tmpDir === undefined ? {} : { tmpDir }),
    runTsdbJob: (job, { print, log, clock, signal }) => runTsdbJob(job, { print, log, clock, random: Math.random, progress: () => {}, poll: () => signal.throwIfAborted(), ...deps }),
  });
}

/** Error of a run that must have failed, without its code. */
export function failureOf({ code, log }: ToolRun): string {
  if (code === 0) throw new Error('the tool did not fail');
  return String(log.at(-1)!['err']);
}
