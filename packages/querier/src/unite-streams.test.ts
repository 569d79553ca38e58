import fc from 'fast-check';
import { describe, expect, test } from '@jest/globals';
import { penaltyRoomBytes } from '@gauntlet/dedup';
import { createKernels } from '@gauntlet/kernels';
import { isStaleNaN, wordsOf, writeStaleNaN } from '@gauntlet/model';
import { createUnite, type DedupFunction, type SampleStream } from './unite-streams.ts';

/** Samples `[time, value]`, or `[time, undefined, id]` for histograms. */
function stream(samples: readonly (readonly [number, number | undefined, number?])[]): SampleStream {
  const values = Float64Array.from(samples, ([, value]) => value ?? 0);
  const columns = { timestampsMs: Float64Array.from(samples, ([time]) => time), values };
  return samples.some(([, value]) => value === undefined) ? { ...columns, ids: Int32Array.from(samples, ([, , id]) => id ?? -1) } : columns;
}

function unite(dedupFunction: DedupFunction, streams: readonly SampleStream[], isCounter = false, maxt = 1e9): { samples: unknown[]; forgotten: number[] } {
  const forgotten: number[] = [];
  const { timestampsMs, values, ids } = createUnite({ dedupFunction, isCounter, mint: 0, maxt })(streams, (id) => forgotten.push(id));
  return { samples: Array.from(timestampsMs, (time, k) => (ids === undefined || ids[k]! < 0 ? [time, values[k]] : [time, `h${ids[k]}`])), forgotten };
}

describe('histograms among the samples', () => {
  const a = stream([[0, undefined, 0], [10_000, undefined, 1], [20_000, undefined, 2], [120_000, undefined, 3]]);
  const b = stream([[5_000, undefined, 4], [15_000, undefined, 5], [25_000, undefined, 6], [35_000, undefined, 7], [45_000, undefined, 8], [55_000, undefined, 9]]);

  test('penalty stays with a replica; the first one after a switch has no hint', () => {
    const { samples, forgotten } = unite('penalty', [a, b]);
    expect(samples).toEqual([[0, 'h0'], [10_000, 'h1'], [20_000, 'h2'], [45_000, 'h8'], [55_000, 'h9'], [120_000, 'h3']]);
    expect(forgotten).toEqual([8, 3]);
  });

  test('chain takes all; hints say nothing where replicas alternate', () => {
    const { samples, forgotten } = unite('chain', [a, b]);
    expect(samples).toEqual([[0, 'h0'], [5_000, 'h4'], [10_000, 'h1'], [15_000, 'h5'], [20_000, 'h2'], [25_000, 'h6'], [35_000, 'h7'], [45_000, 'h8'], [55_000, 'h9'], [120_000, 'h3']]);
    expect(forgotten).toEqual([4, 1, 5, 2, 6, 3]);
  });

  test('more than two replicas, cut to the range', () => {
    const c = stream([[60_000, undefined, 10], [70_000, undefined, 11]]);
    expect(unite('chain', [a, b, c], false, 60_000).samples.slice(-2)).toEqual([[55_000, 'h9'], [60_000, 'h10']]);
    expect(unite('penalty', [a, b, c], false, 60_000)).toEqual({ samples: [[0, 'h0'], [10_000, 'h1'], [20_000, 'h2'], [45_000, 'h8'], [55_000, 'h9']], forgotten: [8] });
  });

  test('a replica of floats beside one of histograms', () => {
    const floats = stream([[5_000, 1], [30_000, 2], [61_000, 3]]);
    expect(unite('chain', [a, floats]).samples).toEqual([[0, 'h0'], [5_000, 1], [10_000, 'h1'], [20_000, 'h2'], [30_000, 2], [61_000, 3], [120_000, 'h3']]);
    expect(unite('chain', [floats, stream([[6_000, 7]])]).samples).toEqual([[5_000, 1], [6_000, 7], [30_000, 2], [61_000, 3]]);
  });

  test.each([2, 3])('%d replicas read as counters: floats are raised at switches, histograms stay', (replicas) => {
    const first = stream([[0, 100], [10_000, undefined, 0], [20_000, 5]]);
    const second = stream([[5_000, undefined, 1], [15_000, 1], [50_000, 2], [60_000, undefined, 2]]);
    const third = stream([[200_000, undefined, 3]]);
    const { samples } = unite('penalty', [first, second, third].slice(0, replicas), true);
    // A total goes on over histograms: 100, then 5 after a reset.
    expect(samples.slice(0, 3)).toEqual([[0, 100], [10_000, 'h0'], [20_000, 105]]);
    expect(samples.slice(3, 5)).toEqual([[50_000, 105], [60_000, 'h2']]);
    expect(samples.slice(5)).toEqual(replicas === 3 ? [[200_000, 'h3']] : []);
  });

  test.each(['penalty', 'chain'] as const)('%s: a stale marker of a histogram keeps its bits, read as a counter too', (dedupFunction) => {
    const marked = stream([[0, undefined, 0], [10_000, undefined, 1]]);
    writeStaleNaN(wordsOf(marked.values), 1);
    const { values, ids } = createUnite({ dedupFunction, isCounter: true, mint: 0, maxt: 1e9 })([marked, stream([[90_000, undefined, 2]])], () => undefined);
    expect([...ids!]).toEqual([0, 1, 2]);
    expect([0, 1, 2].map((k) => isStaleNaN(wordsOf(values), k))).toEqual([false, true, false]);
  });

  test.each(['penalty', 'chain'] as const)('%s: a hint that is left is true of the samples that are left', (dedupFunction) => {
    // The counter is reset now and then; replicas see it at times of their own, with gaps. In its own stream each sample knows of a reset before it.
    const replica = fc.array(fc.record({ gap: fc.integer({ min: 1, max: 30 }), isFloat: fc.nat(9).map((n) => n === 0) }), { minLength: 1, maxLength: 40 });
    fc.assert(
      fc.property(fc.array(replica, { minLength: 2, maxLength: 4 }), fc.array(fc.integer({ min: 1, max: 600_000 }), { maxLength: 8 }), fc.boolean(), (replicas, resets, isCounter) => {
        const timeOf: number[] = [];
        const isNotReset: boolean[] = [];
        const hasReset = (afterMs: number, untilMs: number): boolean => resets.some((reset) => reset > afterMs && reset <= untilMs);
        const streams = replicas.map((samples, r) => {
          let timeMs = r;
          let last: number | undefined;
          return stream(
            samples.map(({ gap, isFloat }): readonly [number, number | undefined, number?] => {
              timeMs += gap * 1000;
              if (isFloat) {
                // What follows begins a chunk, and knows of nothing before it.
                last = undefined;
                return [timeMs, 1];
              }
              isNotReset.push(last !== undefined && !hasReset(last, timeMs));
              last = timeMs;
              return [timeMs, undefined, timeOf.push(timeMs) - 1];
            }),
          );
        });
        const { timestampsMs, ids } = createUnite({ dedupFunction, isCounter, mint: 0, maxt: 500_000 })(streams, (id) => (isNotReset[id] = false));
        let last: number | undefined;
        for (const [k, id] of (ids ?? []).entries()) {
          if (id < 0) continue;
          expect(timeOf[id]).toBe(timestampsMs[k]);
          if (last !== undefined && isNotReset[id]!) expect(hasReset(last, timeOf[id]!)).toBe(false);
          last = timeOf[id];
        }
      }),
      { numRuns: 1000 },
    );
  });
});

describe.each(['wasm', 'js'] as const)('streams in the memory of %s kernels', (backend) => {
  const kernels = createKernels({ backend });
  const { memory } = kernels;

  test('give what streams elsewhere give, bit for bit', () => {
    const gap = fc.oneof({ weight: 12, arbitrary: fc.constant(15_000) }, { weight: 3, arbitrary: fc.integer({ min: 1, max: 20_000 }) }, { weight: 1, arbitrary: fc.integer({ min: 30_000, max: 300_000 }) });
    const replica = fc.record({ first: fc.nat(20_000), steps: fc.array(fc.tuple(gap, fc.nat(20)), { maxLength: 80 }), hasStarts: fc.nat(9).map((n) => n === 0) });
    fc.assert(
      fc.property(fc.array(replica, { minLength: 2, maxLength: 4 }), fc.boolean(), fc.nat(400_000), fc.nat(1_200_000), (replicas, isCounter, mint, range) => {
        const options = { dedupFunction: 'penalty' as const, isCounter, mint, maxt: mint + range };
        const elsewhere = replicas.map(({ first, steps, hasStarts }): SampleStream => {
          let time = first;
          let total = 0;
          const timestampsMs = Float64Array.from(steps, ([distance]) => (time += distance));
          // Now and then a reset, and a stale marker before it.
          const values = Float64Array.from(steps, ([, add]) => (total = add === 19 ? 3 : total + add));
          steps.forEach(([, add], i) => add === 20 && writeStaleNaN(wordsOf(values), i));
          return { timestampsMs, values, ...(hasStarts ? { starts: timestampsMs.map((t) => t - 1) } : {}) };
        });
        const owned: number[] = [];
        const place = (column: Float64Array): Float64Array => {
          owned.push(memory.alloc(8 * column.length));
          memory.u8(owned.at(-1)!, 8 * column.length).set(new Uint8Array(column.buffer));
          return column;
        };
        const samples = elsewhere.reduce((sum, { values }) => sum + values.length, 0);
        const pointers = elsewhere.map(({ timestampsMs, values }) => {
          place(timestampsMs);
          place(values);
          return owned.slice(-2) as [number, number];
        });
        owned.push(memory.alloc(penaltyRoomBytes(samples, replicas.length)));
        const room = { kernels, ptr: owned.at(-1)! };
        const here = elsewhere.map((stream, r): SampleStream => {
          const count = stream.values.length;
          return { ...stream, timestampsMs: memory.f64(pointers[r]![0], count), values: memory.f64(pointers[r]![1], count) };
        });
        const merged = createUnite(options)(here, () => undefined, room);
        const expected = createUnite(options)(elsewhere, () => undefined);
        expect([...merged.timestampsMs]).toEqual([...expected.timestampsMs]);
        expect([...wordsOf(merged.values)]).toEqual([...wordsOf(expected.values)]);
        expect(merged.starts).toEqual(expected.starts);
        for (const ptr of owned) memory.free(ptr);
      }),
      { numRuns: 400 },
    );
  });
});
