/**
 * The engine that scripts are written for: every feature on, metric names removed at the end, no limit of remarks, and of samples the limit that
 * some scripts of Prometheus expect. Source: Prometheus promql/promqltest/test.go, `NewTestEngineWithOpts` as its own tests call it.
 */
import type { QueryResult } from '../query-result.ts';
import { createEngine, type EngineOptions } from '../engine.ts';
import { SCRIPT_PARSER_OPTIONS, type ScriptEngine } from './run-script.ts';

const SCRIPT_SETTINGS: Omit<EngineOptions, 'kernels'> = {
  maxSamples: 10_000,
  delayedNameRemoval: true,
  useStartTimestamps: true,
  parser: SCRIPT_PARSER_OPTIONS,
  annotationsMax: 0,
};

/** Makes it. @param options what is to be otherwise, and the kernels */
export function createScriptEngine(options: Pick<EngineOptions, 'kernels'> & Partial<EngineOptions>): ScriptEngine {
  const engine = createEngine({ ...SCRIPT_SETTINGS, ...options });
  const settle = async (query: Promise<QueryResult>): Promise<QueryResult> => {
    const result = await query;
    result.dispose();
    return result;
  };
  return {
    instant: (queryable, expr, timeMs) => settle(engine.instant({ expr, queryable, timeMs })),
    range: (queryable, expr, startMs, endMs, stepMs) => settle(engine.range({ expr, queryable, startMs, endMs, stepMs })),
  };
}
