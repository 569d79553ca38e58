/** What a write request passes: snappy, the scan of its protobuf and the table of keys, module and twin against each other and against the codec of bytes. */
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { BytesError, GrowableBytes, snappyBoundBytes, snappyDecode, snappyEncode, snappyPlainLength } from '@gauntlet/bytes';
import { createKernels } from './create-kernels.ts';
import { KEY_ENTRY_BYTES, KEY_HEADER_BYTES, KEY_PROBES_MAX, keyRecordBytes, SNAPPY_SLACK_BYTES, SNAPPY_TABLE_BYTES, WRITE_ROW_BYTES, WRITE_SCAN, WRITE_STATE_BYTES } from './ingest-kernels.ts';
import type { Kernels } from './kernels.ts';

const both: readonly Kernels[] = (['wasm', 'js'] as const).map((backend) => createKernels({ backend }));
const GUARD = 0xa5;

/** Calls with allocations of these sizes, which are given back. */
function allocated<T>({ memory }: Kernels, sizes: readonly number[], use: (...ptrs: number[]) => T): T {
  const ptrs = sizes.map((size) => memory.alloc(Math.max(1, size)));
  try {
    return use(...ptrs);
  } finally {
    for (const ptr of ptrs) memory.free(ptr);
  }
}

/** Plain bytes, or undefined for a damaged block. What lies behind the slack must stay. */
function decode(kernels: Kernels, block: Uint8Array, plainBytes: number): Uint8Array | undefined {
  const { memory } = kernels;
  const room = plainBytes + SNAPPY_SLACK_BYTES;
  return allocated(kernels, [block.length + SNAPPY_SLACK_BYTES, room + 32], (blockPtr, outPtr) => {
    memory.u8(blockPtr!, block.length + SNAPPY_SLACK_BYTES).fill(0xff).set(block);
    memory.u8(outPtr!, room + 32).fill(GUARD);
    const got = kernels.snappyDecode(blockPtr!, block.length, outPtr!, plainBytes);
    expect(memory.u8(outPtr! + room, 32).every((byte) => byte === GUARD)).toBe(true);
    if (got < 0) return undefined;
    expect(got).toBe(plainBytes);
    return memory.u8(outPtr!, plainBytes).slice();
  });
}

function encode(kernels: Kernels, plain: Uint8Array): Uint8Array {
  const { memory } = kernels;
  const bound = snappyBoundBytes(plain.length) + SNAPPY_SLACK_BYTES;
  return allocated(kernels, [plain.length + SNAPPY_SLACK_BYTES, bound + 32, SNAPPY_TABLE_BYTES], (ptr, outPtr, tablePtr) => {
    memory.u8(ptr!, plain.length).set(plain);
    memory.u8(outPtr!, bound + 32).fill(GUARD);
    const length = kernels.snappyEncode(ptr!, plain.length, outPtr!, tablePtr!);
    expect(memory.u8(outPtr! + bound, 32).every((byte) => byte === GUARD)).toBe(true);
    return memory.u8(outPtr!, length).slice();
  });
}

/** What bytes makes of a block. */
function oracle(block: Uint8Array, maxBytes: number): Uint8Array | undefined {
  try {
    return snappyDecode(block, { maxBytes });
  } catch (error) {
    if (error instanceof BytesError) return undefined;
    throw error;
  }
}

const repetitive = fc
  .array(fc.oneof(fc.uint8Array({ maxLength: 40 }), fc.tuple(fc.nat(3), fc.nat(300)).map(([byte, count]) => new Uint8Array(count).fill(byte))), { maxLength: 40 })
  .chain((parts) => fc.array(fc.nat(Math.max(0, parts.length - 1)), { maxLength: 60 }).map((order) => Uint8Array.from(order.flatMap((i) => [...(parts[i] ?? [])]))));

describe('snappy', () => {
  test('compresses into the block that bytes makes, and back', () => {
    fc.assert(
      fc.property(repetitive, (plain) => {
        const block = snappyEncode(plain);
        for (const kernels of both) {
          expect(encode(kernels, plain)).toEqual(block);
          expect(decode(kernels, block, plain.length)).toEqual(plain);
        }
      }),
    );
  });

  test('input beyond a window, beyond the longest short literal, and none', () => {
    let state = 7;
    const noise = Uint8Array.from({ length: 70_000 }, () => (state = (Math.imul(state, 1103515245) + 12345) >>> 0) >>> 24);
    const long = new Uint8Array(200_000);
    for (let at = 0; at < long.length; at += 1000) long.set(noise.subarray(at % 3000, (at % 3000) + 1000), at);
    for (const plain of [new Uint8Array(0), noise, long, noise.subarray(0, 65_536), noise.subarray(0, 300), new Uint8Array(130_000)]) {
      const block = snappyEncode(plain);
      for (const kernels of both) {
        expect(encode(kernels, plain)).toEqual(block);
        expect(decode(kernels, block, plain.length)).toEqual(plain);
      }
    }
  });

  test.each([
    ['literal with four length bytes', [3, 0xfc, 2, 0, 0, 0, 97, 98, 99], 'abc'],
    ['copy of one, two offset bytes', [3, 4, 97, 98, 2, 2, 0], 'aba'],
    ['copy of five, four offset bytes', [7, 4, 97, 98, 0x13, 1, 0, 0, 0], 'abbbbbb'],
    ['header padded with zeros', [0x83, 0x80, 0x00, 8, 97, 98, 99], 'abc'],
    ['literal of 4 GiB', [3, 0xfc, 255, 255, 255, 255, 97], undefined],
    ['copy from offset 0', [6, 4, 97, 98, 1, 0], undefined],
    ['copy from before the start', [6, 4, 97, 98, 1, 3], undefined],
    ['copy offset of 4 GiB', [6, 4, 97, 98, 15, 255, 255, 255, 255], undefined],
    ['literal length cut', [3, 0xf4, 2], undefined],
    ['too few plain bytes', [3, 4, 97, 98], undefined],
  ] as const)('%s', (_name, bytes, plain) => {
    for (const kernels of both) expect(decode(kernels, Uint8Array.from(bytes), bytes[0]! & 0x7f)).toEqual(plain === undefined ? undefined : new TextEncoder().encode(plain));
  });

  test('a block cut at any length or with any byte changed: as bytes has it', () => {
    fc.assert(
      fc.property(repetitive, fc.nat(), fc.integer({ min: 1, max: 255 }), fc.nat(), (plain, where, flip, cut) => {
        const block = snappyEncode(plain);
        const changed = block.slice();
        changed[where % block.length]! ^= flip;
        for (const bytes of [changed, block.subarray(0, cut % block.length)]) {
          let plainBytes: number;
          try {
            plainBytes = snappyPlainLength(bytes, { maxBytes: 1 << 20 });
          } catch {
            continue;
          }
          const expected = oracle(bytes, 1 << 20);
          for (const kernels of both) expect(decode(kernels, bytes, plainBytes)).toEqual(expected);
        }
      }),
      { numRuns: 500 },
    );
  });

  test('any elements: as bytes has it', () => {
    const element = fc.oneof(fc.uint8Array({ minLength: 1, maxLength: 4 }), fc.constantFrom(Uint8Array.of(4, 1, 2), Uint8Array.of(1, 1), Uint8Array.of(0xfe, 3, 0), Uint8Array.of(0xf0, 20)));
    fc.assert(
      fc.property(fc.nat(200), fc.array(element, { maxLength: 12 }), (declared, elements) => {
        const block = Uint8Array.from([...(declared < 128 ? [declared] : [(declared & 0x7f) | 0x80, declared >>> 7]), ...elements.flatMap((one) => [...one])]);
        const expected = oracle(block, declared);
        for (const kernels of both) if (expected !== undefined || declared <= (block.length - (declared < 128 ? 1 : 2)) * 22) expect(decode(kernels, block, declared)).toEqual(expected);
      }),
      { numRuns: 2000 },
    );
  });
});

interface Scan {
  readonly reason: number;
  readonly offset: number;
  readonly rows: readonly (readonly number[])[];
  readonly times: readonly number[];
  readonly values: readonly string[];
}

/** What a kernel scans, and why it stops. */
function scan(kernels: Kernels, message: Uint8Array, from = 0, rowMax = 50, sampleMax = 50): Scan {
  const { memory } = kernels;
  return allocated(kernels, [message.length + SNAPPY_SLACK_BYTES, rowMax * WRITE_ROW_BYTES, sampleMax * 8, sampleMax * 8, WRITE_STATE_BYTES], (bytesPtr, rowsPtr, timesPtr, valuesPtr, statePtr) => {
    memory.u8(bytesPtr!, message.length + SNAPPY_SLACK_BYTES).fill(0).set(message);
    memory.i32(statePtr!, 3).set([from, 0, 0]);
    const reason = kernels.scanWriteRequest(bytesPtr!, message.length, rowsPtr!, rowMax, timesPtr!, valuesPtr!, sampleMax, statePtr!);
    const [offset, rows, samples] = memory.i32(statePtr!, 3);
    const words = memory.i32(rowsPtr!, rows! * 3);
    return {
      reason,
      offset: offset!,
      rows: Array.from({ length: rows! }, (_none, i) => Array.from(words.subarray(i * 3, i * 3 + 3))),
      times: Array.from(memory.f64(timesPtr!, samples!)),
      values: Array.from(memory.f64(valuesPtr!, samples!), (_value, i) => Buffer.from(memory.u8(valuesPtr! + i * 8, 8)).toString('hex')),
    };
  });
}

/** A field with its length before it. */
function field(tag: number, body: Uint8Array): Uint8Array {
  const out = new GrowableBytes();
  out.putU8(tag);
  out.putUvarintBytes(body);
  return out.copy();
}

function joined(parts: readonly Uint8Array[]): Uint8Array {
  return Uint8Array.from(parts.flatMap((part) => [...part]));
}

interface AnySample {
  readonly timeMs: number;
  readonly value: number;
}

function sampleField({ timeMs, value }: AnySample): Uint8Array {
  const out = new GrowableBytes();
  if (!Object.is(value, 0)) {
    out.putU8(0x09);
    out.putFloat64LE(value);
  }
  if (timeMs !== 0) {
    out.putU8(0x10);
    out.putUvarint(timeMs);
  }
  return field(0x12, out.copy());
}

const text = (max: number): fc.Arbitrary<Uint8Array> => fc.uint8Array({ minLength: 1, maxLength: max });
const labelField = fc.tuple(text(20), fc.oneof(text(30), text(300))).map(([name, value]) => field(0x0a, joined([field(0x0a, name), field(0x12, value)])));
const anySample: fc.Arbitrary<AnySample> = fc.record({ timeMs: fc.oneof(fc.nat(300), fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER })), value: fc.double() });
const series = fc.record({ labels: fc.array(labelField, { minLength: 1, maxLength: 8 }).map(joined), samples: fc.array(anySample, { maxLength: 4 }) });
const requestOf = (all: readonly { readonly labels: Uint8Array; readonly samples: readonly AnySample[] }[]): Uint8Array => joined(all.map(({ labels, samples }) => field(0x0a, joined([labels, ...samples.map(sampleField)]))));

describe('write requests', () => {
  test('series come back as they were written', () => {
    fc.assert(
      fc.property(fc.array(series, { maxLength: 8 }), (all) => {
        const message = requestOf(all);
        const samples = all.flatMap((one) => one.samples);
        for (const kernels of both) {
          const got = scan(kernels, message);
          expect(got).toMatchObject({ reason: WRITE_SCAN.end, offset: message.length, times: samples.map(({ timeMs }) => timeMs) });
          expect(got.values).toEqual(samples.map(({ value }) => Buffer.from(new Float64Array([value]).buffer).toString('hex')));
          let count = 0;
          expect(got.rows.map(([start, end, to]) => [Buffer.from(message.subarray(start, end)).toString('hex'), to])).toEqual(all.map((one) => [Buffer.from(one.labels).toString('hex'), (count += one.samples.length)]));
        }
      }),
    );
  });

  test('both stop at the same place: damage, cuts, lack of room', () => {
    fc.assert(
      fc.property(fc.array(series, { minLength: 1, maxLength: 5 }), fc.nat(), fc.integer({ min: 1, max: 255 }), fc.nat(), fc.nat(6), fc.nat(8), (all, where, flip, cut, rowMax, sampleMax) => {
        const message = requestOf(all);
        const changed = message.slice();
        changed[where % message.length]! ^= flip;
        const short = message.subarray(0, cut % message.length);
        const [wasm, js] = both.map((kernels) => [scan(kernels, changed), scan(kernels, short), scan(kernels, message, 0, rowMax, sampleMax)]);
        expect(wasm).toEqual(js);
        const [, atCut, small] = wasm!;
        // Whole series up to the cut or the bounds, and no part of one.
        const whole = scan(both[0]!, message);
        for (const one of [atCut!, small!]) {
          expect(one.rows).toEqual(whole.rows.slice(0, one.rows.length));
          expect(one.times).toEqual(whole.times.slice(0, one.times.length));
          expect(one.times.length).toBe(one.rows.at(-1)?.[2] ?? 0);
        }
        const fits = whole.rows.findIndex(([, , to], i) => i >= rowMax || to! > sampleMax);
        expect(small!.rows.length).toBe(fits < 0 ? whole.rows.length : fits);
        expect(small!.reason).toBe(fits < 0 ? WRITE_SCAN.end : WRITE_SCAN.noRoom);
      }),
      { numRuns: 1000 },
    );
  });

  test('both agree on any bytes of a series', () => {
    const piece = fc.oneof(fc.constantFrom(0x0a, 0x12, 0x09, 0x10, 0x1a, 0x22, 0, 1, 2, 4, 0x7f, 0x80, 0xff).map((byte) => [byte]), labelField.map((bytes) => [...bytes]), anySample.map((one) => [...sampleField(one)]));
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 8 }), (pieces) => {
        const message = field(0x0a, Uint8Array.from(pieces.flat()));
        const [wasm, js] = both.map((kernels) => scan(kernels, message));
        expect(wasm).toEqual(js);
      }),
      { numRuns: 3000 },
    );
  });

  const label = field(0x0a, joined([field(0x0a, Uint8Array.of(97)), field(0x12, Uint8Array.of(98))]));
  test.each([
    ['no labels', field(0x0a, sampleField({ timeMs: 1, value: 1 }))],
    ['a label after a sample', field(0x0a, joined([label, sampleField({ timeMs: 1, value: 1 }), label]))],
    ['an exemplar', field(0x0a, joined([label, field(0x1a, Uint8Array.of(0x18, 1))]))],
    ['a histogram', field(0x0a, joined([label, field(0x22, Uint8Array.of(0x78, 1))]))],
    ['a time below 0', field(0x0a, joined([label, field(0x12, Uint8Array.of(0x10, 255, 255, 255, 255, 255, 255, 255, 255, 255, 1))]))],
    ['a time of 2^53', field(0x0a, joined([label, field(0x12, Uint8Array.of(0x10, 128, 128, 128, 128, 128, 128, 128, 16))]))],
    ['a time before its value', field(0x0a, joined([label, field(0x12, Uint8Array.of(0x10, 1, 9, 0, 0, 0, 0, 0, 0, 0, 0))]))],
    ['a time that goes beyond its sample', field(0x0a, joined([label, field(0x12, Uint8Array.of(0x10, 0x80)), Uint8Array.of(1)]))],
    ['a label without a name', field(0x0a, field(0x0a, joined([field(0x12, Uint8Array.of(98)), field(0x12, Uint8Array.of(98))])))],
    ['a label with a third field', field(0x0a, field(0x0a, joined([field(0x0a, Uint8Array.of(97)), field(0x12, Uint8Array.of(98)), Uint8Array.of(0x18, 1)])))],
    ['metadata', field(0x1a, Uint8Array.of(0x08, 1))],
  ])('%s is left to others', (_name, message) => {
    const before = requestOf([{ labels: label, samples: [] }]);
    for (const kernels of both) expect(scan(kernels, joined([before, message]))).toMatchObject({ reason: WRITE_SCAN.other, offset: before.length, times: [] });
  });

  test('goes on from a place', () => {
    const [first, second] = [requestOf([{ labels: label, samples: [] }]), requestOf([{ labels: label, samples: [{ timeMs: 5, value: 2 }] }])];
    for (const kernels of both) expect(scan(kernels, joined([first, second]), first.length)).toMatchObject({ reason: WRITE_SCAN.end, rows: [[first.length + 2, first.length + 2 + label.length, 1]], times: [5] });
  });
});

describe('table of keys', () => {
  const SEED = 1.25;

  /** Writes a record and puts its key. @returns what `putKey` does, and the bytes of the record when it was kept */
  function put(kernels: Kernels, recordPtr: number, key: Uint8Array, ref: number, tablePtr: number, entries: number): { readonly answer: number; readonly bytes: number } {
    const { memory } = kernels;
    memory.f64(recordPtr, 1)[0] = ref;
    memory.i32(recordPtr, 4)[2] = key.length;
    memory.u8(recordPtr + KEY_HEADER_BYTES, key.length).set(key);
    const answer = kernels.putKey(recordPtr, tablePtr, entries, SEED);
    if (answer !== 1) memory.i32(recordPtr, 4)[2] = 0;
    return { answer, bytes: answer === 1 ? keyRecordBytes(key.length) : 0 };
  }

  test('finds what was put, by all its bytes, in any order', () => {
    const key = fc.oneof(fc.uint8Array({ maxLength: 40 }), fc.tuple(fc.nat(3), fc.nat(70)).map(([byte, length]) => new Uint8Array(length).fill(byte)));
    fc.assert(
      fc.property(fc.array(fc.record({ key, ref: fc.integer({ min: 1, max: 2 ** 50 }), isPut: fc.boolean() }), { maxLength: 30 }), fc.array(fc.nat(29), { maxLength: 10 }), (all, order) => {
        for (const kernels of both) {
          const { memory } = kernels;
          const entries = 64;
          // In the order in which they were put, and mixed.
          const asked = [...all, ...all, ...order.flatMap((i) => all[i] ?? [])];
          const bytes = joined(asked.map((one) => one.key));
          allocated(kernels, [bytes.length + 16, asked.length * WRITE_ROW_BYTES, entries * KEY_ENTRY_BYTES, asked.length * 16, all.length * 128 + 16], (bytesPtr, rowsPtr, tablePtr, refsPtr, recordsPtr) => {
            memory.u8(bytesPtr!, bytes.length).set(bytes);
            memory.u8(tablePtr!, entries * KEY_ENTRY_BYTES).fill(0);
            memory.u8(recordsPtr!, all.length * 128 + 16).fill(0);
            const known = new Map<string, number>();
            let record = recordsPtr!;
            for (const one of all) {
              if (!one.isPut) continue;
              const name = Buffer.from(one.key).toString('hex');
              const got = put(kernels, record, one.key, one.ref, tablePtr!, entries);
              expect(got.answer).toBe(known.has(name) ? 0 : 1);
              record += got.bytes;
              known.set(name, one.ref);
            }
            let at = 0;
            for (const [i, one] of asked.entries()) {
              // Two samples each.
              memory.i32(rowsPtr! + i * WRITE_ROW_BYTES, 3).set([at, at + one.key.length, 100 + i * 2 + 2]);
              at += one.key.length;
            }
            const expected = asked.map((one) => known.get(Buffer.from(one.key).toString('hex')) ?? 0);
            expect(kernels.findKeys(bytesPtr!, rowsPtr!, asked.length, 100, tablePtr!, entries, SEED, refsPtr!)).toBe(expected.filter((ref) => ref === 0).length);
            expect(Array.from(memory.f64(refsPtr!, asked.length * 2))).toEqual(expected.flatMap((ref) => [ref, ref]));
          });
        }
      }),
    );
  });

  test('gives up after so many entries', () => {
    for (const kernels of both) {
      const { memory } = kernels;
      const recordBytes = keyRecordBytes(1);
      allocated(kernels, [(KEY_PROBES_MAX + 2) * recordBytes, KEY_PROBES_MAX * KEY_ENTRY_BYTES], (recordsPtr, tablePtr) => {
        memory.u8(tablePtr!, KEY_PROBES_MAX * KEY_ENTRY_BYTES).fill(0);
        const answers = Array.from({ length: KEY_PROBES_MAX + 1 }, (_none, i) => put(kernels, recordsPtr! + i * recordBytes, Uint8Array.of(i), i + 1, tablePtr!, KEY_PROBES_MAX).answer);
        expect(answers).toEqual([...Array.from({ length: KEY_PROBES_MAX }, () => 1), -1]);
      });
    }
  });
});
