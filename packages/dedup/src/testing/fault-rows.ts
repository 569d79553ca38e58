/**
 * The faults that replica deduplication is measured on, with known truth: 20 counters of one target, two replicas, 110 minutes. The truth is a third
 * replica without faults; a fourth with another phase gives the floor, the error that the scrape interval alone makes.
 */
import { createRandom, integerIn, type Random } from './random.ts';
import { columnsOf, scrape, type Scrape, type ScrapeOptions } from './scrape.ts';
import { createTarget, type Target } from './target.ts';
import type { ReplicaColumns } from '../replica-columns.ts';

/** Length of the recorded time, milliseconds. */
export const FAULT_LENGTH_MS: number = 110 * 60_000;

const SECOND = 1000;
const MINUTE = 60_000;
/** Not a multiple of a window, so that windows cut where they like. */
const START_MS = 1772409600000 + 137_000;
const COUNTERS = 20;

/** Interval of the rows with a lagging replica, milliseconds. */
export const FAULT_SCRAPE_MS: number = 15 * SECOND;

/** Replica a's and b's habits for one seed. */
export interface FaultRow {
  readonly name: string;
  readonly replicas: (random: Random) => readonly [ScrapeOptions, ScrapeOptions];
  /** Interval of the scrape that is the truth. */
  readonly intervalMs: number;
  /** Where the holes fall decides: the median needs 20 seeds. */
  readonly needsManySeeds?: true;
  /** How much later replica b's values are. */
  readonly lagMs?: number;
}

function healthy(intervalMs: number, phaseMs: number): ScrapeOptions {
  return { intervalMs, phaseMs, jitterMs: 5, latencyMs: 20 };
}

/** Gaps by turns: one replica is away in the odd stretches, the other in the even ones. */
function turns(lengthMs: number, isSecond: boolean): ReadonlyArray<readonly [number, number]> {
  const outages: Array<readonly [number, number]> = [];
  for (let from = isSecond ? lengthMs : 0; from < FAULT_LENGTH_MS; from += 2 * lengthMs) outages.push([START_MS + from, START_MS + from + lengthMs]);
  return outages;
}

function two(intervalMs: number, more: readonly [Partial<ScrapeOptions>, Partial<ScrapeOptions>]): (random: Random) => readonly [ScrapeOptions, ScrapeOptions] {
  return (random) => {
    const phase = integerIn(random, 0, intervalMs - 1);
    // Replicas are 3 to 12 of 15 parts apart, 7 at the median.
    const apart = Math.floor((intervalMs * integerIn(random, 3, 11)) / 15);
    return [
      { ...healthy(intervalMs, phase), ...more[0] },
      { ...healthy(intervalMs, (phase + apart) % intervalMs), ...more[1] },
    ];
  };
}

/** The rows. */
export const FAULT_ROWS: readonly FaultRow[] = [
  { name: 'none', intervalMs: 15 * SECOND, replicas: two(15 * SECOND, [{}, {}]) },
  {
    name: 'b restarts, 90 s hole',
    intervalMs: 15 * SECOND,
    replicas: (random) => {
      const atMs = START_MS + integerIn(random, 20, 80) * MINUTE + integerIn(random, 0, 59_999);
      return two(15 * SECOND, [{}, { outagesMs: [[atMs, atMs + 90 * SECOND]], restart: { atMs: atMs + 90 * SECOND, phaseMs: integerIn(random, 0, 14_999) } }])(random);
    },
  },
  { name: 'alternating gaps 5 min', intervalMs: 15 * SECOND, replicas: two(15 * SECOND, [{ outagesMs: turns(5 * MINUTE, false) }, { outagesMs: turns(5 * MINUTE, true) }]) },
  { name: 'alternating gaps 1 min', intervalMs: 15 * SECOND, replicas: two(15 * SECOND, [{ outagesMs: turns(MINUTE, false) }, { outagesMs: turns(MINUTE, true) }]) },
  { name: '10 % of scrapes lost', intervalMs: 15 * SECOND, replicas: two(15 * SECOND, [{ lost: 0.1 }, { lost: 0.1 }]) },
  { name: '30 % of scrapes lost', intervalMs: 15 * SECOND, replicas: two(15 * SECOND, [{ lost: 0.3 }, { lost: 0.3 }]) },
  {
    name: 'intervals 15 s and 30 s, gaps',
    intervalMs: 15 * SECOND,
    replicas: (random) => {
      const [a, b] = two(15 * SECOND, [{ outagesMs: turns(5 * MINUTE, false) }, { outagesMs: turns(5 * MINUTE, true) }])(random);
      return [a, { ...b, intervalMs: 30 * SECOND }];
    },
  },
  { name: 'intervals 60 s, gaps', intervalMs: 60 * SECOND, replicas: two(60 * SECOND, [{ outagesMs: turns(5 * MINUTE, false) }, { outagesMs: turns(5 * MINUTE, true) }]) },
  { name: 'b 45 s behind, gaps in a', intervalMs: 15 * SECOND, lagMs: 45 * SECOND, replicas: two(15 * SECOND, [{ outagesMs: turns(5 * MINUTE, false) }, { lagMs: 45 * SECOND }]) },
  {
    name: 'b 45 s behind, short gaps in a',
    needsManySeeds: true,
    intervalMs: 15 * SECOND,
    lagMs: 45 * SECOND,
    replicas: (random) => {
      const outagesMs = Array.from({ length: 11 }, (_, i): readonly [number, number] => {
        const fromMs = START_MS + i * 10 * MINUTE + integerIn(random, 0, 8 * 60) * SECOND;
        return [fromMs, fromMs + integerIn(random, 30, 100) * SECOND];
      });
      return two(15 * SECOND, [{ outagesMs }, { lagMs: 45 * SECOND }])(random);
    },
  },
];

/** One counter as seen by everybody. */
export interface FaultSeries {
  readonly target: Target;
  readonly replicas: readonly [ReplicaColumns, ReplicaColumns];
  readonly scrapes: readonly [readonly Scrape[], readonly Scrape[]];
  readonly truth: ReplicaColumns;
  readonly floor: ReplicaColumns;
}

/**
 * The counters of a row for one seed. All are scraped at the same instants.
 * @param resets restarts of the process, the same for all its counters
 * @param counters how many; 20 for the figures of docs/dedup
 */
export function createFaultSeries(row: FaultRow, seed: number, resets: number, counters: number = COUNTERS): { readonly startMs: number; readonly endMs: number; readonly resetsMs: readonly number[]; readonly series: readonly FaultSeries[] } {
  const random = createRandom(seed);
  const endMs = START_MS + FAULT_LENGTH_MS;
  const options = row.replicas(random);
  const truthPhase = integerIn(random, 0, row.intervalMs - 1);
  const floorPhase = integerIn(random, 0, row.intervalMs - 1);
  const resetsMs = Array.from({ length: resets }, (_, i) => START_MS + Math.floor((FAULT_LENGTH_MS * (i + 0.3 + 0.4 * random())) / resets));
  const scrapeSeeds = Array.from({ length: 4 }, () => Math.floor(random() * 2 ** 31));
  const series = Array.from({ length: counters }, (_, i): FaultSeries => {
    const target = createTarget(random, { startMs: START_MS, endMs, perSecond: 5 + 2 * i, spread: 0.9, base: 100_000 * (1 + i), resetsMs });
    // The same seed for each counter: one scrape has them all.
    const seen = [...options, healthy(row.intervalMs, truthPhase), healthy(row.intervalMs, floorPhase)].map((habits, k) => scrape(createRandom(scrapeSeeds[k]!), target, habits));
    const [a, b, truth, floor] = seen.map(columnsOf) as [ReplicaColumns, ReplicaColumns, ReplicaColumns, ReplicaColumns];
    return { target, replicas: [a, b], scrapes: [seen[0]!, seen[1]!], truth, floor };
  });
  return { startMs: START_MS, endMs, resetsMs, series };
}
