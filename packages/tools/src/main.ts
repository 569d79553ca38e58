/** `gauntlet tools …`: words and flags in, a tool that runs to its end. Results on standard output, the log on standard error. */
import { tmpdir } from 'node:os';
import { text } from 'node:stream/consumers';
import { createBucketFromConfig } from '@gauntlet/objstore';
import { BUILD_INFO, createLogger, createMetrics, errorText } from '@gauntlet/service-kit';
import { bucketInspect } from './bucket-inspect.ts';
import { bucketLs } from './bucket-ls.ts';
import { bucketMark } from './bucket-mark.ts';
import { bucketVerify } from './bucket-verify.ts';
import { chooseTool } from './command-tree.ts';
import { promqlExplain } from './promql-explain.ts';
import { promqlFormat } from './promql-format.ts';
import { promqlParse } from './promql-parse.ts';
import { promqlQueryInstant, promqlQueryRange } from './promql-query.ts';
import { promqlTest } from './promql-test.ts';
import { evaluateInThread } from './promql-thread.ts';
import { rulesCheck } from './rules-check.ts';
import type { Tool, ToolDeps } from './tool.ts';
import { TSDB_TOOLS } from './tsdb-commands.ts';
import { runInThread, streamTook } from './tsdb-thread.ts';

/** Every tool, in the order help shows them. */
export const TOOLS: readonly Tool[] = [bucketVerify, bucketLs, bucketInspect, bucketMark, rulesCheck, promqlFormat, promqlParse, promqlQueryInstant, promqlQueryRange, promqlExplain, promqlTest, ...TSDB_TOOLS];

/** What stands in for the process, for tests. */
export type RunToolDeps = Partial<ToolDeps>;

/**
 * Runs the tool a command line asks for.
 * @param argv arguments behind `tools`
 * @param closed aborts when nobody reads standard output any more: the tool ends early, which is no failure
 * @returns the exit code
 */
export async function runTool(argv: readonly string[], deps: RunToolDeps = {}, closed: AbortSignal = new AbortController().signal): Promise<number> {
  const print = deps.print ?? ((line: string) => process.stdout.write(line));
  const exit = (outcome: { readonly exitCode: number; readonly stdout: string; readonly stderr: string }): number => {
    print(outcome.stdout);
    process.stderr.write(outcome.stderr);
    return outcome.exitCode;
  };
  const choice = chooseTool(TOOLS, argv);
  if (choice.kind === 'exit') return exit(choice);
  const parsed = choice.tool.parse(choice.argv, { version: BUILD_INFO.version });
  if (parsed.kind === 'exit') return exit(parsed);
  const { logLevel, logFormat, debugName } = parsed.common;
  const log = deps.log ?? createLogger({ level: logLevel, format: logFormat, ...(debugName === '' ? {} : { fields: { name: debugName } }) });
  for (const warning of parsed.warnings) log.warn(warning);
  const interruption = new AbortController();
  const interrupt = (): void => interruption.abort(new Error('interrupted'));
  for (const name of ['SIGINT', 'SIGTERM'] as const) process.once(name, interrupt);
  try {
    await parsed.run({
      metrics: createMetrics(),
      clock: Date.now,
      random: Math.random,
      signal: AbortSignal.any([interruption.signal, closed]),
      tmpDir: tmpdir(),
      printError: (line) => process.stderr.write(line),
      printed: () => streamTook(process.stdout),
      progressColumns: process.stderr.isTTY ? process.stderr.columns || 80 : undefined,
      readInput: () => text(process.stdin),
      openBucket: (config, metrics) => createBucketFromConfig(config.content(), { component: 'bucket', source: config.source, log, ...(metrics === undefined ? {} : { metrics }) }),
      evaluateQuery: evaluateInThread,
      runTsdbJob: runInThread,
      ...deps,
      log,
      print,
    });
    log.info('exiting');
    return 0;
  } catch (error) {
    if (closed.aborted) return 0;
    log.error(`tools ${choice.tool.words.join(' ')} failed`, { err: errorText(error) });
    return 1;
  } finally {
    for (const name of ['SIGINT', 'SIGTERM'] as const) process.removeListener(name, interrupt);
  }
}

/** {@link runTool} for a process. */
export async function main(argv: readonly string[]): Promise<void> {
  // `… | head` closes the pipe: that is the end, and no failure. Temporary folders are still removed.
  const closed = new AbortController();
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error;
    closed.abort(error);
  });
  process.exitCode = await runTool(argv, {}, closed.signal);
}
