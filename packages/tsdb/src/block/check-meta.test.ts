/** meta.json against folder and index when a block is opened, and what a database makes of one that does not fit. */
import { describe, expect, test } from '@jest/globals';
import { createKernels } from '@gauntlet/kernels';
import { createMatcher } from '@gauntlet/model';
import { createDb } from '../db.ts';
import { createMemoryFileSystem, type MemoryFileSystem } from '../testing/memory-file-system.ts';
import { encodeRawBlock, type RawBlock } from '../testing/raw-block.ts';
import { bitsOfNumber, encodeSamples } from '../testing/sample-block.ts';
import { openBlock, readBlockMeta } from './block-reader.ts';
import { checkMetaDigest, computeMetaDigest, META_DIGEST_KEY } from './meta-digest.ts';

const kernels = createKernels();
const ULID = '01HV0000000000000000000000';
const chunk = (...times: number[]): ReturnType<typeof encodeSamples> => encodeSamples(kernels, times.map((time) => [time, bitsOfNumber(time)]));

function written(block: Omit<RawBlock, 'ulid'>, folder: string = ULID): MemoryFileSystem {
  const fs = createMemoryFileSystem();
  for (const [file, data] of encodeRawBlock({ ulid: ULID, ...block })) fs.seed(`data/${folder}/${file}`, data);
  return fs;
}

describe('the range', () => {
  const series = [{ labels: ['a', '1'], chunks: [chunk(10, 20), chunk(30, 40)] }];
  test.each([
    { name: 'fits to the millisecond', minTime: 10, maxTime: 41, hidden: '' },
    { name: 'is wider', minTime: -5, maxTime: 100, hidden: '' },
    { name: 'begins too late', minTime: 11, maxTime: 41, hidden: 'range [11, 41) hides the chunk from 10 to 20 of series {a="1"}' },
    { name: 'ends with the last sample', minTime: 10, maxTime: 40, hidden: 'range [10, 40) hides the chunk from 30 to 40 of series {a="1"}' },
    { name: 'is empty', minTime: 10, maxTime: 0, hidden: 'range [10, 0) hides the chunk from 10 to 20' },
  ])('$name', ({ minTime, maxTime, hidden }) => {
    const fs = written({ minTime, maxTime, series });
    if (hidden === '') openBlock(fs, `data/${ULID}`).close();
    else expect(() => openBlock(fs, `data/${ULID}`)).toThrow(expect.objectContaining({ code: 'ERR_BLOCK_META', message: expect.stringContaining(hidden), place: { block: ULID, file: 'meta.json', section: '', offset: 0 } }));
    openBlock(fs, `data/${ULID}`, { outsideChunks: 'allow' }).close();
  });

  test('of a large block is held to a sample of series', () => {
    const one = chunk(10, 20);
    const many = Array.from({ length: 6000 }, (_, i) => ({ labels: ['a', String(10_000 + i)], chunks: [one] }));
    openBlock(written({ minTime: 0, maxTime: 100, series: many }), `data/${ULID}`).close();
    expect(() => openBlock(written({ minTime: 0, maxTime: 20, series: many }), `data/${ULID}`)).toThrow('hides the chunk');
    // First and last series are in the sample.
    for (const at of [0, 5999]) {
      const odd = many.with(at, { labels: many[at]!.labels, chunks: [chunk(150)] });
      expect(() => openBlock(written({ minTime: 0, maxTime: 100, series: odd }), `data/${ULID}`)).toThrow(`a="${10_000 + at}"`);
    }
  });
});

test('the name is held to a folder that is a ULID, or one with a suffix', () => {
  const block = { minTime: 0, maxTime: 100, series: [{ labels: ['a', '1'], chunks: [chunk(10)] }] };
  for (const folder of ['copy', `${ULID}.tmp-for-creation`]) openBlock(written(block, folder), `data/${folder}`).close();
  for (const folder of ['01HV0000000000000000000001', '01HV0000000000000000000001.tmp-for-deletion']) {
    expect(() => openBlock(written(block, folder), `data/${folder}`)).toThrow(`ulid is ${ULID}, which is not the folder's name`);
  }
});

test('a digest covers what gives samples their meaning, of its own block', () => {
  const thanos = { labels: { b: '2', a: '1' }, downsample: { resolution: 300_000 }, source: 'test' };
  const fs = written({ minTime: 0, maxTime: 100, series: [{ labels: ['a', '1'], chunks: [chunk(10)] }], thanos });
  const plain = readBlockMeta(fs, `data/${ULID}`);
  const withDigest = (changes: object, digest: object = computeMetaDigest(plain)): typeof plain => ({ ...plain, thanos: { ...thanos, ...changes, extensions: { [META_DIGEST_KEY]: digest } } });
  checkMetaDigest(plain);
  checkMetaDigest(withDigest({}));
  // Not covered: the order of labels, and what uploads fill in.
  checkMetaDigest(withDigest({ labels: { a: '1', b: '2' }, files: [], upload_time: 'now' }));
  for (const changes of [{ labels: { a: '1', b: '3' } }, { labels: { a: '1' } }, { downsample: { resolution: 0 } }, { source: 'other' }]) {
    expect(() => checkMetaDigest(withDigest(changes))).toThrow(expect.objectContaining({ code: 'ERR_BLOCK_META', message: expect.stringContaining(META_DIGEST_KEY) }));
  }
  checkMetaDigest(withDigest({ source: 'other' }, { ...computeMetaDigest(plain), ulid: '01HV0000000000000000000001' }));
});

test('a database leaves such a block out, and every query says so', async () => {
  const fs = written({ minTime: 50, maxTime: 100, series: [{ labels: ['__name__', 'a'], chunks: [chunk(10, 60)] }] });
  const db = createDb({ fs, dir: 'data', kernels, clock: { now: () => 1e6 }, random: () => 0.5 });
  expect(db.damagedBlocks()).toMatchObject([{ ulid: ULID, meta: undefined, error: { code: 'ERR_BLOCK_META' } }]);
  const set = db.queryable.select({ matchers: [createMatcher('=', '__name__', 'a')], mint: 0, maxt: 5 });
  for await (const batch of set) expect(batch.labels).toEqual([]);
  expect(set.warnings()).toEqual([expect.stringMatching(/^block 01HV0000000000000000000000 is not read: read meta\.json .* hides the chunk from 10 to 60/)]);
  db.close();
});
