/**
 * Syntax trees in the form of `/api/v1/parse_query`, which Prometheus' tree view reads. Keys are in alphabetical order, as Go writes maps.
 * Source: Prometheus web/api/v1/translate_ast.go.
 */
import { FUNCTION_SIGNATURES } from '../functions/signatures.ts';
import type { DurationOperand, Expr, MatrixSelector, SubqueryExpr, VectorSelector } from './ast.ts';
import { formatDecimal } from './format-number.ts';

/** What JSON can hold. */
export type JsonValue = null | boolean | number | string | readonly JsonValue[] | { readonly [key: string]: JsonValue };

/** The tree as plain JSON data. */
export function exprToJson(expr: Expr): JsonValue {
  switch (expr.type) {
    case 'aggregate':
      return {
        expr: exprToJson(expr.expr),
        grouping: expr.grouping,
        op: expr.op,
        param: expr.param === undefined ? null : exprToJson(expr.param),
        type: 'aggregation',
        without: expr.without,
      };
    case 'binary': {
      const { matching } = expr;
      return {
        bool: expr.returnBool,
        lhs: exprToJson(expr.lhs),
        matching:
          matching === undefined
            ? null
            : {
                card: matching.card,
                fillValues: { lhs: matching.fill.lhs ?? null, rhs: matching.fill.rhs ?? null },
                include: matching.include,
                labels: matching.labels,
                on: matching.on,
              },
        op: expr.op,
        rhs: exprToJson(expr.rhs),
        type: 'binaryExpr',
      };
    }
    case 'call': {
      const { argTypes, name, returnType, variadic } = FUNCTION_SIGNATURES.get(expr.func)!;
      return { args: expr.args.map(exprToJson), func: { argTypes, name, returnType, variadic }, type: 'call' };
    }
    case 'duration':
      return durationToJson(expr);
    case 'matrixSelector':
      return matrixToJson(expr);
    case 'number':
      return { type: 'numberLiteral', val: formatDecimal(expr.value) };
    case 'paren':
      return { expr: exprToJson(expr.expr), type: 'parenExpr' };
    case 'shared':
    case 'stepInvariant':
      return exprToJson(expr.expr);
    case 'string':
      return { type: 'stringLiteral', val: expr.value };
    case 'subquery':
      return subqueryToJson(expr);
    case 'unary':
      return { expr: exprToJson(expr.expr), op: expr.op, type: 'unaryExpr' };
    case 'vectorSelector':
      return { ...selectorHead(expr), offset: expr.originalOffsetMs, offsetExpr: durationToJson(expr.offsetExpr), ...selectorTail(expr), type: 'vectorSelector' };
  }
}

function selectorHead(node: VectorSelector): { readonly [key: string]: JsonValue } {
  return { anchored: node.anchored, matchers: node.matchers.map(({ name, type, value }) => ({ name, type, value })), name: node.name };
}

function selectorTail(node: VectorSelector): { readonly [key: string]: JsonValue } {
  return { smoothed: node.smoothed, startOrEnd: node.startOrEnd ?? null, timestamp: node.timestampMs ?? null };
}

function matrixToJson({ vector, rangeMs, rangeExpr }: MatrixSelector): JsonValue {
  return {
    ...selectorHead(vector),
    offset: vector.originalOffsetMs,
    offsetExpr: durationToJson(vector.offsetExpr),
    range: rangeMs,
    rangeExpr: durationToJson(rangeExpr),
    ...selectorTail(vector),
    type: 'matrixSelector',
  };
}

function subqueryToJson(node: SubqueryExpr): JsonValue {
  return {
    expr: exprToJson(node.expr),
    offset: node.originalOffsetMs,
    offsetExpr: durationToJson(node.offsetExpr),
    range: node.rangeMs,
    rangeExpr: durationToJson(node.rangeExpr),
    startOrEnd: node.startOrEnd ?? null,
    step: node.stepMs,
    stepExpr: durationToJson(node.stepExpr),
    timestamp: node.timestampMs ?? null,
    type: 'subquery',
  };
}

function durationToJson(node: DurationOperand | undefined): JsonValue {
  if (node === undefined) return null;
  if (node.type === 'number') return { duration: node.duration, type: 'numberLiteral', val: formatDecimal(node.value) };
  return { lhs: durationToJson(node.lhs), op: node.op, rhs: durationToJson(node.rhs), type: 'durationExpr', wrapped: node.wrapped };
}
