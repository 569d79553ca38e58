/**
 * Runs a script against an engine. Each instant evaluation runs in up to seven ways that must all give the same: as written, with every selector
 * pinned by `@` and evaluated at other times, and each of those as the middle step of a range query.
 * Source: Prometheus promql/promqltest/test.go, `execInstantEval`.
 */
import type { Queryable } from '@gauntlet/model';
import { PromqlError } from '../errors.ts';
import type { Expr } from '../parser/ast.ts';
import type { ParserOptions } from '../parser/options.ts';
import { parseExpr } from '../parser/parse.ts';
import { printExpr } from '../parser/print.ts';
import { createMemoryQueryable } from './memory-queryable.ts';
import { compareResult, type ScriptResult } from './compare-result.ts';
import { loadSeries } from './load-data.ts';
import { type EvalStatement, type LoadStatement, matchesExpectation, parseScript, type TextExpectation } from './parse-script.ts';

/** What a script is run against. Times in ms. Errors of any kind are thrown. */
export interface ScriptEngine {
  instant(queryable: Queryable, expr: string, timeMs: number): Promise<ScriptResult>;
  range(queryable: Queryable, expr: string, startMs: number, endMs: number, stepMs: number): Promise<ScriptResult>;
}

/** The parser switches scripts are written for: everything on. */
export const SCRIPT_PARSER_OPTIONS: Required<ParserOptions> = {
  experimentalFunctions: true,
  xFunctions: true,
  durationExpressions: true,
  extendedRangeSelectors: true,
  binopFillModifiers: true,
};

/** One evaluation of a script. */
export interface ScriptOutcome {
  /** 1-based line of its `eval`. */
  readonly line: number;
  readonly expr: string;
  /** What is wrong; undefined if it passed. */
  readonly problem: string | undefined;
}

/** Functions whose value depends on the evaluation time even if all their selectors are pinned. */
const TIME_DEPENDENT: ReadonlySet<string> = new Set(
  'days_in_month day_of_month day_of_week day_of_year hour minute month year predict_linear time timestamp start end step range'.split(' '),
);

const MINUTE_MS = 60_000;

/**
 * @param text the script
 * @returns one outcome per evaluation, in order
 * @throws PromqlError ERR_SCRIPT if the script itself cannot be read
 */
export async function runScript(text: string, engine: ScriptEngine): Promise<ScriptOutcome[]> {
  const outcomes: ScriptOutcome[] = [];
  let loads: LoadStatement[] = [];
  let queryable: Queryable = createMemoryQueryable([]);
  for (const statement of parseScript(text)) {
    if (statement.kind === 'eval') {
      const problem = statement.isRange ? await runRange(statement, engine, queryable) : await runInstant(statement, engine, queryable);
      outcomes.push({ line: statement.line, expr: statement.expr, problem });
      continue;
    }
    loads = statement.kind === 'clear' ? [] : [...loads, statement];
    queryable = createMemoryQueryable(loadSeries(loads));
  }
  return outcomes;
}

/** The answer, or what is wrong with having (or not having) one; `done` means an expected failure. */
async function evaluate(statement: EvalStatement, run: () => Promise<ScriptResult>): Promise<{ readonly result?: ScriptResult; readonly problem?: string; readonly done?: true }> {
  let result: ScriptResult;
  try {
    result = await run();
  } catch (error) {
    const { message } = error as Error;
    // "Not supported" is no substitute for the failure a script asks for.
    const honest = error instanceof PromqlError && error.code === 'ERR_NOT_SUPPORTED';
    if (statement.fail === undefined || honest) return { problem: `error: ${message}` };
    return matchesExpectation(statement.fail, message) ? { done: true } : { problem: `another error is expected: ${message}` };
  }
  if (statement.fail !== undefined) return { problem: 'an error is expected, got an answer' };
  const problem =
    compareAnnotations('warning', statement.warn, statement.noWarn, result.warnings) ??
    compareAnnotations('info', statement.info, statement.noInfo, result.infos) ??
    compareResult(statement, result);
  return problem === undefined ? { result } : { problem };
}

function compareAnnotations(kind: string, expected: readonly TextExpectation[], forbidden: boolean, actual: readonly string[]): string | undefined {
  if (forbidden && actual.length > 0) return `${kind} is not expected: ${actual[0]}`;
  if (expected.length === 0) return undefined;
  const unmet = expected.find((expectation) => !actual.some((text) => matchesExpectation(expectation, text)));
  if (unmet !== undefined) return `${kind} is missing: ${unmet.match === 'any' ? 'any' : unmet.text}; got: ${actual.join(' | ')}`;
  const surplus = actual.find((text) => !expected.some((expectation) => matchesExpectation(expectation, text)));
  return surplus === undefined ? undefined : `${kind} is not expected: ${surplus}`;
}

async function runRange(statement: EvalStatement, engine: ScriptEngine, queryable: Queryable): Promise<string | undefined> {
  const { expr, startMs, endMs, stepMs } = statement;
  return (await evaluate(statement, () => engine.range(queryable, expr, startMs, endMs, stepMs))).problem;
}

async function runInstant(statement: EvalStatement, engine: ScriptEngine, queryable: Queryable): Promise<string | undefined> {
  for (const { expr, timeMs } of [{ expr: statement.expr, timeMs: statement.startMs }, ...pinnedVariants(statement)]) {
    const { result, problem } = await evaluate(statement, () => engine.instant(queryable, expr, timeMs));
    const variant = expr === statement.expr ? '' : ` in ${expr} at ${timeMs} ms`;
    if (problem !== undefined) return problem + variant;
    if (result === undefined || statement.expectedString !== undefined || statement.rangeVector !== undefined) continue;
    if (/\b(start|end|range|step)\s*\(\s*\)/.test(expr)) continue;
    const inRange = await asMiddleStep(statement, engine, queryable, expr, timeMs, result.type);
    if (inRange !== undefined) return `as a range query: ${inRange}${variant}`;
  }
  return undefined;
}

/** The query pinned to its evaluation time, evaluated at other times; none if the time matters otherwise. */
function pinnedVariants({ expr, startMs }: EvalStatement): { readonly expr: string; readonly timeMs: number }[] {
  let tree: Expr;
  try {
    tree = parseExpr(expr, SCRIPT_PARSER_OPTIONS);
  } catch {
    return [];
  }
  const pinned = pin(tree, startMs);
  if (pinned === undefined) return [];
  const text = printExpr(pinned);
  const times = startMs === 0 ? [-1000, 0, 1000] : [-10 * startMs, 0, Math.trunc(startMs / 5), startMs, 10 * startMs];
  return times.map((timeMs) => ({ expr: text, timeMs }));
}

/** The tree with `@ timeMs` on every outermost selector and subquery without one; undefined if a function in it depends on the time. */
function pin(expr: Expr, timeMs: number): Expr | undefined {
  const at = <T extends { readonly timestampMs: number | undefined }>(node: T): T => ({ ...node, timestampMs: node.timestampMs ?? timeMs });
  switch (expr.type) {
    case 'vectorSelector':
    case 'subquery':
      return at(expr);
    case 'matrixSelector':
      return { ...expr, vector: at(expr.vector) };
    case 'call': {
      if (TIME_DEPENDENT.has(expr.func)) return undefined;
      const args = expr.args.map((arg) => pin(arg, timeMs));
      return args.includes(undefined) ? undefined : { ...expr, args: args as Expr[] };
    }
    case 'binary': {
      const lhs = pin(expr.lhs, timeMs);
      const rhs = pin(expr.rhs, timeMs);
      return lhs === undefined || rhs === undefined ? undefined : { ...expr, lhs, rhs };
    }
    case 'aggregate': {
      const inner = pin(expr.expr, timeMs);
      const param = expr.param === undefined ? undefined : pin(expr.param, timeMs);
      return inner === undefined || (expr.param !== undefined && param === undefined) ? undefined : { ...expr, expr: inner, param };
    }
    case 'paren':
    case 'unary': {
      const inner = pin(expr.expr, timeMs);
      return inner === undefined ? undefined : { ...expr, expr: inner };
    }
    default:
      return expr;
  }
}

/** Compares the middle of a three-step range query with what is expected of the instant query. */
async function asMiddleStep(
  statement: EvalStatement,
  engine: ScriptEngine,
  queryable: Queryable,
  expr: string,
  timeMs: number,
  type: ScriptResult['type'],
): Promise<string | undefined> {
  let result: ScriptResult;
  try {
    result = await engine.range(queryable, expr, timeMs - MINUTE_MS, timeMs + MINUTE_MS, MINUTE_MS);
  } catch (error) {
    return (error as Error).message;
  }
  if (statement.ordered) return undefined;
  return compareResult(statement, middleStep(result, timeMs, type));
}

/** The points of a matrix at one time, as a vector or scalar. */
function middleStep(result: ScriptResult, timeMs: number, type: ScriptResult['type']): ScriptResult {
  const picked: { readonly series: number; readonly at: number }[] = [];
  for (let series = 0; series < result.labels.length; series++) {
    for (let at = result.offsets[series]!; at < result.offsets[series + 1]!; at++) {
      if (result.timestampsMs[at] === timeMs) picked.push({ series, at });
    }
  }
  const values = new Float64Array(picked.length);
  picked.forEach(({ at }, i) => values.set(result.values.subarray(at, at + 1), i));
  return {
    ...result,
    type: type === 'scalar' ? 'scalar' : 'vector',
    labels: picked.map(({ series }) => result.labels[series]!),
    offsets: Int32Array.from({ length: picked.length + 1 }, (_none, i) => i),
    timestampsMs: Float64Array.from(picked, () => timeMs),
    values,
    histograms: result.histograms === undefined ? undefined : picked.map(({ at }) => result.histograms![at]),
  };
}
