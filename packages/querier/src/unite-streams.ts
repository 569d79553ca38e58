/**
 * One series out of its streams: replicas with deduplication, overlapping chunks of one and the same series without.
 *
 * Floats go through the merge as values, histograms as marks: where a sample of the result came from finds its id. A histogram that does
 * not come right behind the sample it followed in its stream has no reset hint any more, so that PromQL compares it with the one before.
 *
 * Replicas of floats in kernel memory are merged there, by kernel; everything else by the merges over views.
 */
import { applyCounterResets, DedupBuffer, mergeChain, mergePenalty, mergePenaltyInMemory, type ReplicaColumns } from '@gauntlet/dedup';
import type { Kernels } from '@gauntlet/kernels';

/** How replicas become one series; `--deduplication.func`. */
export type DedupFunction = 'penalty' | 'chain';

/** Samples of a series out of chunks that do not overlap. */
export interface SampleStream {
  /** Strictly ascending, ms. */
  readonly timestampsMs: Float64Array;
  readonly values: Float64Array;
  /** Beside the values −1 for a float, else the number of a histogram; absent if all are floats. */
  readonly ids?: Int32Array;
  /** Beside the values when counting began, ms, 0 = not known; absent if no sample has one. */
  readonly starts?: Float64Array;
}

/** Kernel memory for results. */
export interface MergeRoom {
  /** The streams lie in the memory of these. */
  readonly kernels: Kernels;
  /** `penaltyRoomBytes` of the streams. */
  readonly ptr: number;
}

/**
 * Merges streams of one series; the views stay valid until the next merge. It must not allocate kernel memory: that would detach the streams.
 * @param forgetHint is called for histograms whose neighbour changed
 * @param room where kernels may merge; absent: elsewhere
 */
export type UniteStreams = (streams: readonly SampleStream[], forgetHint: (id: number) => void, room?: MergeRoom) => SampleStream;

/** What `createUnite` is to make. */
export interface UniteOptions {
  readonly dedupFunction: DedupFunction;
  /** The series is read by a counter function, and streams are replicas of it. */
  readonly isCounter: boolean;
  /** Samples outside are cut off before the merge; ms, inclusive. */
  readonly mint: number;
  readonly maxt: number;
}

/**
 * The dedup function over streams of one series, in the order that makes it equal to Thanos': counters become running totals from
 * the start of their chunks, then everything is cut to the range, then merged.
 */
export function createUnite(options: UniteOptions): UniteStreams {
  const { dedupFunction, isCounter, mint, maxt } = options;
  const out = new DedupBuffer();
  return (streams, forgetHint, room) => {
    if (room !== undefined && isForKernel(streams, options)) return uniteInMemory(streams, options, room);
    const parts = streams.map(({ timestampsMs, values, ids, starts }): SampleStream & ReplicaColumns => {
      const count = isCounter ? applyCounterResets(timestampsMs, values, timestampsMs.length, ids) : timestampsMs.length;
      const low = lowerBound(timestampsMs, 0, count, mint);
      const high = lowerBound(timestampsMs, low, count, maxt + 1);
      const columns = { timestampsMs: timestampsMs.subarray(low, high), values: values.subarray(low, high) };
      const own = ids?.subarray(low, high);
      return {
        ...columns,
        // Running totals have no resets left for start timestamps to tell.
        ...(starts === undefined || isCounter ? {} : { starts: starts.subarray(low, high) }),
        ...(own === undefined ? {} : { ids: own, isHistogram: Uint8Array.from(own, (id) => (id < 0 ? 0 : 1)) }),
      };
    });
    if (dedupFunction === 'chain') mergeChain(parts, out);
    else mergePenalty(parts, { isCounter }, out);
    const merged = { timestampsMs: out.timestampsMs.subarray(0, out.length), values: out.values.subarray(0, out.length) };
    return {
      ...merged,
      ...(parts.some(({ ids }) => ids !== undefined) ? { ids: idsOf(parts, out, forgetHint) } : {}),
      ...(parts.some(({ starts }) => starts !== undefined) ? { starts: startsOf(parts, out) } : {}),
    };
  };
}

/** Floats without start timestamps that matter, and two replicas if they are counters: see `mergePenaltyInMemory`. */
function isForKernel(streams: readonly SampleStream[], { dedupFunction, isCounter }: UniteOptions): boolean {
  if (dedupFunction !== 'penalty' || (isCounter && streams.length > 2)) return false;
  return streams.every(({ ids, starts }) => ids === undefined && (isCounter || starts === undefined));
}

function uniteInMemory(streams: readonly SampleStream[], { isCounter, mint, maxt }: UniteOptions, { kernels, ptr }: MergeRoom): SampleStream {
  const parts = streams.map(({ timestampsMs, values }) => {
    const count = isCounter ? kernels.applyCounterResets(timestampsMs.byteOffset, values.byteOffset, timestampsMs.length) : timestampsMs.length;
    const low = lowerBound(timestampsMs, 0, count, mint);
    const high = lowerBound(timestampsMs, low, count, maxt + 1);
    return { timestampsPtr: timestampsMs.byteOffset + 8 * low, valuesPtr: values.byteOffset + 8 * low, count: high - low };
  });
  const { timestampsPtr, valuesPtr, count } = mergePenaltyInMemory(kernels, parts, { isCounter }, ptr)!;
  return { timestampsMs: kernels.memory.f64(timestampsPtr, count), values: kernels.memory.f64(valuesPtr, count) };
}

function idsOf(parts: readonly SampleStream[], { replicas, indexes, length }: DedupBuffer, forgetHint: (id: number) => void): Int32Array {
  const ids = new Int32Array(length);
  for (let k = 0; k < length; k++) {
    const replica = replicas[k]!;
    const id = parts[replica]!.ids?.[indexes[k]!] ?? -1;
    ids[k] = id;
    if (id < 0 || k === 0) continue;
    if (replicas[k - 1] !== replica || indexes[k - 1] !== indexes[k]! - 1) forgetHint(id);
  }
  return ids;
}

function startsOf(parts: readonly SampleStream[], { replicas, indexes, length }: DedupBuffer): Float64Array {
  const starts = new Float64Array(length);
  for (let k = 0; k < length; k++) starts[k] = parts[replicas[k]!]!.starts?.[indexes[k]!] ?? 0;
  return starts;
}

/** First index in [from, to) whose timestamp is at least `t`; `to` if none. */
export function lowerBound(timestampsMs: Float64Array, from: number, to: number, t: number): number {
  let low = from;
  let high = to;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (timestampsMs[middle]! < t) low = middle + 1;
    else high = middle;
  }
  return low;
}
