/**
 * Durations in `[…]` and after `offset`: a number of seconds, a duration literal, or an expression of them.
 *
 *   [5m]   [300]   [5m + step()]   [1h:max_of(30s, step())]   offset -5m   offset (range() / 2)
 *
 * After `offset` a lone term ends the duration (`x offset 5m + 1` adds 1 to the selector); only parentheses open an expression there.
 * Source: Prometheus promql/parser/generated_parser.y, `duration_expr` and `offset_duration_expr`.
 */
import { ModelError, parseDuration } from '@gauntlet/model';
import type { DurationExpr, DurationOperand, NumberLiteral } from './ast.ts';
import { parseNumber } from './parse-number.ts';
import { DURATION_WORDS, type Token } from './token.ts';
import type { ErrorContext, TokenStream } from './token-stream.ts';

const PRECEDENCE: Readonly<Record<string, number>> = { '+': 1, '-': 1, '*': 2, '/': 2, '%': 2, '^': 3 };
const POWER = 3;

const IN_OFFSET: ErrorContext = { where: 'offset', expected: 'number, duration, step(), or range()' };

/** Most seconds that fit a signed 64-bit count of nanoseconds. */
const SECONDS_MAX = 2 ** 63 / 1e9;

/** Seconds to whole milliseconds by way of nanoseconds, as Prometheus rounds. */
export function secondsToMs(seconds: number): number {
  const nanoseconds = seconds * 1e9;
  return Math.trunc((Math.sign(nanoseconds) * Math.round(Math.abs(nanoseconds))) / 1e6) + 0;
}

/** Reads a number or duration token as a literal; anything else is unexpected. */
export function parseNumberLiteral(stream: TokenStream): NumberLiteral {
  const token = stream.peek();
  if (token.kind !== 'number' && token.kind !== 'duration') return stream.unexpected();
  stream.take();
  const pos = { start: token.start, end: token.end };
  if (token.kind === 'number') {
    const value = parseNumber(token.text);
    if (typeof value !== 'number') throw stream.error(pos, `error parsing number: ${value.error}`);
    return { type: 'number', value, duration: false, pos };
  }
  try {
    const ms = parseDuration(token.text);
    return { type: 'number', value: Math.trunc(ms / 1000) + ((ms % 1000) * 1e6) / 1e9, duration: true, pos };
  } catch (error) {
    if (error instanceof ModelError) throw stream.error(pos, error.message);
    throw error;
  }
}

function checkRange(stream: TokenStream, literal: NumberLiteral, blame: NumberLiteral | Token): NumberLiteral {
  if (literal.value > SECONDS_MAX || literal.value < -SECONDS_MAX) throw stream.error('pos' in blame ? blame.pos : blame, 'duration out of range');
  return literal;
}

function checkEnabled<T extends DurationOperand>(stream: TokenStream, node: T): T {
  if (!stream.options.durationExpressions) throw stream.error(node.pos, 'experimental duration expression is not enabled');
  return node;
}

/** A duration inside brackets: an expression; a plain literal must be positive. */
export function parsePositiveDuration(stream: TokenStream): DurationOperand {
  const duration = parseDurationExpr(stream, 1);
  if (duration.type === 'number' && duration.value <= 0) throw stream.error(duration.pos, 'duration must be greater than 0');
  return duration;
}

/** What follows the word `offset`. */
export function parseOffsetDuration(stream: TokenStream): DurationOperand {
  return stream.within(IN_OFFSET, () => {
    const token = stream.peek();
    if (token.kind === 'number' || token.kind === 'duration') {
      const literal = parseNumberLiteral(stream);
      return checkRange(stream, literal, literal);
    }
    if (DURATION_WORDS.has(token.kind)) return checkEnabled(stream, parseDurationWord(stream));
    if (token.kind !== '+' && token.kind !== '-') return parseDurationExpr(stream, 1);
    stream.take();
    const after = stream.peek();
    if (after.kind === 'number' || after.kind === 'duration') return applySign(stream, token, parseNumberLiteral(stream));
    if (DURATION_WORDS.has(after.kind)) {
      const rhs = parseDurationWord(stream);
      const pos = { start: token.start, end: rhs.pos.end };
      return checkEnabled(stream, { type: 'duration', op: token.kind as '+' | '-', lhs: undefined, rhs, wrapped: false, pos });
    }
    if (after.kind === '(') {
      stream.take();
      const inner = stream.nested(() => parseDurationExpr(stream, 1));
      stream.expect(')');
      return applySign(stream, token, wrap(inner, inner.pos.start));
    }
    // A second sign: the whole is an ordinary expression that begins with a sign.
    const signed = applySign(stream, token, parseDurationExpr(stream, POWER));
    return parseDurationRest(stream, signed, 1);
  });
}


function parseDurationExpr(stream: TokenStream, precedenceMin: number): DurationOperand {
  return parseDurationRest(stream, stream.nested(() => parseDurationTerm(stream)), precedenceMin);
}

/** The binary operators behind a first operand, as long as they bind at least as tightly as asked. */
function parseDurationRest(stream: TokenStream, first: DurationOperand, precedenceMin: number): DurationOperand {
  let lhs = first;
  for (;;) {
    const operator = stream.peek();
    const precedence = PRECEDENCE[operator.kind];
    if (precedence === undefined || precedence < precedenceMin) return lhs;
    stream.take();
    const op = operator.kind as DurationExpr['op'];
    const rhs = stream.nested(() => parseDurationExpr(stream, op === '^' ? precedence : precedence + 1));
    checkEnabled(stream, lhs);
    if (rhs.type === 'number' && rhs.value === 0 && (op === '/' || op === '%')) {
      throw stream.error(operator, op === '/' ? 'division by zero' : 'modulo by zero');
    }
    lhs = { type: 'duration', op, lhs, rhs, wrapped: false, pos: { start: lhs.pos.start, end: rhs.pos.end } };
  }
}

function parseDurationTerm(stream: TokenStream): DurationOperand {
  const token = stream.peek();
  if (token.kind === '+' || token.kind === '-') {
    stream.take();
    return applySign(stream, token, parseDurationExpr(stream, POWER));
  }
  if (token.kind === '(') {
    stream.take();
    const inner = parseDurationExpr(stream, 1);
    stream.expect(')');
    return wrap(checkEnabled(stream, inner), token.start);
  }
  if (DURATION_WORDS.has(token.kind)) return checkEnabled(stream, parseDurationWord(stream));
  const literal = parseNumberLiteral(stream);
  return checkRange(stream, literal, literal);
}

/** `step()`, `range()`, `min_of(a, b)`, `max_of(a, b)`. */
function parseDurationWord(stream: TokenStream): DurationExpr {
  const word = stream.take();
  const op = word.kind as 'step' | 'range' | 'min_of' | 'max_of';
  let lhs: DurationOperand | undefined;
  let rhs: DurationOperand | undefined;
  stream.expect('(');
  if (op === 'min_of' || op === 'max_of') {
    lhs = parseDurationExpr(stream, 1);
    stream.expect(',');
    rhs = parseDurationExpr(stream, 1);
  }
  stream.expect(')');
  return { type: 'duration', op, lhs, rhs, wrapped: false, pos: { start: word.start, end: stream.lastEnd } };
}

/** Marks an operand as parenthesised; a literal becomes a unary plus, so that it prints with its parentheses. */
function wrap(operand: DurationOperand, start: number): DurationExpr {
  if (operand.type === 'duration') return { ...operand, wrapped: true };
  return { type: 'duration', op: '+', lhs: undefined, rhs: operand, wrapped: true, pos: { start, end: operand.pos.end } };
}

function applySign(stream: TokenStream, sign: Token, operand: DurationOperand): DurationOperand {
  const pos = { start: sign.start, end: operand.pos.end };
  if (operand.type === 'number') return checkRange(stream, { ...operand, value: sign.kind === '-' ? -operand.value : operand.value, pos }, sign);
  if (sign.kind === '+') return operand;
  return { type: 'duration', op: '-', lhs: undefined, rhs: operand, wrapped: false, pos };
}
