/**
 * Stale markers in a merge: a replica that has lost its target for one scrape says "the series ended", while another goes on.
 *
 *   replica a   x    x    ∅    x        ∅ is left out: b has a sample less than 1.5 spacings ago
 *   replica b     y    y    y    y
 *
 * Markers are taken out, the rest is merged, and those are put back at whose time every other replica has ended too: its last sample is a marker,
 * or older than 1.5 spacings.
 */
import { isStaleNaN, wordsOf } from '@gauntlet/model';
import { countSamples, type DedupBuffer, type ReplicaColumns } from './replica-columns.ts';
import type { StableOptions } from './stable.ts';
import { firstAfter } from './stable-order.ts';
import type { StableTrace } from './stable-trace.ts';
import { HOLE_SPACINGS, WINDOW_MS, type WindowTable } from './stable-windows.ts';

/** The samples of a replica that are no markers, and where the markers are. */
interface Split {
  readonly columns: ReplicaColumns;
  /** Index in the replica of each sample in `columns`. */
  readonly indexes: Int32Array;
  /** Indexes of the markers, ascending. */
  readonly markers: Int32Array;
}

/** No value is lower than the one before, and none is NaN. */
export const RISING = 0;
/** Some are, but there is no stale marker. */
export const MIXED = 1;
/** There is a stale marker. */
export const STALE = 2;
/** What a look at a replica's values tells. */
export type ValueKind = typeof RISING | typeof MIXED | typeof STALE;

/** Looks at all values once, as counters are: four at a time, until one falls. */
export function kindOfValues({ values }: ReplicaColumns): ValueKind {
  const count = values.length;
  if (count === 0) return RISING;
  let i = 1;
  let previous = values[0]!;
  for (; i + 3 < count; i += 4) {
    const a = values[i]!;
    const b = values[i + 1]!;
    const c = values[i + 2]!;
    const d = values[i + 3]!;
    if (!(a >= previous && b >= a && c >= b && d >= c)) return hasStaleMarkers(values, i - 1) ? STALE : MIXED;
    previous = d;
  }
  for (; i < count; i++) if (!(values[i]! >= values[i - 1]!)) return hasStaleMarkers(values, i - 1) ? STALE : MIXED;
  return previous === previous ? RISING : hasStaleMarkers(values, 0) ? STALE : MIXED;
}

/** Whether there is a stale marker from an index on. */
function hasStaleMarkers(values: Float64Array, start: number): boolean {
  // v − v is 0 for every finite number, so the sum tells 64 values at once; infinities and NaN are looked at. Four sums do not wait for each other.
  const whole = values.length - ((values.length - start) % 64);
  for (let from = start; from < whole; from += 64) {
    let a = 0;
    let b = 0;
    let c = 0;
    let d = 0;
    for (let i = from; i < from + 64; i += 4) {
      a += values[i]! - values[i]!;
      b += values[i + 1]! - values[i + 1]!;
      c += values[i + 2]! - values[i + 2]!;
      d += values[i + 3]! - values[i + 3]!;
    }
    if (a + b + c + d !== 0 && hasMarkerIn(values, from, from + 64)) return true;
  }
  return hasMarkerIn(values, whole, values.length);
}

function hasMarkerIn(values: Float64Array, from: number, to: number): boolean {
  for (let i = from; i < to; i++) if (values[i] !== values[i] && isStaleNaN(wordsOf(values), i)) return true;
  return false;
}

/** Merges replicas of which some have markers. `mergeSamples` merges what is left without them and returns its windows. */
export function mergeWithStaleMarkers(
  replicas: readonly ReplicaColumns[],
  options: StableOptions,
  mergeSamples: (replicas: readonly ReplicaColumns[], options: StableOptions, out: DedupBuffer) => WindowTable,
  out: DedupBuffer,
): void {
  const splits = replicas.map(split);
  const { histogramAt, trace } = options;
  const inner: StableOptions = {
    ...options,
    ...(histogramAt !== undefined && { histogramAt: (replica: number, index: number) => histogramAt(replica, splits[replica]!.indexes[index]!) }),
    ...(trace !== undefined && { trace: translate(trace, splits) }),
  };
  // Room for the markers too, kept by the merge without them.
  out.reset(countSamples(replicas));
  const windows = mergeSamples(
    splits.map(({ columns }) => columns),
    inner,
    out,
  );
  for (let i = 0; i < out.length; i++) out.indexes[i] = splits[out.replicas[i]!]!.indexes[out.indexes[i]!]!;
  insertMarkers(replicas, shownMarkers(replicas, splits, windows, trace), out);
}

function split(replica: ReplicaColumns): Split {
  const { timestampsMs, values, isHistogram } = replica;
  const words = wordsOf(values);
  const markers: number[] = [];
  const indexes: number[] = [];
  for (let i = 0; i < values.length; i++) (values[i] !== values[i] && isStaleNaN(words, i) ? markers : indexes).push(i);
  const kept = Int32Array.from(indexes);
  const columns: ReplicaColumns = {
    timestampsMs: Float64Array.from(kept, (i) => timestampsMs[i]!),
    values: copyValues(words, kept),
    ...(isHistogram !== undefined && { isHistogram: Uint8Array.from(kept, (i) => isHistogram[i]!) }),
  };
  return { columns, indexes: kept, markers: Int32Array.from(markers) };
}

function copyValues(words: Uint32Array, kept: Int32Array): Float64Array {
  const values = new Float64Array(kept.length);
  const target = wordsOf(values);
  for (let i = 0; i < kept.length; i++) {
    target[2 * i] = words[2 * kept[i]!]!;
    target[2 * i + 1] = words[2 * kept[i]! + 1]!;
  }
  return values;
}

/** Markers to show, in order of time; of equal timestamps the first replica's. */
function shownMarkers(replicas: readonly ReplicaColumns[], splits: readonly Split[], windows: WindowTable, trace: StableTrace | undefined): Array<[replica: number, index: number]> {
  const shown: Array<[replica: number, index: number]> = [];
  splits.forEach(({ markers }, replica) => {
    for (const index of markers) {
      const atMs = replicas[replica]!.timestampsMs[index]!;
      const limitMs = HOLE_SPACINGS * spacingAt(windows, atMs);
      const isShown = replicas.every((other, r) => r === replica || hasEnded(other, atMs, limitMs, splits[r]!.markers));
      trace?.onStaleMarker?.(replica, index, isShown);
      if (isShown) shown.push([replica, index]);
    }
  });
  const time = ([replica, index]: readonly [number, number]): number => replicas[replica]!.timestampsMs[index]!;
  shown.sort((a, b) => time(a) - time(b) || a[0] - b[0]);
  return shown.filter((marker, i) => i === 0 || time(marker) !== time(shown[i - 1]!));
}

/** d at a time: of its window, else of the one before; half a window where there is none. */
function spacingAt(windows: WindowTable, atMs: number): number {
  const id = Math.floor(atMs / WINDOW_MS);
  let row = firstAfter(windows.ids.subarray(0, windows.rows), id) - 1;
  if (row >= 0 && windows.ids[row]! < id - 1) row = -1;
  const spacing = row < 0 ? Infinity : windows.spacing(row);
  return spacing === Infinity ? WINDOW_MS / 2 : spacing;
}

function hasEnded({ timestampsMs }: ReplicaColumns, atMs: number, limitMs: number, markers: Int32Array): boolean {
  const last = firstAfter(timestampsMs, atMs) - 1;
  if (last < 0 || timestampsMs[last]! < atMs - limitMs) return true;
  let low = 0;
  let high = markers.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (markers[middle]! < last) low = middle + 1;
    else high = middle;
  }
  return markers[low] === last;
}

/** Puts markers between merged samples, from the end on, in place. */
function insertMarkers(replicas: readonly ReplicaColumns[], markers: ReadonlyArray<readonly [replica: number, index: number]>, out: DedupBuffer): void {
  if (markers.length === 0) return;
  const { timestampsMs, valueWords, replicas: sources, indexes } = out;
  let from = out.length - 1;
  let to = out.length + markers.length - 1;
  out.length = to + 1;
  for (let m = markers.length - 1; m >= 0; m--) {
    const [replica, index] = markers[m]!;
    const { timestampsMs: times, values } = replicas[replica]!;
    while (from >= 0 && timestampsMs[from]! > times[index]!) {
      timestampsMs[to] = timestampsMs[from]!;
      valueWords[2 * to] = valueWords[2 * from]!;
      valueWords[2 * to + 1] = valueWords[2 * from + 1]!;
      sources[to] = sources[from]!;
      indexes[to] = indexes[from]!;
      from--;
      to--;
    }
    const words = wordsOf(values);
    timestampsMs[to] = times[index]!;
    valueWords[2 * to] = words[2 * index]!;
    valueWords[2 * to + 1] = words[2 * index + 1]!;
    sources[to] = replica;
    indexes[to] = index;
    to--;
  }
}

/** The same trace with indexes of the replicas as given. */
function translate(trace: StableTrace, splits: readonly Split[]): StableTrace {
  const original = (replica: number, index: number): number => (replica < 0 ? -1 : splits[replica]!.indexes[index]!);
  return {
    onWindow: (...told) => trace.onWindow?.(...told),
    onFill: (replica, from, to, hole) =>
      trace.onFill?.(replica, original(replica, from), original(replica, to - 1) + 1, { ...hole, left: original(hole.leftReplica, hole.left), right: original(hole.rightReplica, hole.right) }),
    onDrop: (replica, from, to, other, index) => trace.onDrop?.(replica, original(replica, from), original(replica, to - 1) + 1, other, original(other, index)),
    onDispute: (replica, index, other, otherIndex) => trace.onDispute?.(replica, original(replica, index), other, original(other, otherIndex)),
  };
}
