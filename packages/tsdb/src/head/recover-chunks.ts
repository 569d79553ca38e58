/**
 * What a damaged log lost, back from `chunks_head`, where Prometheus keeps the closed chunks of its head.
 *
 *   log, up to the damage ─► head          chunks of series whose reference is known ─► samples that the head does not have
 *                                            ├─► head
 *                                            └─► log, behind the damage: before it is cut away, so that a crash in between begins anew
 *
 * The files stay until the head is cut. Of series that no record names they hold samples under references that must not become those of
 * other series, in any program that opens the folder later: the log gets a record that the greatest of them was removed, which reserves it
 * for all who replay it. Source: Prometheus tsdb/head.go, `loadMmappedChunks`; tsdb/head_wal.go, `loadWAL`.
 */
import { GrowableBytes } from '@gauntlet/bytes';
import type { Kernels } from '@gauntlet/kernels';
import { CHUNK_ENCODING, wordsOf } from '@gauntlet/model';
import { chunkSampleCount } from '../block/block-writer.ts';
import { decodeXorColumns } from '../chunkenc/float-chunks.ts';
import { decodeHistogramChunk, isHistogramEncoding, RESET_HINT } from '../chunkenc/histogram-chunk.ts';
import { type HistogramSample, hasStart, histogramSampleAt } from '../chunkenc/histogram-encoder.ts';
import { decodeXor2Chunk } from '../chunkenc/xor2-chunk.ts';
import type { Xor2Samples } from '../chunkenc/xor2-encoder.ts';
import { type HeadChunk, readHeadChunks } from '../chunks/head-chunks.ts';
import { TsdbError } from '../errors.ts';
import type { FileSystem } from '../file-system.ts';
import { encodeHistogramRecord, type HistogramEntry, histogramRecordType } from '../wal/histogram-record.ts';
import { encodeSamplesRecord, putTombstone, RECORD, SampleColumns } from '../wal/record.ts';
import type { WalWriter } from '../wal/wal-writer.ts';
import type { Head } from './head.ts';

/** Where a damaged log's samples may lie a second time. */
export interface HeadChunkFiles {
  readonly fs: FileSystem;
  /** `chunks_head`, which need not be there. */
  readonly dir: string;
  readonly kernels: Kernels;
}

/** What `chunks_head` gave back. */
export interface HeadChunksReport {
  /** Samples that the log lost and that are in the head, and in the log again. */
  readonly samples: number;
  /** Times of the first and the last of them; +Infinity and −Infinity when there are none. */
  readonly mint: number;
  readonly maxt: number;
  /** Samples of series that no record names. */
  readonly unknownSamples: number;
  /** Files and chunks that cannot be read. */
  readonly damage: readonly string[];
}

/** Which of the two logs was damaged: that of samples in order, or that of late ones. */
export type DamagedLog = 'wal' | 'wbl';

/** Samples of a record. */
const RECORD_SAMPLES = 4096;
/** Histograms of a record. */
const RECORD_HISTOGRAMS = 256;

/**
 * Takes what a log lost from the files into the head.
 * @param head with all that the log had before the damage
 * @param openLog begins the segments that get it; called when there is something to log. They are synced when this returns
 * @throws the medium's error; a log that could not be written wholly must be written anew
 */
export function recoverHeadChunks(files: HeadChunkFiles, which: DamagedLog, head: Head, openLog: () => WalWriter): HeadChunksReport {
  const log = new RecoveredLog(openLog);
  const take = which === 'wal' ? inOrderTaker(head) : lateTaker(head, files.kernels);
  const damage: string[] = [];
  let samples = 0;
  let mint = Number.POSITIVE_INFINITY;
  let maxt = Number.NEGATIVE_INFINITY;
  let unknownSamples = 0;
  let reservedRef = 0;
  const took = (timeMs: number): void => {
    samples++;
    mint = Math.min(mint, timeMs);
    maxt = Math.max(maxt, timeMs);
  };
  const visit = (chunk: HeadChunk): void => {
    const { ref } = chunk;
    const slot = head.refs.get(ref);
    if (slot < 0 && which === 'wal') reservedRef = Math.max(reservedRef, ref);
    if (chunk.isOutOfOrder !== (which === 'wbl') || (which === 'wal' && chunk.maxt < head.minValidTimeMs)) return;
    if (slot < 0) {
      unknownSamples += chunkSampleCount(chunk.encoding, chunk.data);
      return;
    }
    if (which === 'wal' && head.table.hasSamples(slot) && head.table.lastTimeMs(slot) >= chunk.maxt) return;
    forEachSample(chunk, files.kernels, (timeMs, high, low, startMs, histogram) => {
      if (!take(slot, timeMs, high, low, startMs, histogram)) return;
      took(timeMs);
      if (histogram === undefined) log.float(ref, timeMs, high, low, startMs);
      else log.histogram(ref, histogram);
    });
  };
  const visitReadable = (chunk: HeadChunk): void => {
    try {
      visit(chunk);
    } catch (error) {
      if (!(error instanceof TsdbError) || (error.code !== 'ERR_CHUNK_CORRUPT' && error.code !== 'ERR_CHUNK_ENCODING')) throw error;
      damage.push(error.message);
    }
  };
  try {
    damage.push(...readHeadChunks(files.fs, files.dir, visitReadable));
    if (head.reserveRef(reservedRef)) log.reserve(reservedRef);
    log.flush();
  } finally {
    log.close();
  }
  return { samples, mint, maxt, unknownSamples, damage };
}

/** Takes a sample into the head; false when it is there already, or must not be. */
type Take = (slot: number, timeMs: number, high: number, low: number, startMs: number, histogram: HistogramSample | undefined) => boolean;

function inOrderTaker({ table, minValidTimeMs }: Head): Take {
  return (slot, timeMs, high, low, startMs, histogram) => {
    if (timeMs < minValidTimeMs) return false;
    return histogram === undefined ? table.appendFloat(slot, timeMs, high, low, startMs) : table.appendHistogram(slot, histogram);
  };
}

/** Late samples may come in any order: those that are there are looked up. */
function lateTaker(head: Head, kernels: Kernels): Take {
  const seen = new Map<number, Set<number>>();
  return (slot, timeMs, high, low, startMs, histogram) => {
    const ref = head.table.refs[slot]!;
    let times = seen.get(ref);
    if (times === undefined) {
      times = new Set();
      seen.set(ref, times);
      const { table } = head;
      const known = times;
      head.outOfOrder.visitRows(ref, (row) => {
        const chunk = { ref, mint: table.chunkMint(row), maxt: table.chunkMaxt(row), encoding: table.chunkEncoding(row), isOutOfOrder: true, data: table.chunkData(row) };
        forEachSample(chunk, kernels, (knownMs) => void known.add(knownMs));
      });
    }
    if (times.has(timeMs)) return false;
    times.add(timeMs);
    return head.outOfOrder.insert(ref, timeMs, high, low, histogram, startMs);
  };
}

/**
 * Calls `visit` with the samples of a chunk: floats by their bits, histograms with those of their sum.
 * @throws TsdbError ERR_CHUNK_CORRUPT, ERR_CHUNK_ENCODING
 */
function forEachSample(
  { ref, mint, maxt, encoding, data }: HeadChunk,
  kernels: Kernels,
  visit: (timeMs: number, high: number, low: number, startMs: number, histogram: HistogramSample | undefined) => void,
): void {
  const name = `the head's series ${ref}, from ${mint} to ${maxt}`;
  if (isHistogramEncoding(encoding)) {
    const histograms = decodeHistogramChunk(encoding, data, name, kernels);
    for (let i = 0; i < histograms.count; i++) {
      const plain = histogramSampleAt(histograms, i);
      // How a chunk begins may be known from its source alone; inside of one counters are not reset.
      const sample = i === 0 && histograms.header === RESET_HINT.reset ? { ...plain, isReset: true } : plain;
      visit(sample.timeMs, sample.sumHigh, sample.sumLow, sample.startTimestamp ?? 0, sample);
    }
    return;
  }
  if (encoding !== CHUNK_ENCODING.xor && encoding !== CHUNK_ENCODING.xor2) throw new TsdbError('ERR_CHUNK_ENCODING', `decode chunk of ${name}: unknown encoding ${encoding}`);
  const floats: Xor2Samples = encoding === CHUNK_ENCODING.xor2 ? decodeXor2Chunk(data, name) : decodeXorColumns(data, kernels, name);
  const words = wordsOf(floats.values);
  for (const [i, timeMs] of floats.timestampsMs.entries()) visit(timeMs, words[2 * i + 1]!, words[2 * i]!, floats.startTimestamps?.[i] ?? 0, undefined);
}

/** Writes samples to a log in their order, a record for each run of a kind. */
class RecoveredLog {
  readonly #open: () => WalWriter;
  readonly #out = new GrowableBytes(4096);
  readonly #floats = new SampleColumns();
  #histograms: HistogramEntry[] = [];
  #type: number = RECORD.samples;
  #writer: WalWriter | undefined;

  constructor(open: () => WalWriter) {
    this.#open = open;
  }

  float(ref: number, timeMs: number, high: number, low: number, startMs: number): void {
    if (this.#type !== RECORD.samples || this.#floats.count === RECORD_SAMPLES) this.flush();
    this.#type = RECORD.samples;
    this.#floats.push(ref, timeMs, high, low, startMs);
  }

  histogram(ref: number, sample: HistogramSample): void {
    const type = histogramRecordType(sample);
    if (this.#type !== type || this.#histograms.length === RECORD_HISTOGRAMS) this.flush();
    this.#type = type;
    this.#histograms.push({ ref, sample });
  }

  /** Says that the series of a reference was removed: nobody gives it, or one before it, to another. */
  reserve(ref: number): void {
    this.flush();
    this.#out.putU8(RECORD.tombstones);
    putTombstone(this.#out, ref, Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY);
    this.#write();
  }

  /** Syncs what was written. */
  close(): void {
    this.#writer?.close();
  }

  flush(): void {
    encodeSamplesRecord(this.#floats, this.#out, this.#floats.starts.length > 0);
    encodeHistogramRecord(this.#type, this.#histograms, this.#out, this.#histograms.some(({ sample }) => hasStart(sample)));
    this.#floats.reset();
    this.#histograms = [];
    this.#write();
  }

  #write(): void {
    if (this.#out.length === 0) return;
    this.#writer ??= this.#open();
    this.#writer.log([this.#out.bytes()]);
    this.#out.reset();
  }
}
