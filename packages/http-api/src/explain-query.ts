/**
 * `/api/v1/query_explain` and `/api/v1/query_range_explain`: the plan of a query as a tree of operators; nothing is read. And the same tree with
 * figures, which is `data.analysis` of a query asked for with `analyze`.
 *
 * Names and members are Thanos'; the order in which parameters are checked, too: the engine first. Source: Thanos pkg/api/query/v1.go,
 * queryExplain, queryRangeExplain, processAnalysis.
 */
import { formatGoDuration } from '@gauntlet/model';
import { type Engine, type Explanation, type PlanNode, PromqlError } from '@gauntlet/promql';
import { type ApiAnswer, answerData } from './api-answer.ts';
import { type ApiParams, badData } from './api-params.ts';
import { type ApiDefaults, parseEngine, type QueryCall } from './query-call.ts';
import { parseRangeQuery } from './query-range.ts';
import { parseInstantQuery } from './query.ts';
import type { QueryAnalysisJson, QueryExplanationJson } from './types.ts';

export interface ExplainDeps {
  readonly engine: Engine;
  /** Lookback for data of this resolution when the request names none; undefined = the engine's. */
  lookbackDeltaMs?(maxResolutionMs: number): number | undefined;
}

/** Reads the parameters of an instant query to be explained. @throws HttpApiError ERR_BAD_DATA */
export function parseExplainQuery(params: ApiParams, defaults: ApiDefaults, nowMs: number): QueryCall {
  checkEngine(params, defaults);
  return parseInstantQuery(params, defaults, nowMs);
}

/** Reads the parameters of a range query to be explained. @throws HttpApiError ERR_BAD_DATA */
export function parseExplainRangeQuery(params: ApiParams, defaults: ApiDefaults): QueryCall {
  checkEngine(params, defaults);
  return parseRangeQuery(params, defaults);
}

function checkEngine(params: ApiParams, defaults: ApiDefaults): void {
  if (parseEngine(params, defaults) !== 'thanos') throw badData("engine type must be 'thanos'");
}

/** Answers with the plan. @throws HttpApiError ERR_BAD_DATA when the query itself would be refused */
export function answerExplain(call: QueryCall, deps: ExplainDeps): ApiAnswer {
  const lookbackDeltaMs = call.lookbackDeltaMs ?? deps.lookbackDeltaMs?.(call.read.maxResolutionMs);
  const times = call.kind === 'instant' ? { timeMs: call.timeMs } : { startMs: call.startMs, endMs: call.endMs, stepMs: call.stepMs };
  try {
    const explanation = deps.engine.explain({ expr: call.query, ...times, ...(lookbackDeltaMs === undefined ? {} : { lookbackDeltaMs }) });
    return answerData(explanationJson(explanation.root));
  } catch (error) {
    if (error instanceof PromqlError) throw badData(error.message);
    throw error;
  }
}

function explanationJson({ name, notes, children }: PlanNode): QueryExplanationJson {
  return {
    name,
    ...(notes.length === 0 ? {} : { notes }),
    ...(children.length === 0 ? {} : { children: children.map(explanationJson) }),
  };
}

/** `data.analysis` of an analyzed query. */
export function analysisJson({ root }: Explanation): QueryAnalysisJson {
  return nodeJson(root);
}

function nodeJson({ name, figures, children }: PlanNode): QueryAnalysisJson {
  return {
    name,
    ...(figures === undefined
      ? {}
      : {
          executionTime: formatGoDuration(figures.timeMs),
          ...(figures.peakSamples === 0 ? {} : { peakSamples: figures.peakSamples }),
          ...(figures.totalSamples === 0 ? {} : { totalSamples: figures.totalSamples }),
          series: figures.series,
          samplesIn: figures.samplesIn,
          samplesOut: figures.samplesOut,
          peakBytes: figures.peakBytes,
        }),
    ...(children.length === 0 ? {} : { children: children.map(nodeJson) }),
  };
}
