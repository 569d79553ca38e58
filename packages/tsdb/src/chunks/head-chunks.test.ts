/** Files of `chunks_head`: recorded ones of Prometheus 3.14, and every way in which one can be cut or damaged. */
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from '@jest/globals';
import { crc32c } from '@gauntlet/bytes';
import { headChunkBytes, headChunksFile, headChunksHeader } from '../testing/head-chunk-files.ts';
import { createMemoryFileSystem, type MemoryFileSystem } from '../testing/memory-file-system.ts';
import { type HeadChunk, readHeadChunks } from './head-chunks.ts';

const recordedDir = join(dirname(fileURLToPath(import.meta.url)), '../../testdata/wal/snappy/storage/chunks_head');

function read(fs: MemoryFileSystem): { readonly chunks: HeadChunk[]; readonly damage: string[] } {
  const chunks: HeadChunk[] = [];
  const damage = readHeadChunks(fs, 'head', (chunk) => void chunks.push({ ...chunk, data: chunk.data.slice() }));
  expect(fs.openHandles()).toBe(0);
  return { chunks, damage };
}

function filesOf(files: Readonly<Record<string, Uint8Array>>): MemoryFileSystem {
  const fs = createMemoryFileSystem();
  for (const [name, data] of Object.entries(files)) fs.seed(`head/${name}`, data);
  return fs;
}

const chunk = (ref: number, mint: number, maxt: number, rest: Partial<HeadChunk> = {}): HeadChunk => ({ ref, mint, maxt, encoding: 1, isOutOfOrder: false, data: Uint8Array.from({ length: 20 }, (_, i) => ref + i), ...rest });
const CHUNKS = [
  chunk(1, 1000, 2000),
  chunk(2 ** 40 + 7, -5000, -1, { isOutOfOrder: true, encoding: 3 }),
  chunk(300, 0, 0, { encoding: 127, data: new Uint8Array(200).fill(9) }),
  chunk(3, 2 ** 52, 2 ** 53 - 1, { encoding: 6 }),
];

describe('recorded by Prometheus 3.14', () => {
  test('the chunks of a head that was killed', () => {
    const fs = createMemoryFileSystem();
    for (const name of readdirSync(recordedDir)) fs.seed(`head/${name}`, readFileSync(join(recordedDir, name)));
    const { chunks, damage } = read(fs);
    expect(damage).toEqual([]);
    expect(chunks.map(({ ref, mint, maxt, encoding, isOutOfOrder, data }) => [ref, (mint - 1773014400000) / 1000, (maxt - 1773014400000) / 1000, encoding, isOutOfOrder, data.length])).toEqual([
      [1, 0, 3570, 1, false, 179],
      [3, 0, 3540, 1, false, 1008],
      [4, 0, 3570, 1, false, 860],
      [5, 0, 2370, 2, false, 1223],
      [6, 0, 870, 3, false, 492],
      [6, 900, 1770, 3, false, 431],
      [6, 1800, 2670, 3, false, 482],
      [6, 2700, 3570, 3, false, 466],
      [7, 0, 3570, 2, false, 1169],
      [8, 0, 2370, 3, false, 971],
    ]);
  });
});

test('what was written is read: references, times, encodings, order', () => {
  expect(read(filesOf({ '000001': headChunksFile(CHUNKS) }))).toEqual({ chunks: CHUNKS, damage: [] });
});

test('files in the order of their numbers; other names are none of them; no folder, no chunks', () => {
  const fs = filesOf({ '000010': headChunksFile([CHUNKS[2]!]), '000009': headChunksFile([CHUNKS[1]!]), '1000000': headChunksFile([CHUNKS[3]!], 0), '000009.tmp': Uint8Array.of(1), notes: Uint8Array.of(2) });
  expect(read(fs)).toEqual({ chunks: CHUNKS.slice(1), damage: [] });
  expect(read(createMemoryFileSystem())).toEqual({ chunks: [], damage: [] });
});

test('a file far longer than what is read at a time, a chunk longer than that', () => {
  const many = Array.from({ length: 30 }, (_, i) => chunk(i + 1, i, i, { data: new Uint8Array(i === 7 ? 3_000_000 : 100_000 + i).fill(i + 1) }));
  const { chunks, damage } = read(filesOf({ '000001': headChunksFile(many) }));
  expect(damage).toEqual([]);
  expect(chunks.map(({ data }) => [data.length, data[0], data.at(-1)])).toEqual(many.map(({ data }) => [data.length, data[0], data.at(-1)]));
});

test.each([
  ['an empty last file', new Uint8Array(0)],
  ['a last file cut off in its magic', headChunksHeader().subarray(0, 3)],
  ['a last file of zeros', new Uint8Array(4096)],
])('%s is what a crash leaves, and no damage; of one that is not the last it is', (_name, bytes) => {
  expect(read(filesOf({ '000001': headChunksFile(CHUNKS), '000002': bytes }))).toEqual({ chunks: CHUNKS, damage: [] });
  const { chunks, damage } = read(filesOf({ '000001': bytes, '000002': headChunksFile(CHUNKS) }));
  expect(chunks).toEqual(CHUNKS);
  expect(damage).toEqual([expect.stringMatching(/^head\/000001: offset 0: (header has \d bytes, want 8|invalid magic number 0, want 130bc91)$/)]);
});

const good = headChunksFile(CHUNKS, 0);
const changed = (at: number, value: number): Uint8Array => good.map((byte, i) => (i === at ? value : byte));
const unsafe = headChunkBytes(CHUNKS[0]!);

test.each<[string, Uint8Array, number, string]>([
  ['another magic', changed(0, 0x85), 0, 'offset 0: invalid magic number 8530bc91, want 130bc91'],
  ['another version', changed(4, 2), 0, 'offset 4: unknown version 2, want 1'],
  ['a length that passes the end', changed(8 + 25, 0x7f), 1, ''],
  ['a length without end', good.map((byte, i) => (i >= 33 && i < 38 ? 0xff : byte)), 0, 'offset 8: length of a chunk is over-long'],
  ['a length of gigabytes', good.map((byte, i) => (i >= 33 && i < 37 ? 0xff : i === 37 ? 0x0f : byte)), 0, `offset 8: a chunk of 4294967329 bytes, and ${good.length - 8} are left`],
  ['a reference beyond numbers, with its checksum', headChunksFileOf([unsafe, 0x7f]), 0, 'offset 8: a reference or time beyond ±(2^53 − 1)'],
  ['a chunk that ends early', good.subarray(0, good.length - 1), 3, `a chunk of ${headChunkBytes(CHUNKS[3]!).length} bytes, and ${headChunkBytes(CHUNKS[3]!).length - 1} are left`],
])('%s ends the file there; the next file is read', (_name, bytes, before, reason) => {
  const { chunks, damage } = read(filesOf({ '000001': bytes, '000002': headChunksFile([CHUNKS[3]!]) }));
  if (reason === '') expect(damage).toEqual([expect.stringMatching(/^head\/000001: offset 8: unexpected checksum [0-9a-f]+, want [0-9a-f]+$/)]);
  else expect(damage).toEqual([expect.stringContaining(reason)]);
  expect(chunks).toEqual([...CHUNKS.slice(0, reason === '' ? 0 : before), CHUNKS[3]!]);
});

/** A file of one chunk with a byte of its reference set, and the checksum made right again. */
function headChunksFileOf([bytes, high]: readonly [Uint8Array, number]): Uint8Array {
  const { data } = CHUNKS[0]!;
  const altered = bytes.slice();
  altered[0] = high;
  const sum = crc32c(altered.subarray(0, -4));
  altered.set([sum >>> 24, sum >>> 16, sum >>> 8, sum], altered.length - 4);
  expect(data.length).toBeLessThan(altered.length);
  return Uint8Array.from([...headChunksHeader(), ...altered, ...new Uint8Array(50)]);
}

test('cut at any length: the chunks before, and damage unless what is left of the next one is nothing, or zeros', () => {
  const ends = [8, ...CHUNKS.map((_, i) => headChunksFile(CHUNKS.slice(0, i + 1), 0).length)];
  for (let bytes = 8; bytes < good.length; bytes++) {
    const { chunks, damage } = read(filesOf({ '000001': good.subarray(0, bytes) }));
    const whole = ends.filter((end) => end <= bytes).length - 1;
    const isEnd = good.subarray(ends[whole]!, bytes).every((byte) => byte === 0);
    expect([bytes, chunks]).toEqual([bytes, CHUNKS.slice(0, whole)]);
    expect([bytes, damage.length]).toEqual([bytes, isEnd ? 0 : 1]);
  }
});

test('flipped at any bit: nothing but chunks that were written, and damage', () => {
  for (let at = 0; at < good.length; at++) {
    for (let bit = 0; bit < 8; bit++) {
      const { chunks, damage } = read(filesOf({ '000001': changed(at, good[at]! ^ (1 << bit)) }));
      expect([at, bit, chunks]).toEqual([at, bit, CHUNKS.slice(0, chunks.length)]);
      // Bytes 5 to 7 are padding, which means nothing.
      if (at < 5 || at > 7) expect([at, bit, damage.length, chunks.length < CHUNKS.length]).toEqual([at, bit, 1, true]);
    }
  }
});
