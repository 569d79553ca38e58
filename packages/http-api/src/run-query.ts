/**
 * Answers a query call: evaluate, then write JSON as it is asked for. Meant to run in a worker; nothing here touches a socket.
 * Errors become answers: whoever calls has always something to send.
 */
import type { Queryable } from '@gauntlet/model';
import { type Engine, PromqlError, type QueryControl, type QueryResult } from '@gauntlet/promql';
import { type ApiAnswer, answerError, isPromqlRemark, TRUNCATED_WARNING } from './api-answer.ts';
import { badData } from './api-params.ts';
import { encodeQueryResult, type ResultColumns } from './encode-query-result.ts';
import type { ApiStyle } from './error-type.ts';
import { analysisJson } from './explain-query.ts';
import type { PointKernels } from './json-buffer.ts';
import type { QueryCall, ReadOptions } from './query-call.ts';
import type { QueryStatsJson } from './types.ts';

export interface QueryDeps {
  readonly engine: Engine;
  /** For writing numbers; normally those of the engine. */
  readonly kernels: PointKernels;
  /** The data a request may see. */
  queryable(read: ReadOptions): Queryable;
  /** Lookback for data of this resolution when the request names none; undefined = the engine's. */
  lookbackDeltaMs?(maxResolutionMs: number): number | undefined;
  /** Longest a query may take, ms; `--query.timeout`. */
  readonly timeoutMs?: number;
  /** Cancellation and memory budget from outside. */
  readonly control?: QueryControl;
  readonly signal?: AbortSignal;
  /** What to say in place of an error that the user cannot act upon. */
  explain?(error: unknown): unknown;
  /** A clock that never goes back, ms. */
  now(): number;
  /** Default `thanos`: remarks without places, all among the warnings, and always an `analysis`. */
  readonly style?: ApiStyle;
  /** `stats=all` also answers per step; feature flag `promql-per-step-stats` of Prometheus; false. */
  readonly perStepStats?: boolean;
}

/** The limit in force, ms. */
function timeoutOf(call: QueryCall, deps: QueryDeps): number {
  return Math.min(call.timeoutMs ?? Number.POSITIVE_INFINITY, deps.timeoutMs ?? Number.POSITIVE_INFINITY);
}

/** A deadline that interrupts waiting (through the signal) as well as computing (through `poll`). */
class Deadline implements QueryControl {
  readonly signal: AbortSignal;
  readonly #deps: QueryDeps;
  readonly #endMs: number;
  readonly #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(timeoutMs: number, deps: QueryDeps) {
    this.#deps = deps;
    this.#endMs = deps.now() + timeoutMs;
    const late = new AbortController();
    this.signal = deps.signal === undefined ? late.signal : AbortSignal.any([deps.signal, late.signal]);
    // A timer cannot be set for longer than 2^31 ms; so long a query needs none.
    this.#timer = timeoutMs < 2 ** 31 ? setTimeout(() => late.abort(), Math.max(0, timeoutMs)) : undefined;
  }

  get isOver(): boolean {
    return this.#deps.now() >= this.#endMs;
  }

  poll(): void {
    if (this.isOver) throw timedOut();
    this.#deps.control?.poll();
  }

  reserve(bytes: number): void {
    this.#deps.control?.reserve(bytes);
  }

  release(bytes: number): void {
    this.#deps.control?.release(bytes);
  }

  clear(): void {
    clearTimeout(this.#timer);
  }
}

function timedOut(): PromqlError {
  return new PromqlError('ERR_TIMEOUT', 'query timed out in expression evaluation');
}

/** Evaluates and answers. The answer's body is written while it is read; the result is given back when that ends. */
export async function runQuery(call: QueryCall, deps: QueryDeps): Promise<ApiAnswer> {
  const style = deps.style ?? 'thanos';
  const deadline = new Deadline(timeoutOf(call, deps), deps);
  let result: QueryResult;
  try {
    deadline.poll();
    result = await evaluate(call, deps, deadline);
  } catch (error) {
    // What waits is told to stop without a reason; here is the reason.
    const isLate = deadline.isOver && deps.signal?.aborted !== true;
    return answerError(isLate ? timedOut() : inStyle(deps.explain?.(error) ?? error, style), style);
  } finally {
    deadline.clear();
  }
  const limited = limitSeries(result, call.limit ?? 0);
  const warnings = [...result.warnings, ...(style === 'thanos' ? result.infos : []), ...(limited === result ? [] : [TRUNCATED_WARNING]), ...(call.warnings ?? [])];
  const body = encodeQueryResult(limited, {
    kernels: deps.kernels,
    timeMs: call.kind === 'instant' ? call.timeMs : call.startMs,
    warnings,
    infos: style === 'thanos' ? [] : result.infos,
    stats: call.stats ? statsOf(call, result, deps) : undefined,
    analysis: result.analysis !== undefined ? analysisJson(result.analysis) : style === 'thanos' ? {} : undefined,
    poll: () => deps.control?.poll(),
  });
  return { status: 200, noStore: warnings.some((warning) => !isPromqlRemark(warning)), body: disposing(body, result) };
}

function evaluate(call: QueryCall, deps: QueryDeps, deadline: Deadline): Promise<QueryResult> {
  const lookbackDeltaMs = call.lookbackDeltaMs ?? deps.lookbackDeltaMs?.(call.read.maxResolutionMs);
  const request = {
    expr: call.query,
    queryable: deps.queryable(call.read),
    control: deadline,
    signal: deadline.signal,
    remarks: deps.style === 'prometheus' ? ('placed' as const) : ('bare' as const),
    counts: call.stats,
    analyze: call.analyze && deps.style !== 'prometheus',
    now: () => deps.now(),
    ...(lookbackDeltaMs === undefined ? {} : { lookbackDeltaMs }),
  };
  if (call.kind === 'instant') return deps.engine.instant({ ...request, timeMs: call.timeMs });
  return deps.engine.range({ ...request, startMs: call.startMs, endMs: call.endMs, stepMs: call.stepMs });
}

/** Prometheus says which parameter is wrong when the query is. */
function inStyle(error: unknown, style: ApiStyle): unknown {
  return style === 'prometheus' && error instanceof PromqlError && error.code === 'ERR_PARSE' ? badData(`invalid parameter "query": ${error.message}`) : error;
}

/** The first `limit` series; the result itself if it has no more. */
function limitSeries(result: QueryResult, limit: number): ResultColumns {
  if (limit === 0 || result.labels.length <= limit || (result.type !== 'matrix' && result.type !== 'vector')) return result;
  return { ...result, labels: result.labels.slice(0, limit) };
}

function* disposing(body: Iterable<Uint8Array<ArrayBuffer>>, result: QueryResult): Generator<Uint8Array<ArrayBuffer>, void, undefined> {
  try {
    yield* body;
  } finally {
    result.dispose();
  }
}

function statsOf(call: QueryCall, { stats }: QueryResult, { style, perStepStats }: QueryDeps): QueryStatsJson {
  const { preparationMs, evaluationMs } = stats.timings!;
  const { totalQueryableSamples, samplesRead, totalQueryableSamplesPerStep, samplesReadPerStep } = stats.counts!;
  const [startMs, stepMs] = call.kind === 'instant' ? [call.timeMs, 1] : [call.startMs, call.stepMs];
  const perStep = (samples: Float64Array): (readonly [number, number])[] => Array.from(samples, (count, k) => [(startMs + k * stepMs) / 1000, count] as const);
  const [preparation, evaluation] = [preparationMs / 1000, evaluationMs / 1000];
  return {
    timings: {
      evalTotalTime: preparation + evaluation,
      resultSortTime: 0,
      queryPreparationTime: preparation,
      innerEvalTime: evaluation,
      execQueueTime: 0,
      execTotalTime: preparation + evaluation,
    },
    samples: {
      ...(perStepStats === true ? { totalQueryableSamplesPerStep: perStep(totalQueryableSamplesPerStep) } : {}),
      totalQueryableSamples,
      ...(perStepStats === true && style === 'prometheus' ? { samplesReadPerStep: perStep(samplesReadPerStep) } : {}),
      ...(style === 'prometheus' ? { samplesRead } : {}),
      peakSamples: stats.peakSamples,
    },
  };
}
