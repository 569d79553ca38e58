/**
 * Histograms as text.
 *
 *   formatHistogram           {count:3, sum:4.5, [-0.001,0.001]:1, (1,2]:2}          in results, templates and messages
 *   formatHistogramLiteral    {{schema:0 count:3 sum:4.5 z_bucket:1 offset:1 buckets:[2]}}   in test files of rules and of PromQL
 *
 * Source: Prometheus model/histogram/float_histogram.go, String and TestExpression; promql/promqltest/README.md.
 */
import { type BucketCursor, negativeBuckets, positiveBuckets } from './bucket-cursor.ts';
import { CUSTOM_BUCKETS_SCHEMA, type FloatHistogram, type HistogramSpan } from './float-histogram.ts';
import { compactHistogram } from './layout.ts';

const HINT_NAMES: readonly (string | undefined)[] = [undefined, 'reset', 'not_reset', 'gauge'];

/**
 * Count, sum and the populated buckets in ascending order, with brackets of intervals. Numbers as Go prints them.
 * @param formatCount for counts; Prometheus shows those of histograms with whole counts without exponent
 */
export function formatHistogram(histogram: FloatHistogram, formatCount: (count: number) => string = formatGoFloat): string {
  const parts = [`count:${formatCount(histogram.count)}`, `sum:${formatGoFloat(histogram.sum)}`];
  parts.push(...populatedTexts(negativeBuckets(histogram), formatCount).reverse());
  if (histogram.zeroCount !== 0) {
    const width = formatGoFloat(histogram.zeroThreshold);
    parts.push(`[${formatGoFloat(-histogram.zeroThreshold)},${width}]:${formatCount(histogram.zeroCount)}`);
  }
  parts.push(...populatedTexts(positiveBuckets(histogram), formatCount));
  return `{${parts.join(', ')}}`;
}

function populatedTexts(cursor: BucketCursor, formatCount: (count: number) => string): string[] {
  const texts: string[] = [];
  while (cursor.next()) {
    if (cursor.count === 0) continue;
    const [open, close] = [cursor.lowerInclusive ? '[' : '(', cursor.upperInclusive ? ']' : ')'];
    texts.push(`${open}${formatGoFloat(cursor.lower)},${formatGoFloat(cursor.upper)}${close}:${formatCount(cursor.count)}`);
  }
  return texts;
}

/** The histogram as test files write it; fields that are 0 are left out, gaps between buckets are written as 0. */
export function formatHistogramLiteral(histogram: FloatHistogram): string {
  const h = compactHistogram(histogram, Infinity);
  const parts: string[] = [];
  const add = (key: string, value: number): void => {
    if (value !== 0) parts.push(`${key}:${formatGoFloat(value)}`);
  };
  const addBuckets = (key: string, offsetKey: string, spans: readonly HistogramSpan[], buckets: Float64Array): void => {
    add(offsetKey, spans[0]?.offset ?? 0);
    if (buckets.length > 0) parts.push(`${key}:${formatList(buckets)}`);
  };
  add('schema', h.schema);
  add('count', h.count);
  add('sum', h.sum);
  add('z_bucket', h.zeroCount);
  add('z_bucket_w', h.zeroThreshold);
  if (h.schema === CUSTOM_BUCKETS_SCHEMA) parts.push(`custom_values:${formatList(h.customValues)}`);
  const hint = HINT_NAMES[h.resetHint];
  if (hint !== undefined) parts.push(`counter_reset_hint:${hint}`);
  addBuckets('buckets', 'offset', h.positiveSpans, h.positiveBuckets);
  addBuckets('n_buckets', 'n_offset', h.negativeSpans, h.negativeBuckets);
  return `{{${parts.join(' ')}}}`;
}

/** Go's `%g`: the shortest digits that read back as the same number, with an exponent below 1e-4 and from 1e6 on. */
export function formatGoFloat(x: number): string {
  if (Number.isNaN(x)) return 'NaN';
  if (x === Infinity) return '+Inf';
  if (x === -Infinity) return '-Inf';
  if (x === 0) return Object.is(x, -0) ? '-0' : '0';
  const [mantissa, exponentText] = x.toExponential().split('e') as [string, string];
  const exponent = Number(exponentText);
  if (exponent >= -4 && exponent < 6) return String(x);
  const size = Math.abs(exponent);
  return `${mantissa}e${exponent < 0 ? '-' : '+'}${size < 10 ? '0' : ''}${size}`;
}

function formatList(numbers: Float64Array): string {
  return `[${Array.from(numbers, formatGoFloat).join(' ')}]`;
}
