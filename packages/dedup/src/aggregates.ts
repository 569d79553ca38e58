/**
 * Downsampled series of several replicas: one leader per cell of the 5-minute or 1-hour grid, by the count of raw samples behind each aggregate.
 *
 *   cell        k·resolution ≤ t < (k + 1)·resolution
 *   replica a   count 20   20   12   20
 *   replica b   count 20   20   20   20
 *   merged            a    a    b    a        all of count, sum, min and max from one replica: averages fit
 *
 * Counters are running totals that each replica has stitched from chunk to chunk first (`applyCounterResets`). Two replicas' totals differ by a
 * constant, what one had counted before it began; where the leader changes, the new one's total is moved by the difference in the last cell that
 * both have. So rises between neighbours are those of the leader, and nothing falls.
 */
import type { ReplicaColumns } from './replica-columns.ts';

/** Part of the best replica's count that a leader may lack; one sample at least. */
const LACK = 0.1;

/** Grids that downsampling knows, milliseconds. */
export const AGGREGATE_RESOLUTIONS_MS = [300_000, 3_600_000] as const;

/** One replica's aggregates of a series; columns as long as `timestampsMs`. Those not asked for are absent. */
export interface AggregateColumns {
  /** Strictly ascending. */
  readonly timestampsMs: Float64Array;
  readonly count?: Float64Array;
  readonly sum?: Float64Array;
  readonly min?: Float64Array;
  readonly max?: Float64Array;
}

/** Names of the columns that are taken from the leader. */
export const AGGREGATE_NAMES = ['count', 'sum', 'min', 'max'] as const;

/** A merged series of aggregates. */
export interface MergedAggregates extends AggregateColumns {
  /** Replica of each sample, and its index there. */
  readonly replicas: Int32Array;
  readonly indexes: Int32Array;
}

/**
 * Merges aggregates of one series. Without `count`, the first replica with a sample leads a cell.
 * @param replicas in order of their replica labels
 * @param resolutionMs grid the aggregates were made on
 */
export function mergeAggregates(replicas: readonly AggregateColumns[], resolutionMs: number): MergedAggregates {
  const chosen = chooseLeaders(replicas, resolutionMs);
  const length = chosen.replicas.length;
  const merged: { -readonly [name in keyof MergedAggregates]: MergedAggregates[name] } = { ...chosen, timestampsMs: new Float64Array(length) };
  for (let i = 0; i < length; i++) merged.timestampsMs[i] = replicas[chosen.replicas[i]!]!.timestampsMs[chosen.indexes[i]!]!;
  for (const name of AGGREGATE_NAMES) {
    if (!replicas.every((replica) => replica[name] !== undefined)) continue;
    const column = new Float64Array(length);
    for (let i = 0; i < length; i++) column[i] = replicas[chosen.replicas[i]!]![name]![chosen.indexes[i]!]!;
    merged[name] = column;
  }
  return merged;
}

function chooseLeaders(replicas: readonly AggregateColumns[], resolutionMs: number): { readonly replicas: Int32Array; readonly indexes: Int32Array } {
  const sources: number[] = [];
  const indexes: number[] = [];
  const at = new Int32Array(replicas.length);
  const ends = new Int32Array(replicas.length);
  while (true) {
    const cell = nextCell(replicas, at, resolutionMs);
    if (cell === Infinity) break;
    let best = 0;
    const counts = replicas.map(({ timestampsMs, count }, r) => {
      let end = at[r]!;
      let samples = 0;
      for (; end < timestampsMs.length && Math.floor(timestampsMs[end]! / resolutionMs) === cell; end++) samples += count === undefined ? 1 : count[end]!;
      ends[r] = end;
      best = Math.max(best, samples);
      return samples;
    });
    const leader = counts.findIndex((samples, r) => ends[r]! > at[r]! && samples >= best - Math.max(1, LACK * best));
    for (let i = at[leader]!; i < ends[leader]!; i++) {
      sources.push(leader);
      indexes.push(i);
    }
    at.set(ends);
  }
  return { replicas: Int32Array.from(sources), indexes: Int32Array.from(indexes) };
}

/** The earliest cell in which some replica has a sample left; Infinity if none has. */
function nextCell(replicas: ReadonlyArray<{ readonly timestampsMs: Float64Array }>, at: Int32Array, resolutionMs: number): number {
  let cell = Infinity;
  for (let r = 0; r < replicas.length; r++) {
    const { timestampsMs } = replicas[r]!;
    if (at[r]! < timestampsMs.length) cell = Math.min(cell, Math.floor(timestampsMs[at[r]!]! / resolutionMs));
  }
  return cell;
}

/**
 * Merges counters: running totals in, one running total out. Rises do not depend on where the range begins; the first value does.
 * @param totals one per replica, in order of replica labels, each gone through `applyCounterResets` from its first chunk's start
 * @param counts the replicas' counts, if they were asked for: who leads; else the first replica with a sample leads a cell
 */
export function mergeCounterTotals(totals: readonly ReplicaColumns[], resolutionMs: number, counts?: readonly AggregateColumns[]): ReplicaColumns {
  const times: number[] = [];
  const values: number[] = [];
  const at = new Int32Array(totals.length);
  const leaders = counts === undefined ? undefined : leaderByCell(counts, resolutionMs);
  /** What to add to a replica's total to get the merged one; NaN before they first meet. */
  const offsets = new Float64Array(totals.length).fill(NaN);
  /** Which replicas had a sample in the cell before. */
  const wasThere = new Uint8Array(totals.length);
  let shown = NaN;
  while (true) {
    const cell = nextCell(totals, at, resolutionMs);
    if (cell === Infinity) break;
    const ends = totals.map(({ timestampsMs }, r) => {
      let end = at[r]!;
      while (end < timestampsMs.length && Math.floor(timestampsMs[end]! / resolutionMs) === cell) end++;
      return end;
    });
    const wanted = leaders?.get(cell) ?? -1;
    const isThere = (r: number): boolean => r >= 0 && ends[r]! > at[r]!;
    // Who comes back from a hole may have missed a reset: it is placed by this cell, and leads from the next.
    const joined = isThere(wanted) && wasThere[wanted] === 1 ? wanted : ends.findIndex((_, r) => isThere(r) && wasThere[r] === 1);
    const leader = joined >= 0 ? joined : isThere(wanted) ? wanted : ends.findIndex((_, r) => isThere(r));
    const { timestampsMs, values: own } = totals[leader]!;
    for (let i = at[leader]!; i < ends[leader]!; i++) {
      // Replicas that never met are taken as they are, but nothing falls.
      if (Number.isNaN(offsets[leader]!)) offsets[leader] = shown > own[i]! ? shown - own[i]! : 0;
      const value = own[i]! + offsets[leader]!;
      shown = value < shown ? shown : value;
      times.push(timestampsMs[i]!);
      values.push(shown);
    }
    for (let r = 0; r < totals.length; r++) if (r !== leader && ends[r]! > at[r]!) offsets[r] = shown - totals[r]!.values[ends[r]! - 1]!;
    for (let r = 0; r < totals.length; r++) wasThere[r] = isThere(r) ? 1 : 0;
    at.set(ends);
  }
  return { timestampsMs: Float64Array.from(times), values: Float64Array.from(values) };
}

function leaderByCell(counts: readonly AggregateColumns[], resolutionMs: number): Map<number, number> {
  const { replicas, indexes } = chooseLeaders(counts, resolutionMs);
  return new Map(Array.from(replicas, (replica, i) => [Math.floor(counts[replica]!.timestampsMs[indexes[i]!]! / resolutionMs), replica]));
}
