/** Random timelines for the laws of `stable`: a target, one to four replicas with faults, everything known by one seed. */
import { createRandom, integerIn, type Random } from './random.ts';
import { columnsOf, scrape, type Scrape, type ScrapeOptions } from './scrape.ts';
import { createTarget, type Target } from './target.ts';
import type { ReplicaColumns } from '../replica-columns.ts';

const SECOND = 1000;
const MINUTE = 60 * SECOND;
const INTERVALS = [5, 10, 15, 15, 30, 60, 120, 300];

/** What a timeline may contain. */
export interface TimelineLimits {
  /** All replicas have one interval. */
  readonly isOneInterval?: boolean;
  /** No lag, skew or slow scrapes, and hardly any jitter. */
  readonly isPunctual?: boolean;
  /** No restarts of the target. */
  readonly hasNoResets?: boolean;
  /** No interval above this; default 5 min. */
  readonly intervalMaxMs?: number;
  /** Replicas; default 1 to 4. */
  readonly replicas?: number;
}

/** One random world. */
export interface Timeline {
  readonly seed: number;
  readonly target: Target;
  readonly habits: readonly ScrapeOptions[];
  readonly scrapes: ReadonlyArray<readonly Scrape[]>;
  readonly replicas: readonly ReplicaColumns[];
  readonly hasLag: boolean;
}

/** The timeline of a seed. */
export function createTimeline(seed: number, limits: TimelineLimits = {}): Timeline {
  const random = createRandom(seed);
  const intervalMs = Math.min(limits.intervalMaxMs ?? Infinity, INTERVALS[integerIn(random, 0, INTERVALS.length - 1)]! * SECOND);
  const lengthMs = Math.max(50 * MINUTE, Math.min(4 * 60 * MINUTE, intervalMs * integerIn(random, 150, 400)));
  const startMs = 1772409600000 + integerIn(random, 0, 2 * 60 * MINUTE);
  const resetsMs: number[] = [];
  if (limits.hasNoResets !== true && random() < 0.6) {
    let atMs = startMs;
    while (true) {
      atMs += integerIn(random, 2 * MINUTE + 2 * intervalMs, 90 * MINUTE);
      if (atMs >= startMs + lengthMs) break;
      resetsMs.push(atMs);
    }
  }
  const target = createTarget(random, { startMs, endMs: startMs + lengthMs, perSecond: random() < 0.2 ? 0.02 : integerIn(random, 1, 200), spread: random(), base: random() < 0.5 ? 0 : 1_000_000, resetsMs });
  const count = limits.replicas ?? integerIn(random, 1, 4);
  const habits = Array.from({ length: count }, () => habitsOf(random, limits.isOneInterval === true || random() < 0.7 ? intervalMs : INTERVALS[integerIn(random, 0, INTERVALS.length - 1)]! * SECOND, startMs, lengthMs, limits));
  const scrapes = habits.map((options) => scrape(random, target, options));
  return { seed, target, habits, scrapes, replicas: scrapes.map(columnsOf), hasLag: habits.some(({ lagMs = 0, skewMs = 0, latencyMs = 0 }) => lagMs > 0 || skewMs > 0 || latencyMs > 0) };
}

function habitsOf(random: Random, intervalMs: number, startMs: number, lengthMs: number, { isPunctual }: TimelineLimits): ScrapeOptions {
  const maybe = (part: number, value: () => number): number => (random() < part ? value() : 0);
  const habits = {
    intervalMs,
    phaseMs: integerIn(random, 0, intervalMs - 1),
    jitterMs: random() < 0.7 || isPunctual === true ? 5 : Math.floor(intervalMs * 0.2),
    lost: maybe(0.4, () => random() * 0.4),
    outagesMs: outages(random, startMs, lengthMs),
    ...(random() < 0.2 && { restart: { atMs: startMs + integerIn(random, 0, lengthMs), phaseMs: integerIn(random, 0, intervalMs - 1) } }),
  };
  if (isPunctual === true) return habits;
  return {
    ...habits,
    latencyMs: maybe(0.6, () => integerIn(random, 1, Math.floor(Math.min(intervalMs * 0.6, 10 * SECOND)))),
    lagMs: maybe(0.25, () => integerIn(random, 1, 90) * SECOND),
    skewMs: maybe(0.25, () => integerIn(random, -intervalMs, intervalMs)),
  };
}

/** Nothing, gaps by turns, or some holes; a replica may begin late or end early. */
function outages(random: Random, startMs: number, lengthMs: number): Array<readonly [number, number]> {
  const found: Array<readonly [number, number]> = [];
  const kind = random();
  if (kind < 0.25) {
    const gapMs = integerIn(random, 1, 12) * MINUTE;
    for (let fromMs = startMs + (random() < 0.5 ? gapMs : 0); fromMs < startMs + lengthMs; fromMs += 2 * gapMs) found.push([fromMs, fromMs + gapMs]);
  } else if (kind < 0.6) {
    for (let i = integerIn(random, 1, 4); i > 0; i--) {
      const fromMs = startMs + integerIn(random, 0, lengthMs);
      found.push([fromMs, fromMs + integerIn(random, 10, 1500) * SECOND]);
    }
  }
  if (random() < 0.15) found.push([startMs, startMs + integerIn(random, 0, lengthMs)]);
  if (random() < 0.15) found.push([startMs + integerIn(random, 0, lengthMs), Infinity]);
  return found;
}
