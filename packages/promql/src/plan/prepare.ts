/**
 * Makes a parsed expression ready for planning: what depends on the times of the query is settled.
 *
 *   1. `start()`, `end()`, `range()`, `step()` become numbers; durations that are expressions become milliseconds
 *   2. `@ start()` and `@ end()` become timestamps
 *   3. parentheses around arguments go
 *
 * Source: Prometheus promql/engine.go, `PreprocessExpr` (3.14).
 */
import type { Expr, NumberLiteral, PositionRange } from '../parser/ast.ts';
import { resolveDurations } from '../parser/resolve-durations.ts';
import { rewrite } from './rewrite.ts';

/** Times of the whole query; an instant query has `startMs === endMs` and `stepMs` 0. */
export interface QueryTimes {
  readonly startMs: number;
  readonly endMs: number;
  readonly stepMs: number;
}

/**
 * The expression with its times settled.
 * @param text the query, for positions in messages
 * @throws PromqlError ERR_EXECUTION when a duration expression has no usable value
 */
export function prepare(text: string, expr: Expr, times: QueryTimes): Expr {
  const numbered = rewrite(expr, (node) => (node.type === 'call' ? queryFunction(node.func, node.pos, times) ?? node : node));
  const resolved = resolveDurations(numbered, { text, stepMs: times.stepMs, rangeMs: times.endMs - times.startMs });
  return rewrite(resolved, (node) => withoutParens(pinned(node, times)));
}

function queryFunction(name: string, pos: PositionRange, times: QueryTimes): NumberLiteral | undefined {
  const literal = (value: number): NumberLiteral => ({ type: 'number', value, duration: false, pos });
  switch (name) {
    case 'start':
      return literal(times.startMs / 1000);
    case 'end':
      return literal(times.endMs / 1000);
    case 'range':
      return literal((times.endMs - times.startMs) / 1000);
    case 'step':
      return literal(times.startMs === times.endMs ? 0 : times.stepMs / 1000);
    default:
      return undefined;
  }
}

function pinned(expr: Expr, times: QueryTimes): Expr {
  if ((expr.type !== 'vectorSelector' && expr.type !== 'subquery') || expr.startOrEnd === undefined) return expr;
  return { ...expr, timestampMs: expr.startOrEnd === 'start' ? times.startMs : times.endMs, startOrEnd: undefined };
}

function withoutParens(expr: Expr): Expr {
  if (expr.type === 'aggregate') return { ...expr, expr: unwrapParens(expr.expr), param: expr.param === undefined ? undefined : unwrapParens(expr.param) };
  if (expr.type === 'call') return { ...expr, args: expr.args.map(unwrapParens) };
  return expr;
}

function unwrapParens(expr: Expr): Expr {
  let inner = expr;
  while (inner.type === 'paren') inner = inner.expr;
  return inner;
}
