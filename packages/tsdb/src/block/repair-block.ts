/**
 * Repair: writes a new block beside a faulty one, with all that can be kept, and says what it did. The faulty block stays as it is.
 *
 *   lists of postings, counters           made anew from the series; of a lost list of all series, by walking the entries
 *   series, labels out of order           put in order; series that are one then are made one
 *   chunks out of order, overlapping      merged by timestamp, as compaction does; equal ones once
 *   chunks, samples outside of the range  left out: no query of a database shows them; samples can be told to be kept together with their chunk
 *   an index that misstates a chunk       the chunk's own times
 *   deleted samples                       left out
 *   damaged chunks, damaged series        only with `dropDamaged`, each named in the report
 *
 * meta.json, the symbols and the offsets in the index have nothing they could be made from: without them a block is beyond repair. What was
 * written is verified before it gets its name.
 */
import { compareUtf8 } from '@gauntlet/bytes';
import type { Kernels } from '@gauntlet/kernels';
import { compareLabels, formatLabels, type Labels, labelsFromPairs } from '@gauntlet/model';
import { ChunkMerger } from '../compact/merge-chunks.ts';
import { TsdbError } from '../errors.ts';
import { baseName, type FileSystem, joinPath } from '../file-system.ts';
import type { IndexReader } from '../index-file/index-reader.ts';
import { SERIES_ALIGN } from '../index-file/layout.ts';
import { createSeriesEntry } from '../index-file/series-entry.ts';
import { isRecodable, recodeWithout } from '../query/recode-chunk.ts';
import type { BlockMeta } from './block-meta.ts';
import { type Block, openBlock } from './block-reader.ts';
import { type BlockChunk, type BlockWriter, writeBlock } from './block-writer.ts';
import { ChunkChecker } from './chunk-checker.ts';
import { META_DIGEST_KEY } from './meta-digest.ts';
import { addInterval, type Intervals, isCovered, overlapsIntervals } from './tombstones.ts';
import { formatBlockReport, verifyBlock } from './verify-block.ts';

/** What repair works with. */
export interface RepairBlockDeps {
  readonly fs: FileSystem;
  readonly kernels: Kernels;
}

/** How to repair. */
export interface RepairBlockOptions {
  /** Name of the new block. */
  readonly ulid: string;
  /** Leaves out chunks and series that cannot be read, instead of giving up; the report names them. Default false. */
  readonly dropDamaged?: boolean;
  /**
   * Gives up where a chunk lies partly outside of the block's range, instead of cutting it: for a bucket, whose readers show what lies outside.
   * Default false.
   */
  readonly keepsChunksWhole?: boolean;
  /** Changes kept in the report; more are counted. Default 1000. */
  readonly changesMax?: number;
}

/** What was done. */
export interface RepairChange {
  /** `lost`: data that could not be read is gone. `left-out`: data that no query showed. `merged`, `ordered`: nothing is gone. */
  readonly kind: 'lost' | 'left-out' | 'merged' | 'ordered';
  /** In PromQL's notation; '' when its labels could not be read. */
  readonly series: string;
  readonly message: string;
}

/** Outcome of `repairBlock`. */
export interface RepairReport {
  /** Of the new block; undefined when nothing is left, and then nothing is written. */
  readonly meta: BlockMeta | undefined;
  /** The first `changesMax`. Lists of postings and counters are made anew without being mentioned. */
  readonly changes: readonly RepairChange[];
  readonly changeCount: number;
}

const CHANGES_MAX = 1000;
/** Time no sample has. */
const FOREVER = Number.MAX_SAFE_INTEGER;

/**
 * Writes what can be kept of the block in `dir` as `parentDir/<ulid>`.
 * @throws TsdbError of reading the block: ERR_BLOCK_META, ERR_INDEX_*; without `dropDamaged` also ERR_CHUNK_CORRUPT, ERR_CHUNK_ENCODING for
 *   what it would drop; ERR_BLOCK_REPAIR when what was written is not sound, and then it is removed, and with `keepsChunksWhole` for a chunk to cut; what the file system throws
 */
export function repairBlock(deps: RepairBlockDeps, dir: string, parentDir: string, options: RepairBlockOptions): RepairReport {
  const { fs, kernels } = deps;
  const block = openBlock(fs, dir, { outsideChunks: 'allow' });
  const repair = new BlockRepair(block, kernels, options);
  let meta: BlockMeta | undefined;
  try {
    const { minTime, maxTime, compaction } = block.meta;
    const thanos = withoutFiles(block.meta.thanos);
    meta = writeBlock(fs, parentDir, { ulid: options.ulid, minTime, maxTime, compaction, symbols: symbolsOf(block.index), ...(thanos !== undefined && { thanos }) }, (writer) => repair.write(writer));
  } finally {
    repair.free();
    block.close();
  }
  if (meta !== undefined) {
    const path = joinPath(parentDir, options.ulid);
    const report = verifyBlock(fs, path, { kernels });
    if (!report.isSound) {
      fs.remove(path);
      throw new TsdbError('ERR_BLOCK_REPAIR', `repair block ${baseName(dir)}: the new block ${options.ulid} is not sound: ${formatBlockReport(report).slice(1, 3).join(';')}`);
    }
  }
  return { meta, changes: repair.changes, changeCount: repair.changeCount };
}

/** The section without what is of the old block's files. */
function withoutFiles(thanos: unknown): unknown {
  if (typeof thanos !== 'object' || thanos === null) return thanos;
  const { files, segment_files: segments, index_stats: stats, ...rest } = thanos as Record<string, unknown>;
  void [files, segments, stats];
  if (typeof rest['extensions'] !== 'object' || rest['extensions'] === null) return rest;
  const { [META_DIGEST_KEY]: digest, ...extensions } = rest['extensions'] as Record<string, unknown>;
  void digest;
  return { ...rest, extensions };
}

function symbolsOf({ symbols }: IndexReader): string[] {
  const all = Array.from({ length: symbols.count }, (_, i) => symbols.lookup(i));
  return [...new Set(all)].sort(compareUtf8);
}

/** A series as it is to be: labels in order, and the entries its chunks come from. */
interface RepairSeries {
  readonly labels: Labels;
  readonly refs: readonly number[];
}

class BlockRepair {
  readonly #block: Block;
  readonly #kernels: Kernels;
  readonly #dropDamaged: boolean;
  readonly #keepsChunksWhole: boolean;
  readonly #changesMax: number;
  readonly #checker: ChunkChecker;
  readonly #merger: ChunkMerger;
  readonly changes: RepairChange[] = [];
  changeCount = 0;

  constructor(block: Block, kernels: Kernels, options: RepairBlockOptions) {
    this.#block = block;
    this.#kernels = kernels;
    this.#dropDamaged = options.dropDamaged === true;
    this.#keepsChunksWhole = options.keepsChunksWhole === true;
    this.#changesMax = options.changesMax ?? CHANGES_MAX;
    this.#checker = new ChunkChecker(kernels);
    this.#merger = new ChunkMerger(kernels);
  }

  free(): void {
    this.#checker.free();
    this.#merger.free();
  }

  write(writer: BlockWriter): void {
    for (const { labels, refs } of this.#seriesInOrder()) {
      const chunks: BlockChunk[] = [];
      for (const ref of refs) chunks.push(...this.#chunksOf(ref, labels));
      const kept = this.#inOrder(labels, chunks);
      if (kept.length > 0) writer.addSeries(labels, kept);
    }
  }

  /** References of all series; when their list cannot be read, of all entries found. */
  #references(): Uint32Array {
    const { index } = this.#block;
    try {
      return index.allPostings();
    } catch (error) {
      if (!(error instanceof TsdbError)) throw error;
      this.#change('ordered', '', `the list of all series is made anew: ${error.message}`);
    }
    const found: number[] = [];
    const entry = createSeriesEntry();
    const { toc } = index;
    const end = [toc.labelIndices, toc.postings].find((offset) => offset > toc.series) ?? toc.series;
    let damagedFrom = -1;
    for (let ref = Math.ceil(toc.series / SERIES_ALIGN); ref * SERIES_ALIGN < end; ref++) {
      try {
        index.readSeries(ref, entry);
        found.push(ref);
        ref += Math.ceil(index.entryBytes(ref) / SERIES_ALIGN) - 1;
        damagedFrom = -1;
      } catch (error) {
        if (!(error instanceof TsdbError)) throw error;
        if (damagedFrom < 0 && !this.#dropDamaged) throw error;
        if (damagedFrom < 0) this.#change('lost', '', error.message);
        damagedFrom = ref;
      }
    }
    return Uint32Array.from(found);
  }

  /** All series by their labels in order: streamed when they are in order already, which is the rule. */
  *#seriesInOrder(): Generator<RepairSeries> {
    let previous: Labels | undefined;
    let isSorted = true;
    const references: number[] = [];
    for (const ref of this.#references()) {
      const labels = this.#labelsOf(ref, true);
      if (labels === undefined) continue;
      references.push(ref);
      if (previous !== undefined && compareLabels(previous, labels) >= 0) isSorted = false;
      previous = labels;
    }
    if (isSorted) {
      for (const ref of references) yield { labels: this.#labelsOf(ref, false)!, refs: [ref] };
      return;
    }
    this.#change('ordered', '', 'series are put in the order of their labels');
    const all = references.map((ref) => ({ labels: this.#labelsOf(ref, false)!, ref })).sort((a, b) => compareLabels(a.labels, b.labels) || a.ref - b.ref);
    for (let i = 0; i < all.length; ) {
      const { labels } = all[i]!;
      const refs: number[] = [];
      while (i < all.length && compareLabels(all[i]!.labels, labels) === 0) refs.push(all[i++]!.ref);
      if (refs.length > 1) this.#change('merged', formatLabels(labels), `${refs.length} entries of the same labels are made one`);
      yield { labels, refs };
    }
  }

  /** Labels in order; undefined when the entry cannot be read, or has none. @param isFirst whether to report what is found */
  #labelsOf(ref: number, isFirst: boolean): Labels | undefined {
    const { index } = this.#block;
    const entry = createSeriesEntry();
    let got: Labels;
    try {
      index.readSeries(ref, entry);
      got = index.labelsOf(entry);
      if (got.length === 0) throw new TsdbError('ERR_BLOCK_REPAIR', `repair block ${index.name}: series ${ref} has no labels`);
    } catch (error) {
      if (!(error instanceof TsdbError) || !this.#dropDamaged) throw error;
      if (isFirst) this.#change('lost', '', error.message);
      return undefined;
    }
    const pairs = Array.from({ length: got.length / 2 }, (_, i) => [got[i * 2]!, got[i * 2 + 1]!] as const);
    const labels = labelsFromPairs(pairs);
    if (isFirst && labels.join('\0') !== got.join('\0')) this.#change('ordered', formatLabels(labels), 'its labels are put in order');
    return labels;
  }

  /** Chunks of an entry, without deleted samples and those outside of the block's range. */
  #chunksOf(ref: number, labels: Labels): BlockChunk[] {
    const { index, meta, tombstones } = this.#block;
    const entry = createSeriesEntry();
    index.readSeries(ref, entry);
    const deleted = tombstones.get(ref) ?? [];
    const chunks: BlockChunk[] = [];
    for (let i = 0; i < entry.chunkCount; i++) {
      const [mint, maxt] = [entry.mint[i]!, entry.maxt[i]!];
      const name = (): string => formatLabels(labels);
      if (maxt < meta.minTime || mint >= meta.maxTime) {
        this.#change('left-out', name(), `chunk from ${mint} to ${maxt} is outside of the block`);
        continue;
      }
      const chunk = this.#readChunk(entry.refs[i]!, mint, maxt, labels);
      if (chunk === undefined) continue;
      let intervals: Intervals = deleted;
      if (chunk.mint < meta.minTime || chunk.maxt >= meta.maxTime) {
        if (this.#keepsChunksWhole) throw new TsdbError('ERR_BLOCK_REPAIR', `repair block ${index.name}: chunk from ${chunk.mint} to ${chunk.maxt} of series ${name()} reaches out of [${meta.minTime}, ${meta.maxTime})`);
        this.#change('left-out', name(), `samples of the chunk from ${chunk.mint} to ${chunk.maxt} outside of [${meta.minTime}, ${meta.maxTime})`);
        intervals = addInterval(addInterval(intervals, -FOREVER, meta.minTime - 1), meta.maxTime, FOREVER);
      }
      if (!overlapsIntervals(intervals, chunk.mint, chunk.maxt)) chunks.push(chunk);
      else if (!isCovered(intervals, chunk.mint, chunk.maxt)) {
        if (!isRecodable(chunk.encoding)) throw new TsdbError('ERR_CHUNK_ENCODING', `repair block ${index.name}: take samples out of series ${name()}, chunk from ${mint} to ${maxt}: encoding ${chunk.encoding} cannot be taken apart`);
        const rest = recodeWithout(chunk, intervals, this.#kernels);
        if (rest !== undefined) chunks.push(rest);
      }
    }
    return chunks;
  }

  /** A chunk that can be decoded, with its own range; undefined when it is dropped. */
  #readChunk(ref: number, mint: number, maxt: number, labels: Labels): BlockChunk | undefined {
    const { chunks, index } = this.#block;
    try {
      const chunk = chunks.readChunk(ref);
      const problem = this.#checker.check(chunk.encoding, chunk.data, undefined, undefined);
      if (problem !== '') throw new TsdbError('ERR_CHUNK_CORRUPT', `repair block ${index.name}: chunk from ${mint} to ${maxt} of series ${formatLabels(labels)}: ${problem}`);
      const { first, last } = this.#checker;
      if (first === undefined || last === undefined || (first === mint && last === maxt)) return { ...chunk, mint, maxt };
      this.#change('ordered', formatLabels(labels), `chunk from ${mint} to ${maxt} has samples from ${first} to ${last}, which the index says now`);
      return { ...chunk, mint: first, maxt: last };
    } catch (error) {
      if (!(error instanceof TsdbError) || !this.#dropDamaged) throw error;
      this.#change('lost', formatLabels(labels), `samples from ${mint} to ${maxt}: ${error.message}`);
      return undefined;
    }
  }

  /** Chunks in order and apart. */
  #inOrder(labels: Labels, chunks: readonly BlockChunk[]): readonly BlockChunk[] {
    let isApart = true;
    for (let i = 1; i < chunks.length; i++) isApart &&= chunks[i]!.mint > chunks[i - 1]!.maxt;
    if (isApart) return chunks;
    const lanes: BlockChunk[][] = [];
    for (const chunk of chunks.toSorted((a, b) => a.mint - b.mint || a.maxt - b.maxt)) {
      const lane = lanes.find((one) => one.at(-1)!.maxt < chunk.mint);
      if (lane === undefined) lanes.push([chunk]);
      else lane.push(chunk);
    }
    if (lanes.length === 1) {
      this.#change('ordered', formatLabels(labels), `${chunks.length} chunks are put in the order of time`);
      return lanes[0]!;
    }
    const merged = this.#merger.merge({ labels, blocks: lanes.map(() => this.#block.meta.ulid), chunks: lanes });
    this.#change('merged', formatLabels(labels), `${chunks.length} chunks that overlap become ${merged.length}; of samples at one time, one is kept`);
    return merged;
  }

  #change(kind: RepairChange['kind'], series: string, message: string): void {
    this.changeCount++;
    if (this.changes.length < this.#changesMax) this.changes.push({ kind, series, message });
  }
}
