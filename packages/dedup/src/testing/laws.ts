/**
 * The laws of `stable` as checks over a timeline, written from their text and the known truth, not from the algorithm. Each returns what is wrong,
 * or undefined.
 */
import { DedupBuffer, type ReplicaColumns } from '../replica-columns.ts';
import { mergeStable } from '../stable.ts';
import { REACH_MS, WINDOW_MS } from '../stable-windows.ts';
import type { Timeline } from './timelines.ts';

/** A merge as plain entries. */
export interface Merged {
  readonly times: readonly number[];
  readonly values: readonly number[];
  readonly replicas: readonly number[];
  readonly indexes: readonly number[];
}

/** Merges with `stable`. */
export function mergeToEntries(replicas: readonly ReplicaColumns[], isCounterSeries: boolean): Merged {
  const out = new DedupBuffer();
  mergeStable(replicas, { isCounterSeries }, out);
  const { length } = out;
  return {
    times: Array.from(out.timestampsMs.subarray(0, length)),
    values: Array.from(out.values.subarray(0, length)),
    replicas: Array.from(out.replicas.subarray(0, length)),
    indexes: Array.from(out.indexes.subarray(0, length)),
  };
}

/** The samples in [from, to] of each replica, and where each cut begins. */
export function cut(replicas: readonly ReplicaColumns[], fromMs: number, toMs: number): { readonly columns: ReplicaColumns[]; readonly offsets: number[] } {
  const offsets: number[] = [];
  const columns = replicas.map(({ timestampsMs, values }) => {
    let first = 0;
    while (first < timestampsMs.length && timestampsMs[first]! < fromMs) first++;
    let end = first;
    while (end < timestampsMs.length && timestampsMs[end]! <= toMs) end++;
    offsets.push(first);
    return { timestampsMs: timestampsMs.slice(first, end), values: values.slice(first, end) };
  });
  return { columns, offsets };
}

/** Law 1: the result in [from, to] follows from the samples within REACH_MS of it. */
export function checkLocal({ replicas }: Timeline, whole: Merged, fromMs: number, toMs: number): string | undefined {
  const { columns, offsets } = cut(replicas, fromMs - REACH_MS, toMs + REACH_MS);
  const part = mergeToEntries(columns, true);
  const want = entriesIn(whole, fromMs, toMs, () => 0);
  const got = entriesIn(part, fromMs, toMs, (replica) => offsets[replica]!);
  if (want.join() === got.join()) return undefined;
  const at = want.findIndex((entry, i) => entry !== got[i]);
  return `[${fromMs}, ${toMs}]: entry ${at} is ${want[at]} from all samples, ${got[at]} from those within reach`;
}

/** Law 7: a merge of the samples in [from, to] alone is the merge of all, farther than REACH_MS from its edges. */
export function checkRangeAlone({ replicas }: Timeline, whole: Merged, fromMs: number, toMs: number): string | undefined {
  const { columns, offsets } = cut(replicas, fromMs, toMs);
  const want = entriesIn(whole, fromMs + REACH_MS, toMs - REACH_MS, () => 0);
  const got = entriesIn(mergeToEntries(columns, true), fromMs + REACH_MS, toMs - REACH_MS, (replica) => offsets[replica]!);
  return want.join() === got.join() ? undefined : `[${fromMs}, ${toMs}] alone gives ${got.length} samples inside, all give ${want.length}`;
}

function entriesIn({ times, replicas, indexes }: Merged, fromMs: number, toMs: number, offsetOf: (replica: number) => number): string[] {
  const entries: string[] = [];
  times.forEach((time, i) => {
    if (time >= fromMs && time <= toMs) entries.push(`${time}:${replicas[i]!}:${indexes[i]! + offsetOf(replicas[i]!)}`);
  });
  return entries;
}

/** Law 2: each sample is a replica's, untouched, and time rises. */
export function checkObservations({ replicas }: Timeline, { times, values, replicas: sources, indexes }: Merged): string | undefined {
  for (let i = 0; i < times.length; i++) {
    const source = replicas[sources[i]!];
    const index = indexes[i]!;
    if (source === undefined || source.timestampsMs[index] !== times[i] || !Object.is(source.values[index], values[i])) return `sample ${i} at ${times[i]} is not sample ${index} of replica ${sources[i]}`;
    if (i > 0 && !(times[i]! > times[i - 1]!)) return `sample ${i}: ${times[i]} after ${times[i - 1]}`;
  }
  return undefined;
}

/** Position of a sample in the target's life. */
function position({ target, scrapes }: Timeline, replica: number, index: number): readonly [epoch: number, value: number] {
  const { readMs, value } = scrapes[replica]![index]!;
  return [target.epochAt(readMs), value];
}

function isBehind(a: readonly [number, number], b: readonly [number, number]): boolean {
  return a[0] !== b[0] ? a[0] < b[0] : a[1] < b[1];
}

/**
 * Law 3: a hole longer than 2.5 d is one of all replicas, except for samples that cannot stand between its ends. Not claimed, like law 4, beside a
 * reset that a replica does not show.
 */
export function checkNoGap(timeline: Timeline, { times, replicas: sources, indexes }: Merged): { readonly wrong?: string; readonly isUnclaimed?: true } {
  let isUnclaimed = false;
  const spacings = new Map<number, number>();
  for (let i = 1; i < times.length; i++) {
    const u = times[i - 1]!;
    const v = times[i]!;
    const d = largestSpacing(timeline.replicas, u, v, spacings);
    if (!(v - u > 2.5 * d)) continue;
    // Beside an empty window the end of the series is like the live edge: up to 1.5 d nobody is asked.
    const margin = [...spacings].some(([id, spacing]) => spacing === 0 && id * WINDOW_MS > u && id * WINDOW_MS < v) ? 1.55 * d : d;
    const left = position(timeline, sources[i - 1]!, indexes[i - 1]!);
    const right = position(timeline, sources[i]!, indexes[i]!);
    for (let r = 0; r < timeline.replicas.length; r++) {
      const { timestampsMs } = timeline.replicas[r]!;
      for (let k = 0; k < timestampsMs.length; k++) {
        const time = timestampsMs[k]!;
        if (time <= u + margin || time >= v - margin) continue;
        const here = position(timeline, r, k);
        if (isBehind(here, left) || isBehind(right, here)) continue;
        if ([sources[i - 1]!, sources[i]!, r].some((replica) => hidesReset(timeline, replica, time))) isUnclaimed = true;
        else return { wrong: `hole (${u}, ${v}) of ${(v - u) / 1000} s, d ${d / 1000} s: replica ${r} has a sample at ${time}` };
      }
    }
  }
  return isUnclaimed ? { isUnclaimed } : {};
}

/** The largest d of the windows that touch [u, v]; Infinity if one of them has none. */
function largestSpacing(replicas: readonly ReplicaColumns[], u: number, v: number, known: Map<number, number>): number {
  let largest = 0;
  for (let id = Math.floor(u / WINDOW_MS); id <= Math.floor(v / WINDOW_MS); id++) {
    const d = known.get(id) ?? naiveSpacing(replicas, id);
    known.set(id, d);
    largest = Math.max(largest, d);
  }
  return largest;
}

/** d by its definition; Infinity if there is none or it is above L/2. A window without samples does not count in law 3: 0. */
export function naiveSpacing(replicas: readonly ReplicaColumns[], id: number): number {
  const has = (k: number): boolean => hasSamples(replicas, k);
  if (!has(id)) return 0;
  const first = has(id - 1) ? id - 1 : id;
  const last = has(id + 1) ? id + 1 : id;
  let d = Infinity;
  for (const { timestampsMs } of replicas) d = Math.min(d, medianSpacing(timestampsMs, first * WINDOW_MS, (last + 1) * WINDOW_MS));
  return d > WINDOW_MS / 2 ? Infinity : d;
}

function hasSamples(replicas: readonly ReplicaColumns[], id: number): boolean {
  return replicas.some(({ timestampsMs }) => timesIn(timestampsMs, id * WINDOW_MS, (id + 1) * WINDOW_MS).length > 0);
}

/** Timestamps in [from, end). */
function timesIn(times: Float64Array, fromMs: number, endMs: number): Float64Array {
  const behind = (ms: number): number => {
    let low = 0;
    let high = times.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (times[middle]! >= ms) high = middle;
      else low = middle + 1;
    }
    return low;
  };
  return times.subarray(behind(fromMs), behind(endMs));
}

function medianSpacing(timestampsMs: Float64Array, fromMs: number, endMs: number): number {
  const times = timesIn(timestampsMs, fromMs, endMs);
  if (times.length < 3) return Infinity;
  return times.slice(1).map((time, i) => time - times[i]!).sort()[(times.length - 2) >> 1]!;
}

/**
 * Law 4: what is shown never goes back in the target's life, so every fall is a reset that happened, and none is lost. Not claimed beside a reset
 * that one of the two replicas does not show as a fall: nothing says then on which side of it its samples are.
 */
export function checkNoInventedReset(timeline: Timeline, { times, values, replicas: sources, indexes }: Merged): { readonly wrong?: string; readonly isUnclaimed?: true } {
  let isUnclaimed = false;
  for (let i = 1; i < times.length; i++) {
    const before = position(timeline, sources[i - 1]!, indexes[i - 1]!);
    const here = position(timeline, sources[i]!, indexes[i]!);
    if (!isBehind(here, before)) continue;
    if (hidesReset(timeline, sources[i - 1]!, times[i]!) || hidesReset(timeline, sources[i]!, times[i]!)) isUnclaimed = true;
    else return { wrong: `sample ${i} at ${times[i]}: ${here.join('/')} of replica ${sources[i]} after ${before.join('/')} of replica ${sources[i - 1]} at ${times[i - 1]} (${values[i - 1]} → ${values[i]})` };
  }
  return isUnclaimed ? { isUnclaimed } : {};
}

/** Whether a reset within two windows is none of the falls of a replica, or in a hole longer than a window. */
function hidesReset({ target, scrapes }: Timeline, replica: number, ms: number): boolean {
  const own = scrapes[replica]!;
  return target.resetsMs.some((resetMs) => {
    if (Math.abs(resetMs - ms) > 2 * WINDOW_MS) return false;
    const index = own.findIndex(({ readMs }) => readMs >= resetMs);
    return index < 1 || own[index]!.value >= own[index - 1]!.value || own[index]!.ms - own[index - 1]!.ms > WINDOW_MS / 2;
  });
}

/**
 * Law 6: a merge merged again with one of its replicas adds nothing, and leaves out only what is less than d from something shown; where d is the
 * same in both merges.
 * @param again merge(A, merge(A, B))
 */
export function checkMergedAgain(replicas: readonly ReplicaColumns[], merged: Merged, again: Merged): { readonly wrong?: string; readonly isEqual: boolean } {
  const shown = new Set(again.times);
  const before = new Set(merged.times);
  const both = [replicas[0]!, { timestampsMs: Float64Array.from(merged.times), values: Float64Array.from(merged.values) }];
  const hasSameSpacing = (time: number): boolean =>
    [-1, 0, 1].every((k) => {
      const id = Math.floor(time / WINDOW_MS) + k;
      return Math.abs(naiveSpacing(both, id) - naiveSpacing(replicas, id)) <= 0.02 * naiveSpacing(replicas, id);
    });
  const added = again.times.find((time) => !before.has(time) && hasSameSpacing(time));
  if (added !== undefined) return { wrong: `${added} was added`, isEqual: false };
  for (const time of merged.times) {
    if (shown.has(time)) continue;
    const nearest = Math.min(...again.times.map((other) => Math.abs(other - time)));
    const d = naiveSpacing(replicas, Math.floor(time / WINDOW_MS));
    if (nearest > 1.01 * d && hasSameSpacing(time)) return { wrong: `${time} is left out, ${nearest} ms from what is shown, d ${d}`, isEqual: false };
  }
  return { isEqual: merged.times.length === again.times.length };
}

/** Law 5: in a window that is quiet with its neighbours, the result is the first dense replica. */
export function checkQuiet({ replicas }: Timeline, merged: Merged, nowMs: number): { readonly wrong?: string; readonly windows: number } {
  const firstId = Math.floor(Math.min(...replicas.map(({ timestampsMs }) => timestampsMs[0] ?? Infinity)) / WINDOW_MS);
  const lastId = Math.floor(nowMs / WINDOW_MS);
  const shown = Float64Array.from(merged.times);
  let windows = 0;
  for (let id = firstId; id <= lastId; id++) {
    const dense = quietReplicas(replicas, id, firstId, lastId, nowMs);
    if (dense === undefined) continue;
    windows++;
    const fromMs = id * WINDOW_MS;
    const want = timesIn(replicas[dense]!.timestampsMs, fromMs, fromMs + WINDOW_MS);
    const got = timesIn(shown, fromMs, fromMs + WINDOW_MS);
    if (want.join() !== got.join()) return { wrong: `window ${fromMs} is quiet, want replica ${dense}: ${want.length} samples, got ${got.length}`, windows };
  }
  return { windows };
}

/** The first dense replica if the window and its neighbours are quiet. */
function quietReplicas(replicas: readonly ReplicaColumns[], id: number, firstId: number, lastId: number, nowMs: number): number | undefined {
  const d = naiveSpacing(replicas, id);
  if (d === 0 || d === Infinity) return undefined;
  const from = Math.max(firstId, id - 1);
  const to = Math.min(lastId, id + 1);
  const dense: number[] = [];
  for (let r = 0; r < replicas.length; r++) {
    const own = medianSpacing(replicas[r]!.timestampsMs, from * WINDOW_MS, (to + 1) * WINDOW_MS);
    // Medians are known to a 32nd: what is so near to the limit may count or not.
    if (own > 1.4 * d && own < 1.65 * d) return undefined;
    if (own <= 1.5 * d) dense.push(r);
  }
  for (let k = from; k <= to; k++) {
    const counts = dense.map((r) => timesIn(replicas[r]!.timestampsMs, k * WINDOW_MS, (k + 1) * WINDOW_MS).length);
    const best = Math.max(...counts);
    if (counts.some((count) => count < best - Math.max(1, 0.1 * best))) return undefined;
    // A neighbour has its own d and its own dense replicas: the same.
    const own = naiveSpacing(replicas, k);
    if (Math.abs(own - d) > 0.2 * d || firstDense(replicas, k, own) !== dense[0]) return undefined;
  }
  const startMs = Math.min(...replicas.map(({ timestampsMs }) => timestampsMs[0] ?? Infinity));
  for (const r of dense) {
    const { timestampsMs } = replicas[r]!;
    let last = Math.max(from * WINDOW_MS, startMs);
    const end = Math.min((to + 1) * WINDOW_MS, nowMs);
    for (const time of timestampsMs) {
      if (time < from * WINDOW_MS) continue;
      if (Math.min(time, end) - last > 1.2 * d) return undefined;
      if (time > end) break;
      last = time;
    }
    if (end - last > 1.2 * d) return undefined;
  }
  // A replica that has not begun, a whole window before, does not lead yet.
  const leading = replicas[dense[0]!]!.timestampsMs;
  for (let k = from; k <= id; k++) {
    const isEdge = k === id && k === lastId && id > from;
    if (!isEdge && timesIn(leading, k * WINDOW_MS, (k + 1) * WINDOW_MS).length === 0) return undefined;
  }
  return dense[0];
}

function firstDense(replicas: readonly ReplicaColumns[], id: number, d: number): number {
  const fromMs = (hasSamples(replicas, id - 1) ? id - 1 : id) * WINDOW_MS;
  const endMs = (hasSamples(replicas, id + 1) ? id + 2 : id + 1) * WINDOW_MS;
  return replicas.findIndex(({ timestampsMs }) => medianSpacing(timestampsMs, fromMs, endMs) <= 1.5 * d);
}
