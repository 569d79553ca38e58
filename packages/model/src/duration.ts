/**
 * Durations in the two notations of the field, as milliseconds: Prometheus' (`1h30m`, units descending, whole numbers) and Go's
 * (`1h0m0.5s`, fractions, any order, sign), which Thanos' flags take as well.
 */
import { ModelError } from './errors.ts';

const PROMETHEUS = /^(?:(\d+)y)?(?:(\d+)w)?(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?(?:(\d+)ms)?$/;
const UNITS_MS = [31_536_000_000, 604_800_000, 86_400_000, 3_600_000, 60_000, 1000, 1] as const;
/** Largest duration Go's int64 nanoseconds hold, ms. */
const DURATION_MAX_MS = 9_223_372_036_854;

/**
 * Milliseconds of a Prometheus duration.
 * @throws ModelError ERR_MODEL_DURATION with Prometheus' text
 */
export function parseDuration(text: string): number {
  if (text === '0') return 0;
  if (text === '') throw new ModelError('ERR_MODEL_DURATION', 'empty duration string');
  const match = PROMETHEUS.exec(text);
  if (match === null) throw new ModelError('ERR_MODEL_DURATION', `not a valid duration string: ${JSON.stringify(text)}`);
  let ms = 0;
  UNITS_MS.forEach((unit, index) => (ms += Number(match[index + 1] ?? 0) * unit));
  if (ms > DURATION_MAX_MS) throw new ModelError('ERR_MODEL_DURATION', 'duration out of range');
  return ms;
}

/** The text Prometheus prints for a duration: weeks and years only where they divide it. */
export function formatDuration(ms: number): string {
  if (ms === 0) return '0s';
  let rest = Math.abs(ms);
  let text = ms < 0 ? '-' : '';
  const put = (unit: string, size: number, exact: boolean): void => {
    if (exact && rest % size !== 0) return;
    const count = Math.floor(rest / size);
    if (count > 0) {
      text += `${count}${unit}`;
      rest -= count * size;
    }
  };
  put('y', UNITS_MS[0], true);
  put('w', UNITS_MS[1], true);
  put('d', UNITS_MS[2], false);
  put('h', UNITS_MS[3], false);
  put('m', UNITS_MS[4], false);
  put('s', UNITS_MS[5], false);
  put('ms', UNITS_MS[6], false);
  return text;
}
