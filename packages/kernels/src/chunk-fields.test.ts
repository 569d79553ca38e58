/** Chunks as fields of a Store API message: the module against its twin, and against the frozen wire form. */
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { CHUNK_FIELD_ROOM, CHUNK_FIELD_WORDS } from './chunk-field-kernels.ts';
import { createKernels } from './create-kernels.ts';
import { FRAME_WORDS } from './frame-kernels.ts';
import type { Kernels } from './kernels.ts';

interface Chunk {
  readonly mint: number;
  readonly maxt: number;
  readonly encoding: number;
  readonly data: Uint8Array;
}

const both = [createKernels({ backend: 'wasm' }), createKernels({ backend: 'js' })];

function fieldsOf(kernels: Kernels, chunks: readonly Chunk[]): { readonly bytes: string; readonly fields: readonly number[] } {
  const { memory } = kernels;
  const total = chunks.reduce((sum, { data }) => sum + data.length, 0);
  const data = memory.alloc(total);
  const frames = memory.alloc(4 * FRAME_WORDS * chunks.length);
  const mints = memory.alloc(8 * chunks.length);
  const maxts = memory.alloc(8 * chunks.length);
  const out = memory.alloc(total + CHUNK_FIELD_ROOM * chunks.length);
  const fields = memory.alloc(4 * CHUNK_FIELD_WORDS * chunks.length);
  let at = data;
  chunks.forEach((chunk, i) => {
    memory.u8(at, chunk.data.length).set(chunk.data);
    memory.i32(frames + 4 * FRAME_WORDS * i, FRAME_WORDS).set([at, at, chunk.data.length, chunk.encoding]);
    memory.f64(mints, chunks.length)[i] = chunk.mint;
    memory.f64(maxts, chunks.length)[i] = chunk.maxt;
    at += chunk.data.length;
  });
  const length = kernels.writeChunkFields(frames, mints, maxts, chunks.length, out, fields);
  const result = { bytes: Buffer.from(memory.u8(out, length)).toString('hex'), fields: [...memory.i32(fields, CHUNK_FIELD_WORDS * chunks.length)] };
  for (const ptr of [data, frames, mints, maxts, out, fields]) memory.free(ptr);
  return result;
}

const time = fc.oneof(fc.constantFrom(0, 1, -1, 127, 128, 2 ** 31, 2 ** 32, Number.MAX_SAFE_INTEGER, Number.MIN_SAFE_INTEGER), fc.maxSafeInteger());
const chunk = fc.record({ mint: time, maxt: time, encoding: fc.constantFrom(1, 2, 3, 4, 127), data: fc.uint8Array({ maxLength: 300 }) });

describe('writeChunkFields', () => {
  test('the module writes what its twin writes', () => {
    fc.assert(
      fc.property(fc.array(chunk, { maxLength: 12 }), (chunks) => {
        expect(fieldsOf(both[0]!, chunks)).toEqual(fieldsOf(both[1]!, chunks));
      }),
      { numRuns: 400 },
    );
  });

  test.each<[string, Chunk, string, number[]]>([
    // xxHash64 of "a" is d24ec4f1a98c6e5b.
    ['one byte', { mint: 1, maxt: 300, encoding: 1, data: Uint8Array.of(0x61) }, '12 15 08 01 10 ac 02 1a 0e 12 01 61 18 db dc b1 cc 9a 9e b1 a7 d2 01', [23, 11]],
    ['another encoding, zero times', { mint: 0, maxt: 0, encoding: 3, data: Uint8Array.of(0x61) }, '12 12 1a 10 08 02 12 01 61 18 db dc b1 cc 9a 9e b1 a7 d2 01', [20, 8]],
    // xxHash64 of nothing is ef46db3751d8e999; data that is empty has no field.
    ['no data', { mint: -1, maxt: 0, encoding: 1, data: new Uint8Array(0) }, '12 18 08 ff ff ff ff ff ff ff ff ff 01 1a 0b 18 99 d3 e3 8e f5 e6 b6 a3 ef 01', [26, 15]],
  ])('%s', (_name, one, hex, fields) => {
    for (const kernels of both) expect(fieldsOf(kernels, [one])).toEqual({ bytes: hex.replaceAll(' ', ''), fields });
  });
});
