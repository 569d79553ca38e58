/**
 * Plans for readers: a tree of operators, each with what planning has decided about it and, of an analyzed query, what it took.
 *
 *   [aggregate] sum by ([code])                          takes the scan
 *   └─ [matrixSelector] rate({[…]}[5m0s] 0 mod 1)        hints: rate 5m
 *
 * Names are those of Thanos' engine (promql-engine, the `String` methods of its operators), so that its user interface shows them. What that engine
 * has for its goroutines (`[concurrent]`, `[coalesce]`, `[duplicateLabelCheck]`) has nothing to stand for here; `[shared]` is ours.
 */
import { formatDuration, formatGoDuration, formatMatcher, type Matcher } from '@gauntlet/model';
import type { OperatorFigures } from '../exec/operator-meter.ts';
import { formatF } from '../functions/go-format.ts';
import type { AggregateExpr, BinaryExpr, Call, Expr, MatrixSelector, SubqueryExpr, VectorSelector } from '../parser/ast.ts';
import { printExpr } from '../parser/print.ts';
import type { Plan } from './plan-query.ts';
import type { RuleName } from './rule.ts';

/** What an operator took; samples in are those of the operators below, or those a selector read. */
export interface NodeFigures extends OperatorFigures {
  readonly samplesIn: number;
}

/** One operator. */
export interface PlanNode {
  readonly name: string;
  /** What planning has decided, in short texts. */
  readonly notes: readonly string[];
  /** Of an analyzed query; undefined if the operator was not run. */
  readonly figures: NodeFigures | undefined;
  readonly children: readonly PlanNode[];
}

/** A plan as a tree of operators. */
export interface Explanation {
  /** Rules that changed something, in order. */
  readonly rules: readonly RuleName[];
  readonly root: PlanNode;
}

/** What was measured of a node of the plan. */
type Figures = (expr: Expr) => OperatorFigures | undefined;

/** Describes a plan. @param figuresOf of an analyzed query */
export function explainPlan(plan: Plan, figuresOf: Figures = () => undefined): Explanation {
  const shown = new Set<number>();
  const node = (expr: Expr): PlanNode => {
    const { name, notes, operands } = describe(expr, shown);
    const children = operands.filter((operand) => operand.type !== 'string').map((operand) => node(withoutParens(operand)));
    const figures = figuresOf(expr);
    if (figures === undefined) return { name, notes, figures: undefined, children };
    const below = children.reduce((sum, child) => sum + (child.figures?.samplesOut ?? 0), 0);
    return { name, notes, figures: { ...pick(figures), samplesIn: figures.seriesRead > 0 ? figures.samplesRead : below }, children };
  };
  return { rules: plan.applied, root: node(withoutParens(plan.expr)) };
}

function pick({ timeMs, seriesRead, samplesRead, series, samplesOut, totalSamples, peakSamples, peakBytes }: OperatorFigures): OperatorFigures {
  return { timeMs, seriesRead, samplesRead, series, samplesOut, totalSamples, peakSamples, peakBytes };
}

function withoutParens(expr: Expr): Expr {
  let inner = expr;
  while (inner.type === 'paren' || (inner.type === 'unary' && inner.op === '+')) inner = inner.expr;
  return inner;
}

interface Description {
  readonly name: string;
  readonly notes: readonly string[];
  /** Operators below. */
  readonly operands: readonly Expr[];
}

function describe(expr: Expr, shown: Set<number>): Description {
  switch (expr.type) {
    case 'number':
      return { name: `[numberLiteral] ${formatF(expr.value)}`, notes: [], operands: [] };
    case 'vectorSelector':
      return { name: `[vectorSelector] {${matchersText(expr.matchers)}} 0 mod 1`, notes: readNotes(expr), operands: [] };
    case 'matrixSelector':
      return { name: `[matrixSelector] ${rangeText(expr)}`, notes: readNotes(expr.vector), operands: [] };
    case 'aggregate':
      return { name: aggregateName(expr), notes: expr.intoScan === true ? ['takes the scan'] : [], operands: expr.param === undefined ? [expr.expr] : [expr.param, expr.expr] };
    case 'binary':
      return { name: binaryName(expr), notes: expr.returnBool ? ['bool'] : [], operands: [expr.lhs, expr.rhs] };
    case 'call':
      return describeCall(expr);
    case 'stepInvariant':
      return { name: '[stepInvariant]', notes: ['evaluated once'], operands: [expr.expr] };
    case 'unary':
      return { name: '[unaryNegation]', notes: [], operands: [expr.expr] };
    case 'shared': {
      const isFirst = !shown.has(expr.id);
      shown.add(expr.id);
      return { name: `[shared] #${expr.id}`, notes: [isFirst ? `computed once for ${expr.uses} places` : 'shown above'], operands: isFirst ? [expr.expr] : [] };
    }
    case 'subquery':
      return { name: '[subquery]', notes: subqueryNotes(expr), operands: [expr.expr] };
    default:
      return { name: `[${expr.type}] ${printExpr(expr)}`, notes: [], operands: [] };
  }
}

function describeCall(call: Call): Description {
  const args = call.args.map((arg) => ({ arg, inner: rangeOf(arg) }));
  const others = args.filter(({ arg, inner }) => inner === undefined && arg.type !== 'number').map(({ arg }) => arg);
  const range = args.find(({ inner }) => inner !== undefined)?.inner;
  if (range?.type === 'matrixSelector') return { name: `[matrixSelector] ${call.func}(${rangeText(range)})`, notes: readNotes(range.vector), operands: others };
  if (range?.type === 'subquery') return { name: `[subquery] ${call.func}()`, notes: subqueryNotes(range), operands: [...others, range.expr] };
  return { name: callName(call), notes: [], operands: call.func === 'info' ? call.args.slice(0, 1) : call.args.filter((arg) => arg.type !== 'number') };
}

function rangeOf(arg: Expr): MatrixSelector | SubqueryExpr | undefined {
  let inner = arg;
  while (inner.type === 'paren' || inner.type === 'stepInvariant') inner = inner.expr;
  return inner.type === 'matrixSelector' || inner.type === 'subquery' ? inner : undefined;
}

function callName({ func, args }: Call): string {
  if (func === 'absent' || func === 'scalar' || func === 'timestamp') return `[${func}]`;
  if (func === 'label_replace' || func === 'label_join') return '[relabel]';
  if (args.length === 0) return '[noArgFunction]';
  const texts = `[${args.map((arg) => printExpr(arg)).join(' ')}]`;
  return func.startsWith('histogram_quantile') || func === 'histogram_fraction' ? `[${func}](${texts})` : `[function] ${func}(${texts})`;
}

const K_AGGREGATES: ReadonlySet<string> = new Set(['topk', 'bottomk', 'limitk', 'limit_ratio']);

function aggregateName({ op, without, grouping, param }: AggregateExpr): string {
  const groups = `${without ? 'without' : 'by'} ([${grouping.join(' ')}])`;
  if (op === 'count_values') return `[countValues] ${groups} - param (${param?.type === 'string' ? param.value : ''})`;
  return `[${K_AGGREGATES.has(op) ? 'kaggregate' : 'aggregate'}] ${op} ${groups}`;
}

function binaryName({ op, matching }: BinaryExpr): string {
  if (matching === undefined) return `[vectorScalarBinary] ${op}`;
  const { card, on, labels, include } = matching;
  return `[vectorBinary] ${op} - ${card}, ${on ? 'on' : 'ignoring'}: [${labels.join(' ')}], group: [${include.join(' ')}]`;
}

function matchersText(matchers: readonly Matcher[]): string {
  return `[${matchers.map(formatMatcher).join(' ')}]`;
}

function rangeText({ vector, rangeMs }: MatrixSelector): string {
  return `{${matchersText(vector.matchers)}}[${formatGoDuration(rangeMs)}] 0 mod 1`;
}

function readNotes({ read, originalOffsetMs, timestampMs, anchored, smoothed }: VectorSelector): string[] {
  const notes: string[] = [];
  if (originalOffsetMs !== 0) notes.push(`offset ${originalOffsetMs < 0 ? '-' : ''}${formatDuration(Math.abs(originalOffsetMs))}`);
  if (timestampMs !== undefined) notes.push(`@ ${timestampMs / 1000}`);
  if (anchored) notes.push('anchored');
  if (smoothed) notes.push('smoothed');
  if (read?.hints !== undefined) {
    const { func, grouping, by, rangeMs, projection } = read.hints;
    const parts = [func, rangeMs > 0 ? formatDuration(rangeMs) : '', grouping.length > 0 ? `${by ? 'by' : 'without'} (${grouping.join(', ')})` : ''].filter((part) => part !== '');
    if (parts.length > 0) notes.push(`hints: ${parts.join(' ')}`);
    if (projection !== undefined) notes.push(`needs ${projection.include ? '' : 'all but '}${projection.labels.join(', ')}`);
  }
  if (read?.shared !== undefined) {
    const { id, members, filters } = read.shared;
    notes.push(`read #${id} for ${members} selectors${filters.length === 0 ? '' : `, filtered by {${filters.map(formatMatcher).join(', ')}}`}`);
  }
  return notes;
}

function subqueryNotes({ rangeMs, stepMs, originalOffsetMs, timestampMs }: SubqueryExpr): string[] {
  const notes = [`${formatDuration(rangeMs)} by ${stepMs === 0 ? 'the default step' : formatDuration(stepMs)}`];
  if (originalOffsetMs !== 0) notes.push(`offset ${originalOffsetMs < 0 ? '-' : ''}${formatDuration(Math.abs(originalOffsetMs))}`);
  if (timestampMs !== undefined) notes.push(`@ ${timestampMs / 1000}`);
  return notes;
}

/** A plan as lines of text, operators below others indented; with figures if it has some. */
export function formatExplanation({ rules, root }: Explanation): string {
  const lines = [`rules: ${rules.length === 0 ? 'none' : rules.join(', ')}`];
  const add = (node: PlanNode, lead: string, below: string): void => {
    lines.push(`${lead}${node.name}${node.notes.length === 0 ? '' : `  — ${node.notes.join('; ')}`}`);
    if (node.figures !== undefined) lines.push(`${below}${node.children.length > 0 ? '│' : ' '}    ${figuresText(node.figures)}`);
    node.children.forEach((child, i) => {
      const isLast = i === node.children.length - 1;
      add(child, `${below}${isLast ? '└─ ' : '├─ '}`, `${below}${isLast ? '   ' : '│  '}`);
    });
  };
  add(root, '', '');
  return `${lines.join('\n')}\n`;
}

function figuresText({ timeMs, series, seriesRead, samplesIn, samplesOut, peakBytes }: NodeFigures): string {
  const read = seriesRead > 0 ? `read ${seriesRead} series, ` : '';
  return `${timeMs.toFixed(3)} ms, ${read}samples in ${samplesIn}, out ${series} series, ${samplesOut} samples, peak ${peakBytes} bytes`;
}
