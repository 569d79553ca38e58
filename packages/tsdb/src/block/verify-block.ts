/**
 * Verification: reads every byte of a block that means something, and says what is wrong and where, going on after damage as far as it can.
 *
 *   meta.json    name, range, counters, digest, sizes                          verify-meta.ts
 *   tombstones   checksum, series
 *   index        header, TOC, symbols, tables; every list against the series   verify-postings.ts
 *   series       checksum, order, labels, chunks: order, range                 here
 *   chunks       checksum, decoded, samples within the index entry's range     here, chunk-checker.ts
 *   segments     chunks side by side, nothing between them                     here; without an index chunk by chunk, by their own lengths
 */
import { createKernels, type Kernels } from '@gauntlet/kernels';
import { CHUNK_ENCODING, formatLabels } from '@gauntlet/model';
import { AGGREGATE_ENCODING } from '../chunkenc/aggregate-chunk.ts';
import { type ChunkFrame, type ChunkReader, frameChunk, openChunks } from '../chunks/chunk-reader.ts';
import { chunkRefOffset, chunkRefSegment, CHUNKS_HEADER_BYTES, segmentFileName } from '../chunks/layout.ts';
import { TsdbError } from '../errors.ts';
import { baseName, type FileSystem, joinPath, readFile } from '../file-system.ts';
import { createFileSource } from '../index-file/byte-source.ts';
import { type IndexReader, openIndex } from '../index-file/index-reader.ts';
import { compareOrdinals } from '../index-file/index-writer.ts';
import { SERIES_ALIGN } from '../index-file/layout.ts';
import { createSeriesEntry, type SeriesEntry } from '../index-file/series-entry.ts';
import type { BlockMeta } from './block-meta.ts';
import { BLOCK_FILES } from './block-reader.ts';
import { chunkSampleCount } from './block-writer.ts';
import { ChunkChecker } from './chunk-checker.ts';
import { NO_TOMBSTONES, parseTombstones, type Tombstones } from './tombstones.ts';
import { type BlockFinding, Findings } from './verify-findings.ts';
import { type BlockFigures, verifyMeta, verifyStats } from './verify-meta.ts';
import { PostingsVerifier } from './verify-postings.ts';

/** How to verify. */
export interface VerifyBlockOptions {
  /** They decode; default new ones. */
  readonly kernels?: Kernels;
  /** Findings kept; more are counted. Default 100. */
  readonly findingsMax?: number;
  /** Called every 1,000 series and at the end. */
  readonly onProgress?: (seriesDone: number, seriesTotal: number) => void;
  /** Polled every 1,000 series. */
  readonly shouldStop?: () => boolean;
}

/** Outcome of `verifyBlock`. */
export interface BlockReport extends BlockFigures {
  /** Name of the folder. */
  readonly block: string;
  /** Undefined when it cannot be read. */
  readonly meta: BlockMeta | undefined;
  /** No damage and no fault; there may be notes. */
  readonly isSound: boolean;
  /** The first `findingsMax`, in the order of the reading. */
  readonly findings: readonly BlockFinding[];
  /** All there are, by severity. */
  readonly counts: Readonly<Record<BlockFinding['severity'], number>>;
  /** Payload bytes of chunks. */
  readonly chunkBytes: number;
  /** Symbols that no series has: blocks cut from a head may bring some. */
  readonly unusedSymbols: number;
  /** Series with deleted ranges. */
  readonly deletedSeries: number;
}

const FINDINGS_MAX = 100;
const POLL_SERIES = 1000;
const INDEX = { file: BLOCK_FILES.index } as const;

/**
 * Verifies the block in a folder. What is wrong with it is not thrown but reported. Memory: symbols, postings (4 bytes per label of a series)
 * and one chunk.
 * @throws TsdbError ERR_COMPACT_CANCELED when `shouldStop` says so; what the file system throws
 */
export function verifyBlock(fs: FileSystem, dir: string, options: VerifyBlockOptions = {}): BlockReport {
  const findings = new Findings(options.findingsMax ?? FINDINGS_MAX);
  const block = baseName(dir);
  const meta = verifyMeta(fs, dir, findings);
  const tombstones = readTombstones(fs, dir, block, findings);
  const chunks = readSegments(fs, dir, block, findings);
  const verifier = new SeriesVerifier(meta, chunks, options.kernels ?? createKernels(), findings);
  try {
    const path = joinPath(dir, BLOCK_FILES.index);
    const isIndexed = fs.stat(path) !== undefined && verifyIndex(fs, path, block, verifier, tombstones, findings, options);
    if (!isIndexed && chunks !== undefined) verifier.walkSegments();
    if (meta !== undefined) verifyStats(meta, verifier.figures, isIndexed && verifier.isComplete, findings);
  } finally {
    verifier.free();
    chunks?.close();
  }
  const { figures, chunkBytes, unusedSymbols } = verifier;
  return { block, meta, isSound: findings.counts.damage + findings.counts.fault === 0, findings: findings.kept, counts: findings.counts, ...figures, chunkBytes, unusedSymbols, deletedSeries: tombstones.size };
}

/** A report as lines for people: a verdict, then a line for each finding. */
export function formatBlockReport(report: BlockReport): string[] {
  const { block, numSeries, numChunks, numSamples, findings, counts } = report;
  const verdict = counts.damage > 0 ? 'damaged' : counts.fault > 0 ? 'faulty' : 'sound';
  const lines = [`${block}: ${verdict}; ${numSeries} series, ${numChunks} chunks, ${numSamples} samples; ${counts.damage} damaged, ${counts.fault} faults, ${counts.note} notes`];
  for (const { severity, code, file, section, offset, series, message } of findings) {
    const place = [file, section, offset < 0 ? '' : `offset ${offset}`, series].filter((part) => part !== '').join(', ');
    lines.push(`  ${severity} ${code} ${place}: ${message}`);
  }
  const more = counts.damage + counts.fault + counts.note - findings.length;
  if (more > 0) lines.push(`  … and ${more} more`);
  return lines;
}

function readTombstones(fs: FileSystem, dir: string, block: string, findings: Findings): Tombstones {
  const path = joinPath(dir, BLOCK_FILES.tombstones);
  if (fs.stat(path) === undefined) return NO_TOMBSTONES;
  try {
    return parseTombstones(readFile(fs, path), block);
  } catch (error) {
    findings.addError(error, 'TOMBSTONES_UNREADABLE', { file: BLOCK_FILES.tombstones });
    return NO_TOMBSTONES;
  }
}

function readSegments(fs: FileSystem, dir: string, block: string, findings: Findings): ChunkReader | undefined {
  const path = joinPath(dir, BLOCK_FILES.chunks);
  if (fs.stat(path) === undefined) return undefined;
  for (const file of fs.list(path)) if (!/^\d{6}$/.test(file)) findings.add('note', 'FILE_UNKNOWN', { file: `chunks/${file}` }, `chunks/${file} is no segment`);
  try {
    return openChunks(fs, path, block);
  } catch (error) {
    findings.addError(error, 'CHUNK_UNREADABLE', { file: BLOCK_FILES.chunks });
    return undefined;
  }
}

/** @returns false when the index is of no use */
function verifyIndex(fs: FileSystem, path: string, block: string, verifier: SeriesVerifier, tombstones: Tombstones, findings: Findings, options: VerifyBlockOptions): boolean {
  const handle = fs.open(path, 'read');
  try {
    let index: IndexReader;
    let postings: Uint32Array;
    let lists: PostingsVerifier;
    try {
      index = openIndex(createFileSource(handle), block);
      postings = index.allPostings();
      lists = new PostingsVerifier(index, findings);
    } catch (error) {
      findings.addError(error, 'INDEX_UNREADABLE', INDEX);
      return false;
    }
    verifier.begin(index, lists);
    for (let i = 0; i < postings.length; i++) {
      if (i % POLL_SERIES === 0) {
        if (options.shouldStop?.() === true) throw new TsdbError('ERR_COMPACT_CANCELED', `verify block ${block}: canceled after ${i} of ${postings.length} series`);
        if (i > 0) options.onProgress?.(i, postings.length);
      }
      verifier.verify(postings[i]!);
    }
    verifier.end();
    options.onProgress?.(postings.length, postings.length);
    let at = 0;
    for (const ref of [...tombstones.keys()].sort((a, b) => a - b)) {
      while (at < postings.length && postings[at]! < ref) at++;
      if (postings[at] !== ref) findings.add('note', 'TOMBSTONES_SERIES', { file: BLOCK_FILES.tombstones }, `deleted ranges of series ${ref}, which the block has not`);
    }
    return true;
  } finally {
    handle.close();
  }
}

/** Verifies series in the order of their references, each with its chunks. */
class SeriesVerifier {
  readonly #meta: BlockMeta | undefined;
  readonly #chunks: ChunkReader | undefined;
  readonly #checker: ChunkChecker;
  readonly #findings: Findings;
  #index: IndexReader | undefined;
  #lists: PostingsVerifier | undefined;
  #isUsed = new Uint8Array(0);
  #entry: SeriesEntry = createSeriesEntry();
  #previous: SeriesEntry = createSeriesEntry();
  #hasPrevious = false;
  /** Where the next entry, and the next chunk, is expected. */
  #entryAt = 0;
  #chunkAt = CHUNKS_HEADER_BYTES;
  readonly #frame: ChunkFrame = { encodingAt: 0, payloadBytes: 0, end: 0 };
  readonly #count = { numSeries: 0, numChunks: 0, numSamples: 0, numFloatSamples: 0, numHistogramSamples: 0 };
  #isEverySeriesRead = true;
  chunkBytes = 0;
  /** Whether everything could be read. */
  isComplete = true;

  constructor(meta: BlockMeta | undefined, chunks: ChunkReader | undefined, kernels: Kernels, findings: Findings) {
    this.#meta = meta;
    this.#chunks = chunks;
    this.#checker = new ChunkChecker(kernels);
    this.#findings = findings;
    if (chunks === undefined) this.isComplete = false;
  }

  get figures(): BlockFigures {
    return { ...this.#count };
  }

  get unusedSymbols(): number {
    let unused = 0;
    for (let i = 0; i < this.#isUsed.length; i++) if (this.#isUsed[i] === 0 && this.#index!.symbols.bytesOf(i).length > 0) unused++;
    return unused;
  }

  free(): void {
    this.#checker.free();
  }

  begin(index: IndexReader, lists: PostingsVerifier): void {
    this.#index = index;
    this.#lists = lists;
    this.#isUsed = new Uint8Array(index.symbols.count);
    this.#entryAt = index.toc.series;
  }

  /** Verifies the next series. */
  verify(ref: number): void {
    const index = this.#index!;
    const entry = this.#entry;
    const at = ref * SERIES_ALIGN;
    const place = { file: INDEX.file, section: 'series', offset: at };
    this.#count.numSeries++;
    try {
      index.readSeries(ref, entry);
      const bad = entry.symbols.subarray(0, entry.labelCount * 2).find((symbol) => symbol >= index.symbols.count);
      if (bad !== undefined) index.symbols.lookup(bad);
    } catch (error) {
      this.#findings.addError(error, 'SERIES_UNREADABLE', place);
      this.isComplete = false;
      this.#isEverySeriesRead = false;
      this.#hasPrevious = false;
      this.#entryAt = -1;
      this.#chunkAt = -1;
      return;
    }
    if (this.#entryAt >= 0 && Math.ceil(this.#entryAt / SERIES_ALIGN) * SERIES_ALIGN !== at) {
      this.#findings.add('fault', 'SERIES_GAP', { ...place, offset: this.#entryAt }, `${at - this.#entryAt} bytes before series ${ref} belong to no series that the postings have`);
    }
    this.#entryAt = at + index.entryBytes(ref);
    this.#verifyLabels(ref, place);
    this.#lists!.take(ref, entry);
    for (let i = 0; i < entry.labelCount * 2; i++) this.#isUsed[entry.symbols[i]!] = 1;
    this.#verifyChunks(place);
    this.#entry = this.#previous;
    this.#previous = entry;
    this.#hasPrevious = true;
  }

  /** After the last series. */
  end(): void {
    if (this.#isEverySeriesRead) this.#lists!.finish();
    const { toc } = this.#index!;
    const next = [toc.labelIndices, toc.postings].find((offset) => offset > toc.series);
    if (next !== undefined && this.#entryAt >= 0 && next - this.#entryAt >= SERIES_ALIGN) {
      this.#findings.add('fault', 'SERIES_GAP', { file: INDEX.file, section: 'series', offset: this.#entryAt }, `${next - this.#entryAt} bytes after the last series belong to no series that the postings have`);
    }
    if (this.#chunks === undefined || this.#chunkAt < 0) return;
    for (let segment = chunkRefSegment(this.#chunkAt); segment < this.#chunks.segmentCount; segment++) this.#endSegment(segment);
  }

  /** Without an index: every chunk by its own length, checksums and contents. */
  walkSegments(): void {
    const chunks = this.#chunks!;
    this.isComplete = false;
    for (let segment = 0; segment < chunks.segmentCount; segment++) {
      for (let at = CHUNKS_HEADER_BYTES; at < chunks.segmentBytes(segment); ) {
        const ref = segment * 2 ** 32 + at;
        if (!this.#readChunk(ref, undefined, undefined)) break;
        this.#count.numChunks++;
        at = chunkRefOffset(this.#chunkAt);
      }
    }
  }

  #verifyLabels(ref: number, place: { readonly file: string; readonly section: string; readonly offset: number }): void {
    const index = this.#index!;
    const { symbols, labelCount } = this.#entry;
    const add = (code: 'SERIES_ORDER' | 'LABELS_ORDER' | 'LABELS_EMPTY', message: string): void => this.#findings.add('fault', code, { ...place, series: this.#series() }, message);
    if (labelCount === 0) add('LABELS_EMPTY', `series ${ref} has no labels`);
    for (let i = 0; i < labelCount * 2; i++) if (index.symbols.bytesOf(symbols[i]!).length === 0) add('LABELS_EMPTY', `label ${i >> 1} has an empty ${i % 2 === 0 ? 'name' : 'value'}`);
    for (let i = 2; i < labelCount * 2; i += 2) {
      if (symbols[i]! <= symbols[i - 2]!) add('LABELS_ORDER', `label ${index.symbols.lookup(symbols[i]!)} does not follow ${index.symbols.lookup(symbols[i - 2]!)}`);
    }
    if (this.#hasPrevious && compareOrdinals(symbols, labelCount * 2, this.#previous.symbols, this.#previous.labelCount * 2) <= 0) {
      add('SERIES_ORDER', `the series does not follow ${formatLabels(index.labelsOf(this.#previous))}`);
    }
  }

  #verifyChunks(place: { readonly file: string; readonly section: string; readonly offset: number }): void {
    const { chunkCount, mint, maxt, refs } = this.#entry;
    const add = (code: 'CHUNKS_NONE' | 'CHUNKS_OUTSIDE' | 'CHUNKS_OVERLAP' | 'CHUNKS_DUPLICATE', message: string): void => this.#findings.add('fault', code, { ...place, series: this.#series() }, message);
    if (chunkCount === 0) add('CHUNKS_NONE', 'the series has no chunks');
    let end = Number.NEGATIVE_INFINITY;
    for (let i = 0; i < chunkCount; i++) {
      this.#count.numChunks++;
      const range = `chunk ${i} from ${mint[i]} to ${maxt[i]}`;
      const meta = this.#meta;
      if (meta !== undefined && (mint[i]! < meta.minTime || maxt[i]! >= meta.maxTime)) add('CHUNKS_OUTSIDE', `${range} is not within the block's [${meta.minTime}, ${meta.maxTime})`);
      if (i > 0 && mint[i] === mint[i - 1] && maxt[i] === maxt[i - 1]) add('CHUNKS_DUPLICATE', `${range} has the range of the chunk before it`);
      else if (mint[i]! <= end) add('CHUNKS_OVERLAP', `${range} begins before ${end}, where a chunk before it ends`);
      end = Math.max(end, maxt[i]!);
      if (this.#chunks !== undefined) this.#readChunk(refs[i]!, mint[i]!, maxt[i]!);
    }
  }

  /**
   * Reads, counts and decodes a chunk. Without a range only its checksum and what it decodes to.
   * @returns false when it cannot be read
   */
  #readChunk(ref: number, mint: number | undefined, maxt: number | undefined): boolean {
    const chunks = this.#chunks!;
    const segment = chunkRefSegment(ref);
    const offset = chunkRefOffset(ref);
    const place = { file: `chunks/${segmentFileName(segment)}`, section: 'chunk', offset };
    if (mint !== undefined && this.#chunkAt >= 0 && ref !== this.#chunkAt) this.#verifyGap(ref, place);
    let chunk: { readonly encoding: number; readonly data: Uint8Array };
    try {
      chunk = chunks.readChunk(ref);
    } catch (error) {
      this.#findings.addError(error, 'CHUNK_UNREADABLE', { ...place, series: this.#series() });
      this.isComplete = false;
      this.#chunkAt = -1;
      return false;
    }
    const { encoding, data } = chunk;
    this.#chunkAt = ref + this.#frameBytes(segment, offset);
    this.chunkBytes += data.length;
    const samples = chunkSampleCount(encoding, data);
    this.#count.numSamples += samples;
    if (encoding === CHUNK_ENCODING.xor || encoding === CHUNK_ENCODING.xor2) this.#count.numFloatSamples += samples;
    else if (encoding !== AGGREGATE_ENCODING) this.#count.numHistogramSamples += samples;
    try {
      const problem = this.#checker.check(encoding, data, mint, maxt);
      if (problem !== '') this.#findings.add('damage', 'CHUNK_SAMPLES', { ...place, series: this.#series() }, problem);
    } catch (error) {
      this.#findings.addError(error, 'CHUNK_ENCODING', { ...place, series: this.#series() });
    }
    return true;
  }

  /** Length of a chunk that was read, with its frame. */
  #frameBytes(segment: number, offset: number): number {
    const head = new Uint8Array(8);
    frameChunk(head.subarray(0, this.#chunks!.read(segment, head, offset)), 0, this.#frame);
    return this.#frame.end;
  }

  /** A chunk is not where the one before it ends: at the start of the next segment, or bytes belong to nobody. */
  #verifyGap(ref: number, place: { readonly file: string; readonly section: string; readonly offset: number }): void {
    const segment = chunkRefSegment(ref);
    for (let ended = chunkRefSegment(this.#chunkAt); ended < Math.min(segment, this.#chunks!.segmentCount); ended++) this.#endSegment(ended);
    const from = segment === chunkRefSegment(this.#chunkAt) ? chunkRefOffset(this.#chunkAt) : CHUNKS_HEADER_BYTES;
    if (segment > chunkRefSegment(this.#chunkAt) && place.offset === from) return;
    const message = segment < chunkRefSegment(this.#chunkAt) || place.offset < from ? 'the chunk lies before the one that comes before it in the index' : `${place.offset - from} bytes before the chunk belong to none in order`;
    this.#findings.add('note', 'CHUNK_GAP', { ...place, series: this.#series() }, message);
  }

  /** Nothing may come after the last chunk of a segment. */
  #endSegment(segment: number): void {
    const from = segment === chunkRefSegment(this.#chunkAt) ? chunkRefOffset(this.#chunkAt) : CHUNKS_HEADER_BYTES;
    const left = this.#chunks!.segmentBytes(segment) - from;
    if (left > 0) this.#findings.add('note', 'CHUNK_GAP', { file: `chunks/${segmentFileName(segment)}`, section: 'chunk', offset: from }, `${left} bytes at the end of the segment belong to no chunk in order`);
  }

  #series(): string {
    const { symbols, labelCount } = this.#entry;
    const index = this.#index;
    if (index === undefined) return '';
    for (let i = 0; i < labelCount * 2; i++) if (symbols[i]! >= index.symbols.count) return '';
    return formatLabels(index.labelsOf(this.#entry));
  }
}
