/** Merges by tables, against a naive definition, and by laws; counter resets and grouping by tables. */
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { isStaleNaN, labelsFromMap, wordsOf, writeStaleNaN } from '@gauntlet/model';
import { applyCounterResets } from './counter-resets.ts';
import { groupReplicas, splitOverlappingChunks } from './group-replicas.ts';
import { mergeChain } from './merge-chain.ts';
import { isCounterFunction, mergePenalty } from './merge-penalty.ts';
import { DedupBuffer, type ReplicaColumns } from './replica-columns.ts';

type Sample = readonly [ms: number, value: number];

const STALE = Int32Array.of(2, 0x7ff00000);

function replica(samples: readonly Sample[], histograms: readonly number[] = []): ReplicaColumns {
  return {
    timestampsMs: Float64Array.from(samples, ([ms]) => ms),
    values: Float64Array.from(samples, ([, value]) => value),
    ...(histograms.length > 0 && { isHistogram: Uint8Array.from(samples, ([ms]) => (histograms.includes(ms) ? 1 : 0)) }),
  };
}

function merged(out: DedupBuffer): Sample[] {
  return Array.from({ length: out.length }, (_, i) => [out.timestampsMs[i]!, out.values[i]!]);
}

function penalty(replicas: readonly ReplicaColumns[], isCounter = false): Sample[] {
  const out = new DedupBuffer();
  mergePenalty(replicas, { isCounter }, out);
  return merged(out);
}

function chain(replicas: readonly ReplicaColumns[]): Sample[] {
  const out = new DedupBuffer();
  mergeChain(replicas, out);
  return merged(out);
}

/** The rules as objects that pull samples one by one. */
interface Puller {
  current(): Sample | undefined;
  next(): void;
  seek(target: number): void;
  raise(to: number): void;
}

function pullerOf(samples: readonly Sample[], isCounter: boolean): Puller {
  let at = 0;
  let added = 0;
  const current = (): Sample | undefined => (at < samples.length ? [samples[at]![0], samples[at]![1] + added] : undefined);
  return {
    current,
    next: () => void at++,
    seek(target) {
      while (at < samples.length && samples[at]![0] < target) at++;
    },
    raise(to) {
      const shown = current();
      if (isCounter && shown !== undefined && to > shown[1]) added += to - shown[1];
    },
  };
}

function pair(a: Puller, b: Puller): Puller {
  let last = -Infinity;
  let side = a;
  const waits = new Map([
    [a, 0],
    [b, 0],
  ]);
  const current = (): Sample | undefined => side.current();
  const raise = (to: number): void => [a, b].forEach((one) => one.raise(to));
  const next = (): void => {
    const before = side;
    const shown = side.current();
    for (const one of [a, b]) if (one.current() !== undefined) one.seek(last + 1 + waits.get(one)!);
    const [at, bt] = [a.current()?.[0], b.current()?.[0]];
    side = at === undefined ? b : bt === undefined || at <= bt ? a : b;
    const time = side.current()?.[0];
    if (time !== undefined) {
      if (at !== undefined && bt !== undefined) waits.set(side === a ? b : a, last === -Infinity ? 5000 : 2 * (time - last));
      waits.set(side, 0);
      last = time;
    }
    if (side !== before && shown !== undefined) raise(shown[1]);
  };
  return {
    current,
    next,
    seek(target) {
      while (current() !== undefined && current()![0] < target) next();
    },
    raise,
  };
}

function penaltyByDefinition(replicas: ReadonlyArray<readonly Sample[]>, isCounter: boolean): Sample[] {
  let all = pullerOf(replicas[0]!, isCounter);
  replicas.slice(1).forEach((samples, i) => {
    // A merge stands before its first sample until asked; a replica stands at it.
    if (i > 0) all.next();
    all = pair(all, pullerOf(samples, isCounter));
  });
  const out: Sample[] = [];
  for (all.next(); all.current() !== undefined; all.next()) out.push(all.current()!);
  return out;
}

/** Timelines with jitter, holes and restarts. */
const timeline: fc.Arbitrary<Sample[]> = fc
  .tuple(fc.nat(40_000), fc.array(fc.tuple(fc.constantFrom(1, 900, 5000, 10_000, 10_001, 15_000, 60_000), fc.constantFrom(-50, 0, 1, 2.5, 100)), { maxLength: 40 }))
  .map(([start, steps]) => {
    let ms = start;
    let value = 10;
    return steps.map(([step, change]) => {
      ms += step;
      value = change < 0 ? Math.abs(change) % 7 : value + change;
      return [ms, value] as const;
    });
  });

describe('penalty', () => {
  test.each([
    ['one replica', [[[10, 1], [20, 2]]], [[10, 1], [20, 2]]],
    ['an empty second', [[[10, 1]], []], [[10, 1]]],
    ['an empty first', [[], [[10, 1]]], [[10, 1]]],
    ['both empty', [[], []], []],
    ['interleaved: the first stays', [[[10000, 1], [20000, 2], [30000, 3]], [[10100, 9], [20100, 9], [30100, 9]]], [[10000, 1], [20000, 2], [30000, 3]]],
    ['equal times: the first wins', [[[10000, 1], [20000, 2]], [[10000, 9], [20000, 9]]], [[10000, 1], [20000, 2]]],
    ['the earlier second is taken and kept', [[[10100, 1], [20100, 2]], [[10000, 8], [20000, 9]]], [[10000, 8], [20000, 9]]],
    [
      'a hole in the first is filled after the penalty: 10 s steps, so not before 40,001',
      [[[10000, 1], [20000, 1], [60000, 1], [70000, 1]], [[10100, 2], [20100, 2], [30100, 2], [40100, 2], [50100, 2], [60100, 2], [70100, 2]]],
      [[10000, 1], [20000, 1], [40100, 2], [50100, 2], [60100, 2], [70100, 2]],
    ],
    ['at the start the other waits 5 s', [[[10000, 1], [60000, 1]], [[12000, 2], [14999, 2], [15000, 2], [15001, 2], [16000, 2]]], [[10000, 1], [15001, 2], [16000, 2], [60000, 1]]],
    ['an ended first leaves the second from where its penalty put it', [[[10000, 1], [20000, 1]], [[10000, 2], [20000, 2], [30000, 2], [40000, 2], [50000, 2]]], [[10000, 1], [20000, 1], [50000, 2]]],
  ] as const)('%s', (_name, replicas, expected) => {
    expect(penalty(replicas.map((samples) => replica(samples as readonly Sample[])))).toEqual(expected);
  });

  test('counters never fall because of a switch', () => {
    const a = replica([[10000, 100], [20000, 110]]);
    const b = replica([[10100, 50], [20100, 60], [50100, 90], [60100, 100]]);
    expect(penalty([a, b], false)).toEqual([[10000, 100], [20000, 110], [50100, 90], [60100, 100]]);
    expect(penalty([a, b], true)).toEqual([[10000, 100], [20000, 110], [50100, 110], [60100, 120]]);
  });

  test('counters: the first sample from the second side is compared with the first value of the first side', () => {
    expect(penalty([replica([[10100, 100]]), replica([[10000, 50], [20000, 60]])], true)).toEqual([[10000, 100], [20000, 110]]);
  });

  test('histogram samples take part by their time, and are never compared or raised', () => {
    const a = replica([[10000, 100], [20000, 110]], [20000]);
    const b = replica([[10100, 50], [50100, 90], [60100, 100]], [60100]);
    const out = new DedupBuffer();
    mergePenalty([a, b], { isCounter: true }, out);
    expect(merged(out)).toEqual([[10000, 100], [20000, 110], [50100, 90], [60100, 100]]);
    expect([[...out.replicas.subarray(0, 4)], [...out.indexes.subarray(0, 4)]]).toEqual([[0, 0, 1, 1], [0, 1, 1, 2]]);
    const many = new DedupBuffer();
    for (const isCounter of [true, false]) {
      mergePenalty([a, b, replica([])], { isCounter }, many);
      expect(merged(many)).toEqual(merged(out));
      expect([[...many.replicas.subarray(0, 4)], [...many.indexes.subarray(0, 4)]]).toEqual([[0, 0, 1, 1], [0, 1, 1, 2]]);
    }
  });

  test('stale markers keep their bits, whichever way they are merged', () => {
    const a = replica([[10000, 1], [20000, 0]]);
    new Int32Array(a.values.buffer).set(STALE, 2);
    const out = new DedupBuffer();
    const wordsAt = (i: number): number[] => [...new Int32Array(out.values.buffer, 8 * i, 2)];
    for (const run of [
      () => mergePenalty([a], { isCounter: false }, out),
      () => mergePenalty([a, replica([[10001, 5]])], { isCounter: false }, out),
      () => mergePenalty([a, replica([[10001, 5]]), replica([])], { isCounter: false }, out),
      () => mergeChain([a, replica([])], out),
    ]) {
      run();
      expect(wordsAt(1)).toEqual([...STALE]);
    }
  });

  test('equals the definition for two to four replicas, with and without adjustment', () => {
    fc.assert(
      fc.property(fc.array(timeline, { minLength: 1, maxLength: 4 }), fc.boolean(), (timelines, isCounter) => {
        const replicas = timelines.map((samples) => replica(samples));
        const expected = timelines.length === 1 ? timelines[0]! : penaltyByDefinition(timelines, isCounter);
        const out = new DedupBuffer();
        mergePenalty(replicas, { isCounter }, out);
        expect(merged(out)).toEqual(expected);
        merged(out).forEach(([ms], i) => expect(timelines[out.replicas[i]!]![out.indexes[i]!]![0]).toBe(ms));
      }),
      { numRuns: 2000 },
    );
  });

  test('two equal three with an empty third', () => {
    fc.assert(
      fc.property(timeline, timeline, fc.boolean(), (a, b, isCounter) => {
        expect(penalty([replica(a), replica(b), replica([])], isCounter)).toEqual(penalty([replica(a), replica(b)], isCounter));
      }),
      { numRuns: 500 },
    );
  });
});

describe('chain', () => {
  test.each([
    ['one replica', [[[10, 1], [20, 2]]], [[10, 1], [20, 2]]],
    ['all empty', [[], [], []], []],
    ['interleaved: all samples', [[[10, 1], [30, 1]], [[20, 2], [40, 2]]], [[10, 1], [20, 2], [30, 1], [40, 2]]],
    ['of two on a tie, the one not current wins, every time', [[[10, 1], [20, 1], [30, 1]], [[10, 2], [20, 2], [30, 2]]], [[10, 2], [20, 2], [30, 2]]],
    ['the current goes on to its end', [[[10, 1], [20, 1]], [[25, 2], [30, 2]], [[5, 3]]], [[5, 3], [10, 1], [20, 1], [25, 2], [30, 2]]],
  ] as const)('%s', (_name, replicas, expected) => {
    expect(chain(replicas.map((samples) => replica(samples as readonly Sample[])))).toEqual(expected);
  });

  test('is the union of the timestamps, each with a sample of that time', () => {
    fc.assert(
      fc.property(fc.array(timeline, { minLength: 1, maxLength: 5 }), (timelines) => {
        const out = new DedupBuffer();
        mergeChain(timelines.map((samples) => replica(samples)), out);
        const times = [...new Set(timelines.flat().map(([ms]) => ms))].toSorted((a, b) => a - b);
        expect([...out.timestampsMs.subarray(0, out.length)]).toEqual(times);
        merged(out).forEach((sample, i) => expect(timelines[out.replicas[i]!]![out.indexes[i]!]).toEqual(sample));
      }),
      { numRuns: 500 },
    );
  });
});

describe('both', () => {
  test('a buffer serves many merges; none given is refused', () => {
    const out = new DedupBuffer();
    mergePenalty([replica([[1, 1], [2, 2]]), replica([])], { isCounter: false }, out);
    mergeChain([replica([[5, 5]])], out);
    expect(merged(out)).toEqual([[5, 5]]);
    expect(() => mergePenalty([], { isCounter: false }, out)).toThrow('merge replicas: none given');
    expect(() => mergeChain([], out)).toThrow('merge replicas: none given');
  });

  test('identical replicas give that replica', () => {
    fc.assert(
      fc.property(timeline, fc.boolean(), (samples, isCounter) => {
        expect(penalty([replica(samples), replica(samples)], isCounter)).toEqual(samples);
        expect(chain([replica(samples), replica(samples)])).toEqual(samples);
      }),
    );
  });

  test('counter functions', () => {
    expect(['rate', 'increase', 'irate', 'resets', 'delta', 'sum', 'xrate', ''].filter(isCounterFunction)).toEqual(['rate', 'increase', 'irate', 'resets']);
  });
});

describe('counter resets', () => {
  test.each([
    ['nothing', [], []],
    ['no reset', [[1, 5], [2, 7]], [[1, 5], [2, 7]]],
    ['a reset adds what was counted since', [[1, 5], [2, 7], [3, 2], [4, 4]], [[1, 5], [2, 7], [3, 9], [4, 11]]],
    ['NaN is dropped', [[1, NaN], [2, 5], [3, NaN], [4, 6]], [[2, 5], [4, 6]]],
    ['a sample at the last time tells the true last value', [[1, 5], [2, 7], [2, 3], [3, 4]], [[1, 5], [2, 7], [3, 8]]],
    ['a step back in time is dropped', [[1, 5], [3, 7], [2, 6], [4, 8]], [[1, 5], [3, 7], [4, 8]]],
    ['negative times', [[-5, 1], [-4, 3]], [[-5, 1], [-4, 3]]],
  ] as const)('%s', (_name, samples, expected) => {
    const { timestampsMs, values } = replica(samples as readonly Sample[]);
    const count = applyCounterResets(timestampsMs, values, samples.length);
    expect(Array.from({ length: count }, (_, i) => [timestampsMs[i], values[i]])).toEqual(expected);
  });
});

test('counter resets go on over histograms, which stay as they are', () => {
  const { timestampsMs, values } = replica([[1, 0], [2, 5], [3, NaN], [4, 0], [5, 2], [5, 1], [6, NaN]]);
  const ids = Int32Array.of(0, -1, -1, 1, -1, -1, 2);
  // A histogram's stale marker.
  writeStaleNaN(wordsOf(values), 6);
  const count = applyCounterResets(timestampsMs, values, 7, ids);
  expect([...timestampsMs.subarray(0, count)]).toEqual([1, 2, 4, 5, 6]);
  expect([...values.subarray(0, 4)]).toEqual([0, 5, 0, 7]);
  expect([...ids.subarray(0, count)]).toEqual([0, -1, 1, -1, 2]);
  expect(isStaleNaN(wordsOf(values), 4)).toBe(true);
});

describe('grouping', () => {
  test('series equal without the replica labels are one group, in label order; members keep their order', () => {
    const series = [
      labelsFromMap({ __name__: 'up', job: 'b', prometheus: 'p1', replica: 'x' }),
      labelsFromMap({ __name__: 'up', job: 'b', prometheus: 'p2', replica: 'x' }),
      labelsFromMap({ __name__: 'up', replica: 'a', zone: '1' }),
      labelsFromMap({ __name__: 'up', replica: 'b', zone: '0' }),
      labelsFromMap({ __name__: 'up', replica: 'b', zone: '1' }),
    ];
    const groups = groupReplicas(series, new Set(['replica', 'prometheus']));
    expect(groups.labels).toEqual([
      ['__name__', 'up', 'job', 'b'],
      ['__name__', 'up', 'zone', '0'],
      ['__name__', 'up', 'zone', '1'],
    ]);
    expect([...groups.offsets]).toEqual([0, 2, 3, 5]);
    expect([...groups.members]).toEqual([0, 1, 3, 2, 4]);
    expect(groupReplicas(series, new Set()).labels).toHaveLength(5);
    expect([...groupReplicas([], new Set(['replica'])).offsets]).toEqual([0]);
  });

  test('overlapping chunks go to the first replica that has ended before them', () => {
    const replicaOf = new Int32Array(6);
    expect(splitOverlappingChunks([0, 5, 10, 11, 16, 30], [10, 15, 20, 21, 25, 40], replicaOf)).toBe(3);
    expect([...replicaOf]).toEqual([0, 1, 2, 0, 1, 0]);
    expect(splitOverlappingChunks([], [], replicaOf)).toBe(0);
  });
});
