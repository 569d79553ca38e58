/**
 * The table of PromQL functions: names, argument types, result types. Parser and engine share it; the engine's registry must implement every row.
 * Source: Prometheus promql/parser/functions.go (3.14).
 */
import type { ValueType } from '../parser/ast.ts';

export interface FunctionSignature {
  readonly name: string;
  /** Types of the arguments; further variadic ones have the last type. */
  readonly argTypes: readonly ValueType[];
  /**
   * 0: exactly `argTypes.length` arguments. n > 0: one less than that are needed, and at most n more than that may follow. -1: no upper bound.
   */
  readonly variadic: number;
  readonly returnType: ValueType;
  /** The switch of the parser without which there is no such function; undefined = always there. */
  readonly needs: FunctionSwitch | undefined;
}

/** Switches of the parser that let functions in: Prometheus' experimental ones, those of Thanos' own engine. */
export type FunctionSwitch = 'experimentalFunctions' | 'xFunctions';

function define(name: string, argTypes: readonly ValueType[], returnType: ValueType, variadic = 0, needs?: FunctionSwitch): [string, FunctionSignature] {
  return [name, { name, argTypes, variadic, returnType, needs }];
}

/** All functions by name (names are case-sensitive). */
export const FUNCTION_SIGNATURES: ReadonlyMap<string, FunctionSignature> = new Map([
  define('abs', ['vector'], 'vector'),
  define('absent', ['vector'], 'vector'),
  define('absent_over_time', ['matrix'], 'vector'),
  define('acos', ['vector'], 'vector'),
  define('acosh', ['vector'], 'vector'),
  define('asin', ['vector'], 'vector'),
  define('asinh', ['vector'], 'vector'),
  define('atan', ['vector'], 'vector'),
  define('atanh', ['vector'], 'vector'),
  define('avg_over_time', ['matrix'], 'vector'),
  define('ceil', ['vector'], 'vector'),
  define('changes', ['matrix'], 'vector'),
  define('clamp', ['vector', 'scalar', 'scalar'], 'vector'),
  define('clamp_max', ['vector', 'scalar'], 'vector'),
  define('clamp_min', ['vector', 'scalar'], 'vector'),
  define('cos', ['vector'], 'vector'),
  define('cosh', ['vector'], 'vector'),
  define('count_over_time', ['matrix'], 'vector'),
  define('day_of_month', ['vector'], 'vector', 1),
  define('day_of_week', ['vector'], 'vector', 1),
  define('day_of_year', ['vector'], 'vector', 1),
  define('days_in_month', ['vector'], 'vector', 1),
  define('deg', ['vector'], 'vector'),
  define('delta', ['matrix'], 'vector'),
  define('deriv', ['matrix'], 'vector'),
  define('double_exponential_smoothing', ['matrix', 'scalar', 'scalar'], 'vector', 0, 'experimentalFunctions'),
  define('end', [], 'scalar', 0, 'experimentalFunctions'),
  define('exp', ['vector'], 'vector'),
  define('first_over_time', ['matrix'], 'vector'),
  define('floor', ['vector'], 'vector'),
  define('histogram_avg', ['vector'], 'vector'),
  define('histogram_count', ['vector'], 'vector'),
  define('histogram_fraction', ['scalar', 'scalar', 'vector'], 'vector'),
  define('histogram_quantile', ['scalar', 'vector'], 'vector'),
  define('histogram_quantiles', ['vector', 'string', 'scalar', 'scalar'], 'vector', 9, 'experimentalFunctions'),
  define('histogram_stddev', ['vector'], 'vector'),
  define('histogram_stdvar', ['vector'], 'vector'),
  define('histogram_sum', ['vector'], 'vector'),
  define('hour', ['vector'], 'vector', 1),
  define('idelta', ['matrix'], 'vector'),
  define('increase', ['matrix'], 'vector'),
  define('info', ['vector', 'vector'], 'vector', 1, 'experimentalFunctions'),
  define('irate', ['matrix'], 'vector'),
  define('label_join', ['vector', 'string', 'string', 'string'], 'vector', -1),
  define('label_replace', ['vector', 'string', 'string', 'string', 'string'], 'vector'),
  define('last_over_time', ['matrix'], 'vector'),
  define('ln', ['vector'], 'vector'),
  define('log10', ['vector'], 'vector'),
  define('log2', ['vector'], 'vector'),
  define('mad_over_time', ['matrix'], 'vector', 0, 'experimentalFunctions'),
  define('max_of', ['scalar', 'scalar'], 'scalar', 0, 'experimentalFunctions'),
  define('max_over_time', ['matrix'], 'vector'),
  define('min_of', ['scalar', 'scalar'], 'scalar', 0, 'experimentalFunctions'),
  define('min_over_time', ['matrix'], 'vector'),
  define('minute', ['vector'], 'vector', 1),
  define('month', ['vector'], 'vector', 1),
  define('pi', [], 'scalar'),
  define('predict_linear', ['matrix', 'scalar'], 'vector'),
  define('present_over_time', ['matrix'], 'vector'),
  define('quantile_over_time', ['scalar', 'matrix'], 'vector'),
  define('rad', ['vector'], 'vector'),
  define('range', [], 'scalar', 0, 'experimentalFunctions'),
  define('rate', ['matrix'], 'vector'),
  define('resets', ['matrix'], 'vector'),
  define('round', ['vector', 'scalar'], 'vector', 1),
  define('scalar', ['vector'], 'scalar'),
  define('sgn', ['vector'], 'vector'),
  define('sin', ['vector'], 'vector'),
  define('sinh', ['vector'], 'vector'),
  define('sort', ['vector'], 'vector'),
  define('sort_by_label', ['vector', 'string'], 'vector', -1, 'experimentalFunctions'),
  define('sort_by_label_desc', ['vector', 'string'], 'vector', -1, 'experimentalFunctions'),
  define('sort_desc', ['vector'], 'vector'),
  define('sqrt', ['vector'], 'vector'),
  define('start', [], 'scalar', 0, 'experimentalFunctions'),
  define('start_timestamp', ['vector'], 'vector', 0, 'experimentalFunctions'),
  define('stddev_over_time', ['matrix'], 'vector'),
  define('stdvar_over_time', ['matrix'], 'vector'),
  define('step', [], 'scalar', 0, 'experimentalFunctions'),
  define('sum_over_time', ['matrix'], 'vector'),
  define('tan', ['vector'], 'vector'),
  define('tanh', ['vector'], 'vector'),
  define('time', [], 'scalar'),
  define('timestamp', ['vector'], 'vector'),
  define('ts_of_first_over_time', ['matrix'], 'vector', 0, 'experimentalFunctions'),
  define('ts_of_last_over_time', ['matrix'], 'vector', 0, 'experimentalFunctions'),
  define('ts_of_max_over_time', ['matrix'], 'vector', 0, 'experimentalFunctions'),
  define('ts_of_min_over_time', ['matrix'], 'vector', 0, 'experimentalFunctions'),
  define('vector', ['scalar'], 'vector'),
  define('xdelta', ['matrix'], 'vector', 0, 'xFunctions'),
  define('xincrease', ['matrix'], 'vector', 0, 'xFunctions'),
  define('xrate', ['matrix'], 'vector', 0, 'xFunctions'),
  define('year', ['vector'], 'vector', 1),
]);
