/**
 * Durations as text, in two notations.
 *
 *   Prometheus   1h30m   units y w d h m s ms, each at most once, descending, whole numbers; y = 365d; "0" needs no unit
 *   Go           1h0m0.5s   units h m s ms us ns, any order, fractions and signs allowed
 *
 * Source: prometheus/common model/time.go; Go time.ParseDuration. Milliseconds everywhere; Go's may have a fraction.
 */
import { ModelError } from './errors.ts';
import { quoteGo } from './go-quote.ts';

const UNIT_MS: ReadonlyMap<string, number> = new Map([
  ['y', 31_536_000_000],
  ['w', 604_800_000],
  ['d', 86_400_000],
  ['h', 3_600_000],
  ['m', 60_000],
  ['s', 1000],
  ['ms', 1],
]);

/** Longest duration of both notations: a signed 64-bit count of nanoseconds, in whole milliseconds. */
const DURATION_MAX_MS = 9_223_372_036_854;
const UINT64_MAX = '18446744073709551615';

/**
 * Reads a Prometheus duration.
 * @returns milliseconds, whole, not negative
 * @throws ModelError ERR_DURATION with Prometheus' texts
 */
export function parseDuration(text: string): number {
  if (text === '0') return 0;
  if (text === '') throw new ModelError('ERR_DURATION', 'empty duration string');
  const invalid = (): ModelError => new ModelError('ERR_DURATION', `not a valid duration string: ${quoteGo(text)}`);
  const part = /([0-9]+)([^0-9]+)/y;
  let totalMs = 0;
  let lastUnitMs = Number.POSITIVE_INFINITY;
  while (part.lastIndex < text.length) {
    const found = part.exec(text);
    if (found === null) throw invalid();
    const digits = found[1]!.replace(/^0+(?=.)/, '');
    if (digits.length > 20 || (digits.length === 20 && digits > UINT64_MAX)) throw invalid();
    const unit = found[2]!;
    const unitMs = UNIT_MS.get(unit);
    if (unitMs === undefined) throw new ModelError('ERR_DURATION', `unknown unit ${quoteGo(unit)} in duration ${quoteGo(text)}`);
    if (unitMs >= lastUnitMs) throw invalid();
    lastUnitMs = unitMs;
    totalMs += Number(digits) * unitMs;
    if (totalMs > DURATION_MAX_MS) throw new ModelError('ERR_DURATION', 'duration out of range');
  }
  return totalMs;
}

/** As `parseDuration`, but a leading `-` is allowed. */
export function parseSignedDuration(text: string): number {
  return text.startsWith('-') ? 0 - parseDuration(text.slice(1)) : parseDuration(text);
}

/** `90s` is `1m30s`; years and weeks appear only where nothing is left over (`8d`, not `1w1d`), as Prometheus prints. */
export function formatDuration(durationMs: number): string {
  let rest = Math.abs(Math.trunc(durationMs));
  if (rest === 0) return '0s';
  let text = durationMs < 0 ? '-' : '';
  for (const [unit, unitMs] of UNIT_MS) {
    const exactOnly = unit === 'y' || unit === 'w';
    if (rest < unitMs || (exactOnly && rest % unitMs !== 0)) continue;
    text += `${Math.trunc(rest / unitMs)}${unit}`;
    rest %= unitMs;
  }
  return text;
}

const GO_UNIT_MS: ReadonlyMap<string, number> = new Map([
  ['h', 3_600_000],
  ['m', 60_000],
  ['s', 1000],
  ['ms', 1],
  ['us', 1e-3],
  ['µs', 1e-3],
  ['μs', 1e-3],
  ['ns', 1e-6],
]);

/**
 * Reads a Go duration (`1h0m0.5s`, `-1.5ms`).
 * @returns milliseconds, perhaps with a fraction, perhaps negative
 * @throws ModelError ERR_DURATION with Go's texts
 */
export function parseGoDuration(text: string): number {
  const refuse = (reason: string): ModelError => new ModelError('ERR_DURATION', `time: ${reason}duration ${quoteGo(text)}`);
  const sign = text.startsWith('-') ? -1 : 1;
  const body = text.replace(/^[+-]/, '');
  if (body === '0') return 0;
  if (body === '') throw refuse('invalid ');
  const part = /([0-9]*)(\.[0-9]*)?([^0-9.]*)/y;
  let totalMs = 0;
  while (part.lastIndex < body.length) {
    const [, whole, fraction, unit] = part.exec(body)!;
    if (whole === '' && (fraction === undefined || fraction === '.')) throw refuse('invalid ');
    if (unit === '') throw refuse('missing unit in ');
    const unitMs = GO_UNIT_MS.get(unit!);
    if (unitMs === undefined) throw refuse(`unknown unit ${quoteGo(unit!)} in `);
    totalMs += Number(`0${whole}`) * unitMs + Number(`0${fraction ?? ''}`) * unitMs;
    if (totalMs > DURATION_MAX_MS + 1) throw refuse('invalid ');
  }
  return totalMs === 0 ? 0 : sign * (Math.round(totalMs * 1e6) / 1e6);
}

/** As Go prints a duration: `1h0m0.5s`, `1.5ms`, `100µs`, `0s`. */
export function formatGoDuration(durationMs: number): string {
  const sign = durationMs < 0 ? '-' : '';
  const ms = Math.abs(durationMs);
  const nanoseconds = Math.round(ms * 1e6);
  if (nanoseconds === 0) return '0s';
  if (nanoseconds < 1000) return `${sign}${nanoseconds}ns`;
  if (nanoseconds < 1e6) return `${sign}${nanoseconds / 1000}µs`;
  if (nanoseconds < 1e9) return `${sign}${nanoseconds / 1e6}ms`;
  const seconds = Math.trunc(ms / 1000);
  const fraction = String(Math.round((ms % 1000) * 1e6)).padStart(9, '0').replace(/0+$/, '');
  let text = `${seconds % 60}${fraction === '' ? '' : `.${fraction}`}s`;
  if (seconds >= 60) text = `${Math.trunc(seconds / 60) % 60}m${text}`;
  if (seconds >= 3600) text = `${Math.trunc(seconds / 3600)}h${text}`;
  return sign + text;
}
