/** Start timestamps out of blocks of Prometheus 3.14: what a query gets is what the chunks hold, alone, merged, and with samples deleted; damage. */
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { beforeAll, describe, expect, test } from '@jest/globals';
import { createKernels, type Kernels } from '@gauntlet/kernels';
import { CHUNK_ENCODING, createMatcher } from '@gauntlet/model';
import { type Block, openBlock } from '../block/block-reader.ts';
import { createBlockWriter } from '../block/block-writer.ts';
import { overlapsIntervals } from '../block/tombstones.ts';
import { decodeHistogramChunk } from '../chunkenc/histogram-chunk.ts';
import { decodeXor2Chunk } from '../chunkenc/xor2-chunk.ts';
import { createMemoryFileSystem } from '../testing/memory-file-system.ts';
import { createBlockQueryable } from './tsdb-queryable.ts';

const step = join(dirname(fileURLToPath(import.meta.url)), '../../testdata/compact/steps/overlapping-start-timestamps');
const fs = createMemoryFileSystem();
const blocks: Record<'in' | 'out', Block[]> = { in: [], out: [] };
beforeAll(() => {
  for (const side of ['in', 'out'] as const) {
    for (const entry of readdirSync(join(step, side), { recursive: true, withFileTypes: true })) {
      const path = join(entry.parentPath, entry.name);
      if (entry.isFile()) fs.seed(path.slice(step.length + 1), readFileSync(path));
    }
    blocks[side] = readdirSync(join(step, side)).map((ulid) => openBlock(fs, `${side}/${ulid}`));
  }
});

/** `labels@time` → start, as the chunks of a block have it, without what is deleted. */
function startsInChunks({ index, chunks, tombstones }: Block): Map<string, number> {
  const found = new Map<string, number>();
  const entry = { labelCount: 0, symbols: new Uint32Array(8), chunkCount: 0, mint: new Float64Array(8), maxt: new Float64Array(8), refs: new Float64Array(8) };
  for (const ref of index.allPostings()) {
    index.readSeries(ref, entry);
    for (let i = 0; i < entry.chunkCount; i++) {
      const { encoding, data } = chunks.readChunk(entry.refs[i]!);
      const { timestampsMs, startTimestamps } = encoding === CHUNK_ENCODING.xor2 ? decodeXor2Chunk(data, 'a') : encoding === CHUNK_ENCODING.xor ? { timestampsMs: [], startTimestamps: undefined } : decodeHistogramChunk(encoding, data, 'a');
      timestampsMs.forEach((time, sample) => {
        if (!overlapsIntervals(tombstones.get(ref) ?? [], time, time)) found.set(`${index.labelsOf(entry).join(',')}@${time}`, startTimestamps?.[sample] ?? 0);
      });
    }
  }
  return found;
}

async function startsInQuery(of: readonly Block[], kernels: Kernels): Promise<Map<string, number>> {
  const found = new Map<string, number>();
  const request = { matchers: [createMatcher('=~', '__name__', '.+')], mint: 0, maxt: Number.MAX_SAFE_INTEGER };
  for await (const { labels, offsets, timestampsMs, startTimestamps } of createBlockQueryable(of, kernels).select(request)) {
    labels.forEach((one, i) => {
      for (let at = offsets[i]!; at < offsets[i + 1]!; at++) found.set(`${one.join(',')}@${timestampsMs[at]}`, startTimestamps?.[at] ?? 0);
    });
  }
  return found;
}

describe.each(['wasm', 'js'] as const)('%s kernels', (backend) => {
  const kernels = createKernels({ backend });

  test('one block', async () => {
    for (const block of blocks.in) {
      const wanted = startsInChunks(block);
      expect([...wanted.values()].filter((start) => start !== 0).length).toBeGreaterThan(1000);
      expect(await startsInQuery([block], kernels)).toEqual(wanted);
    }
    expect(kernels.memory.usedBytes).toBe(0);
  });

  test('two that overlap: each timestamp once, with a start that a block has there', async () => {
    const wanted = blocks.in.map(startsInChunks);
    const got = await startsInQuery(blocks.in, kernels);
    expect(new Set(got.keys())).toEqual(new Set(wanted.flatMap((starts) => [...starts.keys()])));
    for (const [key, start] of got) expect(wanted.map((starts) => starts.get(key))).toContain(start);
  });

  test('what Prometheus compacted them to', async () => {
    const got = await startsInQuery(blocks.out, kernels);
    const before = await startsInQuery(blocks.in, kernels);
    expect(new Set(got.keys())).toEqual(new Set(before.keys()));
    for (const [key, start] of startsInChunks(blocks.out[0]!)) expect(got.get(key)).toBe(start);
  });

  test.each([
    { name: 'a cut chunk', data: [0, 2, 0x80, 2, 0, 0, 0, 0, 0, 0, 0, 0, 2, 1], error: /series \["__name__","a"\] in .*01M7YH8MWRAHCY0QHCESGFVHVY: 2 samples, 14 bytes end before the last one/ },
    { name: 'a bad window', data: [0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0b110_11111, 0b111111_00, 0, 0, 0, 0, 0, 0, 0, 0], error: /a value has a bad window/ },
    { name: 'no header', data: [0, 2], error: /2 bytes, want at least 3/ },
  ])('$name is an error that names the series', async ({ data, error }) => {
    const damaged = createMemoryFileSystem();
    const ulid = '01M7YH8MWRAHCY0QHCESGFVHVY';
    const writer = createBlockWriter(damaged, 'b', { ulid, minTime: 0, maxTime: 10, symbols: ['', '__name__', 'a'] });
    writer.addSeries(['__name__', 'a'], [{ mint: 1, maxt: 2, encoding: CHUNK_ENCODING.xor2, data: Uint8Array.from(data) }]);
    writer.finish();
    await expect(startsInQuery([openBlock(damaged, `b/${ulid}`)], kernels)).rejects.toMatchObject({ code: 'ERR_CHUNK_CORRUPT', message: expect.stringMatching(error) });
    expect(kernels.memory.usedBytes).toBe(0);
  });
});
