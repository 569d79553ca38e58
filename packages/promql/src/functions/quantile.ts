/** Quantiles of plain values. Source: Prometheus promql/quantile.go, `quantile`. */

/**
 * The q-quantile with linear interpolation between neighbours; NaN sorts first.
 * @param values sorted in place
 * @returns NaN for no values or a NaN q, −Inf below 0, +Inf above 1
 */
export function quantileOf(q: number, values: Float64Array): number {
  if (values.length === 0 || Number.isNaN(q)) return NaN;
  if (q < 0) return -Infinity;
  if (q > 1) return Infinity;
  values.sort();
  // Typed arrays sort NaN last.
  let nans = 0;
  while (nans < values.length && Number.isNaN(values[values.length - 1 - nans]!)) nans++;
  const at = (i: number): number => (i < nans ? NaN : values[i - nans]!);
  const n = values.length;
  const rank = q * (n - 1);
  const lower = Math.max(0, Math.floor(rank));
  const upper = Math.min(n - 1, lower + 1);
  const weight = rank - Math.floor(rank);
  return at(lower) * (1 - weight) + at(upper) * weight;
}
