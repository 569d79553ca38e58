/**
 * Native histograms as scripts write them: `{{schema:0 sum:3 count:2 z_bucket:1 buckets:[1 1] offset:-1 counter_reset_hint:gauge}}`.
 * Keys stand in any order, each at most once; bucket counts are absolute and belong to consecutive buckets from the offset on.
 * Source: Prometheus promql/promqltest/README.md.
 */
import { PromqlError } from '../errors.ts';
import { parseNumber } from '../parser/parse-number.ts';

export type CounterResetHint = 'unknown' | 'reset' | 'not_reset' | 'gauge';

/** A histogram as written. */
export interface HistogramLiteral {
  readonly schema: number;
  readonly sum: number;
  readonly count: number;
  readonly zeroCount: number;
  readonly zeroThreshold: number;
  readonly offset: number;
  readonly buckets: readonly number[];
  readonly negativeOffset: number;
  readonly negativeBuckets: readonly number[];
  /** Upper bounds of custom buckets (schema -53). */
  readonly customValues: readonly number[];
  /** Undefined if the literal names none: then comparisons ignore it. */
  readonly counterResetHint: CounterResetHint | undefined;
}

const FIELDS = {
  schema: 'schema',
  sum: 'sum',
  count: 'count',
  z_bucket: 'zeroCount',
  z_bucket_w: 'zeroThreshold',
  offset: 'offset',
  buckets: 'buckets',
  n_offset: 'negativeOffset',
  n_buckets: 'negativeBuckets',
  custom_values: 'customValues',
  counter_reset_hint: 'counterResetHint',
} as const;

const INTEGERS: ReadonlySet<string> = new Set(['schema', 'offset', 'n_offset']);
const LISTS: ReadonlySet<string> = new Set(['buckets', 'n_buckets', 'custom_values']);
const HINTS: ReadonlySet<string> = new Set<CounterResetHint>(['unknown', 'reset', 'not_reset', 'gauge']);

function fail(problem: string): never {
  throw new PromqlError('ERR_SCRIPT', problem);
}

function number(text: string, key: string): number {
  const negative = text.startsWith('-');
  const value = parseNumber(text.replace(/^[+-]/, ''));
  if (typeof value !== 'number' || (INTEGERS.has(key) && !Number.isInteger(value))) return fail(`histogram: ${key} is not understood: ${text}`);
  return negative ? -value : value;
}

/**
 * @param text from `{{` to `}}`
 * @throws PromqlError ERR_SCRIPT
 */
export function parseHistogramLiteral(text: string): HistogramLiteral {
  const literal: { -readonly [K in keyof HistogramLiteral]: HistogramLiteral[K] } = {
    schema: 0,
    sum: 0,
    count: 0,
    zeroCount: 0,
    zeroThreshold: 0,
    offset: 0,
    buckets: [],
    negativeOffset: 0,
    negativeBuckets: [],
    customValues: [],
    counterResetHint: undefined,
  };
  const seen = new Set<string>();
  const body = text.slice(2, -2);
  for (const item of body.match(/\w+:\[[^\]]*\]|\S+/g) ?? []) {
    const colon = item.indexOf(':');
    const key = item.slice(0, colon);
    const value = item.slice(colon + 1);
    if (colon === -1 || !Object.hasOwn(FIELDS, key)) fail(`histogram: key is not known: ${item}`);
    if (seen.has(key)) fail(`duplicate key "${key}" in histogram`);
    seen.add(key);
    const field = FIELDS[key as keyof typeof FIELDS];
    if (LISTS.has(key)) {
      if (!/^\[.*\]$/.test(value)) fail(`histogram: ${key} is not a list: ${value}`);
      const list = (value.slice(1, -1).match(/\S+/g) ?? []).map((entry) => number(entry, key));
      Object.assign(literal, { [field]: list });
    } else if (key === 'counter_reset_hint') {
      if (!HINTS.has(value)) fail(`histogram: counter_reset_hint is not known: ${value}`);
      literal.counterResetHint = value as CounterResetHint;
    } else Object.assign(literal, { [field]: number(value, key) });
  }
  return literal;
}
