/** One fault row measured: errors of sum(rate) against the truth, resets invented and lost, holes that no replica excuses. */
import { applyCounterResets } from '../counter-resets.ts';
import { mergeChain } from '../merge-chain.ts';
import { mergePenalty } from '../merge-penalty.ts';
import { DedupBuffer, type ReplicaColumns } from '../replica-columns.ts';
import { mergeStable } from '../stable.ts';
import { createFaultSeries, type FaultRow, type FaultSeries } from './fault-rows.ts';
import { rateAt, type RateInput } from './rate.ts';

/** What is compared. */
export const MEASURED = ['floor', 'penalty', 'chain', 'a', 'b', 'stable'] as const;
type Measured = (typeof MEASURED)[number];

/** Figures of a row; errors are parts of the truth, at the median of the seeds. */
export interface RowFigures {
  readonly errors: Readonly<Record<Measured, number>>;
  /** Longest distance between neighbouring samples, seconds, at the median of the seeds. */
  readonly holes: Readonly<Record<Measured, number>>;
  /** Falls of raw values that are no reset of the target, and resets that are no fall; `penalty` as an instant vector shows it. */
  readonly resets: Readonly<Record<'stable' | 'penalty' | 'chain', { readonly invented: number; readonly lost: number }>>;
  /** Holes of more than 2.5 intervals in `stable` with a sample of a replica that would fit, over all seeds. */
  readonly falseHoles: number;
}

const STEP_MS = 31_000;
const EDGE_MS = 600_000;

/** Measures a row. */
export function measureRow(row: FaultRow, { seeds, resets, rangeMs, counters }: { readonly seeds: number; readonly resets: number; readonly rangeMs: number; readonly counters?: number }): RowFigures {
  const errors = Object.fromEntries(MEASURED.map((name) => [name, [] as number[]])) as Record<Measured, number[]>;
  const holes = Object.fromEntries(MEASURED.map((name) => [name, [] as number[]])) as Record<Measured, number[]>;
  const seen = { stable: { invented: 0, lost: 0 }, penalty: { invented: 0, lost: 0 }, chain: { invented: 0, lost: 0 } };
  let falseHoles = 0;
  for (let seed = 1; seed <= seeds; seed++) {
    const { startMs, endMs, resetsMs, series } = createFaultSeries(row, seed, resets, counters);
    const times: number[] = [];
    for (let at = startMs + EDGE_MS + 1234; at < endMs - EDGE_MS; at += STEP_MS) times.push(at);
    const sums = Object.fromEntries([...MEASURED, 'truth'].map((name) => [name, new Float64Array(times.length)]));
    const longest = new Map<Measured, number>();
    for (const one of series) {
      const columns = merged(one);
      for (const name of [...MEASURED, 'truth'] as const) times.forEach((at, k) => (sums[name]![k]! += rateAt(columns[name], at, rangeMs)));
      for (const name of MEASURED) longest.set(name, Math.max(longest.get(name) ?? 0, longestHole(columns[name])));
      for (const name of ['stable', 'penaltyRaw', 'chainRaw'] as const) {
        const figures = seen[name.replace('Raw', '') as 'stable' | 'penalty' | 'chain'];
        const found = countResets(columns[name], resetsMs);
        figures.invented += found.invented;
        figures.lost += found.lost;
      }
      falseHoles += countFalseHoles(columns.stable, one, row.intervalMs);
    }
    for (const name of MEASURED) {
      errors[name].push(largestError(sums[name]!, sums['truth']!));
      holes[name].push(longest.get(name)! / 1000);
    }
  }
  const medians = (of: Record<Measured, number[]>): Record<Measured, number> => Object.fromEntries(MEASURED.map((name) => [name, median(of[name])])) as Record<Measured, number>;
  return { errors: medians(errors), holes: medians(holes), resets: seen, falseHoles };
}

type Shown = Readonly<Record<Measured | 'truth' | 'penaltyRaw' | 'chainRaw', RateInput>>;

function merged({ replicas, truth, floor }: FaultSeries): Shown {
  const [a, b] = replicas;
  // As upstream reads a counter function: resets taken out of each replica first.
  const totals = replicas.map(({ timestampsMs, values }) => {
    const copy = { timestampsMs: timestampsMs.slice(), values: values.slice() };
    const count = applyCounterResets(copy.timestampsMs, copy.values, timestampsMs.length);
    return { timestampsMs: copy.timestampsMs.subarray(0, count), values: copy.values.subarray(0, count) };
  });
  const into = (merge: (out: DedupBuffer) => void): DedupBuffer => {
    const out = new DedupBuffer();
    merge(out);
    return out;
  };
  return {
    truth: inputOf(truth),
    floor: inputOf(floor),
    a: inputOf(a),
    b: inputOf(b),
    penalty: into((out) => mergePenalty(totals, { isCounter: true }, out)),
    chain: into((out) => mergeChain(totals, out)),
    penaltyRaw: into((out) => mergePenalty(replicas, { isCounter: false }, out)),
    chainRaw: into((out) => mergeChain(replicas, out)),
    stable: into((out) => mergeStable(replicas, { isCounterSeries: true }, out)),
  };
}

function inputOf({ timestampsMs, values }: ReplicaColumns): RateInput {
  return { timestampsMs, values, length: values.length };
}

function longestHole({ timestampsMs, length }: RateInput): number {
  let longest = 0;
  for (let i = 1; i < length; i++) longest = Math.max(longest, timestampsMs[i]! - timestampsMs[i - 1]!);
  return longest;
}

/** A reset is shown by a fall between the last sample before it and the next but few; lag moves it by up to a minute. */
function countResets({ timestampsMs, values, length }: RateInput, resetsMs: readonly number[]): { invented: number; lost: number } {
  let falls = 0;
  const found = new Set<number>();
  for (let i = 1; i < length; i++) {
    if (!(values[i]! < values[i - 1]!)) continue;
    falls++;
    const reset = resetsMs.findIndex((ms) => ms > timestampsMs[i - 1]! - 90_000 && ms <= timestampsMs[i]!);
    if (reset >= 0) found.add(reset);
  }
  return { invented: falls - found.size, lost: resetsMs.length - found.size };
}

/** Samples are in order of what the target had counted when they were read. */
function countFalseHoles({ timestampsMs, values, length }: RateInput, { scrapes, target }: FaultSeries, intervalMs: number): number {
  const reads = new Map<string, number>();
  for (const own of scrapes) for (const { ms, value, readMs } of own) reads.set(`${ms}:${value}`, readMs);
  let count = 0;
  for (let i = 1; i < length; i++) {
    const u = timestampsMs[i - 1]!;
    const v = timestampsMs[i]!;
    if (v - u <= 2.5 * intervalMs) continue;
    const from = reads.get(`${u}:${values[i - 1]!}`)!;
    const to = reads.get(`${v}:${values[i]!}`)!;
    for (const own of scrapes) {
      for (const { ms, readMs } of own) if (ms >= u + intervalMs && ms <= v - intervalMs && target.countedIn(from, readMs) >= 1 && target.countedIn(readMs, to) >= 1) count++;
    }
  }
  return count;
}

/** Largest relative error; 1 where there is no answer. */
function largestError(shown: Float64Array, truth: Float64Array): number {
  let largest = 0;
  shown.forEach((value, k) => {
    const error = Math.abs(value / truth[k]! - 1);
    largest = Math.max(largest, error === error ? error : 1);
  });
  return largest;
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[(values.length - 1) >> 1]!;
}
