import { describe, expect, test } from '@jest/globals';
import { createKernels } from '@gauntlet/kernels';
import { CHUNK_ENCODING } from '@gauntlet/model';
import fc from 'fast-check';
import { createSeriesEntry } from '../index-file/series-entry.ts';
import { buildBlock, parseSeriesNotation } from '../testing/block-builder.ts';
import { createMemoryFileSystem } from '../testing/memory-file-system.ts';
import { formatBlockMeta, parseBlockMeta } from './block-meta.ts';
import { openBlock } from './block-reader.ts';
import { createBlockWriter } from './block-writer.ts';
import { addInterval, formatTombstones, isCovered, overlapsIntervals, parseTombstones } from './tombstones.ts';
import { createUlid, isUlid, ulidTimeMs } from './ulid.ts';

const kernels = createKernels();
const text = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);
const bytes = (content: string): Uint8Array => new TextEncoder().encode(content);

describe('meta.json', () => {
  const prometheus = `{
	"ulid": "01M7YDXPPRGYAC9KJFFSZP7AVG",
	"minTime": 1772402400000,
	"maxTime": 1772409600000,
	"stats": {
		"numSamples": 11,
		"numFloatSamples": 11,
		"numSeries": 3,
		"numChunks": 4
	},
	"compaction": {
		"level": 2,
		"sources": [
			"01M7YDXPPRGYAC9KJFFSZP7AVG"
		],
		"parents": [
			{
				"ulid": "01M7YDXPPRGYAC9KJFFSZP7AVG",
				"minTime": 0,
				"maxTime": 5
			}
		],
		"hints": [
			"from-out-of-order"
		]
	},
	"version": 1
}`;
  const thanos = `${prometheus.slice(0, -2)},
	"thanos": {
		"version": 1,
		"labels": {
			"zone": "\\u003ceu\\u0026us\\u003e",
			"__proto__": "data"
		},
		"downsample": {
			"resolution": 0
		},
		"files": []
	},
	"future": [
		1.5
	]
}
`;
  test.each([{ name: 'of Prometheus', file: prometheus }, { name: 'of Thanos, with a key of tomorrow', file: thanos }])('$name: the same bytes again', ({ file }) => {
    expect(text(formatBlockMeta(parseBlockMeta(bytes(file), 'x')))).toBe(file);
  });

  test.each([
    { name: 'not JSON', file: '{', error: /read meta.json of block b: not JSON/ },
    { name: 'a list', file: '[]', error: /not a JSON object/ },
    { name: 'another version', file: '{"version":2}', error: /unexpected meta file version 2/ },
    { name: 'no ULID', file: '{"version":1,"ulid":"x"}', error: /ulid is "x", want a ULID/ },
    { name: 'a time that is no integer', file: '{"version":1,"ulid":"01M7YDXPPRGYAC9KJFFSZP7AVG","minTime":"1"}', error: /minTime is "1", want an integer/ },
    { name: 'sources that are no strings', file: '{"version":1,"ulid":"01M7YDXPPRGYAC9KJFFSZP7AVG","compaction":{"sources":[1]}}', error: /compaction.sources is not a list of strings/ },
    { name: 'parents that are no objects', file: '{"version":1,"ulid":"01M7YDXPPRGYAC9KJFFSZP7AVG","compaction":{"parents":[1]}}', error: /compaction.parents is not a list of objects/ },
    { name: 'stats that are no object', file: '{"version":1,"stats":7}', error: /stats is not an object/ },
  ])('refused: $name', ({ file, error }) => {
    expect(() => parseBlockMeta(bytes(file), 'b')).toThrow(error);
  });
});

describe('ULIDs', () => {
  test('sort by time, and give it back', () => {
    fc.assert(
      fc.property(fc.nat(2 ** 48 - 1), fc.nat(2 ** 48 - 1), (a, b) => {
        const [first, second] = [createUlid(a, () => 0.999), createUlid(b, () => 0)];
        expect(isUlid(first)).toBe(true);
        expect(ulidTimeMs(first)).toBe(a);
        if (a < b) expect(first < second).toBe(true);
      }),
    );
    expect(() => ulidTimeMs('01M7YDXPPRGYAC9KJFFSZP7AVU')).toThrow(/not 26 characters of base 32/);
    expect(() => createUlid(2 ** 48, () => 0)).toThrow(/outside/);
  });
});

describe('tombstones', () => {
  test('intervals stay sorted, apart and cover what was added', () => {
    const range = fc.tuple(fc.integer({ min: -50, max: 50 }), fc.nat(10)).map(([mint, width]): [number, number] => [mint, mint + width]);
    fc.assert(
      fc.property(fc.array(range, { maxLength: 12 }), (ranges) => {
        const covered = new Set<number>();
        let intervals: readonly number[] = [];
        for (const [mint, maxt] of ranges) {
          intervals = addInterval(intervals, mint, maxt);
          for (let t = mint; t <= maxt; t++) covered.add(t);
        }
        for (let i = 2; i < intervals.length; i += 2) expect(intervals[i]! - intervals[i - 1]!).toBeGreaterThan(1);
        for (let t = -60; t < 70; t++) {
          expect(isCovered(intervals, t, t)).toBe(covered.has(t));
          expect(overlapsIntervals(intervals, t, t + 1)).toBe(covered.has(t) || covered.has(t + 1));
        }
      }),
    );
  });

  test('a file of many series comes back', () => {
    const tombstones = new Map([[9, [-5, 10, 12, 13]], [3, [0, 2 ** 45]]]);
    expect(parseTombstones(formatTombstones(tombstones), 'b')).toEqual(tombstones);
    expect(Buffer.from(formatTombstones(new Map())).toString('hex')).toBe('0130ba300100000000');
  });
});

describe('writing', () => {
  test('segments end at their limit, where Prometheus ends them', () => {
    const fs = createMemoryFileSystem();
    const ulid = createUlid(0, () => 0);
    const chunk = (mint: number) => ({ mint, maxt: mint, encoding: CHUNK_ENCODING.xor, data: new Uint8Array(100).fill(7).fill(0, 0, 1).fill(1, 1, 2) });
    const writer = createBlockWriter(fs, 'data', { ulid, minTime: 0, maxTime: 10, symbols: ['', 'a', 'b', 'n'], segmentBytesMax: 350 });
    writer.addSeries(['n', 'a'], [chunk(0), chunk(1)]);
    writer.addSeries(['n', 'b'], [chunk(0), chunk(1)]);
    expect(writer.finish()).toMatchObject({ stats: { numSamples: 4, numFloatSamples: 4, numSeries: 2, numChunks: 4 }, compaction: { level: 1, sources: [ulid] } });
    expect(fs.list(`data/${ulid}/chunks`)).toEqual(['000001', '000002']);
    const block = openBlock(fs, `data/${ulid}`);
    const entry = createSeriesEntry();
    const refs: number[][] = [];
    for (const ref of block.index.allPostings()) {
      block.index.readSeries(ref, entry);
      refs.push([...entry.refs.subarray(0, entry.chunkCount)]);
      for (const chunkRef of refs.at(-1)!) expect(block.chunks.readChunk(chunkRef).data).toHaveLength(100);
    }
    expect(refs).toEqual([[8, 114], [220, 2 ** 32 + 8]]);
  });

  test('nothing written leaves nothing; abandoning leaves nothing', () => {
    const fs = createMemoryFileSystem();
    const options = { ulid: createUlid(0, () => 0), minTime: 0, maxTime: 1, symbols: [''] };
    expect(createBlockWriter(fs, 'data', options).finish()).toBeUndefined();
    createBlockWriter(fs, 'data', options).abandon();
    expect(fs.list('data')).toEqual([]);
  });

  const chunk = { mint: 5, maxt: 9, encoding: 1, data: Uint8Array.of(0, 1, 2) };
  test.each([
    { name: 'series out of order', add: [['n', 'b'], ['n', 'a']], error: /series \["n","a"\] after \["n","b"\]/ },
    { name: 'the same series twice', add: [['n', 'a'], ['n', 'a']], error: /after/ },
    { name: 'an unknown symbol', add: [['n', 'zzz']], error: /symbol "zzz" is not in the symbol table/ },
  ])('refused: $name', ({ add, error }) => {
    const writer = createBlockWriter(createMemoryFileSystem(), 'data', { ulid: createUlid(0, () => 0), minTime: 0, maxTime: 10, symbols: ['', 'a', 'b', 'n'] });
    expect(() => {
      for (const labels of add) writer.addSeries(labels, [chunk]);
    }).toThrow(error);
  });

  test.each([
    { name: 'overlapping chunks', chunks: [chunk, { ...chunk, mint: 9, maxt: 12 }], error: /chunk mint 9 is not after the previous maxt 9/ },
    { name: 'a chunk that ends before it begins', chunks: [{ ...chunk, maxt: 4 }], error: /chunk maxt 4 is before its mint 5/ },
  ])('refused: $name', ({ chunks, error }) => {
    const writer = createBlockWriter(createMemoryFileSystem(), 'data', { ulid: createUlid(0, () => 0), minTime: 0, maxTime: 10, symbols: ['', 'a', 'n'] });
    expect(() => writer.addSeries(['n', 'a'], chunks)).toThrow(error);
  });

  test('symbols out of order are refused', () => {
    expect(() => createBlockWriter(createMemoryFileSystem(), 'data', { ulid: createUlid(0, () => 0), minTime: 0, maxTime: 10, symbols: ['b', 'a'] })).toThrow(/symbol "a" after "b"/);
  });
});

describe('notation', () => {
  test.each([
    { line: "a{b='1'} 0+10x2", labels: ['__name__', 'a', 'b', '1'], steps: [0, 1, 2], values: [0, 10, 20] },
    { line: '{x="}"} 1 _ -2.5', labels: ['x', '}'], steps: [0, 2], values: [1, -2.5] },
    { line: 'up 5-1x2 _x3 7', labels: ['__name__', 'up'], steps: [0, 1, 2, 6], values: [5, 4, 3, 7] },
    { line: 'c{b="x",a="y"} 1x2', labels: ['__name__', 'c', 'a', 'y', 'b', 'x'], steps: [0, 1, 2], values: [1, 1, 1] },
  ])('$line', ({ line, labels, steps, values }) => {
    expect(parseSeriesNotation(line)).toEqual({ labels, steps, values, staleAt: new Set() });
  });

  test.each(['a{b} 1', 'a 1 two', 'a{b=1} 1'])('refused: %s', (line) => {
    expect(() => parseSeriesNotation(line)).toThrow(expect.objectContaining({ code: 'ERR_BLOCK_NOTATION' }));
  });

  test('an empty block is refused', () => {
    expect(() => buildBlock(createMemoryFileSystem(), 'data', 'a _', { kernels })).toThrow(/no samples/);
  });
});
