/**
 * Rates as sums of sine waves, so that a counter at any time is the exact integral of its rate: history that is generated and
 * values that are scraped later lie on one curve, and two scrapers at different times agree.
 *
 *   rate(t)     = base · (1 + Σ amp · cos(2π·k·t/period + phase))          Σ |amp| ≤ 1, so never negative
 *   integral(t) = base · (t + Σ amp · period/2πk · (sin(…t) − sin(phase)))   never falls
 */

export interface Tone {
  /** Share of the base, 0–1. */
  readonly amp: number;
  readonly periodS: number;
  /** Radians at t = 0. */
  readonly phase: number;
}

export interface Wave {
  /** Mean rate per second. */
  readonly base: number;
  readonly tones: readonly Tone[];
}

const DAY_S = 86_400;
const TAU = 2 * Math.PI;

/** Rate per second at `tS` seconds. */
export function rateAt(wave: Wave, tS: number): number {
  let factor = 1;
  for (const tone of wave.tones) factor += tone.amp * Math.cos((TAU * tS) / tone.periodS + tone.phase);
  return wave.base * factor;
}

/** Events from 0 to `tS` seconds; never falls as `tS` grows. */
export function integralAt(wave: Wave, tS: number): number {
  let sum = tS;
  for (const tone of wave.tones) {
    const omega = TAU / tone.periodS;
    sum += (tone.amp / omega) * (Math.sin(omega * tS + tone.phase) - Math.sin(tone.phase));
  }
  return wave.base * sum;
}

/** Traffic of a site: busy days, quiet nights, and ripples of minutes. `seed` shifts the ripples. */
export function trafficWave(base: number, seed: number): Wave {
  return {
    base,
    tones: [
      // Peak at 14:00 UTC.
      { amp: 0.5, periodS: DAY_S, phase: (-TAU * 14) / 24 },
      { amp: 0.12, periodS: DAY_S / 2, phase: seed },
      { amp: 0.14, periodS: 3617, phase: seed * 2.3 },
      { amp: 0.12, periodS: 977, phase: seed * 3.1 },
      { amp: 0.1, periodS: 331, phase: seed * 5.7 },
    ],
  };
}

/**
 * Trouble that comes and goes: nearly nothing most of the time, a hill of about an eighth of the period around its peak.
 * ((1 + cos x) / 2)^4 written as harmonics, scaled to the given mean.
 */
export function troubleWave(base: number, periodS: number, phase: number): Wave {
  const mean = 35 / 128;
  const harmonics = [7 / 16, 7 / 32, 1 / 16, 1 / 128];
  return { base, tones: harmonics.map((share, index) => ({ amp: share / mean, periodS: periodS / (index + 1), phase: phase * (index + 1) })) };
}
