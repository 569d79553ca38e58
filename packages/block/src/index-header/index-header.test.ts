/** Index-headers: byte-equal to Thanos', cheap to build, right on every lookup, and every damage noticed. */
import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { compareUtf8 } from '@gauntlet/bytes';
import { BucketLedger, createLedgerBucket, createMemoryBucket } from '@gauntlet/objstore';
import type { MemoryBucket } from '@gauntlet/objstore';
import { createMetrics, createNopLogger, renderMetrics } from '@gauntlet/service-kit';
import { INDEX_TOC_BYTES, decodePostings, parseIndexToc, parsePostingsTable, parseSymbols, sectionBody } from '@gauntlet/tsdb';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';

import { GOLDEN_BLOCK, TESTDATA, goldenBlocks, goldenFolder } from '../testing/golden.ts';
import { openIndexHeader } from './header-reader.ts';
import { buildIndexHeader, writeIndexHeader } from './header-writer.ts';
import { createHeaderPool } from './lazy-header.ts';

const index = readFileSync(join(TESTDATA, 'block', GOLDEN_BLOCK, 'index'));
const wanted = readFileSync(join(TESTDATA, 'block', `${GOLDEN_BLOCK}.index-header`));

async function bucketWith(bytes: Uint8Array, id = GOLDEN_BLOCK): Promise<MemoryBucket> {
  const bucket = createMemoryBucket();
  await bucket.upload(`${id}/index`, bytes);
  return bucket;
}

/** Compares every lookup with tsdb's own parsers over the whole index. */
function checkAgainstIndex(header: ReturnType<typeof openIndexHeader>, bytes: Uint8Array, id: string): number {
  const toc = parseIndexToc(bytes.subarray(bytes.length - INDEX_TOC_BYTES), bytes.length, id);
  const symbols = parseSymbols(sectionBody(bytes.subarray(toc.symbols), 'symbols', toc.symbols, id), toc.symbols, id);
  const table = parsePostingsTable(sectionBody(bytes.subarray(toc.postingsTable), 'postings table', toc.postingsTable, id), toc.postingsTable, id);
  expect([header.symbolCount, header.pairCount, header.labelNames()]).toEqual([symbols.count, table.count, table.names]);
  for (let i = 0; i < symbols.count; i++) {
    const text = symbols.lookup(i);
    if (header.symbol(i) !== text || header.symbolOrdinal(text) !== i) throw new Error(`symbol ${i}: ${header.symbol(i)}, wanted ${text}`);
    expect(header.symbolOrdinal(`${text}\u0000`)).toBe(-1);
  }
  let checked = 0;
  for (const name of ['', ...table.names]) {
    const [first, end] = table.range(name);
    const values = Array.from({ length: end - first }, (_, i) => table.valueAt(first + i));
    if (header.valueCount(name) !== values.length) throw new Error(`${name}: ${header.valueCount(name)} values, wanted ${values.length}`);
    expect(header.labelValues(name)).toEqual(values);
    const visited: string[] = [];
    header.forEachValue(name, (value, start) => visited.push(`${Buffer.from(value).toString()} ${start}`));
    expect(visited).toEqual(values.map((v, i) => `${v} ${table.offsetAt(first + i)}`));
    const many = header.postingsOf(name, values);
    const backwards = header.postingsOf(name, values.toReversed()).reverse();
    for (const [i, value] of values.entries()) {
      const range = header.postings(name, value)!;
      if (range.start !== table.offsetAt(first + i)) throw new Error(`${name}=${value}: at ${range.start}, wanted ${table.offsetAt(first + i)}`);
      // The framing is intact: the range can be fetched and checked by itself.
      expect(decodePostings(sectionBody(bytes.subarray(range.start, range.end), 'postings', range.start, id).subarray(4)).length).toBeGreaterThan(0);
      expect([many[i], backwards[i]]).toEqual([range, range]);
      for (const missing of [`${value}\u0000`, value.slice(0, -1)]) if (!values.includes(missing)) expect(header.postings(name, missing)).toBeUndefined();
      checked++;
    }
    expect(header.postings(name, '\u{10FFFF}\u{10FFFF}')).toBeUndefined();
  }
  expect(header.postings('no such label', 'x')).toBeUndefined();
  expect(header.postingsOf('no such label', ['x', 'y'])).toEqual([undefined, undefined]);
  expect(header.labelValues('no such label')).toEqual([]);
  return checked;
}

describe('building', () => {
  test('the recorded block gives the recorded bytes, with one request for a small index', async () => {
    const ledger = new BucketLedger();
    const bucket = createLedgerBucket(await bucketWith(index), ledger);
    expect(Buffer.compare(await buildIndexHeader(bucket, GOLDEN_BLOCK, { indexBytes: index.length }), wanted)).toBe(0);
    expect(ledger.entries().map((e) => e.operation)).toEqual(['get_range']);
    await buildIndexHeader(bucket, GOLDEN_BLOCK);
    expect(ledger.count('attributes')).toBe(1);
  });

  const golden = goldenFolder();
  const folders = golden === undefined ? [] : ['plain', 'vertical', 'penalty', 'extra'];
  (golden === undefined ? test.skip : test)('every header of the large set, and every lookup in it (skipped where it is absent)', async () => {
    const blocks = new Map(goldenBlocks().map(({ id, path }) => [id, path]));
    let count = 0;
    for (const folder of folders) {
      for (const name of readdirSync(join(golden!, 'index-header', folder))) {
        const id = name.slice(0, 26);
        const bytes = readFileSync(join(blocks.get(id)!, 'index'));
        const ledger = new BucketLedger();
        const built = await buildIndexHeader(createLedgerBucket(await bucketWith(bytes, id), ledger), id, { indexBytes: bytes.length });
        expect(Buffer.compare(built, readFileSync(join(golden!, 'index-header', folder, name)))).toBe(0);
        expect(ledger.count()).toBeLessThanOrEqual(3);
        checkAgainstIndex(openIndexHeader(built, id), bytes, id);
        count++;
      }
    }
    expect(count).toBe(37);
  });

  test('the file form is the same, and leaves nothing half', async () => {
    const dir = mkdtempSync(join(tmpdir(), 'gauntlet-header-'));
    const path = join(dir, 'a/index-header');
    await writeIndexHeader(await bucketWith(index), GOLDEN_BLOCK, path);
    expect(Buffer.compare(readFileSync(path), wanted)).toBe(0);
    await expect(writeIndexHeader(createMemoryBucket(), GOLDEN_BLOCK, join(dir, 'b/index-header'))).rejects.toMatchObject({ code: 'ERR_OBJECT_NOT_FOUND' });
    expect(existsSync(join(dir, 'b/index-header'))).toBe(false);
    rmSync(dir, { recursive: true });
  });

  test('an index cut off anywhere is refused', async () => {
    for (let end = 0; end < index.length; end++) {
      await expect(buildIndexHeader(await bucketWith(index.subarray(0, end)), GOLDEN_BLOCK)).rejects.toMatchObject({ code: expect.stringMatching(/ERR_INDEX_HEADER_CORRUPT/) });
    }
  });
  test('a flipped byte in what is copied is refused; elsewhere it does not matter', async () => {
    const toc = parseIndexToc(index.subarray(index.length - INDEX_TOC_BYTES), index.length, 'x');
    for (let at = 0; at < index.length; at++) {
      const flipped = Buffer.from(index);
      flipped[at]! ^= 0x10;
      const got = await buildIndexHeader(await bucketWith(flipped), GOLDEN_BLOCK).catch((error: unknown) => error as { code: string });
      if (got instanceof Uint8Array) expect(Buffer.compare(got, wanted) === 0 || (at >= toc.symbols && at < toc.series)).toBe(true);
      else expect(got.code).toBe('ERR_INDEX_HEADER_CORRUPT');
      if (at < 5 || (at >= toc.postingsTable)) expect(got instanceof Uint8Array).toBe(false);
    }
  });
  test('a size that is wrong is refused', async () => {
    await expect(buildIndexHeader(await bucketWith(index), GOLDEN_BLOCK, { indexBytes: index.length - 1 })).rejects.toMatchObject({ code: 'ERR_INDEX_HEADER_CORRUPT' });
    await expect(buildIndexHeader(await bucketWith(index), GOLDEN_BLOCK, { indexBytes: index.length + 1 })).rejects.toMatchObject({ code: 'ERR_INDEX_HEADER_CORRUPT' });
  });
});

describe('reading', () => {
  test('every lookup in the recorded block agrees with the index', () => {
    expect(checkAgainstIndex(openIndexHeader(wanted, GOLDEN_BLOCK), index, GOLDEN_BLOCK)).toBe(19);
  });
  test('bytes shared between threads are read as well', () => {
    const shared = new Uint8Array(new SharedArrayBuffer(wanted.length));
    shared.set(wanted);
    checkAgainstIndex(openIndexHeader(shared, GOLDEN_BLOCK), index, GOLDEN_BLOCK);
  });
  test('many values: samples, boundaries and the ends', () => {
    for (const count of [1, 2, 31, 32, 33, 64, 65, 1000]) {
      const { bytes, values } = syntheticHeader(count);
      const header = openIndexHeader(bytes, 'synthetic');
      expect(header.labelValues('label')).toEqual(values);
      for (const [i, value] of values.entries()) expect(header.postings('label', value)).toEqual({ start: 100 + i * 8, end: 100 + (i + 1) * 8 });
      expect(header.postings('label', '')).toBeUndefined();
      expect(header.postings('label', 'zzz')).toBeUndefined();
      expect(header.symbolOrdinal(values[count - 1]!)).toBe(count - 1);
      expect(() => header.symbol(count + 1)).toThrow(expect.objectContaining({ code: 'ERR_INDEX_HEADER_CORRUPT' }));
    }
  });
  test('cut off anywhere, or any byte flipped: refused', () => {
    for (let end = 0; end < wanted.length; end++) expect(() => openIndexHeader(wanted.subarray(0, end), 'x')).toThrow(expect.objectContaining({ code: 'ERR_INDEX_HEADER_CORRUPT' }));
    const unguarded = new Set<number>();
    for (let at = 0; at < wanted.length; at++) {
      const flipped = Buffer.from(wanted);
      flipped[at]! ^= 0x04;
      try {
        openIndexHeader(flipped, 'x');
        unguarded.add(at);
      } catch (error) {
        expect(error).toMatchObject({ code: 'ERR_INDEX_HEADER_CORRUPT' });
      }
    }
    // Only the end of the postings, the padding and the copied TOC of the index are under no checksum.
    expect(unguarded.size).toBeLessThan(8 + 16 + INDEX_TOC_BYTES + 1);
  });
});

/** A header of one label with `count` values, symbols being the values and the label name, built by hand. */
function syntheticHeader(count: number): { bytes: Uint8Array; values: string[] } {
  const values = Array.from({ length: count }, (_, i) => `value-${String(i).padStart(5, '0')}${'x'.repeat(i % 7)}`).sort(compareUtf8);
  const symbols = [...values, 'zlabel'];
  const uvarint = (n: number): number[] => (n < 128 ? [n] : [(n & 0x7f) | 0x80, ...uvarint(n >>> 7)]);
  const string = (s: string): number[] => [...uvarint(Buffer.byteLength(s)), ...Buffer.from(s)];
  const be32 = (n: number): number[] => [n >>> 24, (n >>> 16) & 255, (n >>> 8) & 255, n & 255];
  const framed = (body: number[]): number[] => [...be32(body.length), ...body, ...be32(crc(Uint8Array.from(body)))];
  const symbolSection = framed([...be32(symbols.length), ...symbols.flatMap(string)]);
  const table = framed([...be32(count), ...values.flatMap((v, i) => [2, ...string('label'), ...string(v), ...uvarint(100 + i * 8)])]);
  const toc = [...be32(0), ...be32(14), ...be32(0), ...be32(14 + symbolSection.length)];
  const head = [...be32(0xbaaad792), 1, 2, ...be32(0), ...be32(100 + count * 8)];
  return { bytes: Uint8Array.from([...head, ...symbolSection, ...table, ...toc, ...be32(crc(Uint8Array.from(toc)))]), values };
}

/** CRC-32C by its definition, apart from the one under test. */
function crc(bytes: Uint8Array): number {
  let value = 0xffffffff;
  for (const byte of bytes) {
    value ^= byte;
    for (let bit = 0; bit < 8; bit++) value = value & 1 ? (value >>> 1) ^ 0x82f63b78 : value >>> 1;
  }
  return ~value >>> 0;
}

describe('pool', () => {
  let dir: string;
  let nowMs: number;
  beforeEach(() => {
    dir = mkdtempSync(join(tmpdir(), 'gauntlet-pool-'));
    nowMs = 0;
  });
  afterEach(() => { rmSync(dir, { recursive: true }); });
  const file = (): string => join(dir, GOLDEN_BLOCK, 'index-header');

  async function pool(options: Parameters<typeof createHeaderPool>[1] = {}) {
    const ledger = new BucketLedger();
    const bucket = await bucketWith(index);
    const metrics = createMetrics();
    return { pool: createHeaderPool({ bucket: createLedgerBucket(bucket, ledger), log: createNopLogger(), metrics: metrics.withPrefix('thanos_bucket_store_'), clock: () => nowMs }, { dir, ...options }), ledger, bucket, metrics };
  }

  test('built once, found on disk afterwards; damage is built again', async () => {
    const first = await pool();
    const header = await (await first.pool.add(GOLDEN_BLOCK, index.length)).open();
    expect([header.block, first.ledger.count(), first.pool.heldBytes() >= wanted.length]).toEqual([GOLDEN_BLOCK, 1, true]);
    expect(Buffer.compare(readFileSync(file()), wanted)).toBe(0);
    const second = await pool();
    expect((await second.pool.add(GOLDEN_BLOCK, index.length)).isOpen).toBe(true);
    expect(second.ledger.count()).toBe(0);
    writeFileSync(file(), wanted.subarray(0, 100));
    const third = await pool();
    await third.pool.add(GOLDEN_BLOCK, undefined);
    expect([third.ledger.count(), statSync(file()).size]).toEqual([2, wanted.length]);
    await third.pool.remove(GOLDEN_BLOCK);
    expect([existsSync(join(dir, GOLDEN_BLOCK)), third.pool.heldBytes()]).toEqual([false, 0]);
  });
  test('lazy: on disk at once, opened by the first of many users, dropped when idle, opened again', async () => {
    const { pool: lazy, ledger, metrics } = await pool({ isLazy: true, idleTimeoutMs: 1000 });
    const header = await lazy.add(GOLDEN_BLOCK, index.length);
    expect([header.isOpen, existsSync(file()), lazy.heldBytes()]).toEqual([false, true, 0]);
    const [a, b] = await Promise.all([header.open(), header.open()]);
    expect(a).toBe(b);
    nowMs = 999;
    expect(lazy.dropIdle()).toBe(0);
    await header.open();
    nowMs = 1500;
    expect(lazy.dropIdle()).toBe(0);
    nowMs = 2000;
    expect([lazy.dropIdle(), lazy.dropIdle(), header.isOpen]).toEqual([1, 0, false]);
    expect(a.labelNames().length).toBeGreaterThan(0);
    await header.open();
    expect([ledger.count(), await lazy.add(GOLDEN_BLOCK, undefined)]).toEqual([1, header]);
    const { body } = await renderMetrics(metrics.registry, undefined);
    for (const line of ['lazy_load_total 2', 'lazy_load_failed_total 0', 'lazy_unload_total 1', 'lazy_unload_failed_total 0', 'lazy_load_duration_seconds_count 2', 'download_duration_seconds_count 1', 'load_duration_seconds_count 2']) expect(body).toContain(`thanos_bucket_store_indexheader_${line}\n`);
  });
  test('lazy downloads wait for the first use; a failure is not remembered', async () => {
    const { pool: lazy, ledger, bucket, metrics } = await pool({ isLazy: true, isLazyDownload: true });
    const header = await lazy.add(GOLDEN_BLOCK, index.length);
    expect([ledger.count(), existsSync(file())]).toEqual([0, false]);
    await bucket.delete(`${GOLDEN_BLOCK}/index`);
    await expect(header.open()).rejects.toMatchObject({ code: 'ERR_OBJECT_NOT_FOUND' });
    await bucket.upload(`${GOLDEN_BLOCK}/index`, index);
    expect((await header.open()).symbolCount).toBeGreaterThan(0);
    expect((await renderMetrics(metrics.registry, undefined)).body).toContain('thanos_bucket_store_indexheader_lazy_load_failed_total 1\n');
    await expect(header.open(AbortSignal.abort(new Error('stop')))).rejects.toThrow('stop');
  });
  test('without a directory headers live in memory only', async () => {
    const ledger = new BucketLedger();
    const memory = createHeaderPool({ bucket: createLedgerBucket(await bucketWith(index), ledger), log: createNopLogger(), metrics: createMetrics(), clock: () => nowMs }, { isLazy: true });
    const header = await memory.add(GOLDEN_BLOCK, index.length);
    await header.open();
    nowMs += 5 * 60_000;
    expect(memory.dropIdle()).toBe(1);
    await header.open();
    expect(ledger.count()).toBe(2);
    await memory.remove(GOLDEN_BLOCK);
  });
  test('a block whose index is damaged is not added', async () => {
    const { pool: eager, bucket } = await pool();
    await bucket.upload(`${GOLDEN_BLOCK}/index`, index.subarray(0, 1000));
    await expect(eager.add(GOLDEN_BLOCK, undefined)).rejects.toMatchObject({ code: 'ERR_INDEX_HEADER_CORRUPT' });
    expect(eager.heldBytes()).toBe(0);
  });
});
