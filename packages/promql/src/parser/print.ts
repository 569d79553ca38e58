/**
 * Syntax trees as query text: what parses to the same tree, in the one form Prometheus gives it.
 *
 *   sum by (job) (rate(up{a="b"}[5m] offset 1m))
 *
 * Source: Prometheus promql/parser/printer.go.
 */
import { compareUtf8 } from '@gauntlet/bytes';
import { formatDuration, formatMatcher } from '@gauntlet/model';
import type { AggregateExpr, BinaryExpr, DurationExpr, DurationOperand, Expr, MatrixSelector, NumberLiteral, SubqueryExpr, VectorSelector } from './ast.ts';
import { formatDecimal, formatGeneral } from './format-number.ts';
import { quoteString } from './quote.ts';

/**
 * The canonical text of an expression.
 * @param memo texts of nodes already printed; who prints every subtree of a tree passes the same map each time
 */
export function printExpr(expr: Expr, memo?: Map<Expr, string>): string {
  const known = memo?.get(expr);
  if (known !== undefined) return known;
  const text = printNode(expr, (child) => printExpr(child, memo));
  memo?.set(expr, text);
  return text;
}

function printNode(expr: Expr, print: (child: Expr) => string): string {
  switch (expr.type) {
    case 'aggregate':
      return `${printAggregateHead(expr)}(${expr.param === undefined ? '' : `${print(expr.param)}, `}${print(expr.expr)})`;
    case 'binary':
      return `${print(expr.lhs)} ${printOperator(expr)} ${print(expr.rhs)}`;
    case 'call':
      return `${expr.func}(${expr.args.map(print).join(', ')})`;
    case 'duration':
      return printDurationExpr(expr);
    case 'matrixSelector':
      return printMatrixSelector(expr);
    case 'number':
      return printNumber(expr);
    case 'paren':
      return `(${print(expr.expr)})`;
    case 'shared':
    case 'stepInvariant':
      return print(expr.expr);
    case 'string':
      return quoteString(expr.value);
    case 'subquery':
      return `${print(expr.expr)}${printSubquerySuffix(expr)}`;
    case 'unary':
      return `${expr.op}${print(expr.expr)}`;
    case 'vectorSelector':
      return printVectorSelector(expr);
  }
}

function printLabels(labels: readonly string[]): string {
  return labels.map((label) => (/^[a-zA-Z_][a-zA-Z0-9_]*$/.test(label) ? label : quoteString(label))).join(', ');
}

/** `sum by (a) `, `sum`: everything before the parenthesis. */
export function printAggregateHead(expr: AggregateExpr): string {
  if (!expr.without && expr.grouping.length === 0) return expr.op;
  return `${expr.op} ${expr.without ? 'without' : 'by'} (${printLabels(expr.grouping)}) `;
}

/** `+ on (a) group_left (b)`: operator and modifiers. */
export function printOperator(expr: BinaryExpr): string {
  const { matching } = expr;
  let text = expr.op + (expr.returnBool ? ' bool' : '');
  if (matching === undefined) return text;
  const grouped = matching.card === 'many-to-one' || matching.card === 'one-to-many';
  if (matching.labels.length > 0 || matching.on || grouped) text += ` ${matching.on ? 'on' : 'ignoring'} (${printLabels(matching.labels)})`;
  if (grouped) text += ` group_${matching.card === 'many-to-one' ? 'left' : 'right'} (${printLabels(matching.include)})`;
  const { lhs, rhs } = matching.fill;
  if (lhs !== undefined && lhs === rhs) return `${text} fill (${formatGeneral(lhs)})`;
  if (lhs !== undefined) text += ` fill_left (${formatGeneral(lhs)})`;
  if (rhs !== undefined) text += ` fill_right (${formatGeneral(rhs)})`;
  return text;
}

/** A duration expression; parentheses only where they were written. */
export function printDurationExpr(expr: DurationExpr): string {
  const text = printDurationBody(expr);
  return expr.wrapped ? `(${text})` : text;
}

function printOperand(operand: DurationOperand): string {
  return operand.type === 'duration' ? printDurationExpr(operand) : printNumber(operand);
}

function printDurationBody(expr: DurationExpr): string {
  const { op, lhs, rhs } = expr;
  if (op === 'step' || op === 'range') return `${op}()`;
  if (op === 'min_of' || op === 'max_of') return `${op}(${printOperand(lhs!)}, ${printOperand(rhs!)})`;
  if (lhs === undefined) return (op === '-' ? '-' : '') + printOperand(rhs!);
  return `${printOperand(lhs)} ${op} ${printOperand(rhs!)}`;
}

function printNumber(expr: NumberLiteral): string {
  if (!expr.duration) return formatDecimal(expr.value);
  return (expr.value < 0 ? '-' : '') + formatDuration(Math.trunc((Math.abs(expr.value) * 1e9) / 1e6));
}

function printOffset(node: VectorSelector | SubqueryExpr): string {
  if (node.offsetExpr !== undefined) return ` offset ${printDurationExpr(node.offsetExpr)}`;
  if (node.originalOffsetMs === 0) return '';
  return ` offset ${node.originalOffsetMs < 0 ? '-' : ''}${formatDuration(Math.abs(node.originalOffsetMs))}`;
}

function printAt(node: VectorSelector | SubqueryExpr): string {
  if (node.timestampMs !== undefined) return ` @ ${(node.timestampMs / 1000).toFixed(3)}`;
  return node.startOrEnd === undefined ? '' : ` @ ${node.startOrEnd}()`;
}

function printExtended(node: VectorSelector): string {
  return node.anchored ? ' anchored' : node.smoothed ? ' smoothed' : '';
}

/** Name and matchers, without modifiers. The matcher that repeats the name is left out. */
function printSelector(node: VectorSelector): string {
  const matchers = node.matchers
    .filter((matcher) => !(matcher.name === '__name__' && matcher.type === '=' && matcher.value === node.name && matcher.value !== ''))
    .map(formatMatcher)
    .toSorted(compareUtf8);
  return node.name + (matchers.length === 0 ? '' : `{${matchers.join(',')}}`);
}

function printVectorSelector(node: VectorSelector): string {
  return printSelector(node) + printAt(node) + printExtended(node) + printOffset(node);
}

function printMatrixSelector({ vector, rangeMs, rangeExpr }: MatrixSelector): string {
  const range = rangeExpr === undefined ? formatDuration(rangeMs) : printDurationExpr(rangeExpr);
  return `${printSelector(vector)}[${range}]${printExtended(vector)}${printAt(vector)}${printOffset(vector)}`;
}

/** `[5m:1m] @ 1.000 offset 5m`. */
export function printSubquerySuffix(node: SubqueryExpr): string {
  const range = node.rangeExpr === undefined ? formatDuration(node.rangeMs) : printDurationExpr(node.rangeExpr);
  const ownStep = node.stepExpr === undefined ? '' : printDurationExpr(node.stepExpr);
  const step = node.stepMs === 0 ? ownStep : formatDuration(node.stepMs);
  return `[${range}:${step}]${printAt(node)}${printOffset(node)}`;
}
