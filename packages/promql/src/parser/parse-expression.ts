/**
 * Expressions by precedence climbing.
 *
 *   or < and unless < comparisons < + - < * / % atan2 < unary + - < ^ (right) < offset @ [range] anchored smoothed
 *
 * The first error ends the parse, at the place and with the words Prometheus uses. What its generated parser does on errors is kept in one rule:
 * an unexpected token is blamed on the innermost construct with an error rule (`TokenStream.within`), which for expressions is the aggregation.
 * Source: Prometheus promql/parser/generated_parser.y.
 */
import { FUNCTION_SIGNATURES } from '../functions/signatures.ts';
import type {
  AggregateExpr,
  AggregateOp,
  BinaryExpr,
  BinaryOp,
  DurationExpr,
  DurationOperand,
  Expr,
  MatrixSelector,
  SubqueryExpr,
  VectorMatching,
  VectorSelector,
} from './ast.ts';
import { parseNumberLiteral, parseOffsetDuration, parsePositiveDuration, secondsToMs } from './parse-duration.ts';
import { EXPECT_LABEL_LIST, parseLabelList, parseVectorSelector } from './parse-selector.ts';
import { quoteString, unquoteLiteral } from './quote.ts';
import { AGGREGATORS, DURATION_WORDS, isMetricName, PARAMETER_AGGREGATORS, type Token } from './token.ts';
import type { ErrorContext, TokenStream } from './token-stream.ts';

/** Binary operators from loosest to tightest. */
const LEVELS: readonly (readonly BinaryOp[])[] = [['or'], ['and', 'unless'], ['==', '!=', '<', '<=', '>', '>=', '</', '>/'], ['+', '-'], ['*', '/', '%', 'atan2'], ['^']];
const PRECEDENCE: ReadonlyMap<string, number> = new Map(LEVELS.flatMap((operators, i) => operators.map((operator) => [operator, i + 1] as const)));
const POWER = LEVELS.length;

const IN_AGGREGATION: ErrorContext = { where: 'aggregation', expected: '' };
const IN_AT: ErrorContext = { where: '@', expected: 'timestamp' };
const IN_BRACKETS: ErrorContext = { where: 'subquery or range selector', expected: 'number, duration, step(), or range()' };
const AFTER_RANGE: ErrorContext = { where: 'subquery or range', expected: '":" or "]"' };
const IN_STEP: ErrorContext = { where: 'subquery selector', expected: 'number, duration, step(), range(), or "]"' };
const AFTER_STEP: ErrorContext = { where: 'subquery selector', expected: '"]"' };

/** Nodes under construction; they leave the parser as immutable. */
export type Mutable<T> = { -readonly [K in keyof T]: T[K] };
type Modifiable = Mutable<VectorSelector> | Mutable<SubqueryExpr>;

/** A whole text that is an expression; syntax only, see `checkTypes`. */
export function parseExpression(stream: TokenStream): Expr {
  if (stream.peek().kind === 'eof') throw stream.error({ start: 0, end: 0 }, 'no expression found in input');
  const expr = parseBinary(stream, 1);
  stream.expect('eof');
  return expr;
}

function parseBinary(stream: TokenStream, precedenceMin: number): Expr {
  let lhs = stream.nested(() => parseOperand(stream));
  for (;;) {
    const operator = stream.peek();
    const precedence = PRECEDENCE.get(operator.kind);
    if (precedence === undefined || precedence < precedenceMin) return lhs;
    stream.take();
    const modifiers = parseBinaryModifiers(stream);
    const rhs = stream.nested(() => parseBinary(stream, operator.kind === '^' ? precedence : precedence + 1));
    const pos = { start: lhs.pos.start, end: rhs.pos.end };
    const { fill } = modifiers.matching!;
    if (!stream.options.binopFillModifiers && (fill.lhs !== undefined || fill.rhs !== undefined)) {
      throw stream.error(pos, 'binop fill modifiers are experimental and not enabled');
    }
    lhs = { type: 'binary', op: operator.kind as BinaryOp, lhs, rhs, ...modifiers, pos };
  }
}

/** `bool`, then `on`/`ignoring`, then `group_left`/`group_right`, then fill values, all optional. */
function parseBinaryModifiers(stream: TokenStream): Pick<BinaryExpr, 'matching' | 'returnBool'> {
  const returnBool = stream.accept('bool') !== undefined;
  const matching: Mutable<VectorMatching> = { card: 'one-to-one', labels: [], on: false, include: [], fill: { lhs: undefined, rhs: undefined } };
  const clause = stream.accept('on') ?? stream.accept('ignoring');
  if (clause !== undefined) {
    matching.on = clause.kind === 'on';
    matching.labels = parseLabelList(stream);
    const group = stream.accept('group_left') ?? stream.accept('group_right');
    if (group !== undefined) {
      matching.card = group.kind === 'group_left' ? 'many-to-one' : 'one-to-many';
      const { kind } = stream.peek();
      if (kind === '(') matching.include = parseLabelList(stream);
      else if (!startsExpression(kind)) stream.unexpected(EXPECT_LABEL_LIST);
    }
  }
  const fill = stream.accept('fill') ?? stream.accept('fill_left') ?? stream.accept('fill_right');
  if (fill !== undefined) {
    const value = parseFillValue(stream);
    const left = fill.kind === 'fill_left';
    if (fill.kind === 'fill') matching.fill = { lhs: value, rhs: value };
    else {
      const other = stream.accept(left ? 'fill_right' : 'fill_left') === undefined ? undefined : parseFillValue(stream);
      matching.fill = left ? { lhs: value, rhs: other } : { lhs: other, rhs: value };
    }
  }
  return { returnBool, matching };
}

function parseFillValue(stream: TokenStream): number {
  stream.expect('(');
  const sign = stream.accept('-') ?? stream.accept('+');
  const { value } = parseNumberLiteral(stream);
  stream.expect(')');
  return sign?.kind === '-' ? -value : value;
}

function startsExpression(kind: string): boolean {
  return kind === 'number' || kind === 'duration' || kind === 'string' || '({+-'.includes(kind) || isMetricName(kind);
}

/** A term with its signs in front and its modifiers behind. */
function parseOperand(stream: TokenStream): Expr {
  const sign = stream.accept('+') ?? stream.accept('-');
  if (sign === undefined) return parsePostfix(stream, parseTerm(stream));
  const expr = parseBinary(stream, POWER);
  const pos = { start: sign.start, end: expr.pos.end };
  if (expr.type === 'number') return { ...expr, value: sign.kind === '-' ? -expr.value : expr.value, pos };
  return { type: 'unary', op: sign.kind as '+' | '-', expr, pos };
}

function parseTerm(stream: TokenStream): Expr {
  const token = stream.peek();
  const { kind } = token;
  if (kind === 'number' || kind === 'duration') return parseNumberLiteral(stream);
  if (kind === '{') return parseVectorSelector(stream, undefined);
  if (kind === 'string') {
    stream.take();
    return { type: 'string', value: unquoteLiteral(token.text), pos: { start: token.start, end: token.end } };
  }
  if (kind === '(') {
    stream.take();
    const expr = parseBinary(stream, 1);
    stream.expect(')');
    return { type: 'paren', expr, pos: { start: token.start, end: stream.lastEnd } };
  }
  if (!isMetricName(kind)) return stream.unexpected();
  stream.take();
  const after = stream.peek().kind;
  if (AGGREGATORS.has(kind) && (after === '(' || after === 'by' || after === 'without')) {
    return stream.within(IN_AGGREGATION, () => parseAggregate(stream, token));
  }
  const callable = kind === 'identifier' || kind === 'start' || kind === 'end' || DURATION_WORDS.has(kind);
  return after === '(' && callable ? parseCall(stream, token) : parseVectorSelector(stream, token);
}

function parseAggregate(stream: TokenStream, operator: Token): AggregateExpr {
  let clause = stream.accept('by') ?? stream.accept('without');
  let grouping = clause === undefined ? [] : parseLabelList(stream);
  const args = parseArguments(stream);
  let end = stream.lastEnd;
  if (clause === undefined) {
    clause = stream.accept('by') ?? stream.accept('without');
    if (clause !== undefined) {
      grouping = parseLabelList(stream);
      end = stream.lastEnd;
    }
  }
  const op = operator.kind as AggregateOp;
  const pos = { start: operator.start, end };
  if (args.length === 0) throw stream.error(pos, 'no arguments for aggregate expression provided');
  const wanted = PARAMETER_AGGREGATORS.has(op) ? 2 : 1;
  if ((op === 'limitk' || op === 'limit_ratio') && !stream.options.experimentalFunctions) {
    throw stream.error(pos, `${op}() is experimental and must be enabled with --enable-feature=promql-experimental-functions`);
  }
  if (args.length !== wanted) {
    throw stream.error(pos, `wrong number of arguments for aggregate expression provided, expected ${wanted}, got ${args.length}`);
  }
  const param = wanted === 2 ? args[0] : undefined;
  return { type: 'aggregate', op, expr: args[wanted - 1]!, param, grouping, without: clause?.kind === 'without', pos };
}

/** `(a, b, …)`. */
function parseArguments(stream: TokenStream): Expr[] {
  stream.expect('(');
  const args: Expr[] = [];
  while (stream.accept(')') === undefined) {
    if (args.length > 0) {
      const comma = stream.expect(',');
      if (!startsExpression(stream.peek().kind)) throw stream.error(comma, 'trailing commas not allowed in function call args');
    }
    // A level of its own: with arguments the parser is several stack frames deeper than in parentheses.
    args.push(stream.nested(() => parseBinary(stream, 1)));
  }
  return args;
}

function parseCall(stream: TokenStream, name: Token): Expr {
  const args = parseArguments(stream);
  const signature = FUNCTION_SIGNATURES.get(name.text);
  const isOff = signature?.needs !== undefined && !stream.options[signature.needs];
  // Prometheus knows nothing of Thanos' functions.
  if (signature === undefined || (isOff && signature.needs === 'xFunctions')) throw stream.error(name, `unknown function with name ${quoteString(name.text)}`);
  if (isOff) throw stream.error(name, `function ${quoteString(name.text)} is not enabled`);
  return { type: 'call', func: name.text, args, pos: { start: name.start, end: stream.lastEnd } };
}

/** The modifiers behind a term, in any order. */
function parsePostfix(stream: TokenStream, term: Expr): Expr {
  let expr = term;
  for (;;) {
    switch (stream.peek().kind) {
      case '[':
        expr = parseBrackets(stream, expr);
        break;
      case 'offset':
        expr = parseOffset(stream, expr);
        break;
      case '@':
        expr = parseAt(stream, expr);
        break;
      case 'anchored':
      case 'smoothed':
        expr = parseRangeModifier(stream, expr);
        break;
      default:
        return expr;
    }
  }
}

function literalMs(duration: DurationOperand): number {
  return duration.type === 'number' ? secondsToMs(duration.value) : 0;
}

function durationExpr(duration: DurationOperand | undefined): DurationExpr | undefined {
  return duration?.type === 'duration' ? duration : undefined;
}

function parseBrackets(stream: TokenStream, expr: Expr): MatrixSelector | SubqueryExpr {
  const open = stream.take();
  const range = stream.within(IN_BRACKETS, () => parsePositiveDuration(stream));
  const ranged = { rangeMs: literalMs(range), rangeExpr: durationExpr(range) };
  if (stream.accept(':') === undefined) {
    stream.expect(']', AFTER_RANGE);
    const pos = { start: expr.pos.start, end: stream.lastEnd };
    let problem = '';
    if (expr.type !== 'vectorSelector') problem = 'ranges only allowed for vector selectors';
    else if (expr.originalOffsetMs !== 0 || expr.offsetExpr !== undefined) problem = 'no offset modifiers allowed before range';
    else if (expr.timestampMs !== undefined || expr.startOrEnd !== undefined) problem = 'no @ modifiers allowed before range';
    if (problem !== '') throw stream.error({ start: open.start, end: stream.lastEnd }, problem);
    return { type: 'matrixSelector', vector: expr as VectorSelector, ...ranged, pos };
  }
  let step: DurationOperand | undefined;
  if (stream.accept(']') === undefined) {
    step = stream.within(IN_STEP, () => parsePositiveDuration(stream));
    stream.expect(']', AFTER_STEP);
  }
  return {
    type: 'subquery',
    expr,
    ...ranged,
    stepMs: step === undefined ? 0 : literalMs(step),
    stepExpr: durationExpr(step),
    originalOffsetMs: 0,
    offsetExpr: undefined,
    offsetMs: 0,
    timestampMs: undefined,
    startOrEnd: undefined,
    pos: { start: expr.pos.start, end: stream.lastEnd },
  };
}

/** Returns a copy of `expr` with the node that carries offset and `@` changed by `change` and its end moved to the last token. */
function modify(stream: TokenStream, expr: Expr, modifier: string, change: (node: Modifiable) => void): Expr {
  if (expr.type !== 'vectorSelector' && expr.type !== 'matrixSelector' && expr.type !== 'subquery') {
    const holders = 'an instant vector selector or range vector selector or a subquery';
    throw stream.error(expr.pos, `${modifier} must be preceded by ${holders}`);
  }
  const pos = { start: expr.pos.start, end: stream.lastEnd };
  if (expr.type === 'matrixSelector') {
    const vector = { ...expr.vector };
    change(vector);
    return { ...expr, vector, pos };
  }
  const node = { ...expr, pos };
  change(node);
  return node;
}

function parseOffset(stream: TokenStream, expr: Expr): Expr {
  stream.take();
  const offset = parseOffsetDuration(stream);
  return modify(stream, expr, 'offset modifier', (node) => {
    if (node.originalOffsetMs !== 0 || node.offsetExpr !== undefined) throw stream.error(expr.pos, 'offset may not be set multiple times');
    node.originalOffsetMs = literalMs(offset);
    node.offsetMs = node.originalOffsetMs;
    node.offsetExpr = durationExpr(offset);
  });
}

function parseAt(stream: TokenStream, expr: Expr): Expr {
  stream.take();
  const preprocessor = stream.accept('start') ?? stream.accept('end');
  let seconds = 0;
  if (preprocessor === undefined) {
    const sign = stream.accept('-') ?? stream.accept('+');
    const literal = stream.within(IN_AT, () => parseNumberLiteral(stream));
    seconds = sign?.kind === '-' ? -literal.value : literal.value;
    if (!(seconds < 2 ** 63 && seconds > -(2 ** 63))) {
      throw stream.error(expr.pos, `timestamp out of bounds for @ modifier: ${formatFixed(seconds)}`);
    }
  } else {
    stream.expect('(', IN_AT);
    stream.expect(')', IN_AT);
  }
  return modify(stream, expr, '@ modifier', (node) => {
    if (node.timestampMs !== undefined || node.startOrEnd !== undefined) throw stream.error(expr.pos, '@ <timestamp> may not be set multiple times');
    if (preprocessor !== undefined) node.startOrEnd = preprocessor.kind as 'start' | 'end';
    else node.timestampMs = Math.sign(seconds) * Math.round(Math.abs(seconds * 1000)) + 0;
  });
}

/** A number as `%f` prints it. */
function formatFixed(value: number): string {
  if (Number.isNaN(value)) return 'NaN';
  if (!Number.isFinite(value)) return value > 0 ? '+Inf' : '-Inf';
  return Math.abs(value) < 1e21 ? value.toFixed(6) : `${BigInt(value)}.000000`;
}

function parseRangeModifier(stream: TokenStream, expr: Expr): Expr {
  const { kind } = stream.take() as { kind: 'anchored' | 'smoothed' };
  if (!stream.options.extendedRangeSelectors) throw stream.error(expr.pos, `${kind} modifier is experimental and not enabled`);
  if (expr.type === 'subquery') throw stream.error(expr.pos, `${kind} modifier is not supported for subqueries`);
  const vector = expr.type === 'matrixSelector' ? expr.vector : expr;
  if (vector.type !== 'vectorSelector') throw stream.error(expr.pos, `${kind} modifier not implemented`);
  const changed = { ...vector, [kind]: true };
  if (changed.anchored && changed.smoothed) throw stream.error(expr.pos, 'anchored and smoothed modifiers cannot be used together');
  return expr.type === 'matrixSelector' ? { ...expr, vector: changed } : changed;
}
