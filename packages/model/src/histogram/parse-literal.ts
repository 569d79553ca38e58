/**
 * Reads histograms as test files of rules and of PromQL write them:
 *
 *   {{schema:0 sum:3 count:2 z_bucket:1 z_bucket_w:0.001 buckets:[1 1] offset:-1 n_buckets:[1] n_offset:2 counter_reset_hint:gauge}}
 *
 * Keys stand in any order, each at most once; counts are absolute and belong to consecutive buckets from the offset on. Nothing is filled in:
 * a count that is not given is 0. Source: Prometheus promql/promqltest/README.md.
 */
import { ModelError } from '../errors.ts';
import { createHistogram, type FloatHistogram, type HistogramSpan, type ResetHint } from './float-histogram.ts';

/** A literal, read. */
export interface ParsedHistogram {
  readonly histogram: FloatHistogram;
  /** Whether the literal names its reset hint; comparisons with one that does not ignore it. */
  readonly hasResetHint: boolean;
}

const INTEGER_KEYS: ReadonlySet<string> = new Set(['schema', 'offset', 'n_offset']);
const NUMBER_KEYS: ReadonlySet<string> = new Set(['sum', 'count', 'z_bucket', 'z_bucket_w']);
const LIST_KEYS: ReadonlySet<string> = new Set(['buckets', 'n_buckets', 'custom_values']);
const HINTS: ReadonlyMap<string, ResetHint> = new Map([
  ['unknown', 0],
  ['reset', 1],
  ['not_reset', 2],
  ['gauge', 3],
]);
const ITEM = /\s*(\w+)\s*:\s*(\[[^[\]]*\]|[^\s[\]:]+)(?=\s|$)/y;

/**
 * @param text from `{{` to `}}`
 * @throws ModelError ERR_HISTOGRAM naming the key
 */
export function parseHistogramLiteral(text: string): ParsedHistogram {
  if (!text.startsWith('{{') || !text.endsWith('}}') || text.length < 4) throw fail(text, 'not within {{ and }}');
  const body = text.slice(2, -2).trimEnd();
  const numbers = new Map<string, number>();
  const lists = new Map<string, Float64Array>();
  let hint: ResetHint | undefined;
  const seen = new Set<string>();
  ITEM.lastIndex = 0;
  for (let at = 0; at < body.length; at = ITEM.lastIndex) {
    ITEM.lastIndex = at;
    const [, key, value] = ITEM.exec(body) ?? [];
    if (key === undefined || value === undefined) throw fail(text, `no key and value at "${body.slice(at).trim()}"`);
    if (seen.has(key)) throw fail(text, `duplicate key "${key}"`);
    seen.add(key);
    if (INTEGER_KEYS.has(key) || NUMBER_KEYS.has(key)) numbers.set(key, readNumber(text, key, value));
    else if (LIST_KEYS.has(key)) lists.set(key, readList(text, key, value));
    else if (key === 'counter_reset_hint') {
      hint = HINTS.get(value);
      if (hint === undefined) throw fail(text, `counter_reset_hint is "${value}", wanted one of ${[...HINTS.keys()].join(', ')}`);
    } else throw fail(text, `key "${key}" is not known`);
  }
  const buckets = (key: string): Float64Array => lists.get(key) ?? new Float64Array(0);
  const spans = (key: string, offsetKey: string): HistogramSpan[] => {
    const { length } = buckets(key);
    return length === 0 ? [] : [{ offset: numbers.get(offsetKey) ?? 0, length }];
  };
  const histogram = createHistogram({
    schema: numbers.get('schema') ?? 0,
    zeroThreshold: numbers.get('z_bucket_w') ?? 0,
    zeroCount: numbers.get('z_bucket') ?? 0,
    count: numbers.get('count') ?? 0,
    sum: numbers.get('sum') ?? 0,
    resetHint: hint ?? 0,
    positiveSpans: spans('buckets', 'offset'),
    positiveBuckets: buckets('buckets'),
    negativeSpans: spans('n_buckets', 'n_offset'),
    negativeBuckets: buckets('n_buckets'),
    customValues: buckets('custom_values'),
  });
  return { histogram, hasResetHint: hint !== undefined };
}

function readList(text: string, key: string, value: string): Float64Array {
  if (!value.startsWith('[')) throw fail(text, `${key} is "${value}", wanted a list`);
  return Float64Array.from(value.slice(1, -1).match(/\S+/g) ?? [], (number) => readNumber(text, key, number));
}

/** Decimal, with exponent, hexadecimal, Inf and NaN in any case. */
function readNumber(text: string, key: string, value: string): number {
  const [, sign, digits] = /^([+-]?)(.+)$/.exec(value) ?? [];
  let number = NaN;
  if (digits === undefined) throw fail(text, `${key} has no number`);
  if (/^inf$/i.test(digits)) number = Infinity;
  else if (/^(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$|^0x[\da-f]+$/i.test(digits)) number = Number(digits);
  else if (!/^nan$/i.test(digits)) throw fail(text, `${key} is "${value}", wanted a number`);
  if (INTEGER_KEYS.has(key) && !Number.isInteger(number)) throw fail(text, `${key} is "${value}", wanted a whole number`);
  return sign === '-' ? -number : number;
}

function fail(text: string, problem: string): ModelError {
  return new ModelError('ERR_HISTOGRAM', `read histogram ${text}: ${problem}`);
}
