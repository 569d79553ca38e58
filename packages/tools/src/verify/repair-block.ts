/**
 * A copy of a block without what can be left out safely:
 *
 *   chunks all outside of the block        nobody ever reads them
 *   chunks that begin at the block's end   copies of what the next block has (prometheus/tsdb issue 347)
 *   chunks twice                           same range and same bytes
 *
 * Labels out of order are put in order; series that are the same then become one. Chunks that overlap otherwise cannot be repaired.
 * The copy is checked, index and data, before anybody sees it. Source: Thanos pkg/block/index.go `Repair`.
 */
import { join } from 'node:path';
import { gatherIndexHealth, type ThanosMeta, verifyBlockData } from '@gauntlet/block';
import { createKernels } from '@gauntlet/kernels';
import { compareLabels, formatLabels, type Labels, labelsFromPairs } from '@gauntlet/model';
import { type Block, type BlockChunk, createBlockWriter, createSeriesEntry, createUlid, type FileSystem, openBlock, segmentFileName } from '@gauntlet/tsdb';
import { ToolsError } from '../errors.ts';

/** What a repair works with. */
export interface RepairDeps {
  readonly fs: FileSystem;
  /** Unix ms. */
  readonly clock: () => number;
  readonly random: () => number;
  readonly signal: AbortSignal;
}

/** Length of a segment's file name is that of six digits: segments are counted up to the first that is not there. */
function segmentNames(fs: FileSystem, dir: string): string[] {
  const names: string[] = [];
  while (fs.stat(join(dir, 'chunks', segmentFileName(names.length))) !== undefined) names.push(segmentFileName(names.length));
  return names;
}

/**
 * Writes the repaired copy of the block in `<folder>/<meta.ulid>` as `<folder>/<new id>`.
 * @returns the meta of the copy, source bucket.repair
 * @throws ToolsError ERR_REPAIR for what cannot be repaired; TsdbError for damage
 */
export async function repairBlock(deps: RepairDeps, folder: string, meta: ThanosMeta): Promise<ThanosMeta> {
  const { fs, clock, random, signal } = deps;
  const refuse = (what: string): ToolsError => new ToolsError('ERR_REPAIR', `repair block ${meta.ulid}: ${what}`);
  if (meta.thanos.resolutionMs > 0) throw refuse('downsampled blocks cannot be repaired');
  const ulid = createUlid(clock(), random);
  const block = openBlock(fs, join(folder, meta.ulid), { outsideChunks: 'allow' });
  const written = (() => {
    try {
      return writeRepaired(fs, folder, ulid, block, meta, refuse);
    } finally {
      block.close();
    }
  })();
  if (written === undefined) throw refuse('nothing would be left of it');
  const dir = join(folder, ulid);
  const copy = openBlock(fs, dir, { outsideChunks: 'allow' });
  try {
    const health = gatherIndexHealth(copy, meta.minTime, meta.maxTime);
    const problem = health.anyError();
    if (problem !== undefined) throw refuse(`the repaired block is still wrong: ${problem.message}`);
    const { findings } = await verifyBlockData(copy, createKernels(), { signal });
    if (findings.length > 0) throw refuse(`the repaired block is still wrong: ${findings[0]}`);
    return {
      ...written,
      compaction: meta.compaction,
      thanos: { ...meta.thanos, source: 'bucket.repair', segmentFiles: segmentNames(fs, dir), files: [], seriesMaxBytes: health.seriesBytes.max, chunkMaxBytes: health.chunkBytes.max },
    };
  } finally {
    copy.close();
  }
}

/** A series as it is to be: labels in order, and the entries its chunks come from. */
interface Series {
  readonly labels: Labels;
  readonly refs: readonly number[];
}

function writeRepaired(fs: FileSystem, folder: string, ulid: string, block: Block, meta: ThanosMeta, refuse: (what: string) => ToolsError): Omit<ThanosMeta, 'thanos'> | undefined {
  const { index } = block;
  const symbols = Array.from({ length: index.symbols.count }, (_, i) => index.symbols.lookup(i));
  const writer = createBlockWriter(fs, folder, { ulid, minTime: meta.minTime, maxTime: meta.maxTime, compaction: meta.compaction, symbols });
  try {
    for (const { labels, refs } of seriesInOrder(block)) {
      const chunks = repairedChunks(refs.flatMap((ref) => chunksOf(block, ref)), meta, (what) => refuse(`series ${formatLabels(labels)}: ${what}`));
      if (chunks.length > 0) writer.addSeries(labels, chunks);
    }
    const { thanos, ...written } = writer.finish() ?? { thanos: undefined };
    void thanos;
    return 'ulid' in written ? written : undefined;
  } catch (error) {
    writer.abandon();
    throw error;
  }
}

/** All series by their labels in order. Streamed when they are in order already, which is the rule. */
function* seriesInOrder({ index }: Block): Generator<Series> {
  const entry = createSeriesEntry();
  const postings = index.allPostings();
  const labelsOf = (ref: number): Labels => {
    index.readSeries(ref, entry, false);
    const labels = index.labelsOf(entry);
    return labelsFromPairs(Array.from({ length: labels.length / 2 }, (_, i) => [labels[i * 2]!, labels[i * 2 + 1]!] as const));
  };
  let previous: Labels | undefined;
  let isSorted = true;
  for (const ref of postings) {
    const labels = labelsOf(ref);
    if (previous !== undefined && compareLabels(previous, labels) >= 0) isSorted = false;
    previous = labels;
  }
  if (isSorted) {
    for (const ref of postings) yield { labels: labelsOf(ref), refs: [ref] };
    return;
  }
  const all = [...postings].map((ref) => ({ labels: labelsOf(ref), ref })).sort((a, b) => compareLabels(a.labels, b.labels) || a.ref - b.ref);
  for (let i = 0; i < all.length; ) {
    const refs: number[] = [];
    const { labels } = all[i]!;
    while (i < all.length && compareLabels(all[i]!.labels, labels) === 0) refs.push(all[i++]!.ref);
    yield { labels, refs };
  }
}

function chunksOf({ index, chunks }: Block, ref: number): BlockChunk[] {
  const entry = createSeriesEntry();
  index.readSeries(ref, entry);
  return Array.from({ length: entry.chunkCount }, (_, i) => ({ mint: entry.mint[i]!, maxt: entry.maxt[i]!, ...chunks.readChunk(entry.refs[i]!) }));
}

/** What is left of the chunks of a series. */
function repairedChunks(chunks: readonly BlockChunk[], { minTime, maxTime }: ThanosMeta, refuse: (what: string) => ToolsError): BlockChunk[] {
  const kept: BlockChunk[] = [];
  for (const chunk of [...chunks].sort((a, b) => a.mint - b.mint)) {
    if (chunk.mint > maxTime || chunk.maxt < minTime || chunk.mint === maxTime) continue;
    const last = kept.at(-1);
    if (last !== undefined && chunk.mint <= last.maxt) {
      const isSame = chunk.mint === last.mint && chunk.maxt === last.maxt && chunk.encoding === last.encoding && Buffer.compare(chunk.data, last.data) === 0;
      if (!isSame) throw refuse(`chunks [${last.mint}, ${last.maxt}] and [${chunk.mint}, ${chunk.maxt}] overlap and are not the same`);
      continue;
    }
    kept.push(chunk);
  }
  return kept;
}
