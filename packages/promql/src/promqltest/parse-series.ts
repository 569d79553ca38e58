/**
 * The notation for series and their samples in scripts and rule tests:
 *
 *   http_requests{job="api"}  1 2.5 _ 0+10x3 7x2 _x2 stale NaN -Inf {{schema:0 sum:3 count:2 buckets:[1 1]}}x4
 *
 * `a+bxN` is N+1 values from a in steps of b, `axN` N+1 times a, `_` no sample, `_xN` N gaps. Source: Prometheus promql/promqltest/README.md.
 */
import { addHistograms, type FloatHistogram, type Labels, labelsFromPairs, ModelError, parseDuration, parseHistogramLiteral, type ParsedHistogram, subHistograms } from '@gauntlet/model';
import { PromqlError } from '../errors.ts';
import { Lexer } from '../parser/lex.ts';
import { parseNumber } from '../parser/parse-number.ts';
import { unquoteLiteral } from '../parser/quote.ts';

/** One place of a sequence. */
export type SequenceValue =
  | { readonly kind: 'omitted' }
  | { readonly kind: 'float'; readonly value: number }
  | { readonly kind: 'stale' }
  /** `hasResetHint`: the literal names one; comparisons ignore it otherwise. */
  | { readonly kind: 'histogram'; readonly histogram: FloatHistogram; readonly hasResetHint: boolean };

export interface SeriesDescription {
  readonly labels: Labels;
  readonly values: readonly SequenceValue[];
}

/** Longest sequence one item may stand for. */
const REPEAT_MAX = 1_000_000;

const NUMBER = String.raw`(?:[iI][nN][fF]|[nN][aA][nN]|(?:\d[\d_]*\.?\d*|\.\d+)(?:[eE][+-]?\d+)?(?:[smhdwy]\w*)?)`;
const FLOAT_ITEM = new RegExp(String.raw`^([+-]?)(${NUMBER})(?:([+-])(${NUMBER}))?(?:x(\d+))?$`);
const GAP_ITEM = /^_(?:x(\d+))?$/;
const HISTOGRAM_ITEM = /^(\{\{[^}]*\}\})(?:([+-])(\{\{[^}]*\}\}))?(?:x(\d+))?$/;
/** Items are separated by space; a histogram may contain some. */
const ITEM = /(?:\{\{[^}]*\}\}|[^\s{])+|\S/g;

function fail(what: string, got: string): never {
  throw new PromqlError('ERR_SCRIPT', `${what}: ${got}`);
}

/**
 * Parses `metric{labels} values…`.
 * @throws PromqlError ERR_SCRIPT or ERR_PARSE (for the text in braces)
 */
export function parseSeries(text: string): SeriesDescription {
  const { labels, end } = parseMetric(text);
  return { labels, values: parseValues(text.slice(end)) };
}

/** Parses a metric with its labels at the beginning of a text; `end` is the offset behind it. */
export function parseMetric(text: string): { readonly labels: Labels; readonly end: number } {
  const name = /^[a-zA-Z_:][\w:]*/.exec(text)?.[0] ?? '';
  const pairs: [string, string][] = name === '' ? [] : [['__name__', name]];
  if (text.charAt(name.length) !== '{' || text.startsWith('{{', name.length)) {
    if (name === '') fail('a series begins with a metric name or {', text);
    return { labels: labelsFromPairs(pairs), end: name.length };
  }
  const lexer = new Lexer(text.slice(name.length));
  lexer.next();
  for (let token = lexer.next(), first = true; ; first = false) {
    if (token.kind === '}') return { labels: labelsFromPairs(pairs), end: name.length + token.end };
    if (!first) {
      if (token.kind !== ',') fail('labels are separated by ","', text);
      token = lexer.next();
      if (token.kind === '}') return { labels: labelsFromPairs(pairs), end: name.length + token.end };
    }
    if (token.kind !== 'identifier' && token.kind !== 'string') fail('a label name is expected', text);
    const label = token.kind === 'string' ? unquoteLiteral(token.text) : token.text;
    const quoted = token.kind === 'string';
    token = lexer.next();
    if (quoted && token.kind !== '=') {
      pairs.push(['__name__', label]);
      continue;
    }
    if (token.kind !== '=') fail(`"=" is expected after label ${label}`, text);
    const value = lexer.next();
    if (value.kind !== 'string') fail(`a quoted value is expected for label ${label}`, text);
    pairs.push([label, unquoteLiteral(value.text)]);
    token = lexer.next();
  }
}

/** Parses a sequence of values separated by space. */
export function parseValues(text: string): SequenceValue[] {
  const values: SequenceValue[] = [];
  for (const item of text.match(ITEM) ?? []) {
    if (!appendFloats(item, values) && !appendHistograms(item, values)) fail('value is not understood', item);
  }
  return values;
}

function repeats(count: string | undefined, least: number): number {
  const times = count === undefined ? 0 : Number(count);
  if (times > REPEAT_MAX) fail(`a value may be repeated at most ${REPEAT_MAX} times`, String(times));
  return Math.max(times, least);
}

/** Value of a number in a sequence, NaN for `nan`. */
function floatOf(text: string): number {
  if (/[smhdwy]$/.test(text) && /^\d/.test(text)) {
    try {
      return parseDuration(text) / 1000;
    } catch (error) {
      if (error instanceof ModelError) fail('value is not understood', text);
      throw error;
    }
  }
  const value = parseNumber(text);
  return typeof value === 'number' ? value : fail('value is not understood', text);
}

function appendFloats(item: string, values: SequenceValue[]): boolean {
  if (item === 'stale') {
    values.push({ kind: 'stale' });
    return true;
  }
  const gap = GAP_ITEM.exec(item);
  if (gap !== null) {
    const count = gap[1] === undefined ? 1 : repeats(gap[1], 0);
    for (let i = 0; i < count; i++) values.push({ kind: 'omitted' });
    return true;
  }
  const float = FLOAT_ITEM.exec(item);
  if (float === null) return false;
  const [, sign, base, stepSign, step, count] = float;
  if (step !== undefined && count === undefined) return false;
  let value = sign === '-' ? -floatOf(base!) : floatOf(base!);
  const increment = step === undefined ? 0 : stepSign === '-' ? -floatOf(step) : floatOf(step);
  const times = repeats(count, 0);
  for (let i = 0; i <= times; i++) {
    values.push({ kind: 'float', value });
    if (step !== undefined) value += increment;
  }
  return true;
}

function appendHistograms(item: string, values: SequenceValue[]): boolean {
  const match = HISTOGRAM_ITEM.exec(item);
  if (match === null) return false;
  const [, first, sign, second, count] = match;
  if (second !== undefined && count === undefined) return false;
  const base = histogramOf(first!);
  const increment = second === undefined ? undefined : histogramOf(second);
  const times = repeats(count, 0);
  let { histogram } = base;
  for (let i = 0; i <= times; i++) {
    values.push({ kind: 'histogram', histogram, hasResetHint: base.hasResetHint });
    if (increment === undefined) continue;
    const next = sign === '-' ? subHistograms(histogram, increment.histogram) : addHistograms(histogram, increment.histogram);
    if (next === undefined) return fail('histograms of exponential and custom buckets do not add up', item);
    ({ histogram } = next);
  }
  return true;
}

function histogramOf(text: string): ParsedHistogram {
  try {
    return parseHistogramLiteral(text);
  } catch (error) {
    if (error instanceof ModelError) fail('histogram is not understood', error.message);
    throw error;
  }
}
