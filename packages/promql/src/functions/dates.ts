/** Date functions: parts of a UTC time given in seconds; fractions are cut off. Source: Prometheus promql/functions.go, `dateWrapper`. */
import type { Grid } from '../exec/query-context.ts';
import type { Elementwise } from './math.ts';

const DAY_MS = 86_400_000;
/** 400 years of the Gregorian calendar have the same days every time. */
const CYCLE_SECONDS = 146_097n * 86_400n;
/** Go counts seconds from the year −292277022399 in 64 bits without sign: earlier times come out at the other end. */
const GO_FIRST_SECOND = -9_223_372_028_741_760_000n;

/** A Date has ±8.64e15 ms; times beyond are moved by whole calendar cycles, which keeps everything but the year. */
function dateOf(seconds: number): { readonly date: Date; readonly cycles: number } {
  const whole = toInt64(seconds);
  if (Math.abs(whole) <= 8e12) return { date: new Date(whole * 1000), cycles: 0 };
  const exact = BigInt(whole) < GO_FIRST_SECOND ? BigInt(whole) + 2n ** 64n : BigInt(whole);
  const rest = ((exact % CYCLE_SECONDS) + CYCLE_SECONDS) % CYCLE_SECONDS;
  return { date: new Date(Number(rest) * 1000), cycles: Number((exact - rest) / CYCLE_SECONDS) };
}

/** Go's conversion of a float to int64 on x86: what does not fit becomes the smallest integer. */
function toInt64(x: number): number {
  const whole = Math.trunc(x);
  return whole >= -(2 ** 63) && whole < 2 ** 63 ? whole : -(2 ** 63);
}

function daysInMonth(date: Date): number {
  return new Date(Date.UTC(2000 + (date.getUTCFullYear() % 400), date.getUTCMonth() + 1, 0)).getUTCDate();
}

function dayOfYear(date: Date): number {
  const start = new Date(date.getTime());
  start.setUTCMonth(0, 1);
  return Math.round((date.getTime() - start.getTime()) / DAY_MS) + 1;
}

/** Date functions of a time in seconds by name. */
export const DATE_FUNCTIONS: ReadonlyMap<string, Elementwise> = new Map<string, Elementwise>([
  ['minute', (s) => dateOf(s).date.getUTCMinutes()],
  ['hour', (s) => dateOf(s).date.getUTCHours()],
  ['day_of_week', (s) => dateOf(s).date.getUTCDay()],
  ['day_of_month', (s) => dateOf(s).date.getUTCDate()],
  ['day_of_year', (s) => dayOfYear(dateOf(s).date)],
  ['days_in_month', (s) => daysInMonth(dateOf(s).date)],
  ['month', (s) => dateOf(s).date.getUTCMonth() + 1],
  ['year', (s) => { const { date, cycles } = dateOf(s); return date.getUTCFullYear() + cycles * 400; }],
]);

/** A date function of the evaluation times. */
export function dateColumn(grid: Grid, f: Elementwise): Float64Array {
  const out = new Float64Array(grid.steps);
  for (let k = 0; k < grid.steps; k++) out[k] = f((grid.startMs + k * grid.stepMs) / 1000);
  return out;
}
