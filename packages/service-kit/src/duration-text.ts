/**
 * Durations as flags and files hold them: Prometheus notation (`1d`, `2h45m`, units y w d h m s ms, whole numbers, each unit once, largest first)
 * and Go notation (`1.5h`, `-250ms`, `1h0m0.5s`, units h m s ms us µs ns). One reader takes both, since Thanos flags differ only in which they refuse.
 * Source: prometheus/common `model.ParseDuration`, Go `time.ParseDuration`.
 */
import { ServiceKitError } from './errors.ts';

const UNIT_MS: Readonly<Record<string, number>> = {
  ns: 1e-6,
  us: 1e-3,
  µs: 1e-3,
  μs: 1e-3,
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
  w: 604_800_000,
  y: 31_536_000_000,
};

/**
 * Reads a duration in either notation.
 * @returns milliseconds, with fractions below one when the text has them; negative when it starts with `-`
 * @throws ServiceKitError ERR_CONFIG naming the text
 */
export function parseDurationText(text: string): number {
  const refuse = (reason: string): ServiceKitError => new ServiceKitError('ERR_CONFIG', `not a valid duration: ${JSON.stringify(text)}${reason} (examples: 30s, 2h45m, 1d)`);
  const sign = text.startsWith('-') ? -1 : 1;
  const body = /^[+-]/.test(text) ? text.slice(1) : text;
  if (body === '0') return 0;
  const pattern = /(\d+\.?\d*|\.\d+)(ns|us|µs|μs|ms|s|m|h|d|w|y)/gy;
  let total = 0;
  let end = 0;
  for (let match = pattern.exec(body); match !== null; match = pattern.exec(body)) {
    total += Number(match[1]) * UNIT_MS[match[2]!]!;
    end = pattern.lastIndex;
  }
  if (end === 0 || end !== body.length) throw refuse(/^[\d.]+$/.test(body) ? ': missing unit' : '');
  if (total > Number.MAX_SAFE_INTEGER) throw refuse(': out of range');
  return sign * total;
}

/** Milliseconds in Prometheus notation (`90000` → `1m30s`, `0` → `0s`), as Thanos prints durations. */
export function formatDurationText(durationMs: number): string {
  if (durationMs === 0) return '0s';
  let rest = Math.round(Math.abs(durationMs));
  let text = durationMs < 0 ? '-' : '';
  const take = (unit: string, exactOnly: boolean): void => {
    const size = UNIT_MS[unit]!;
    if (exactOnly && rest % size !== 0) return;
    const whole = Math.floor(rest / size);
    if (whole === 0) return;
    text += `${whole}${unit}`;
    rest -= whole * size;
  };
  take('y', true);
  take('w', true);
  for (const unit of ['d', 'h', 'm', 's', 'ms']) take(unit, false);
  return text;
}

const SIZE_UNITS: Readonly<Record<string, number>> = {
  '': 1,
  k: 1024,
  m: 1024 ** 2,
  g: 1024 ** 3,
  t: 1024 ** 4,
  p: 1024 ** 5,
  e: 1024 ** 6,
};

/**
 * Reads a size: `0`, `512KB`, `1.5GiB`, `1GB512MB`. KB and KiB are both 1024 bytes, as in kingpin.
 * @param allowBare whether a number without unit counts as bytes
 * @returns bytes, whole
 * @throws ServiceKitError ERR_CONFIG naming the text
 */
export function parseSizeText(text: string, allowBare = false): number {
  const refuse = (): ServiceKitError => new ServiceKitError('ERR_CONFIG', `not a valid size: ${JSON.stringify(text)} (examples: 0, 512KB, 64MiB, 1.5GB)`);
  if (/^0+$/.test(text)) return 0;
  if (allowBare && /^\d+$/.test(text)) return Number(text);
  const pattern = /(\d+\.?\d*|\.\d+)([kmgtpe]?)(?:i?b)/giy;
  let total = 0;
  let end = 0;
  for (let match = pattern.exec(text); match !== null; match = pattern.exec(text)) {
    total += Number(match[1]) * SIZE_UNITS[match[2]!.toLowerCase()]!;
    end = pattern.lastIndex;
  }
  if (end === 0 || end !== text.length || total > Number.MAX_SAFE_INTEGER) throw refuse();
  return Math.floor(total);
}
