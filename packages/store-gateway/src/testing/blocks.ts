/** Blocks made of chunk series, straight into a bucket: valid index, chunks and meta.json, payloads as they are given. */
import { compareUtf8 } from '@gauntlet/bytes';
import { type ChunkSeries, compareLabels, type Labels, labelsToObject } from '@gauntlet/model';
import type { Bucket } from '@gauntlet/objstore';
import { createBlockWriter, joinPath } from '@gauntlet/tsdb';
import { createMemoryFileSystem } from '@gauntlet/tsdb/testing';

/** The n-th block id of a test: valid, ascending. */
export function testBlockId(n: number): string {
  return `01M7YH8PRB5EGPCY8YH5HQ${String(n).padStart(4, '0')}`;
}

/** What a block is. */
export interface TestBlock {
  readonly n: number;
  readonly labels: Labels;
  readonly series: readonly ChunkSeries[];
  /** Default: from the first sample to behind the last. */
  readonly minTime?: number;
  readonly maxTime?: number;
  readonly resolutionMs?: number;
  /** Further members of the `thanos` section. */
  readonly thanos?: Readonly<Record<string, unknown>>;
  readonly sources?: readonly string[];
}

/** Writes a block. Series without chunks are left out. @returns its id */
export async function putBlock(bucket: Bucket, block: TestBlock): Promise<string> {
  const id = testBlockId(block.n);
  const fs = createMemoryFileSystem();
  const series = block.series.filter((s) => s.chunks.length > 0).toSorted((a, b) => compareLabels(a.labels, b.labels));
  const chunks = series.flatMap((s) => s.chunks);
  fs.mkdir('/blocks');
  const writer = createBlockWriter(fs, '/blocks', {
    ulid: id,
    minTime: block.minTime ?? Math.min(...chunks.map((chunk) => chunk.mint)),
    maxTime: block.maxTime ?? Math.max(...chunks.map((chunk) => chunk.maxt)) + 1,
    compaction: { level: 1, sources: [...(block.sources ?? [id])] },
    symbols: [...new Set(['', ...series.flatMap((s) => s.labels)])].toSorted(compareUtf8),
    thanos: { labels: labelsToObject(block.labels), downsample: { resolution: block.resolutionMs ?? 0 }, source: 'test', ...block.thanos },
  });
  for (const s of series) writer.addSeries(s.labels, s.chunks.map((chunk) => ({ ...chunk })));
  writer.finish();
  const copy = async (path: string, name: string): Promise<void> => {
    const file = fs.open(joinPath(path, name), 'read');
    const bytes = new Uint8Array(file.size());
    file.read(bytes, 0);
    file.close();
    await bucket.upload(joinPath(path, name).slice('/blocks/'.length), bytes);
  };
  for (const name of fs.list(`/blocks/${id}/chunks`)) await copy(`/blocks/${id}/chunks`, name);
  for (const name of ['index', 'meta.json']) await copy(`/blocks/${id}`, name);
  return id;
}
