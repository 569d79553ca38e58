/** XOR chunks: both implementations against each other, an independent encoder by bit strings, recorded chunks, and damage. */
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { BitWriter, writeUvarintWords, writeVarint } from '@gauntlet/bytes';
import { createKernels } from './create-kernels.ts';
import { BATCH_NO_ROOM, type Kernels, xorChunkBytesMax } from './kernels.ts';
import { awkwardSamples, bitsOf, type SampleColumns } from './testing/samples.ts';

const wasm = createKernels({ backend: 'wasm' });
const js = createKernels({ backend: 'js' });
const both: readonly Kernels[] = [wasm, js];

/** Chunk of the columns, or the negative code. */
function encode(kernels: Kernels, samples: SampleColumns, outMax: number = xorChunkBytesMax(samples.timestampsMs.length)): Buffer | number {
  const { memory } = kernels;
  const count = samples.timestampsMs.length;
  const timestampsPtr = memory.alloc(8 * count);
  const valuesPtr = memory.alloc(8 * count);
  const outPtr = memory.alloc(outMax);
  memory.f64(timestampsPtr, count).set(samples.timestampsMs);
  memory.u8(valuesPtr, 8 * count).set(new Uint8Array(samples.values.buffer, samples.values.byteOffset, 8 * count));
  const bytes = kernels.encodeXor(timestampsPtr, valuesPtr, count, outPtr, outMax);
  const result = bytes < 0 ? bytes : Buffer.from(memory.u8(outPtr, bytes));
  for (const ptr of [timestampsPtr, valuesPtr, outPtr]) memory.free(ptr);
  return result;
}

/** Timestamps and value bits of the chunk, or the negative code; what lies behind the chunk is 0xff, so that an overrun shows. */
function decode(kernels: Kernels, chunk: Uint8Array, sampleMax: number = 65535): { timestamps: number[]; bits: string[] } | number {
  const { memory } = kernels;
  const chunkPtr = memory.alloc(chunk.length + 16);
  const timestampsPtr = memory.alloc(8 * sampleMax);
  const valuesPtr = memory.alloc(8 * sampleMax);
  memory.u8(chunkPtr, chunk.length + 16).fill(0xff).set(chunk);
  const count = kernels.decodeXor(chunkPtr, chunk.length, timestampsPtr, valuesPtr, sampleMax);
  const result = count < 0 ? count : { timestamps: [...memory.f64(timestampsPtr, count)], bits: bitsOf(memory.u8(valuesPtr, 8 * count)) };
  for (const ptr of [chunkPtr, timestampsPtr, valuesPtr]) memory.free(ptr);
  return result;
}

/** The format's definition in BigInt and bit strings, without any of the tricks. */
function encodeByDefinition(samples: SampleColumns): Buffer {
  const out = new BitWriter();
  const bits = new BigUint64Array(samples.values.buffer, samples.values.byteOffset, samples.values.length);
  const writeBig = (value: bigint, count: number): void => {
    const cut = BigInt.asUintN(count, value);
    out.writeBits64(Number(cut >> 32n), Number(cut & 0xffffffffn), count);
  };
  const scratch = new Uint8Array(10);
  out.writeBits(bits.length, 16);
  let delta = 0n;
  let window: { leading: number; trailing: number } | undefined;
  for (let i = 0; i < bits.length; i++) {
    const time = BigInt(samples.timestampsMs[i]!);
    if (i === 0) {
      out.writeBytes(scratch.subarray(0, writeVarint(scratch, 0, Number(time))));
      writeBig(bits[0]!, 64);
      continue;
    }
    const nextDelta = time - BigInt(samples.timestampsMs[i - 1]!);
    if (i === 1) {
      const raw = BigInt.asUintN(64, nextDelta);
      out.writeBytes(scratch.subarray(0, writeUvarintWords(scratch, 0, Number(raw >> 32n), Number(raw & 0xffffffffn))));
    } else {
      const change = nextDelta - delta;
      const width = [14, 17, 20].find((k) => change > -(1n << BigInt(k - 1)) && change <= 1n << BigInt(k - 1));
      if (change === 0n) out.writeBit(0);
      else if (width === undefined) {
        out.writeBits(0b1111, 4);
        writeBig(change, 64);
      } else {
        out.writeBits({ 14: 0b10, 17: 0b110, 20: 0b1110 }[width]!, { 14: 2, 17: 3, 20: 4 }[width]!);
        writeBig(change, width);
      }
    }
    delta = nextDelta;
    const xor = bits[i]! ^ bits[i - 1]!;
    if (xor === 0n) {
      out.writeBit(0);
      continue;
    }
    const text = xor.toString(2).padStart(64, '0');
    const leading = Math.min(31, text.indexOf('1'));
    const trailing = 63 - text.lastIndexOf('1');
    if (window !== undefined && leading >= window.leading && trailing >= window.trailing) {
      out.writeBits(0b10, 2);
    } else {
      window = { leading, trailing };
      out.writeBits(0b11, 2);
      out.writeBits(leading, 5);
      out.writeBits(64 - leading - trailing, 6);
    }
    writeBig(xor >> BigInt(window.trailing), 64 - window.leading - window.trailing);
  }
  return Buffer.from(out.bytes());
}

function columns(timestampsMs: readonly number[], values: readonly number[]): SampleColumns {
  return { timestampsMs: Float64Array.from(timestampsMs), values: Float64Array.from(values) };
}

/** One recorded XOR chunk. */
interface GoldenChunk {
  /** Where it was found, for messages. */
  readonly file: string;
  readonly mint: number;
  readonly maxt: number;
  /** Payload after the encoding byte. */
  readonly data: Buffer;
}

const XOR = 1;

/** All XOR chunks of `*.chunks.jsonl` files below testdata/ and `$GAUNTLET_SHARED/golden/tsdb`. */
function readGoldenXorChunks(): GoldenChunk[] {
  const root = process.env['GAUNTLET_SHARED'] ?? join(process.cwd(), '..', 'shared');
  const folders = [join(process.cwd(), 'packages', 'kernels', 'testdata'), join(root, 'golden', 'tsdb')];
  return folders.filter((folder) => existsSync(folder)).flatMap((folder) =>
    readdirSync(folder, { recursive: true, encoding: 'utf8' })
      .filter((name) => name.endsWith('.chunks.jsonl'))
      .flatMap((name) => readChunks(join(folder, name), name)),
  );
}

function readChunks(path: string, file: string): GoldenChunk[] {
  return readFileSync(path, 'utf8')
    .split('\n')
    .filter((line) => line !== '')
    .flatMap((line) => (JSON.parse(line) as { chunks: ReadonlyArray<readonly [number, number, number, string]> }).chunks)
    .filter(([, , encoding]) => encoding === XOR)
    .map(([mint, maxt, , data]) => ({ file, mint, maxt, data: Buffer.from(data, 'base64') }));
}

describe('XOR chunks', () => {
  test.each([
    ['no sample', columns([], []), '0000'],
    ['one', columns([1000], [1]), '0001d00f3ff0000000000000'],
    ['two, same value', columns([1000, 2000], [1, 1]), '0002d00f3ff0000000000000e80700'],
  ])('bytes of %s', (_name, samples, hex) => {
    for (const kernels of both) expect((encode(kernels, samples) as Buffer).toString('hex')).toBe(hex);
  });

  test('the first change of a value writes a window, whatever its zeros', () => {
    const samples = columns([0, 1, 2], [0, 5e-324, 0]);
    for (const kernels of both) {
      expect(encode(kernels, samples)).toEqual(encodeByDefinition(samples));
      expect(decode(kernels, encode(kernels, samples) as Buffer)).toEqual({ timestamps: [0, 1, 2], bits: bitsOf(samples.values) });
    }
  });

  test('both encoders equal the definition, and both decoders give the samples back', () => {
    fc.assert(
      fc.property(awkwardSamples(), (samples) => {
        const expected = encodeByDefinition(samples);
        for (const kernels of both) {
          expect(encode(kernels, samples)).toEqual(expected);
          expect(decode(kernels, expected)).toEqual({ timestamps: [...samples.timestampsMs], bits: bitsOf(samples.values) });
        }
      }),
      { numRuns: 400 },
    );
  });

  test('trailing bytes are allowed: older Prometheus leaves one', () => {
    const samples = columns([1, 2, 3, 5], [1, 2, 2, 4]);
    for (const kernels of both) {
      const chunk = Buffer.concat([encode(kernels, samples) as Buffer, Buffer.of(0, 0)]);
      expect(decode(kernels, chunk)).toEqual({ timestamps: [1, 2, 3, 5], bits: bitsOf(samples.values) });
    }
  });

  test('every cut is refused by both', () => {
    fc.assert(
      fc.property(awkwardSamples(24), (samples) => {
        const chunk = encodeByDefinition(samples);
        for (let end = 0; end < chunk.length; end++) {
          for (const kernels of both) expect(decode(kernels, chunk.subarray(0, end))).toBe(-1);
        }
      }),
      { numRuns: 60 },
    );
  });

  test('any bytes: both refuse, or both give the same', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 120 }), fc.nat(40), (noise, count) => {
        const chunk = Buffer.concat([Buffer.of(0, count), noise]);
        expect(decode(wasm, chunk)).toEqual(decode(js, chunk));
      }),
      { numRuns: 2000 },
    );
  });

  test('a chunk with one byte flipped: both refuse, or both give the same', () => {
    fc.assert(
      fc.property(awkwardSamples(), fc.nat(), fc.integer({ min: 1, max: 255 }), (samples, at, flip) => {
        const chunk = encodeByDefinition(samples);
        chunk[at % chunk.length]! ^= flip;
        expect(decode(wasm, chunk)).toEqual(decode(js, chunk));
      }),
      { numRuns: 1000 },
    );
  });

  test('a claimed 65,535 samples in a few bytes ends at the bytes, wherever the chunk lies', () => {
    for (const backend of ['wasm', 'js'] as const) {
      const kernels = createKernels({ backend, initialBytes: 131072, maxMemoryBytes: 131072 });
      const length = 24;
      const chunkPtr = kernels.memory.buffer.byteLength - length - 16;
      kernels.memory.u8(chunkPtr, length + 16).fill(0xff).set([0xff, 0xff, 0x02, 0, 0, 0, 0, 0, 0, 0, 0, 0x01, 0xff]);
      for (let end = 0; end <= length; end++) expect(kernels.decodeXor(chunkPtr, end, 65536, 65536, 65535)).toBe(-1);
    }
  });

  test.each([
    ['a window wider than its place', [0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0b11_11111_1, 0b00010_000, 0, 0, 0, 0, 0, 0]],
    ['a first timestamp beyond 2^53', [0, 1, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x40, 0, 0, 0, 0, 0, 0, 0, 0]],
    ['a first timestamp of 65 bits', [0, 1, 255, 255, 255, 255, 255, 255, 255, 255, 255, 2, 0, 0, 0, 0, 0, 0, 0, 0]],
  ])('refuses %s', (_name, bytes) => {
    for (const kernels of both) expect(decode(kernels, Uint8Array.from(bytes))).toBe(-1);
  });

  test('timestamps at the ends of the ranges: both the same, and back again', () => {
    const edge = 2 ** 51;
    const rows = [
      [1 - edge, edge - 1, 1 - edge, edge - 1],
      [-edge, edge, -edge, 0, edge],
      [edge + 1, -edge - 1, edge],
      [0, edge + 1, edge + 2],
      [2 ** 52, 2 ** 52 + 2, 2 ** 52 + 3],
      [edge, edge - 0.5],
      [0, -0, 1],
      [0, -Infinity],
      [1, 2, NaN],
      [-edge, -edge + 1, -edge + 2, -edge + 524_290],
    ];
    for (const times of rows) {
      const samples = columns(times, times.map((_time, i) => i / 3));
      const [a, b] = both.map((kernels) => encode(kernels, samples));
      expect(a).toEqual(b);
      const deltas = times.slice(1).map((time, i) => time - times[i]!);
      const changes = deltas.slice(1).map((delta, i) => delta - deltas[i]!);
      if ([...times, ...deltas, ...changes].some((number) => !Number.isSafeInteger(number))) expect(a).toBe(-1);
      else expect(decode(wasm, a as Buffer)).toMatchObject({ timestamps: times.map((time) => time + 0) });
    }
  });

  test('timestamps that run out of the safe integers are refused, not wrapped', () => {
    const max = Number.MAX_SAFE_INTEGER;
    const near = encodeByDefinition(columns([0, 2 ** 52, max], [1, 2, 3]));
    for (const kernels of both) {
      expect(decode(kernels, near)).toEqual({ timestamps: [0, 2 ** 52, max], bits: bitsOf(Float64Array.of(1, 2, 3)) });
      // The same delta once more.
      const beyond = Buffer.concat([near, Buffer.alloc(16)]);
      beyond[1] = 4;
      expect(decode(kernels, beyond)).toBe(-1);
      expect(encode(kernels, columns([-max, max], [1, 1]))).toBe(-1);
      expect(encode(kernels, columns([0.5], [1]))).toBe(-1);
      expect(encode(kernels, columns([NaN], [1]))).toBe(-1);
      expect(encode(kernels, columns([0, Infinity], [1, 1]))).toBe(-1);
      expect(encode(kernels, columns([0, max, 0], [1, 1, 1]))).toBe(-1);
    }
  });

  test('too little room is said, and nothing is written past it', () => {
    const samples = columns(
      Array.from({ length: 50 }, (_, i) => i * i * 1000),
      Array.from({ length: 50 }, (_, i) => Math.sin(i)),
    );
    const chunk = encodeByDefinition(samples);
    for (const kernels of both) {
      expect(decode(kernels, chunk, 49)).toBe(-2);
      expect(decode(kernels, chunk, 50)).toEqual({ timestamps: [...samples.timestampsMs], bits: bitsOf(samples.values) });
    }
    for (let outMax = 0; outMax < chunk.length + 40; outMax++) {
      const results = both.map((kernels) => encode(kernels, samples, outMax));
      expect(results[0]).toEqual(results[1]);
      if (outMax < chunk.length) expect(results[0]).toBe(-2);
    }
    expect(encode(wasm, samples, chunk.length + 32)).toEqual(chunk);
    const many = { timestampsMs: Float64Array.from({ length: 65536 }, (_, i) => i), values: new Float64Array(65536) };
    for (const kernels of both) {
      expect(encode(kernels, many)).toBe(-1);
      const most = { timestampsMs: many.timestampsMs.subarray(1), values: many.values.subarray(1) };
      expect(decode(kernels, encode(kernels, most) as Buffer)).toEqual({ timestamps: [...most.timestampsMs], bits: bitsOf(most.values) });
    }
  });

  test('a batch of chunks fills the columns one behind the other; the damaged one is named', () => {
    const parts = [columns([1, 2, 3], [1, 2, 3]), columns([], []), columns([4], [4]), columns([5, 9], [5, 9])];
    for (const kernels of both) {
      const { memory } = kernels;
      const descriptorPtr = memory.alloc(8 * parts.length);
      const timestampsPtr = memory.alloc(64);
      const valuesPtr = memory.alloc(64);
      const chunks = parts.map((part) => {
        const chunk = encode(kernels, part) as Buffer;
        const ptr = memory.alloc(chunk.length + 16);
        memory.u8(ptr, chunk.length).set(chunk);
        return { ptr, bytes: chunk.length };
      });
      memory.i32(descriptorPtr, 2 * parts.length).set(chunks.flatMap(({ ptr, bytes }) => [ptr, bytes]));
      expect(kernels.countXorSamples(descriptorPtr, 4)).toBe(6);
      expect(kernels.decodeXorChunks(descriptorPtr, 4, timestampsPtr, valuesPtr, 6)).toBe(6);
      expect([...memory.f64(timestampsPtr, 6)]).toEqual([1, 2, 3, 4, 5, 9]);
      expect([...memory.f64(valuesPtr, 6)]).toEqual([1, 2, 3, 4, 5, 9]);
      expect(kernels.decodeXorChunks(descriptorPtr, 4, timestampsPtr, valuesPtr, 5)).toBe(BATCH_NO_ROOM);
      memory.i32(descriptorPtr, 8)[5] = 5;
      expect(kernels.decodeXorChunks(descriptorPtr, 4, timestampsPtr, valuesPtr, 6)).toBe(-3);
      expect(kernels.decodeXorChunks(descriptorPtr, 0, timestampsPtr, valuesPtr, 6)).toBe(0);
    }
  });

  const golden = readGoldenXorChunks();
  (golden.length > 0 ? test : test.skip)('recorded chunks of Prometheus: decoded alike, within their time range, and encoded to the same bytes', () => {
    for (const { file, mint, maxt, data } of golden) {
      const decoded = decode(wasm, data, 1000);
      expect(decoded).toEqual(decode(js, data, 1000));
      if (typeof decoded === 'number') throw new Error(`${file}: decode gave ${decoded}`);
      expect([file, decoded.timestamps[0], decoded.timestamps.at(-1)]).toEqual([file, mint, maxt]);
      const values = new Float64Array(new BigUint64Array(decoded.bits.map((hex) => BigInt(`0x${hex}`))).buffer);
      const samples = { timestampsMs: Float64Array.from(decoded.timestamps), values };
      for (const kernels of both) expect(encode(kernels, samples)).toEqual(data);
    }
  });
});
