import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { createMemoryFileSystem, type MemoryFileSystem } from '../testing/memory-file-system.ts';
import { WAL_PAGE_BYTES, WalCorruptError, walSegmentName } from './layout.ts';
import { listSegments, readSegment } from './wal-reader.ts';
import { createWalWriter } from './wal-writer.ts';

function record(bytes: number, seed: number, isRandom: boolean): Uint8Array {
  let state = seed + 1;
  return Uint8Array.from({ length: bytes }, () => {
    state = (Math.imul(state, 1103515245) + 12345) >>> 0;
    return isRandom ? state >>> 24 : seed & 0xff;
  });
}

/** As strings, which compare a thousand times faster than typed arrays in assertions. */
function texts(records: readonly Uint8Array[]): string[] {
  return records.map((one) => Buffer.from(one).toString('latin1'));
}

function readAll(fs: MemoryFileSystem, dir = 'wal'): Uint8Array[] {
  const records: Uint8Array[] = [];
  for (const segment of listSegments(fs, dir)) readSegment(fs, dir, segment, (bytes) => records.push(bytes.slice()));
  return records;
}

const sizes = fc.array(fc.oneof(fc.nat(100), fc.nat(3 * WAL_PAGE_BYTES), fc.constantFrom(0, 1, WAL_PAGE_BYTES - 7, WAL_PAGE_BYTES - 8, WAL_PAGE_BYTES - 14, WAL_PAGE_BYTES)), { minLength: 1, maxLength: 12 });

test('what is logged is read, over pages and segments, whatever the batches', () => {
  fc.assert(
    fc.property(sizes, fc.constantFrom('snappy', 'none'), fc.constantFrom(2, 5), fc.boolean(), (lengths, compression, pages, isRandom) => {
      const fs = createMemoryFileSystem();
      fs.mkdir('wal');
      const writer = createWalWriter(fs, 'wal', 0, { compression: compression as 'snappy' | 'none', segmentBytesMax: pages * WAL_PAGE_BYTES });
      const records = lengths.map((bytes, i) => record(bytes, i, isRandom));
      for (let i = 0; i < records.length; i += 3) writer.log(records.slice(i, i + 3));
      writer.close();
      expect(texts(readAll(fs))).toEqual(texts(records));
      for (const segment of listSegments(fs, 'wal')) {
        const bytes = fs.stat(`wal/${walSegmentName(segment)}`)!.bytes;
        const isAlone = lengths.some((length) => length + 7 * 5 > pages * WAL_PAGE_BYTES);
        if (!isAlone) expect(bytes).toBeLessThanOrEqual(pages * WAL_PAGE_BYTES);
      }
    }),
    { numRuns: 60 },
  );
});

test.each([
  { name: 'pages filled to the last byte', lengths: [WAL_PAGE_BYTES - 7, WAL_PAGE_BYTES - 7, 100, 0] },
  { name: 'too little left for a header', lengths: [WAL_PAGE_BYTES - 8, WAL_PAGE_BYTES - 8, 0] },
])('a segment ends where its pages end: $name', ({ lengths }) => {
  const fs = createMemoryFileSystem();
  fs.mkdir('wal');
  const writer = createWalWriter(fs, 'wal', 0, { compression: 'none', segmentBytesMax: 2 * WAL_PAGE_BYTES });
  const records = lengths.map((bytes, i) => record(bytes, i, false));
  for (const one of records) writer.log([one]);
  writer.close();
  expect(fs.stat(`wal/${walSegmentName(0)}`)!.bytes).toBeLessThanOrEqual(2 * WAL_PAGE_BYTES);
  expect(listSegments(fs, 'wal')).toEqual([0, 1]);
  expect(texts(readAll(fs))).toEqual(texts(records));
});

describe('a log cut or damaged at any byte', () => {
  const lengths = [10, 0, 40, 300, 5];
  const build = (): { fs: MemoryFileSystem; file: Uint8Array; records: Uint8Array[] } => {
    const fs = createMemoryFileSystem();
    fs.mkdir('wal');
    const records = lengths.map((bytes, i) => record(bytes, i, true));
    const writer = createWalWriter(fs, 'wal', 0, { compression: 'snappy' });
    for (const one of records) writer.log([one]);
    writer.close();
    return { fs, file: fs.snapshot().get('wal/00000000')!, records };
  };

  test('every truncation gives the records before it, and says torn', () => {
    const { file, records } = build();
    for (let bytes = 0; bytes < file.length; bytes++) {
      const fs = createMemoryFileSystem();
      fs.seed('wal/00000000', file.subarray(0, bytes));
      const got: Uint8Array[] = [];
      let error: unknown;
      try {
        readSegment(fs, 'wal', 0, (one) => got.push(one.slice()));
      } catch (thrown) {
        error = thrown;
      }
      expect(texts(got)).toEqual(texts(records.slice(0, got.length)));
      const goodBytes = records.slice(0, got.length).reduce((sum, one) => sum + one.length + 7, 0);
      if (bytes === goodBytes) expect(error).toBeUndefined();
      else expect(error).toMatchObject({ code: 'ERR_WAL_CORRUPT', goodBytes, isTorn: true });
    }
  });

  test('every flipped bit is noticed', () => {
    const { file, records } = build();
    for (let bit = 0; bit < file.length * 8; bit++) {
      const damaged = file.slice();
      damaged[bit >>> 3]! ^= 1 << (bit & 7);
      const fs = createMemoryFileSystem();
      fs.seed('wal/00000000', damaged);
      const got: Uint8Array[] = [];
      expect(() => readSegment(fs, 'wal', 0, (one) => got.push(one.slice()))).toThrow();
      expect(texts(got)).toEqual(texts(records.slice(0, got.length)));
    }
  });

  test('a failed write leaves no trace in front of the next record', () => {
    for (const bytes of [10, 40_000]) {
      const { fs, records } = build();
      const writer = createWalWriter(fs, 'wal', 1, { compression: 'none' });
      writer.log([records[0]!]);
      fs.failAt(fs.operations(), 'ENOSPC');
      expect(() => writer.log([record(bytes, 9, true)])).toThrow(/ENOSPC/);
      writer.log([records[3]!]);
      writer.close();
      expect(texts(readAll(fs)).slice(lengths.length)).toEqual(texts([records[0]!, records[3]!]));
    }
  });

  test('a log that could not be cut back, or could not begin a segment, goes on when the medium does', () => {
    const fs = createMemoryFileSystem();
    fs.mkdir('wal');
    const writer = createWalWriter(fs, 'wal', 0, { compression: 'none', segmentBytesMax: 32768 });
    const [a, b, c, d, e] = [1, 2, 3, 4, 5].map((seed) => record(100, seed, true));
    writer.log([a!]);
    const broken = fs.operations();
    fs.failAt(broken, 'ENOSPC');
    expect(() => writer.log([b!])).toThrow(/ENOSPC/);
    writer.log([c!]);
    // Ending a segment: its last page, fsync, the new file, fsync of the folder; each fails once.
    for (let step = 0; step < 4; step++) {
      fs.failAt(fs.operations() + step, 'ENOSPC');
      expect(() => writer.nextSegment()).toThrow(/ENOSPC/);
      writer.log([d!]);
      writer.nextSegment();
      writer.log([e!]);
    }
    writer.close();
    expect(() => writer.log([a!])).toThrow(expect.objectContaining({ code: 'ERR_WAL_FAILED', message: expect.stringMatching(/the log is closed/) }));
    expect(texts(readAll(fs))).toEqual(texts([a!, c!, ...Array.from({ length: 4 }, () => [d!, e!]).flat()]));
  });

  test('a batch that reaches into further segments is written wholly or not at all, whatever fails', () => {
    const batches = [[900], [32000, 300, 32000, 32000], [50], [20000, 20000], [31000, 1500]].map((lengths, i) => lengths.map((bytes, j) => record(bytes, i * 10 + j, true)));
    const life = (fs: MemoryFileSystem, failing: number, moment: 'before' | 'after'): string[] => {
      fs.mkdir('wal');
      const writer = createWalWriter(fs, 'wal', 0, { compression: 'none', segmentBytesMax: 32768 });
      if (failing >= 0) fs.failAt(fs.operations() + failing, 'EIO', moment);
      const logged: string[] = [];
      for (const batch of batches) {
        try {
          writer.log(batch);
          logged.push(...texts(batch));
        } catch (error) {
          expect((error as Error).message).toMatch(/^EIO/);
          // Refused, and gone: also for those who look before anything else is written.
          expect(texts(readAll(fs.afterKill()))).toEqual(logged);
          const [instead] = [record(70, 99, true)];
          writer.log([instead!]);
          logged.push(...texts([instead!]));
        }
      }
      writer.close();
      expect(fs.openHandles()).toBe(0);
      return logged;
    };
    const whole = createMemoryFileSystem();
    expect(life(whole, -1, 'before')).toHaveLength(10);
    const operations = whole.operations();
    expect(operations).toBeGreaterThan(20);
    for (let n = 0; n < operations; n++) {
      for (const moment of ['before', 'after'] as const) {
        const fs = createMemoryFileSystem();
        let logged: string[] = [];
        try {
          logged = life(fs, n, moment);
        } catch (error) {
          // What fails at the very end is the fsync of closing, with all written.
          expect((error as Error).message).toMatch(/^EIO: fsync/);
          logged = texts(batches.flat());
        }
        expect([n, moment, texts(readAll(fs)).map((one) => one.length)]).toEqual([n, moment, logged.map((one) => one.length)]);
        expect(texts(readAll(fs))).toEqual(logged);
      }
    }
  });

  test('when the failed write cannot be undone the log refuses to go on', () => {
    const fs = createMemoryFileSystem();
    fs.mkdir('wal');
    const writer = createWalWriter(fs, 'wal', 0, { compression: 'none' });
    fs.stopAt(fs.operations());
    expect(() => writer.log([record(10, 1, true)])).toThrow(/ESTOPPED/);
    expect(() => writer.log([record(10, 1, true)])).toThrow(expect.objectContaining({ code: 'ERR_WAL_FAILED' }));
  });
});

test('damage is an error of its own class with the place', () => {
  const error = new WalCorruptError('wal', 3, 17, false, 'reason');
  expect(error.message).toBe('read WAL segment wal/00000003: offset 17: reason');
});
