/**
 * Sums, means, variances, quantiles and fitted lines of lists of numbers, in the order of operations that Prometheus defines, so that results can
 * be compared to the bit. Source: Prometheus promql/functions.go and util/kahansum (3.14).
 */

/** Neumaier's running sum. */
export class RunningSum {
  total = 0;
  lost = 0;

  add(x: number): void {
    const next = this.total + x;
    if (Math.abs(next) === Infinity) this.lost = 0;
    else if (Math.abs(this.total) >= Math.abs(x)) this.lost += this.total - next + x;
    else this.lost += x - next + this.total;
    this.total = next;
  }

  value(): number {
    return this.total + this.lost;
  }
}

/** The compensated sum. */
export function sum(values: readonly number[]): number {
  const running = new RunningSum();
  for (const x of values) running.add(x);
  return running.value();
}

/** Sum by count; from where the sum would overflow on, the mean is carried on instead. */
export function mean(values: readonly number[]): number {
  const running = new RunningSum();
  running.total = values[0]!;
  let isIncremental = false;
  for (let n = 2; n <= values.length; n++) {
    const x = values[n - 1]!;
    if (!isIncremental) {
      const tried = new RunningSum();
      tried.total = running.total;
      tried.lost = running.lost;
      tried.add(x);
      if (Math.abs(tried.total) !== Infinity) {
        running.total = tried.total;
        running.lost = tried.lost;
        continue;
      }
      isIncremental = true;
      running.total /= n - 1;
      running.lost /= n - 1;
    }
    running.total *= (n - 1) / n;
    running.lost *= (n - 1) / n;
    running.add(x / n);
  }
  return isIncremental ? running.value() : running.total / values.length + running.lost / values.length;
}

/** The smallest or largest; NaN only if there is nothing else. */
export function extreme(values: readonly number[], better: (a: number, b: number) => boolean): number {
  return values.reduce((best, x) => (Number.isNaN(best) || better(x, best) ? x : best));
}

/** Quantile with linear interpolation; NaN sorts first. */
export function quantile(q: number, values: readonly number[]): number {
  if (Number.isNaN(q) || values.length === 0) return NaN;
  if (q < 0) return -Infinity;
  if (q > 1) return Infinity;
  const sorted = [...values].sort((a, b) => (Number.isNaN(a) || Number.isNaN(b) ? Number(Number.isNaN(b)) - Number(Number.isNaN(a)) : a - b || 0));
  const rank = q * (sorted.length - 1);
  const lower = Math.floor(rank);
  const upper = Math.min(sorted.length - 1, lower + 1);
  return sorted[lower]! * (1 - (rank - lower)) + sorted[upper]! * (rank - lower);
}

/** Variance over time: Welford's method with compensated sums. */
export function varianceOverTime(values: readonly number[]): number {
  const average = new RunningSum();
  const squares = new RunningSum();
  values.forEach((x, i) => {
    const delta = x - average.value();
    average.add(delta / (i + 1));
    squares.add(delta * (x - average.value()));
  });
  return squares.value() / values.length;
}

/** Variance over series: Welford's method; NaN if the first value is NaN or infinite. */
export function varianceOverSeries(values: readonly number[]): number {
  let average = values[0]!;
  let squares = Number.isFinite(average) ? 0 : NaN;
  for (let n = 2; n <= values.length; n++) {
    const delta = values[n - 1]! - average;
    average += delta / n;
    squares += delta * (values[n - 1]! - average);
  }
  return squares / values.length;
}

/** Median of the distances to the median; NaN if any value is. */
export function medianDeviation(values: readonly number[]): number {
  if (values.some(Number.isNaN)) return NaN;
  const median = quantile(0.5, values);
  return quantile(0.5, values.map((x) => Math.abs(x - median)));
}

/** Least-squares line through points; x in seconds, the intercept at x = 0. */
export function fitLine(xs: readonly number[], ys: readonly number[]): { readonly slope: number; readonly intercept: number } {
  const first = ys[0]!;
  // NaN is unequal to itself, but a single NaN is a constant.
  if (ys.every((y, i) => i === 0 || y === first)) return Math.abs(first) === Infinity ? { slope: NaN, intercept: NaN } : { slope: 0, intercept: first };
  const n = xs.length;
  const sumX = sum(xs);
  const sumY = sum(ys);
  const covariance = sum(xs.map((x, i) => x * ys[i]!)) - (sumX * sumY) / n;
  const slope = covariance / (sum(xs.map((x) => x * x)) - (sumX * sumX) / n);
  return { slope, intercept: sumY / n - (slope * sumX) / n };
}
