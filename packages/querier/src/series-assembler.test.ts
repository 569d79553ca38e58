import { describe, expect, test } from '@jest/globals';
import { type Kernels, createKernels, xorChunkBytesMax } from '@gauntlet/kernels';
import { type SeriesBatch, isStaleNaN, labelsFromPairs, wordsOf, writeStaleNaN } from '@gauntlet/model';
import { KernelBuffer } from './kernel-buffer.ts';
import { SeriesAssembler } from './series-assembler.ts';
import { createUnite, type UniteStreams } from './unite-streams.ts';

type Sample = readonly [number, number];

function encode(kernels: Kernels, samples: readonly Sample[]): Uint8Array {
  const { memory } = kernels;
  const size = xorChunkBytesMax(samples.length);
  const out = memory.alloc(size);
  const times = memory.alloc(8 * samples.length);
  const values = memory.alloc(8 * samples.length);
  memory.f64(times, samples.length).set(samples.map(([t]) => t));
  const column = memory.f64(values, samples.length);
  // A stale marker is written by its bits: as a JavaScript number it would become another NaN.
  samples.forEach(([, v], index) => (Number.isNaN(v) ? writeStaleNaN(wordsOf(column), index) : (column[index] = v)));
  const bytes = kernels.encodeXor(times, values, samples.length, out, size);
  const data = memory.u8(out, bytes).slice();
  for (const ptr of [out, times, values]) memory.free(ptr);
  return data;
}

function samplesOf(batch: SeriesBatch): Record<string, Sample[]> {
  const out: Record<string, Sample[]> = {};
  batch.labels.forEach((labels, index) => {
    out[labels[1]!] = [];
    for (let at = batch.offsets[index]!; at < batch.offsets[index + 1]!; at++) out[labels[1]!]!.push([batch.timestampsMs[at]!, batch.values[at]!]);
  });
  return out;
}

/** A charge that knows what is out. */
function createCharge(limit = Infinity): { reserve(bytes: number): void; release(bytes: number): void; used: number } {
  return {
    used: 0,
    reserve(bytes) {
      if (this.used + bytes > limit) throw new Error(`over budget: ${bytes} more on ${this.used}, limit ${limit}`);
      this.used += bytes;
    },
    release(bytes) {
      this.used -= bytes;
    },
  };
}

describe.each(['wasm', 'js'] as const)('series assembler on %s kernels', (backend) => {
  const kernels = createKernels({ backend });
  const chain = (mint: number, maxt: number): UniteStreams => createUnite({ dedupFunction: 'chain', isCounter: false, mint, maxt });
  const make = (mint: number, maxt: number, unite: UniteStreams = chain(mint, maxt), charge = createCharge()): SeriesAssembler =>
    new SeriesAssembler({ kernels, charge, mint, maxt, unite });
  const put = (assembler: SeriesAssembler, samples: readonly Sample[]): void =>
    assembler.addChunk(samples[0]![0], samples[samples.length - 1]![0], 1, encode(kernels, samples));
  const begin = (assembler: SeriesAssembler, name: string): void => assembler.add(labelsFromPairs([['name', name]]));

  test('chunks become columns, cut to the range, series without samples dropped', () => {
    const assembler = make(20, 50);
    begin(assembler, 'a');
    put(assembler, [[10, 1], [20, 2], [30, 3]]);
    put(assembler, [[40, 4], [50, 5], [60, 6]]);
    begin(assembler, 'b');
    put(assembler, [[0, 0], [10, 0]]);
    begin(assembler, 'c');
    put(assembler, [[50, -1]]);
    expect(samplesOf(assembler.finish())).toEqual({ a: [[20, 2], [30, 3], [40, 4], [50, 5]], c: [[50, -1]] });
    begin(assembler, 'd');
    put(assembler, [[30, 9]]);
    expect(samplesOf(assembler.finish())).toEqual({ d: [[30, 9]] });
    assembler.dispose();
  });

  test('chunks in any order', () => {
    const assembler = make(0, 100);
    begin(assembler, 'a');
    put(assembler, [[40, 4], [50, 5]]);
    put(assembler, [[10, 1], [20, 2]]);
    expect(samplesOf(assembler.finish())).toEqual({ a: [[10, 1], [20, 2], [40, 4], [50, 5]] });
    assembler.dispose();
  });

  test('overlapping chunks are chained: every timestamp of all of them, once', () => {
    const assembler = make(0, 100);
    begin(assembler, 'a');
    put(assembler, [[10, 1], [20, 2], [60, 6]]);
    put(assembler, [[20, 2], [30, 3], [40, 4]]);
    put(assembler, [[35, 3.5], [70, 7]]);
    begin(assembler, 'b');
    put(assembler, [[10, 7]]);
    expect(samplesOf(assembler.finish())).toEqual({ a: [[10, 1], [20, 2], [30, 3], [35, 3.5], [40, 4], [60, 6], [70, 7]], b: [[10, 7]] });
    assembler.dispose();
  });

  test('overlapping chunks are streams to unite, others are not', () => {
    const seen: number[][] = [];
    const assembler = make(0, 100, (streams) => {
      seen.push(...streams.map((stream) => [...stream.timestampsMs]));
      return { timestampsMs: Float64Array.of(10, 15, 40), values: Float64Array.of(1, 2, 3) };
    });
    begin(assembler, 'a');
    put(assembler, [[10, 1], [20, 2]]);
    put(assembler, [[15, 1], [25, 2]]);
    put(assembler, [[30, 3], [40, 4]]);
    begin(assembler, 'b');
    put(assembler, [[10, 5], [20, 6]]);
    put(assembler, [[30, 7]]);
    expect(samplesOf(assembler.finish())).toEqual({ a: [[10, 1], [15, 2], [40, 3]], b: [[10, 5], [20, 6], [30, 7]] });
    expect(seen).toEqual([[10, 20, 30, 40], [15, 25]]);
    assembler.dispose();
  });

  test('stale markers keep their bits, overlapping or not', () => {
    for (const overlap of [false, true]) {
      const assembler = make(0, 100);
      begin(assembler, 'a');
      put(assembler, [[10, 1], [20, NaN]]);
      if (overlap) put(assembler, [[10, 1], [30, NaN]]);
      const { values, offsets } = assembler.finish();
      expect(offsets[1]).toBe(overlap ? 3 : 2);
      for (let index = 1; index < values.length; index++) expect(isStaleNaN(wordsOf(values), index)).toBe(true);
      assembler.dispose();
    }
  });

  test.each([false, true])('replicas of many series by penalty, counters %s, as if each series came alone', (isCounter) => {
    const samplesOfReplica = (series: number, replica: number): Sample[] =>
      Array.from({ length: 100 }, (_unused, i): Sample => [i * 15_000 + replica * 4_000 + (i % 3), series + (i % 40) * (replica + 1)]).filter((_sample, i) => (i + 7 * series + 31 * replica) % 60 > 4);
    const only = [0, 1, 2].map((series) => Array.from({ length: series === 1 ? 3 : 2 }, (_unused, replica) => samplesOfReplica(series, replica)).toSorted((a, b) => a[0]![0] - b[0]![0]));
    const putAll = (assembler: SeriesAssembler, series: number): void => {
      begin(assembler, `s${series}`);
      for (const samples of only[series]!) put(assembler, samples);
    };
    const create = (charge = createCharge()): SeriesAssembler => make(90_000, 1_200_000, createUnite({ dedupFunction: 'penalty', isCounter, mint: 90_000, maxt: 1_200_000 }), charge);
    const charge = createCharge();
    const [together, alone] = [create(charge), create()];
    for (const series of [0, 1, 2]) putAll(together, series);
    const merged = samplesOf(together.finish());
    for (const series of [0, 1, 2]) {
      putAll(alone, series);
      expect(merged[`s${series}`]).toEqual(samplesOf(alone.finish())[`s${series}`]);
      // What merges over views, without kernels, gives.
      const streams = only[series]!.map((samples) => ({ timestampsMs: Float64Array.from(samples, ([t]) => t), values: Float64Array.from(samples, ([, v]) => v) }));
      const { timestampsMs, values } = createUnite({ dedupFunction: 'penalty', isCounter, mint: 90_000, maxt: 1_200_000 })(streams, () => undefined);
      expect(merged[`s${series}`]).toEqual(Array.from(timestampsMs, (t, i) => [t, values[i]]));
    }
    alone.dispose();
    together.dispose();
    expect(charge.used).toBe(0);
  });

  test('many series, more than the first buffers hold', () => {
    const assembler = make(0, 1e9);
    const samples = Array.from({ length: 120 }, (_unused, index): Sample => [index * 15_000, Math.sin(index) * 1e6]);
    const chunk = encode(kernels, samples);
    for (let series = 0; series < 500; series++) {
      begin(assembler, `s${String(series).padStart(3, '0')}`);
      assembler.addChunk(0, 119 * 15_000, 1, chunk);
    }
    const batch = assembler.finish();
    expect(batch.labels).toHaveLength(500);
    expect(samplesOf(batch)['s499']).toEqual(samples);
    assembler.dispose();
  });

  test.each([0, 7, 255])('encoding %d is refused by name', (encoding) => {
    const assembler = make(0, 100);
    begin(assembler, 'a');
    expect(() => assembler.addChunk(0, 10, encoding, new Uint8Array(8))).toThrow(`decode chunks of {name="a"}: invalid chunk encoding "${encoding}"`);
    assembler.dispose();
  });

  test.each([2, 3, 4, 5, 6])('a damaged chunk of encoding %d is an error that names series and time', (encoding) => {
    const charge = createCharge();
    const assembler = make(0, 100, undefined, charge);
    begin(assembler, 'a');
    put(assembler, [[10, 1]]);
    assembler.addChunk(5, 10, encoding, Uint8Array.of(0, 9, 0, 0x12));
    expect(() => assembler.finish()).toThrow('decode chunks of {name="a"}: the chunk from 1970-01-01T00:00:00.005Z does not decode: decode ');
    assembler.dispose();
    expect(charge.used).toBe(0);
  });

  test('a damaged chunk is an error that names series and time, never other samples', () => {
    const assembler = make(0, 100_000);
    begin(assembler, 'a');
    put(assembler, [[10, 1]]);
    begin(assembler, 'b');
    const chunk = encode(kernels, [[5000, 1], [6000, 2.5], [7000, 3.25], [8000, 7]]);
    assembler.addChunk(5000, 8000, 1, chunk.subarray(0, chunk.length - 6));
    expect(() => assembler.finish()).toThrow('decode chunks of {name="b"}: the chunk from 1970-01-01T00:00:05.000Z does not decode');
    assembler.dispose();
  });

  test('what is charged is given back, and a budget that is passed leaves nothing behind', () => {
    const used = kernels.memory.usedBytes;
    const charge = createCharge(100_000);
    const buffer = new KernelBuffer(kernels.memory, charge);
    buffer.ensure(1000);
    expect(() => buffer.ensure(1_000_000)).toThrow('over budget');
    expect(charge.used).toBe(65_536);
    buffer.free();
    expect(charge.used).toBe(0);
    expect(kernels.memory.usedBytes).toBe(used);
  });
});
