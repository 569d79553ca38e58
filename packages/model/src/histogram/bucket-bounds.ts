/**
 * Where buckets lie: bounds of an index, and the index a bucket has at a coarser schema.
 * Source: Prometheus model/histogram/generic.go.
 */
import { ModelError } from '../errors.ts';
import { BOUNDS_SCHEMA_8 } from './bound-table.ts';
import { CUSTOM_BUCKETS_SCHEMA } from './float-histogram.ts';
import { ldexp } from './float-math.ts';

/**
 * Upper bound of positive bucket `index`; its lower bound is that of `index − 1`. Negative buckets have the negated bounds.
 * @param schema −4 … 8 or −53
 * @param customValues for schema −53: then index −1 is −Inf and the index after the last bound +Inf
 * @throws ModelError ERR_HISTOGRAM for an index outside custom bounds
 */
export function boundOf(schema: number, index: number, customValues: Float64Array): number {
  if (schema !== CUSTOM_BUCKETS_SCHEMA) return exponentialBound(schema, index);
  if (index >= 0 && index < customValues.length) return customValues[index]!;
  if (index === customValues.length) return Infinity;
  if (index === -1) return -Infinity;
  throw new ModelError('ERR_HISTOGRAM', `bound of custom bucket ${index}: the histogram has ${customValues.length} bounds`);
}

/**
 * Upper bound of a positive bucket of schema −4 … 8. The bucket that ends at 2^1024 ends at the largest number instead: the one after it
 * holds the infinities.
 */
export function exponentialBound(schema: number, index: number): number {
  if (schema < 0) {
    const exponent = index * 2 ** -schema;
    return exponent === 1024 ? Number.MAX_VALUE : ldexp(1, exponent);
  }
  const perPower = 1 << schema;
  const fraction = BOUNDS_SCHEMA_8[(index & (perPower - 1)) << (8 - schema)]!;
  const exponent = (index >> schema) + 1;
  return exponent === 1025 && fraction === 0.5 ? Number.MAX_VALUE : ldexp(fraction, exponent);
}

/** Index at schema `to` of the bucket that holds bucket `index` of schema `from` ≥ `to`. */
export function coarserIndex(index: number, from: number, to: number): number {
  // Shifts take five bits; beyond that only the sign is left.
  return ((index - 1) >> Math.min(from - to, 31)) + 1;
}
