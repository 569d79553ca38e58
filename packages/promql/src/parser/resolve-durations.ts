/**
 * Evaluates the duration expressions of a tree once step and range of the query are known: `x[2 * step()]` becomes `x[30s]`.
 * Source: Prometheus promql/durations.go.
 */
import { utf8Length } from '@gauntlet/bytes';
import { PromqlError } from '../errors.ts';
import type { DurationExpr, DurationOperand, Expr, SubqueryExpr, VectorSelector } from './ast.ts';

/** The query the tree belongs to. */
export interface DurationContext {
  /** Query text, for the offsets in messages. */
  readonly text: string;
  /** Step of the query; 0 for an instant query. */
  readonly stepMs: number;
  /** End minus start of the query; 0 for an instant query. */
  readonly rangeMs: number;
}

const SECONDS_MAX = 2 ** 63 / 1e9;

/**
 * Returns the tree with every duration expression replaced by its value. Subtrees without any are shared with the input.
 * @throws PromqlError ERR_EXECUTION for a duration that is not positive, not finite or out of range
 */
export function resolveDurations(expr: Expr, context: DurationContext): Expr {
  switch (expr.type) {
    case 'aggregate': {
      const param = expr.param === undefined ? undefined : resolveDurations(expr.param, context);
      const inner = resolveDurations(expr.expr, context);
      return inner === expr.expr && param === expr.param ? expr : { ...expr, expr: inner, param };
    }
    case 'binary': {
      const lhs = resolveDurations(expr.lhs, context);
      const rhs = resolveDurations(expr.rhs, context);
      return lhs === expr.lhs && rhs === expr.rhs ? expr : { ...expr, lhs, rhs };
    }
    case 'call': {
      const args = expr.args.map((arg) => resolveDurations(arg, context));
      return args.every((arg, i) => arg === expr.args[i]) ? expr : { ...expr, args };
    }
    case 'paren':
    case 'shared':
    case 'stepInvariant':
    case 'unary': {
      const inner = resolveDurations(expr.expr, context);
      return inner === expr.expr ? expr : { ...expr, expr: inner };
    }
    case 'vectorSelector':
      return resolveOffset(expr, context);
    case 'matrixSelector': {
      const vector = resolveOffset(expr.vector, context);
      if (expr.rangeExpr !== undefined) return { ...expr, vector, rangeMs: evaluate(expr.rangeExpr, context, false), rangeExpr: undefined };
      return vector === expr.vector ? expr : { ...expr, vector };
    }
    case 'subquery': {
      const inner = resolveDurations(expr.expr, context);
      let node = resolveOffset(expr, context);
      if (node.stepExpr !== undefined) node = { ...node, stepMs: evaluate(node.stepExpr, context, false), stepExpr: undefined };
      if (node.rangeExpr !== undefined) node = { ...node, rangeMs: evaluate(node.rangeExpr, context, false), rangeExpr: undefined };
      return inner === node.expr ? node : { ...node, expr: inner };
    }
    default:
      return expr;
  }
}

function resolveOffset<T extends VectorSelector | SubqueryExpr>(node: T, context: DurationContext): T {
  if (node.offsetExpr === undefined) return node;
  const originalOffsetMs = evaluate(node.offsetExpr, context, true);
  return { ...node, originalOffsetMs, offsetMs: originalOffsetMs, offsetExpr: undefined };
}

function fail(node: DurationOperand, context: DurationContext, problem: string): never {
  const { start, end } = node.pos;
  const place = `${utf8Length(context.text.slice(0, start))}:${utf8Length(context.text.slice(0, end))}`;
  throw new PromqlError('ERR_EXECUTION', `${place}: ${problem}`, { pos: node.pos });
}

/** Value in whole milliseconds. */
function evaluate(expr: DurationExpr, context: DurationContext, negativeAllowed: boolean): number {
  const seconds = evaluateSeconds(expr, context);
  if (!Number.isFinite(seconds)) fail(expr, context, 'duration is NaN or infinite');
  if (seconds <= 0 && !negativeAllowed) fail(expr, context, 'duration must be greater than 0');
  if (Math.abs(seconds) > SECONDS_MAX) fail(expr, context, 'duration is out of range');
  return Math.trunc(seconds * 1000) + 0;
}

function evaluateSeconds(node: DurationOperand, context: DurationContext): number {
  if (node.type === 'number') return node.value;
  const lhs = node.lhs === undefined ? 0 : evaluateSeconds(node.lhs, context);
  const rhs = node.rhs === undefined ? 0 : evaluateSeconds(node.rhs, context);
  switch (node.op) {
    case 'step':
      return context.stepMs / 1000;
    case 'range':
      return context.rangeMs / 1000;
    case 'min_of':
      return Math.min(lhs, rhs);
    case 'max_of':
      return Math.max(lhs, rhs);
    case '+':
      return lhs + rhs;
    case '-':
      return lhs - rhs;
    case '*':
      return lhs * rhs;
    case '/':
      return rhs === 0 ? fail(node, context, 'division by zero') : lhs / rhs;
    case '%':
      return rhs === 0 ? fail(node, context, 'modulo by zero') : lhs % rhs;
    case '^':
      return lhs ** rhs;
  }
}
