/**
 * A target that really counts: what its counter says at any instant is known, so that a merge can be held against the truth.
 *
 *   count   piecewise linear, another slope every few seconds, rounded down to an integer
 *   reset   the process starts anew: its count begins at 0
 */
import type { Random } from './random.ts';

const PIECE_MS = 1000;

/** See the head of this file. */
export interface Target {
  readonly startMs: number;
  readonly endMs: number;
  /** Times of resets, ascending. */
  readonly resetsMs: readonly number[];
  /** What a scrape that reads at this instant gets. */
  valueAt(ms: number): number;
  /** Resets up to this instant. */
  epochAt(ms: number): number;
  /** Everything counted in (from, to], resets do not matter. */
  countedIn(fromMs: number, toMs: number): number;
}

/** How a target counts. */
export interface TargetOptions {
  readonly startMs: number;
  readonly endMs: number;
  readonly perSecond: number;
  /** Spread of the slope, 0 = even; 1 = from 0 to twice. */
  readonly spread: number;
  readonly resetsMs?: readonly number[];
  /** Count before the first millisecond. */
  readonly base?: number;
}

/** A target with a random course. */
export function createTarget(random: Random, options: TargetOptions): Target {
  const { startMs, endMs, perSecond, spread, resetsMs = [], base = 0 } = options;
  const pieces = Math.ceil((endMs - startMs) / PIECE_MS) + 1;
  const sums = new Float64Array(pieces + 1);
  sums[0] = base;
  // Slow waves and noise: neighbouring seconds are alike, minutes differ.
  let wave = 0;
  for (let i = 0; i < pieces; i++) {
    wave = 0.98 * wave + 0.2 * (random() - 0.5);
    const factor = Math.max(0, 1 + spread * (Math.max(-1, Math.min(1, wave)) + 0.6 * (random() - 0.5)));
    sums[i + 1] = sums[i]! + perSecond * factor;
  }
  const totalAt = (ms: number): number => {
    const at = Math.max(0, Math.min(pieces - 1e-9, (ms - startMs) / PIECE_MS));
    const piece = Math.floor(at);
    return sums[piece]! + (sums[piece + 1]! - sums[piece]!) * (at - piece);
  };
  const epochAt = (ms: number): number => {
    let epoch = 0;
    while (epoch < resetsMs.length && resetsMs[epoch]! <= ms) epoch++;
    return epoch;
  };
  return {
    startMs,
    endMs,
    resetsMs,
    epochAt,
    valueAt(ms) {
      const epoch = epochAt(ms);
      return Math.floor(totalAt(ms) - (epoch === 0 ? 0 : totalAt(resetsMs[epoch - 1]!)));
    },
    countedIn: (fromMs, toMs) => totalAt(toMs) - totalAt(fromMs),
  };
}
