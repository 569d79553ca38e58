/** Answers of the query API as what the graph and the table draw. No React here. */

export type Metric = Readonly<Record<string, string>>;
/** Seconds since 1970 and the value's text. */
export type Sample = readonly [number, string];

export interface VectorItem {
  readonly metric: Metric;
  readonly value: Sample;
}

export interface MatrixItem {
  readonly metric: Metric;
  readonly values: readonly Sample[];
}

/** `name{a="b"}` with values quoted as Prometheus prints them. */
export function seriesName(metric: Metric): string {
  const labels = Object.entries(metric)
    .filter(([name]) => name !== '__name__')
    .map(([name, value]) => `${/^[a-zA-Z_]\w*$/.test(name) ? name : JSON.stringify(name)}=${JSON.stringify(value)}`);
  const name = metric['__name__'] ?? '';
  return labels.length === 0 ? name || '{}' : `${name}{${labels.join(', ')}}`;
}

/** Float of a sample's text: `NaN`, `+Inf` and `-Inf` included. */
export function parseValue(text: string): number {
  if (text === '+Inf') return Infinity;
  if (text === '-Inf') return -Infinity;
  return Number(text);
}

/**
 * Columns for the graph: one x per step in [startS, endS], null where a series has no sample, so that gaps stay gaps.
 * @returns `[x, y0, y1, …]`
 */
export function graphColumns(series: readonly MatrixItem[], startS: number, endS: number, stepS: number): [number[], ...(number | null)[][]] {
  const steps = Math.floor((endS - startS) / stepS + 1e-9) + 1;
  const x: number[] = [];
  for (let step = 0; step < steps; step++) x.push(startS + step * stepS);
  const columns = series.map((item) => {
    const column: (number | null)[] = Array.from({ length: steps }, () => null);
    for (const [time, text] of item.values) {
      const step = Math.round((time - startS) / stepS);
      const value = parseValue(text);
      if (step >= 0 && step < steps && Number.isFinite(value)) column[step] = value;
    }
    return column;
  });
  return [x, ...columns];
}

/** Adds each column onto those before it; a missing value adds nothing but stays a gap where all are missing. */
export function stackColumns(columns: readonly (readonly (number | null)[])[]): (number | null)[][] {
  const sum: number[] = [];
  return columns.map((column) =>
    column.map((value, step) => {
      sum[step] = (sum[step] ?? 0) + (value ?? 0);
      return value === null ? null : sum[step]!;
    }),
  );
}

const NICE_STEPS_S = [1, 2, 5, 10, 15, 20, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14_400, 21_600, 43_200, 86_400];

/** About 250 steps over the range, rounded up to a step people use; seconds. */
export function autoStep(rangeMs: number): number {
  const wanted = rangeMs / 1000 / 250;
  return NICE_STEPS_S.find((step) => step >= wanted) ?? Math.ceil(wanted / 86_400) * 86_400;
}

/** `12.5k`, `3.1M`: axis labels. */
export function formatAxis(value: number): string {
  const size = Math.abs(value);
  for (const [limit, suffix] of [[1e12, 'T'], [1e9, 'G'], [1e6, 'M'], [1e3, 'k']] as const) {
    if (size >= limit) return `${Number((value / limit).toPrecision(4))}${suffix}`;
  }
  return String(Number(value.toPrecision(4)));
}

/** A colour for the nth series that stays apart from its neighbours in light and dark. */
export function seriesColor(index: number): string {
  return `hsl(${Math.round((index * 137.508 + 210) % 360)} ${index % 2 === 0 ? 72 : 55}% ${index % 3 === 0 ? 45 : 52}%)`;
}
