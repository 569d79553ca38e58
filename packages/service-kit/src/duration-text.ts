/**
 * Durations and sizes as flags and files hold them. Durations come in Prometheus notation (`1d`, `2h45m`) or Go notation (`1.5h`, `1h0m0.5s`); one reader takes
 * both, since Thanos' flags differ only in which they refuse. Sizes are kingpin's: `512KB`, `1.5GiB`, base 1024 whatever the spelling.
 */
import { formatDuration, parseGoDuration, parseSignedDuration } from '@gauntlet/model';
import { ServiceKitError } from './errors.ts';

/**
 * Reads a duration in either notation.
 * @returns milliseconds, with fractions below one when the text has them; negative when it starts with `-`
 * @throws ServiceKitError ERR_CONFIG naming the text
 */
export function parseDurationText(text: string): number {
  try {
    return parseSignedDuration(text);
  } catch {
    try {
      return parseGoDuration(text);
    } catch {
      const reason = /^[+-]?[\d.]+$/.test(text) ? ': missing unit' : '';
      throw new ServiceKitError('ERR_CONFIG', `not a valid duration: ${JSON.stringify(text)}${reason} (examples: 30s, 2h45m, 1d)`);
    }
  }
}

/** Milliseconds in Prometheus notation (`90000` → `1m30s`, `0` → `0s`), as Thanos prints durations. */
export function formatDurationText(durationMs: number): string {
  return durationMs < 0 ? `-${formatDuration(-durationMs)}` : formatDuration(durationMs);
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
