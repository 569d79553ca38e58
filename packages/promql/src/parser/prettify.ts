/**
 * The layout of `/api/v1/format_query`: what fits 100 bytes stays on one line, anything longer is split at its outermost level, children two spaces
 * deeper. Source: Prometheus promql/parser/prettier.go.
 */
import { utf8Length } from '@gauntlet/bytes';
import type { DurationExpr, DurationOperand, Expr } from './ast.ts';
import { printAggregateHead, printExpr, printOperator, printSubquerySuffix } from './print.ts';

const LINE_BYTES_MAX = 100;

/** The expression as text over several lines. */
export function prettifyExpr(expr: Expr): string {
  return pretty(expr, 0, new Map());
}

function pretty(expr: Expr, level: number, memo: Map<Expr, string>): string {
  const indent = '  '.repeat(level);
  switch (expr.type) {
    case 'duration':
      return prettyDuration(expr);
    case 'shared':
    case 'stepInvariant':
      return pretty(expr.expr, level, memo);
    case 'unary':
      return `${indent}${expr.op}${pretty(expr.expr, level, memo).trim()}`;
    case 'matrixSelector':
    case 'number':
    case 'string':
    case 'vectorSelector':
      return indent + printExpr(expr);
  }
  const line = printExpr(expr, memo);
  // A subquery that fits is not indented; Prometheus does so, and the text must be the same.
  // A text of more units than bytes are allowed is not looked at: it may be long, and there is one per level.
  if (line.length <= LINE_BYTES_MAX && utf8Length(line) <= LINE_BYTES_MAX) return expr.type === 'subquery' ? line : indent + line;
  switch (expr.type) {
    case 'aggregate': {
      const param = expr.param === undefined ? '' : `${pretty(expr.param, level + 1, memo)},\n`;
      return `${indent}${printAggregateHead(expr)}(\n${param}${pretty(expr.expr, level + 1, memo)}\n${indent})`;
    }
    case 'binary':
      return `${pretty(expr.lhs, level + 1, memo)}\n${indent}${printOperator(expr)}\n${pretty(expr.rhs, level + 1, memo)}`;
    case 'call':
      return `${indent}${expr.func}(\n${expr.args.map((arg) => pretty(arg, level + 1, memo)).join(',\n')}\n${indent})`;
    case 'paren':
      return `${indent}(\n${pretty(expr.expr, level + 1, memo)}\n${indent})`;
    case 'subquery':
      return pretty(expr.expr, level, memo) + printSubquerySuffix(expr);
  }
}

function prettyDuration(expr: DurationExpr): string {
  const operand = (node: DurationOperand): string => (node.type === 'duration' ? prettyDuration(node) : printExpr(node));
  if (expr.rhs === undefined || expr.op === 'min_of' || expr.op === 'max_of') return printExpr(expr);
  const right = operand(expr.rhs);
  const text = expr.lhs === undefined ? (expr.op === '-' ? '-' : '') + right : `${operand(expr.lhs)} ${expr.op} ${right}`;
  return expr.wrapped ? `(${text})` : text;
}
