/**
 * Evaluates a query over blocks of folders or of a bucket, and prints the answer. What is to be done is plain data, so that it can be done in
 * another thread: see promql-thread.ts.
 *
 *   find (meta.json alone) ─► Queryable over blocks ─► engine ─► columns ─► lines or JSON
 */
import { encodeQueryResult, type QueryDataJson } from '@gauntlet/http-api';
import { createKernels, type Kernels } from '@gauntlet/kernels';
import { type Bucket, createBucketFromConfig } from '@gauntlet/objstore';
import { createEngine, type QueryResult } from '@gauntlet/promql';
import { ToolsError } from './errors.ts';
import { createFoundBlocks } from './promql-blocks.ts';
import { QueryBudget } from './promql-budget.ts';
import { parserOptionsOf, type PromqlFeature } from './promql-expression.ts';
import { findBucketBlocks, findLocalBlocks, type FoundBlock, withExternalLabels } from './promql-find-blocks.ts';
import { type AnswerFormat, printAnswer, printExplanation } from './promql-print.ts';
import type { ToolDeps } from './tool.ts';

/** When a query is evaluated, ms. */
export type QueryTimes = { readonly kind: 'instant'; readonly timeMs: number } | { readonly kind: 'range'; readonly startMs: number; readonly endMs: number; readonly stepMs: number };

/** An evaluation, as plain data. */
export interface QueryJob {
  readonly text: string;
  readonly times: QueryTimes;
  readonly blocks:
    | { readonly kind: 'folders'; readonly dirs: readonly string[] }
    /** Configuration of a bucket with the name messages have for it, and the folder blocks are downloaded to. */
    | { readonly kind: 'bucket'; readonly content: string; readonly source: string; readonly folder: string };
  /** External labels blocks must have. */
  readonly selector: readonly (readonly [name: string, value: string])[];
  readonly features: readonly PromqlFeature[];
  readonly maxMemoryBytes: number;
  readonly maxDownloadBytes: number;
  readonly lookbackDeltaMs: number;
  readonly samplesMax: number;
  readonly output: AnswerFormat;
  /** Print what each operator took, and not the answer. */
  readonly analyze: boolean;
}

/** What an evaluation runs with. */
export type EvaluationDeps = Pick<ToolDeps, 'log' | 'metrics' | 'clock' | 'signal' | 'print'>;

/**
 * See the head of this file.
 * @param openBucket opens the bucket of a configuration; closed at the end
 * @throws ToolsError ERR_QUERY_BLOCKS, ERR_QUERY_LIMIT, ERR_INCOMPLETE_VIEW; PromqlError; errors of bucket and blocks
 */
export async function evaluateQuery(
  job: QueryJob,
  deps: EvaluationDeps,
  openBucket: (content: string, source: string) => Promise<Bucket> = (content, source) => createBucketFromConfig(content, { component: 'bucket', source, log: deps.log, metrics: deps.metrics }),
): Promise<void> {
  const { blocks } = job;
  if (blocks.kind === 'folders') return evaluateOver(findLocalBlocks(blocks.dirs, deps.log), job, deps);
  const bucket = await openBucket(blocks.content, blocks.source);
  try {
    await evaluateOver(await findBucketBlocks(bucket, blocks.folder, deps), job, deps);
  } finally {
    await bucket.close();
  }
}

async function evaluateOver(all: readonly FoundBlock[], job: QueryJob, deps: EvaluationDeps): Promise<void> {
  const { log, clock, signal } = deps;
  const { times } = job;
  const blocks = withExternalLabels(all, job.selector);
  if (blocks.length === 0) throw new ToolsError('ERR_QUERY_BLOCKS', `query: ${all.length === 0 ? 'there are no blocks' : `none of ${all.length} blocks has the external labels of --selector`}`);
  const kernels = createKernels({ maxMemoryBytes: Math.max(job.maxMemoryBytes, 1 << 20) });
  const budget = new QueryBudget(kernels, job.maxMemoryBytes, signal);
  const found = createFoundBlocks(blocks, { kernels, budget, log, clock, signal }, job.maxDownloadBytes);
  try {
    const engine = createEngine({
      kernels,
      lookbackDeltaMs: job.lookbackDeltaMs,
      maxSamples: job.samplesMax,
      delayedNameRemoval: job.features.includes('promql-delayed-name-removal'),
      useStartTimestamps: job.features.includes('use-start-timestamps'),
      parser: parserOptionsOf(job.features),
    });
    const query = { expr: job.text, queryable: found.queryable, signal, control: budget, ...(job.analyze ? { analyze: true, now: () => performance.now() } : {}) };
    const result = times.kind === 'instant' ? await engine.instant({ ...query, ...times }) : await engine.range({ ...query, ...times });
    try {
      for (const warning of [...result.warnings, ...result.infos]) log.warn('answer', { warning });
      if (result.analysis !== undefined) printExplanation(result.analysis, job.output, deps.print);
      else printAnswer(resultPieces(result, kernels, times.kind === 'instant' ? times.timeMs : times.endMs), job.output, deps.print);
    } finally {
      result.dispose();
    }
  } finally {
    await found.close();
  }
}

/** Series of one piece. */
const PIECE_SERIES = 256;

/** A result as the API would write it, some series at a time. */
function* resultPieces(result: QueryResult, kernels: Kernels, timeMs: number): Generator<QueryDataJson, void, undefined> {
  const count = result.type === 'vector' || result.type === 'matrix' ? result.labels.length : 0;
  for (let from = 0; from === 0 || from < count; from += PIECE_SERIES) {
    const to = Math.min(from + PIECE_SERIES, count);
    const piece = count === 0 ? result : { ...result, labels: result.labels.slice(from, to), offsets: result.offsets.subarray(from, to + 1), steps: undefined };
    const decoder = new TextDecoder();
    let json = '';
    for (const bytes of encodeQueryResult(piece, { kernels, timeMs, warnings: [] })) json += decoder.decode(bytes, { stream: true });
    yield (JSON.parse(json) as { readonly data: QueryDataJson }).data;
  }
}
