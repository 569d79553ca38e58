/**
 * Plans as text, for tests of the planner: what only planning makes is marked.
 *
 *   «a + b»             evaluated once for all steps        #1{sum(x)}   computed once for all places with this number
 *   sum↓(x)             the scan aggregates                 x⟨read 1⟩    reads storage together with others of this number
 *   x⟨rate 5m by job⟩   hints (when asked for)
 */
import { formatMatcher } from '@gauntlet/model';
import type { Expr, VectorSelector } from '../parser/ast.ts';
import { printExpr } from '../parser/print.ts';

/** Prints a plan on one line. @param hints with what storage is told */
export function showPlan(expr: Expr, hints = false): string {
  const show = (inner: Expr): string => showPlan(inner, hints);
  switch (expr.type) {
    case 'stepInvariant':
      return `«${show(expr.expr)}»`;
    case 'shared':
      return `#${expr.id}{${show(expr.expr)}}`;
    case 'binary':
      return `${show(expr.lhs)} ${expr.op} ${show(expr.rhs)}`;
    case 'call':
      return `${expr.func}(${expr.args.map(show).join(', ')})`;
    case 'aggregate':
      return `${expr.op}${expr.intoScan === true ? '↓' : ''}(${expr.param === undefined ? '' : `${show(expr.param)}, `}${show(expr.expr)})`;
    case 'subquery':
      return `${show(expr.expr)}[${expr.rangeMs / 1000}s:${expr.stepMs / 1000}s]${expr.timestampMs === undefined ? '' : ` @ ${expr.timestampMs / 1000}`}`;
    case 'unary':
      return `${expr.op}${show(expr.expr)}`;
    case 'paren':
      return `(${show(expr.expr)})`;
    case 'vectorSelector':
      return `${printExpr(expr)}${showRead(expr, hints)}`;
    case 'matrixSelector':
      return `${printExpr(expr)}${showRead(expr.vector, hints)}`;
    default:
      return printExpr(expr);
  }
}

function showRead({ read }: VectorSelector, withHints: boolean): string {
  const notes: string[] = [];
  if (withHints && read?.hints !== undefined) {
    const { stepMs, func, rangeMs, grouping, by, projection } = read.hints;
    notes.push(`${func === '' ? 'plain' : func} ${rangeMs / 1000}s step ${stepMs / 1000}s`);
    if (grouping.length > 0) notes.push(`${by ? 'by' : 'without'} ${grouping.join(' ')}`);
    if (projection !== undefined) notes.push(`${projection.include ? 'only' : 'all but'} ${projection.labels.join(' ')}`);
  }
  if (read?.shared !== undefined) {
    const { id, filters, matchers } = read.shared;
    notes.push(`read ${id}${filters.length === 0 ? '' : ` of {${matchers.map(formatMatcher).join(',')}}`}`);
  }
  return notes.length === 0 ? '' : `⟨${notes.join('; ')}⟩`;
}
