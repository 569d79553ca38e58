/** The wire primitives: integers of all sizes against BigInt arithmetic, limits, and every truncation. */
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { ProtoError } from './errors.ts';
import { MAX_TIME_MS, MIN_TIME_MS, WireReader } from './wire-reader.ts';
import { int64Length, uint32Length, WireWriter } from './wire-writer.ts';

function varint(value: bigint): Uint8Array {
  const out: number[] = [];
  let rest = BigInt.asUintN(64, value);
  for (; rest >= 0x80n; rest >>= 7n) out.push(Number(rest & 0x7fn) | 0x80);
  out.push(Number(rest));
  return Uint8Array.from(out);
}

const reader = (bytes: Uint8Array): WireReader => new WireReader().reset(bytes);

describe('int64', () => {
  test('reads every int64 as a safe integer, clamped at both ends', () => {
    fc.assert(
      fc.property(fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }), (value) => {
        const bytes = varint(value);
        const r = reader(bytes);
        const limit = BigInt(Number.MAX_SAFE_INTEGER);
        const wanted = value > limit ? limit : value < -limit ? -limit : value;
        expect(BigInt(r.int64())).toBe(wanted);
        expect(r.pos).toBe(bytes.length);
      }),
    );
  });

  test('writes safe integers as protobuf has them and knows their length', () => {
    fc.assert(
      fc.property(fc.maxSafeInteger(), (value) => {
        fc.pre(value > MIN_TIME_MS && value < MAX_TIME_MS);
        const w = new WireWriter();
        w.int64(value);
        expect(w.take()).toEqual(varint(BigInt(value)));
        expect(int64Length(value)).toBe(w.pos);
      }),
    );
  });

  test.each([
    [MAX_TIME_MS, 2n ** 63n - 1n],
    [MIN_TIME_MS, -(2n ** 63n)],
  ])('%d stands for an int64 limit', (sentinel, wire) => {
    const w = new WireWriter();
    w.int64(sentinel);
    expect(w.take()).toEqual(varint(wire));
    expect(int64Length(sentinel)).toBe(w.pos);
    expect(reader(varint(wire)).int64()).toBe(sentinel);
  });

  test('refuses what is no integer', () => {
    expect(() => new WireWriter().int64(1.5)).toThrow(/int64 field got 1.5/);
    expect(() => new WireWriter().int64(NaN)).toThrow(ProtoError);
  });
});

describe('other numbers', () => {
  test('sint64, sint32, int32, uint32 round trip', () => {
    fc.assert(
      fc.property(fc.maxSafeInteger(), fc.integer(), fc.nat(), (wide, int, nat) => {
        const w = new WireWriter(1);
        w.sint64(wide);
        w.sint32(int);
        w.int32(int);
        w.uint32(nat);
        const r = reader(w.take());
        expect([r.sint64(), r.sint32(), r.int32(), r.uint32()]).toEqual([wide, int, int, nat]);
        expect(uint32Length(nat)).toBe(varint(BigInt(nat)).length);
      }),
    );
  });

  test('doubles keep their bits', () => {
    const w = new WireWriter();
    w.fixed64Words(0x00000002, 0x7ff00000);
    w.double(-0);
    const r = reader(w.take());
    r.fixed64Words();
    expect([r.hi, r.lo]).toEqual([0x7ff00000, 2]);
    expect(Object.is(r.double(), -0)).toBe(true);
  });

  test('padded and oversized varints', () => {
    expect(reader(Uint8Array.of(0x81, 0x80, 0x80, 0x80, 0x80, 0x00)).uint32()).toBe(1);
    expect(() => reader(Uint8Array.of(0xff, 0xff, 0xff, 0xff, 0xff, 0x01)).uint32()).toThrow(/past 32 bits/);
    expect(() => reader(new Uint8Array(11).fill(0x80)).int64()).toThrow(/longer than 10 bytes/);
  });

  test('nothing is read past the end of a nested message', () => {
    for (const read of ['uint32', 'int64', 'sint64', 'int32', 'bool', 'double', 'string', 'words64'] as const) {
      const r = new WireReader().reset(new Uint8Array(32).fill(0x90), 0, 3);
      expect(() => r[read]()).toThrow(ProtoError);
    }
    expect(() => reader(Uint8Array.of(0x00)).tag()).toThrow(/field number 0/);
    expect(() => reader(Uint8Array.of(1)).skip((3 << 3) | 3)).toThrow(/wire type 3/);
  });
});

test('nested lengths of any size', () => {
  for (const size of [0, 1, 127, 128, 16383, 16384, 2097151, 2097152]) {
    const w = new WireWriter(1);
    const mark = w.open();
    w.raw(new Uint8Array(size).fill(7));
    w.close(mark);
    w.string('é\u{1f600}');
    const r = reader(w.take());
    const view = r.view();
    expect(view.length).toBe(size);
    expect(view.every((b) => b === 7)).toBe(true);
    expect(r.string()).toBe('é\u{1f600}');
    expect(r.pos).toBe(r.end);
  }
});
