/** `stable` by small pictures, one per rule, with histograms, stale markers and the stories that upstream's issues tell. */
import { describe, expect, test } from '@jest/globals';
import { createHistogram, type FloatHistogram, isStaleNaN, STALE_HISTOGRAM, wordsOf, writeStaleNaN } from '@gauntlet/model';
import { createKernels, SPACING_ROW_BYTES } from '@gauntlet/kernels';
import { DedupBuffer, type ReplicaColumns } from './replica-columns.ts';
import { isSeam, mergeStable, type StableOptions } from './stable.ts';
import { summarizeWith } from './stable-kernel.ts';
import { createTimeline } from './testing/timelines.ts';

/** 10-minute windows begin at multiples of 600 s. */
const START = 1772409600000;
const SECOND = 1000;

/** Every 15 s from `phase` for `count` samples, without those lost; value = 10 per second, `late` seconds ago. */
function every15(phase: number, count: number, lost: (i: number) => boolean = () => false, late = 0): ReplicaColumns {
  const kept = Array.from({ length: count }, (_, i) => i).filter((i) => !lost(i));
  return {
    timestampsMs: Float64Array.from(kept, (i) => START + (phase + 15 * i) * SECOND),
    values: Float64Array.from(kept, (i) => 10 * (phase + 15 * i - late) + 1000),
  };
}

function merge(replicas: readonly ReplicaColumns[], options: Partial<StableOptions> = {}): { seconds: number[]; from: number[]; out: DedupBuffer } {
  const out = new DedupBuffer();
  mergeStable(replicas, { isCounterSeries: true, ...options }, out);
  return {
    seconds: Array.from(out.timestampsMs.subarray(0, out.length), (ms) => (ms - START) / SECOND),
    from: Array.from(out.replicas.subarray(0, out.length)),
    out,
  };
}

function falls(out: DedupBuffer): number {
  let count = 0;
  for (let i = 1; i < out.length; i++) if (out.values[i]! < out.values[i - 1]!) count++;
  return count;
}

describe('leaders and holes', () => {
  test('a single replica is never altered, stale markers and NaN among it', () => {
    const values = Float64Array.of(1, NaN, 5, 3);
    writeStaleNaN(wordsOf(values), 1);
    const { out } = merge([{ timestampsMs: Float64Array.of(1, 2, 3, 4), values }]);
    expect(Array.from(out.timestampsMs.subarray(0, 4))).toEqual([1, 2, 3, 4]);
    expect(isStaleNaN(wordsOf(out.values), 1)).toBe(true);
  });

  test('no replicas is our own mistake', () => {
    expect(() => merge([])).toThrow(new RangeError('merge replicas: none given'));
  });

  test('replicas without samples', () => {
    const empty = { timestampsMs: new Float64Array(0), values: new Float64Array(0) };
    expect(merge([empty, empty]).seconds).toEqual([]);
    expect(merge([empty, every15(0, 5)]).from).toEqual([1, 1, 1, 1, 1]);
  });

  test('two healthy replicas: the first as it is, from the first sample on', () => {
    expect(merge([every15(7, 200), every15(0, 200)]).from).toEqual(Array(200).fill(0));
  });

  test('one lost scrape: what the other has inside the hole', () => {
    const { seconds, from } = merge([every15(0, 40, (i) => i === 10), every15(7, 40)]);
    expect(seconds.slice(9, 13)).toEqual([135, 142, 157, 165]);
    expect(from.slice(9, 13)).toEqual([0, 1, 1, 0]);
  });

  test('a sample near an edge of the hole is not needed where the next one is near enough', () => {
    // The other replica is 1 s behind: its sample at 136 would stand beside 135, and 151 − 135 is less than 1.1 spacings.
    expect(merge([every15(0, 40, (i) => i === 10), every15(1, 40)]).seconds.slice(9, 12)).toEqual([135, 151, 165]);
  });

  test('more than a tenth lost: the other leads the whole window', () => {
    const { from } = merge([every15(0, 120, (i) => i >= 45 && i < 52), every15(7, 120)]);
    expect(from.slice(0, 39)).toEqual(Array(39).fill(0));
    expect(new Set(from.slice(40, 80))).toEqual(new Set([1]));
    expect(from.at(-1)).toBe(0);
  });

  test('a replica with twice the interval does not lead', () => {
    const slow = every15(3, 120, (i) => i % 2 === 1);
    expect(new Set(merge([slow, every15(0, 120)]).from)).toEqual(new Set([1]));
  });

  test('a hole that one filler leaves is filled by the next', () => {
    const { seconds, from } = merge([every15(0, 60, (i) => i >= 10 && i < 14), every15(5, 60, (i) => i >= 11 && i < 13), every15(10, 60, (i) => i === 10)]);
    expect(seconds.slice(9, 16)).toEqual([135, 145, 155, 175, 190, 205, 210]);
    expect(from.slice(9, 16)).toEqual([0, 2, 1, 2, 2, 2, 0]);
  });

  test('the end stays with the leader until 1.5 spacings are empty', () => {
    expect(merge([every15(0, 40), every15(7, 40)]).seconds.at(-1)).toBe(585);
    expect(merge([every15(0, 39), every15(7, 40)]).seconds.at(-1)).toBe(570);
    expect(merge([every15(0, 38), every15(7, 40)]).seconds.slice(-4)).toEqual([555, 562, 577, 592]);
  });

  test('too few samples for a spacing: the union, neighbours within a second collapsed', () => {
    const sparse = (offsets: readonly number[]): ReplicaColumns => ({ timestampsMs: Float64Array.from(offsets, (s) => START + s * SECOND), values: Float64Array.from(offsets, (s) => s) });
    const { seconds, from } = merge([sparse([0, 1800, 3600]), sparse([0.5, 900, 1802])]);
    expect(seconds).toEqual([0, 900, 1800, 1802, 3600]);
    expect(from).toEqual([0, 1, 0, 1, 0]);
  });

  test('the samples of an instant do not depend on where the range is cut', () => {
    const replicas = [every15(0, 1000, (i) => i % 13 === 0), every15(4, 1000, (i) => i % 7 === 0)];
    const whole = merge(replicas);
    const part = merge(replicas.map(({ timestampsMs, values }) => ({ timestampsMs: timestampsMs.subarray(300), values: values.subarray(300) })));
    const from = part.seconds[0]! + 2400;
    expect(part.seconds.filter((s) => s >= from)).toEqual(whole.seconds.filter((s) => s >= from));
  });
});

describe('counters', () => {
  const gap = (i: number): boolean => i >= 10 && i < 14;

  test('a filler that is 45 s behind shows nothing until it has caught up, and then no reset', () => {
    const { seconds, out } = merge([every15(0, 60, gap), every15(7, 60, undefined, 45)]);
    expect(seconds.slice(9, 12)).toEqual([135, 187, 202]);
    expect(falls(out)).toBe(0);
  });

  test('the same without a name: both rise, so it is a counter', () => {
    const { out } = merge([every15(0, 60, gap), every15(7, 60, undefined, 45)], { isCounterSeries: false });
    expect(falls(out)).toBe(0);
  });

  test('a gauge loses nothing', () => {
    const gauge = (phase: number): ReplicaColumns => {
      const columns = every15(phase, 60, phase === 0 ? gap : undefined);
      return { ...columns, values: columns.values.map((value, i) => (i % 2 === 0 ? 50 : value / 100) - phase) };
    };
    const { seconds } = merge([gauge(0), gauge(7)], { isCounterSeries: false });
    expect(seconds.slice(9, 15)).toEqual([135, 142, 157, 172, 187, 202]);
  });

  test('a reset that both see is one, also where the replica changes', () => {
    const resetAt = (columns: ReplicaColumns): ReplicaColumns => ({ ...columns, values: columns.values.map((value, i) => (columns.timestampsMs[i]! >= START + 150 * SECOND ? value - 2400 : value)) });
    const { out } = merge([resetAt(every15(0, 60, gap)), resetAt(every15(7, 60))]);
    expect(falls(out)).toBe(1);
  });

  test('a filler that has not seen the reset yet is left out until it has', () => {
    // a: … 2350, reset, 7 at 150 s, then a hole; b is 45 s behind and shows values from before the reset until 195 s.
    const a = every15(0, 60, (i) => i > 10 && i < 15);
    const reset = (columns: ReplicaColumns, late: number): ReplicaColumns => ({ ...columns, values: columns.values.map((value, i) => (columns.timestampsMs[i]! - late * SECOND >= START + 149 * SECOND ? value - 2490 : value)) });
    const { seconds, out } = merge([reset(a, 0), reset(every15(7, 60, undefined, 45), 45)]);
    expect(falls(out)).toBe(1);
    expect(seconds.filter((s) => s > 150 && s < 195)).toEqual([]);
  });

  test('replicas that disagree for good are both shown, and told', () => {
    const disputes: number[] = [];
    const low = every15(7, 120);
    const { from } = merge([every15(0, 120, gap), { ...low, values: low.values.map((value) => value / 100) }], { trace: { onDispute: (_replica, index) => disputes.push(index) } });
    expect(from.slice(10, 14)).toEqual([1, 1, 1, 1]);
    expect(disputes.length).toBeGreaterThan(0);
  });
});

describe('stale markers', () => {
  const withStale = (columns: ReplicaColumns, ...indexes: readonly number[]): ReplicaColumns => {
    const values = columns.values.slice();
    for (const index of indexes) writeStaleNaN(wordsOf(values), index);
    return { ...columns, values };
  };
  const stale = (out: DedupBuffer): number[] => Array.from({ length: out.length }, (_, i) => i).filter((i) => isStaleNaN(wordsOf(out.values), i)).map((i) => (out.timestampsMs[i]! - START) / SECOND);

  test('of one replica while the other goes on: left out', () => {
    const { out, seconds } = merge([withStale(every15(0, 40), 10), every15(7, 40)]);
    expect(stale(out)).toEqual([]);
    expect(seconds.slice(9, 13)).toEqual([135, 142, 157, 165]);
  });

  test('of both at the end: the later one', () => {
    const { out } = merge([withStale(every15(0, 20), 19), withStale(every15(7, 20), 19)]);
    expect(stale(out)).toEqual([292]);
  });

  test('of the only one that still had samples', () => {
    const { out } = merge([withStale(every15(0, 20), 19), every15(7, 10)]);
    expect(stale(out)).toEqual([285]);
  });

  test('the same replica twice', () => {
    const replica = withStale(every15(0, 40), 7, 39);
    const { out } = merge([replica, replica]);
    expect(stale(out)).toEqual([105, 585]);
    expect(Array.from(out.timestampsMs.subarray(0, out.length))).toEqual(Array.from(replica.timestampsMs));
    expect(Array.from(out.indexes.subarray(0, out.length))).toEqual(Array.from(replica.timestampsMs.keys()));
  });
});

describe('native histograms', () => {
  const histogramOf = (count: number): FloatHistogram => createHistogram({ count, sum: count, positiveSpans: [{ offset: 0, length: 1 }], positiveBuckets: Float64Array.of(count) });
  const asHistograms = (columns: ReplicaColumns): ReplicaColumns => ({ ...columns, values: new Float64Array(columns.values.length), isHistogram: new Uint8Array(columns.values.length).fill(1) });

  test('lower is reset detection: a late filler waits, and the hint is unknown at seams', () => {
    const counts = [every15(0, 60, (i) => i >= 10 && i < 14), every15(7, 60, undefined, 45)];
    const { seconds, out } = merge(counts.map(asHistograms), { isCounterSeries: false, histogramAt: (replica, index) => histogramOf(counts[replica]!.values[index]!) });
    expect(seconds.slice(9, 12)).toEqual([135, 187, 202]);
    expect([0, 1, 9, 10, 11].map((i) => isSeam(out, i))).toEqual([true, false, false, true, false]);
  });

  test('gauge histograms lose nothing', () => {
    const counts = [every15(0, 60, (i) => i >= 10 && i < 14), every15(7, 60, undefined, 45)];
    const { seconds } = merge(counts.map(asHistograms), { isCounterSeries: false, histogramAt: (replica, index) => createHistogram({ ...histogramOf(counts[replica]!.values[index]!), resetHint: 3 }) });
    expect(seconds.slice(9, 13)).toEqual([135, 142, 157, 172]);
  });

  test('floats and histograms in one series; a stale histogram is a marker', () => {
    const a = every15(0, 40, (i) => i === 10);
    const b = every15(7, 40);
    const isHistogram = new Uint8Array(b.values.length).fill(1);
    const values = new Float64Array(b.values.length);
    writeStaleNaN(wordsOf(values), 20);
    const { seconds, from } = merge([a, { ...b, values, isHistogram }], { histogramAt: (_replica, index) => (index === 20 ? STALE_HISTOGRAM : histogramOf(index)) });
    expect(seconds.slice(9, 13)).toEqual([135, 142, 157, 165]);
    expect(from.filter((replica) => replica === 1)).toHaveLength(2);
  });
});

test('windows summed up by the kernel, module and twin, give the same merge', () => {
  for (const backend of ['wasm', 'js'] as const) {
    const kernels = createKernels({ backend });
    for (let seed = 1; seed <= 40; seed++) {
      const { replicas } = createTimeline(seed, { replicas: 3 });
      const inMemory = replicas.map(({ timestampsMs, values }) => {
        const ptr = kernels.memory.alloc(8 * timestampsMs.length);
        const valuesPtr = kernels.memory.alloc(8 * values.length);
        return { ptr, valuesPtr, timestampsMs, values };
      });
      const rowsPtr = kernels.memory.alloc(SPACING_ROW_BYTES * Math.max(1, ...replicas.map(({ values }) => values.length)));
      const columns = inMemory.map(({ ptr, valuesPtr, timestampsMs, values }) => {
        const times = kernels.memory.f64(ptr, timestampsMs.length);
        const copied = kernels.memory.f64(valuesPtr, values.length);
        times.set(timestampsMs);
        copied.set(values);
        return { timestampsMs: times, values: copied };
      });
      const here = merge(replicas);
      const there = merge(columns, { summarize: summarizeWith(kernels, rowsPtr) });
      expect(there.seconds).toEqual(here.seconds);
      expect(there.from).toEqual(here.from);
      for (const { ptr, valuesPtr } of inMemory) [ptr, valuesPtr].forEach((at) => kernels.memory.free(at));
      kernels.memory.free(rowsPtr);
    }
  }
});
