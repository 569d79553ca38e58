/** A log that compresses with the kernel has the same bytes as one without, on one page and over several, and goes on without kernel memory; it reads alike. */
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { crc32c } from '@gauntlet/bytes';
import { createKernels, type Kernels } from '@gauntlet/kernels';
import { readFile } from '../file-system.ts';
import { createMemoryFileSystem } from '../testing/memory-file-system.ts';
import { FRAGMENT, FRAGMENT_SNAPPY } from './layout.ts';
import { readSegment } from './wal-reader.ts';
import { createWalWriter } from './wal-writer.ts';

const both: readonly Kernels[] = (['wasm', 'js'] as const).map((backend) => createKernels({ backend }));

/** Bytes of a segment with these records. */
function segment(records: readonly Uint8Array[], kernels: Kernels | undefined): Uint8Array {
  const fs = createMemoryFileSystem();
  fs.mkdir('wal');
  const wal = createWalWriter(fs, 'wal', 0, { compression: 'snappy', ...(kernels === undefined ? {} : { kernels }) });
  for (const record of records) wal.log([record]);
  wal.log(records);
  wal.close();
  const wanted = [...records, ...records];
  for (const reading of [undefined, kernels]) {
    let isSame = true;
    let count = 0;
    readSegment(fs, 'wal', 0, (record) => (isSame &&= Buffer.compare(record, wanted[count++]!) === 0), reading);
    expect([isSame, count]).toEqual([true, wanted.length]);
  }
  return readFile(fs, 'wal/00000000');
}

/** Records that compress well, badly, not at all. */
const record = fc.oneof(
  fc.uint8Array({ minLength: 1, maxLength: 60 }),
  fc.tuple(fc.uint8Array({ minLength: 1, maxLength: 30 }), fc.integer({ min: 1, max: 3000 })).map(([part, times]) => Uint8Array.from({ length: part.length * times }, (_none, i) => part[i % part.length]!)),
  fc.tuple(fc.nat(), fc.integer({ min: 1, max: 80_000 })).map(([seed, length]) => {
    let state = seed >>> 0;
    return Uint8Array.from({ length }, () => (state = (Math.imul(state, 1103515245) + 12345) >>> 0) >>> 25);
  }),
);

describe('records compressed by the kernel', () => {
  test('make the same log', () => {
    fc.assert(
      fc.property(fc.array(record, { minLength: 1, maxLength: 5 }), (records) => {
        const plain = segment(records, undefined);
        for (const kernels of both) {
          const used = kernels.memory.usedBytes;
          expect(Buffer.compare(segment(records, kernels), plain)).toBe(0);
          expect(kernels.memory.usedBytes).toBe(used);
        }
      }),
      { numRuns: 40 },
    );
  });

  test('go on without it where kernel memory has no room', () => {
    const kernels = createKernels({ maxMemoryBytes: 256 << 10 });
    const large = new Uint8Array(300_000).fill(7);
    expect(Buffer.compare(segment([large], kernels), segment([large], undefined))).toBe(0);
    expect(kernels.memory.usedBytes).toBe(0);
  });

  test('say the same about a damaged block, and give the memory back', () => {
    const [kernels] = both;
    const message = (read: Kernels | undefined): string => {
      const fs = createMemoryFileSystem();
      fs.mkdir('wal');
      // Twenty plain bytes, of which a copy of eight is from before the beginning.
      const block = Uint8Array.of(20, 0x08, 1, 2, 3, 0x11, 9);
      const header = new DataView(new ArrayBuffer(7));
      header.setUint8(0, FRAGMENT.full | FRAGMENT_SNAPPY);
      header.setUint16(1, block.length);
      header.setUint32(3, crc32c(block));
      fs.seed('wal/00000000', Uint8Array.of(...new Uint8Array(header.buffer), ...block));
      try {
        readSegment(fs, 'wal', 0, () => undefined, read);
      } catch (error) {
        return (error as Error).message;
      }
      return 'no error';
    };
    const used = kernels!.memory.usedBytes;
    expect(message(kernels)).toMatch(/snappy record: /);
    expect(message(kernels)).toBe(message(undefined));
    expect(kernels!.memory.usedBytes).toBe(used);
  });
});
