/**
 * Points in time as the HTTP API takes them: seconds since 1970 with a fraction, or RFC 3339, or the two boundary texts that Prometheus
 * itself hands out.
 * Source: Prometheus web/api/v1/api.go, parseTime.
 */
import { ModelError } from './errors.ts';
import { quoteGo } from './go-quote.ts';

/** Earliest and latest time that Prometheus names, ms; beyond the safe integers, so only good for comparing. */
export const MIN_TIME_MS: number = -9_223_309_901_257_974 * 1000;
export const MAX_TIME_MS: number = 9_223_309_901_257_974 * 1000 + 999;

const BOUNDARIES: ReadonlyMap<string, number> = new Map([
  ['-292273086-05-16T16:47:06Z', MIN_TIME_MS],
  ['292277025-08-18T07:12:54.999999999Z', MAX_TIME_MS],
]);

const NUMBER = /^[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?$/;
const RFC3339 = /^(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(?:[.,](\d+))?(?:Z|([+-])(\d\d):(\d\d))$/;

/**
 * Reads a time parameter.
 * @returns milliseconds since 1970: numbers are rounded to the millisecond, finer fractions of RFC 3339 are cut
 * @throws ModelError ERR_TIMESTAMP with Prometheus' text
 */
export function parseTimestamp(text: string): number {
  if (NUMBER.test(text)) {
    const seconds = Number(text);
    const whole = Math.trunc(seconds);
    const ms = Math.round(Math.abs(seconds - whole) * 1000);
    if (Number.isFinite(seconds)) return whole * 1000 + (seconds < 0 ? -ms : ms) + 0;
  }
  const time = parseRfc3339(text) ?? BOUNDARIES.get(text);
  if (time === undefined) throw new ModelError('ERR_TIMESTAMP', `cannot parse ${quoteGo(text)} to a valid timestamp`);
  return time;
}

function parseRfc3339(text: string): number | undefined {
  const found = RFC3339.exec(text);
  if (found === null) return undefined;
  const [year, month, day, hour, minute, second] = found.slice(1, 7).map(Number) as [number, number, number, number, number, number];
  const ms = Number((found[7] ?? '').padEnd(3, '0').slice(0, 3));
  const offsetHours = Number(found[9] ?? 0);
  const offsetMinutes = Number(found[10] ?? 0);
  if (hour > 23 || minute > 59 || second > 59 || offsetHours > 24 || offsetMinutes > 60) return undefined;
  const date = new Date(0);
  date.setUTCFullYear(year, month - 1, day);
  date.setUTCHours(hour, minute, second, ms);
  // A day that does not exist rolls over into the next month.
  if (date.getUTCMonth() !== month - 1 || date.getUTCDate() !== day) return undefined;
  const offsetMs = (offsetHours * 60 + offsetMinutes) * 60_000;
  return date.getTime() - (found[8] === '-' ? -offsetMs : offsetMs);
}
