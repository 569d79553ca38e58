/** Tokens of PromQL: their kinds, keyword tables, and how messages name them. Source: Prometheus promql/parser/lex.go. */
import { utf8Length } from '@gauntlet/bytes';
import type { AggregateOp } from './ast.ts';
import { quoteString } from './quote.ts';

/**
 * Words and operators are their own kind in lower case (`by`, `sum`, `>=`); the capitalised kinds are classes.
 * `metricIdentifier` is an identifier with a colon in it.
 */
export type TokenKind = 'identifier' | 'metricIdentifier' | 'string' | 'number' | 'duration' | 'eof' | (string & {});

export interface Token {
  readonly kind: TokenKind;
  /** As written. */
  readonly text: string;
  /** UTF-16 offsets into the query. */
  readonly start: number;
  readonly end: number;
}

export const AGGREGATORS: ReadonlySet<string> = new Set<AggregateOp>([
  'avg',
  'bottomk',
  'count',
  'count_values',
  'group',
  'limit_ratio',
  'limitk',
  'max',
  'min',
  'quantile',
  'stddev',
  'stdvar',
  'sum',
  'topk',
]);

/** Aggregators whose first argument is a parameter. */
export const PARAMETER_AGGREGATORS: ReadonlySet<string> = new Set<AggregateOp>(['topk', 'bottomk', 'count_values', 'quantile', 'limitk', 'limit_ratio']);

const WORD_OPERATORS: readonly string[] = ['and', 'or', 'unless', 'atan2'];

const MODIFIERS: ReadonlySet<string> = new Set([
  'offset',
  'smoothed',
  'anchored',
  'by',
  'without',
  'on',
  'ignoring',
  'group_left',
  'group_right',
  'fill',
  'fill_left',
  'fill_right',
  'bool',
]);

/** Words that may stand where a duration is expected. */
export const DURATION_WORDS: ReadonlySet<string> = new Set(['step', 'range', 'max_of', 'min_of']);

const PREPROCESSORS: readonly string[] = ['start', 'end', ...DURATION_WORDS];

/** Every word the lexer makes a token of its own, in lower case. `inf` and `nan` are numbers. */
export const KEYWORDS: ReadonlySet<string> = new Set([...WORD_OPERATORS, ...AGGREGATORS, ...MODIFIERS, ...PREPROCESSORS]);

const SIGN_OPERATORS: readonly string[] = ['+', '/', '==', '=~', '>=', '>', '</', '>/', '<', '<=', '%', '*', '!=', '!~', '^', '-', '@'];
const OPERATORS: ReadonlySet<string> = new Set([...WORD_OPERATORS, ...SIGN_OPERATORS]);

const NOT_A_METRIC: ReadonlySet<string> = new Set(['bool', 'on', 'ignoring', 'group_left', 'group_right', 'atan2']);

/** True for tokens that can be a metric name. */
export function isMetricName(kind: TokenKind): boolean {
  return kind === 'identifier' || kind === 'metricIdentifier' || (KEYWORDS.has(kind) && !NOT_A_METRIC.has(kind));
}

/** True for tokens that can be a label name in a grouping list. */
export function isGroupingLabel(kind: TokenKind): boolean {
  return kind === 'identifier' || kind === 'metricIdentifier' || (KEYWORDS.has(kind) && kind !== 'without');
}

const CLASS_NAMES: Readonly<Record<string, string>> = {
  identifier: 'identifier',
  metricIdentifier: 'metric identifier',
  string: 'string',
  number: 'number',
  duration: 'duration',
};

/** The token as messages show it: `identifier "x"`, `<by>`, `<op:+>`, `<aggr:sum>`, `end of input`. */
export function describeToken(token: Token): string {
  const { kind, text } = token;
  if (kind === 'eof') return 'end of input';
  if (kind === 'identifier' || kind === 'metricIdentifier') return `${CLASS_NAMES[kind]} ${quoteString(text)}`;
  if (MODIFIERS.has(kind)) return `<${text}>`;
  if (OPERATORS.has(kind)) return `<op:${text}>`;
  if (AGGREGATORS.has(kind)) return `<aggr:${text}>`;
  const shown = utf8Length(text) > 10 ? `${quoteString(Array.from(text).slice(0, 10).join(''))}...` : quoteString(text);
  const name = CLASS_NAMES[kind];
  return name === undefined ? shown : `${name} ${shown}`;
}
