/**
 * Checkpoints: what is still needed of old WAL segments, so that these can go.
 *
 *   1 read the last checkpoint and the segments after it, up to `to`
 *   2 keep series that `keep` wants with their latest metadata; samples, exemplars and deletions from `mint` on; write them to checkpoint.<to>.tmp
 *   3 rename to checkpoint.<to>, then remove the segments it covers and older checkpoints
 *
 * A crash at any point leaves a log that replays to the same head. Source: Prometheus tsdb/wlog/checkpoint.go.
 */
import { ByteReader, GrowableBytes } from '@gauntlet/bytes';
import { type FileSystem, joinPath } from '../file-system.ts';
import { CHECKPOINT_PREFIX, checkpointName, walSegmentName } from './layout.ts';
import type { SeriesMetadata } from '../head/metadata-table.ts';
import { decodeExemplarsRecord, decodeMetadataRecord, encodeExemplarsRecord, encodeMetadataRecord, type ExemplarEntry } from './exemplar-record.ts';
import { decodeHistogramRecord, isHistogramRecord } from './histogram-record.ts';
import { decodeSamplesRecord, decodeTombstonesRecord, encodeSamplesRecord, putTombstone, RECORD, SampleColumns } from './record.ts';
import { lastCheckpoint, listSegments, readSegment } from './wal-reader.ts';
import { createWalWriter, type WalCompression, type ZstdEncode } from './wal-writer.ts';

/** What a checkpoint keeps. */
export interface CheckpointOptions {
  /** Whether the series of a reference is still needed. */
  readonly keep: (ref: number) => boolean;
  /** First timestamp still needed, ms. */
  readonly mint: number;
  readonly compression: WalCompression;
  readonly zstdEncode?: ZstdEncode;
  readonly segmentBytesMax?: number;
}

const TEMPORARY_SUFFIX = '.tmp';
const METADATA_PER_RECORD = 1000;
const BATCH_BYTES = 1024 * 1024;

/** Removes checkpoints that were not completed. */
export function removeTemporaryCheckpoints(fs: FileSystem, walDir: string): void {
  for (const name of fs.list(walDir)) {
    if (name.startsWith(CHECKPOINT_PREFIX) && name.endsWith(TEMPORARY_SUFFIX)) fs.remove(joinPath(walDir, name));
  }
}

/** Copies the entries of a series record whose reference is kept. */
function filterSeries(record: Uint8Array, keep: (ref: number) => boolean, out: GrowableBytes): void {
  const reader = new ByteReader(record, 1);
  while (reader.remaining > 0) {
    const start = reader.offset;
    const ref = reader.be64();
    const strings = reader.uvarint() * 2;
    for (let i = 0; i < strings; i++) reader.skip(reader.uvarint());
    if (!keep(ref)) continue;
    if (out.length === 0) out.putU8(RECORD.series);
    out.putBytes(record.subarray(start, reader.offset));
  }
}

/**
 * Replaces segments up to `to` by a checkpoint.
 * @throws WalCorruptError when a segment is damaged: nothing is removed then
 */
export function createCheckpoint(fs: FileSystem, walDir: string, to: number, options: CheckpointOptions): void {
  removeTemporaryCheckpoints(fs, walDir);
  const previous = lastCheckpoint(fs, walDir);
  if (previous !== undefined && previous.segment >= to) {
    // An earlier attempt got as far as the rename.
    removeCovered(fs, walDir, previous.segment);
    return;
  }
  const dir = joinPath(walDir, checkpointName(to));
  const temporary = dir + TEMPORARY_SUFFIX;
  fs.mkdir(temporary);
  const writer = createWalWriter(fs, temporary, 0, options);
  const samples = new SampleColumns();
  const kept = new SampleColumns();
  const out = new GrowableBytes();
  /** The latest of each series, which is all that is needed. */
  const metadata = new Map<number, SeriesMetadata>();
  let batch: Uint8Array[] = [];
  let batchBytes = 0;
  const flush = (): void => {
    if (batch.length > 0) writer.log(batch);
    batch = [];
    batchBytes = 0;
  };
  const visit = (record: Uint8Array): void => {
    out.reset();
    if (record[0] === RECORD.series) filterSeries(record, options.keep, out);
    else if (record[0] === RECORD.samples) {
      decodeSamplesRecord(record, samples);
      kept.reset();
      for (let i = 0; i < samples.count; i++) {
        if (samples.timesMs[i]! >= options.mint) kept.push(samples.refs[i]!, samples.timesMs[i]!, samples.high[i]!, samples.low[i]!);
      }
      encodeSamplesRecord(kept, out);
    } else if (record[0] === RECORD.samplesWithStart) {
      // Whole, for the start timestamps; what is too old is ignored by every reader.
      decodeSamplesRecord(record, samples);
      let isNeeded = false;
      for (let i = 0; i < samples.count; i++) isNeeded ||= samples.timesMs[i]! >= options.mint;
      if (isNeeded) out.putBytes(record);
    } else if (isHistogramRecord(record[0] ?? 0)) {
      let isNeeded = false;
      decodeHistogramRecord(record, (_, { timeMs }) => (isNeeded ||= timeMs >= options.mint));
      if (isNeeded) out.putBytes(record);
    } else if (record[0] === RECORD.exemplars) {
      const entries: ExemplarEntry[] = [];
      decodeExemplarsRecord(record, (ref, exemplar) => void (exemplar.timeMs >= options.mint && entries.push({ ref, exemplar })));
      encodeExemplarsRecord(entries, out);
    } else if (record[0] === RECORD.metadata) {
      decodeMetadataRecord(record, (ref, one) => void (options.keep(ref) && metadata.set(ref, one)));
    } else if (record[0] === RECORD.tombstones) {
      decodeTombstonesRecord(record, (ref, mint, maxt) => {
        if (maxt < options.mint || !options.keep(ref)) return;
        if (out.length === 0) out.putU8(RECORD.tombstones);
        putTombstone(out, ref, mint, maxt);
      });
    }
    if (out.length === 0) return;
    batch.push(out.copy());
    batchBytes += out.length;
    if (batchBytes >= BATCH_BYTES) flush();
  };
  try {
    if (previous !== undefined) for (const segment of listSegments(fs, previous.dir)) readSegment(fs, previous.dir, segment, visit);
    const from = previous === undefined ? 0 : previous.segment + 1;
    for (const segment of listSegments(fs, walDir)) if (segment >= from && segment <= to) readSegment(fs, walDir, segment, visit);
    flush();
    for (const part of inParts([...metadata].map(([ref, one]) => ({ ref, metadata: one })))) {
      out.reset();
      encodeMetadataRecord(part, out);
      writer.log([out.bytes()]);
    }
    writer.close();
  } catch (error) {
    try {
      writer.close();
      fs.remove(temporary);
    } catch {
      // The first error is the one to report; what is left is swept at the next start.
    }
    throw error;
  }
  fs.fsyncDir(temporary);
  fs.rename(temporary, dir);
  fs.fsyncDir(walDir);
  removeCovered(fs, walDir, to);
}

function* inParts<T>(entries: readonly T[]): Generator<readonly T[]> {
  for (let i = 0; i < entries.length; i += METADATA_PER_RECORD) yield entries.slice(i, i + METADATA_PER_RECORD);
}

/** Removes segments and checkpoints that the checkpoint of segment `to` replaces. */
export function removeCovered(fs: FileSystem, walDir: string, to: number): void {
  for (const segment of listSegments(fs, walDir)) if (segment <= to) fs.remove(joinPath(walDir, walSegmentName(segment)));
  for (const name of fs.list(walDir)) {
    const number = name.startsWith(CHECKPOINT_PREFIX) ? Number(name.slice(CHECKPOINT_PREFIX.length)) : Number.NaN;
    if (number < to) fs.remove(joinPath(walDir, name));
  }
  fs.fsyncDir(walDir);
}
