/**
 * Brings a head back from its log: last checkpoint, then the segments after it.
 *
 * Damage in a checkpoint is an error, for nothing can replace it. Damage in a segment ends the log there, as in Prometheus: the segment
 * is cut to its last good record and later segments are removed, because their records may refer to what was lost. A torn last record
 * is the ordinary trace of a crash; anything else is reported with what it cost. Before it is cut, what chunks_head still has of what is lost
 * is logged again (recover-chunks.ts).
 */
import type { Kernels } from '@gauntlet/kernels';
import type { HistogramSample } from '../chunkenc/histogram-encoder.ts';
import { type FileSystem, joinPath } from '../file-system.ts';
import { removeCovered, removeTemporaryCheckpoints } from '../wal/checkpoint.ts';
import { WalCorruptError, walSegmentName } from '../wal/layout.ts';
import { decodeExemplarsRecord, decodeMetadataRecord } from '../wal/exemplar-record.ts';
import { decodeHistogramRecord, isHistogramRecord } from '../wal/histogram-record.ts';
import { decodeSamplesRecord, decodeSeriesRecord, decodeTombstonesRecord, RECORD, RECORD_NAMES, SampleColumns } from '../wal/record.ts';
import { lastCheckpoint, listSegments, readSegment } from '../wal/wal-reader.ts';
import { createWalWriter, type WalWriterOptions } from '../wal/wal-writer.ts';
import type { Head } from './head.ts';
import { type DamagedLog, type HeadChunkFiles, type HeadChunksReport, recoverHeadChunks } from './recover-chunks.ts';

/** Where a damaged log was cut. */
export interface WalRepair {
  readonly segment: number;
  /** Good bytes kept of that segment. */
  readonly goodBytes: number;
  /** Bytes discarded, later segments included. */
  readonly lostBytes: number;
  readonly lostSegments: number;
  /** True for what a crash during a write leaves: a record that was never acknowledged. */
  readonly isTornTail: boolean;
  readonly reason: string;
}

/** In `ReplayReport.skippedRecords`: single histograms of schemas that nobody knows, or with counts beyond 2^53. */
export const UNREADABLE_HISTOGRAMS = 'histograms that cannot be stored';

/** What a replay did. */
export interface ReplayReport {
  readonly segments: number;
  readonly series: number;
  readonly samples: number;
  /** Samples older than the newest block, hence in it already. */
  readonly samplesBeforeMinValid: number;
  /** Samples not after their predecessor. */
  readonly samplesOutOfOrder: number;
  /** Samples, deletions and the like whose series no record names. */
  readonly unknownRefs: number;
  /** Records that were passed over, by kind: exemplars where none are kept, and kinds that nobody knows yet. */
  readonly skippedRecords: ReadonlyMap<string, number>;
  readonly repair: WalRepair | undefined;
  /** What came back from `chunks_head`, where the log was repaired. */
  readonly recovered: HeadChunksReport | undefined;
  /** First segment number that is free. */
  readonly nextSegment: number;
  /** The log of samples out of order, where there is one. */
  readonly outOfOrder: OutOfOrderReplay | undefined;
}

/** What a repair works with. */
export interface RepairDeps extends HeadChunkFiles {
  readonly logOptions: WalWriterOptions;
}

/**
 * Replays the log in `walDir`, which exists, and that of samples out of order, where there is one.
 * @param head empty, with `minValidTimeMs` set from the blocks
 * @param repairDeps where what a damaged log lost may be found; without it that is lost. Its kernels decompress the records
 * @throws WalCorruptError for a damaged checkpoint or a gap in the segments
 */
export function replayWal(fs: FileSystem, walDir: string, wblDir: string, head: Head, repairDeps?: RepairDeps): ReplayReport {
  removeTemporaryCheckpoints(fs, walDir);
  const counts = { segments: 0, samples: 0, samplesBeforeMinValid: 0, samplesOutOfOrder: 0, unknownRefs: 0 };
  const skippedRecords = new Map<string, number>();
  const samples = new SampleColumns();
  let mint = Number.POSITIVE_INFINITY;
  let maxt = Number.NEGATIVE_INFINITY;

  const took = (timeMs: number): void => {
    counts.samples++;
    if (timeMs < mint) mint = timeMs;
    if (timeMs > maxt) maxt = timeMs;
  };
  /** Something of a series that no record names. Its reference must not become that of another one, as long as the log has it. */
  const unknown = (ref: number): void => {
    counts.unknownRefs++;
    head.reserveRef(ref);
  };
  const visitHistogram = (ref: number, sample: HistogramSample): void => {
    if (sample.timeMs < head.minValidTimeMs) {
      counts.samplesBeforeMinValid++;
      return;
    }
    const slot = head.refs.get(ref);
    if (slot < 0) unknown(ref);
    else if (!head.table.appendHistogram(slot, sample)) counts.samplesOutOfOrder++;
    else took(sample.timeMs);
  };
  const visitSamples = (record: Uint8Array): void => {
    decodeSamplesRecord(record, samples);
    const { table, refs, minValidTimeMs } = head;
    let taken = 0;
    for (let i = 0; i < samples.count; i++) {
      const timeMs = samples.timesMs[i]!;
      if (timeMs < minValidTimeMs) {
        counts.samplesBeforeMinValid++;
        continue;
      }
      const slot = refs.get(samples.refs[i]!);
      if (slot < 0) unknown(samples.refs[i]!);
      else if (!table.appendFloat(slot, timeMs, samples.high[i]!, samples.low[i]!, samples.start(i))) counts.samplesOutOfOrder++;
      else {
        taken++;
        if (timeMs < mint) mint = timeMs;
        if (timeMs > maxt) maxt = timeMs;
      }
    }
    counts.samples += taken;
  };
  const visitSeries = (record: Uint8Array): void => {
    let known = head.symbols.count;
    decodeSeriesRecord(record, head.symbols, (ref, ids, idCount) => {
      // Labels with a string that came with them are those of no series: it need not be looked for, which mostly waits for memory.
      let isNew = false;
      for (let i = 0; i < idCount; i++) isNew ||= ids[i]! >= known;
      known = head.symbols.count;
      head.addSeries(ref, ids, idCount, isNew);
    });
  };
  const visit = (record: Uint8Array): void => {
    const type = record[0] ?? 0;
    if (type === RECORD.samples || type === RECORD.samplesWithStart) visitSamples(record);
    else if (type === RECORD.series) visitSeries(record);
    else if (type === RECORD.tombstones) {
      const removed: number[] = [];
      decodeTombstonesRecord(record, (ref, low, high) => {
        const slot = head.refs.get(ref);
        const isRemoval = low === Number.NEGATIVE_INFINITY && high === Number.POSITIVE_INFINITY;
        // A series that was removed needs no record of its own any more.
        if (slot < 0 && isRemoval) head.reserveRef(ref);
        else if (slot < 0) unknown(ref);
        else if (isRemoval) removed.push(slot);
        // However old: samples out of order may be older than the bound. What is not needed goes with the collection at the end.
        else head.addTombstone(head.table.refs[slot]!, low, high);
      });
      if (removed.length > 0) head.removeSeries(removed);
    } else if (isHistogramRecord(type)) {
      const leftOut = decodeHistogramRecord(record, visitHistogram);
      if (leftOut > 0) skippedRecords.set(UNREADABLE_HISTOGRAMS, (skippedRecords.get(UNREADABLE_HISTOGRAMS) ?? 0) + leftOut);
    } else if (type === RECORD.metadata) {
      decodeMetadataRecord(record, (ref, metadata) => {
        const slot = head.refs.get(ref);
        if (slot < 0) unknown(ref);
        else head.metadata.set(slot, metadata);
      });
    } else if (type === RECORD.exemplars && head.exemplars.size > 0) {
      decodeExemplarsRecord(record, (ref, exemplar) => {
        const slot = head.refs.get(ref);
        if (slot < 0) unknown(ref);
        else if (exemplar.timeMs >= head.minValidTimeMs) head.exemplars.add(head.table.labels(slot), exemplar);
      });
    } else {
      const name = RECORD_NAMES[type] ?? `type ${type}`;
      skippedRecords.set(name, (skippedRecords.get(name) ?? 0) + 1);
    }
  };

  const checkpoint = lastCheckpoint(fs, walDir);
  if (checkpoint !== undefined) {
    for (const segment of listSegments(fs, checkpoint.dir)) {
      readSegment(fs, checkpoint.dir, segment, visit, repairDeps?.kernels);
      counts.segments++;
    }
    // A crash after the rename may have left what the checkpoint replaces.
    removeCovered(fs, walDir, checkpoint.segment);
  }
  const segments = listSegments(fs, walDir);
  const { read, repair, recovered, last } = readSegments(fs, walDir, segments, visit, recovery('wal', fs, walDir, head, repairDeps), repairDeps?.kernels, checkpoint === undefined ? 0 : checkpoint.segment + 1);
  counts.segments += read;
  if (counts.samples > 0) head.noteTimes(Math.max(mint, head.minValidTimeMs), maxt);
  if (recovered !== undefined && recovered.samples > 0) head.noteTimes(recovered.mint, recovered.maxt);
  const outOfOrder = fs.stat(wblDir) === undefined ? undefined : replayOutOfOrder(fs, wblDir, head, repairDeps);
  head.collect();
  return { ...counts, outOfOrder, series: head.table.seriesCount, skippedRecords, repair, recovered, nextSegment: (last ?? checkpoint?.segment ?? -1) + 1 };
}

/** Takes what a damaged log lost from elsewhere, and logs it from a segment on. */
type Recover = (firstSegment: number) => HeadChunksReport | undefined;

function recovery(which: DamagedLog, fs: FileSystem, dir: string, head: Head, deps: RepairDeps | undefined): Recover {
  return (firstSegment) => (deps === undefined ? undefined : recoverHeadChunks(deps, which, head, () => createWalWriter(fs, dir, firstSegment, deps.logOptions)));
}

/** What the replay of the log of samples out of order did. */
export interface OutOfOrderReplay {
  readonly samples: number;
  readonly unknownRefs: number;
  /** Records that were passed over, by kind, other than markers. */
  readonly skippedRecords: ReadonlyMap<string, number>;
  readonly repair: WalRepair | undefined;
  /** What came back from `chunks_head`, where the log was repaired. */
  readonly recovered: HeadChunksReport | undefined;
  readonly nextSegment: number;
}

/**
 * Replays Prometheus' second log, of samples out of order; after the first, which names the series. Markers that say which of them Prometheus
 * had mapped from disk are passed over: the samples are in the log all the same, until they are in blocks.
 * @param wblDir exists
 */
function replayOutOfOrder(fs: FileSystem, wblDir: string, head: Head, repairDeps: RepairDeps | undefined): OutOfOrderReplay {
  const columns = new SampleColumns();
  let samples = 0;
  let unknownRefs = 0;
  const skippedRecords = new Map<string, number>();
  const skip = (name: string, count: number): void => void skippedRecords.set(name, (skippedRecords.get(name) ?? 0) + count);
  const insert = (ref: number, timeMs: number, high: number, low: number, histogram?: HistogramSample, startMs = 0): void => {
    const slot = head.refs.get(ref);
    if (slot < 0) {
      unknownRefs++;
      head.reserveRef(ref);
    } else if (head.outOfOrder.insert(head.table.refs[slot]!, timeMs, high, low, histogram, startMs)) samples++;
  };
  const visit = (record: Uint8Array): void => {
    const type = record[0] ?? 0;
    if (isHistogramRecord(type)) {
      const leftOut = decodeHistogramRecord(record, (ref, sample) => insert(ref, sample.timeMs, sample.sumHigh, sample.sumLow, sample));
      if (leftOut > 0) skip(UNREADABLE_HISTOGRAMS, leftOut);
    } else if (type === RECORD.samples || type === RECORD.samplesWithStart) {
      decodeSamplesRecord(record, columns);
      for (let i = 0; i < columns.count; i++) insert(columns.refs[i]!, columns.timesMs[i]!, columns.high[i]!, columns.low[i]!, undefined, columns.start(i));
    } else if (type !== RECORD.mmapMarkers) skip(RECORD_NAMES[type] ?? `type ${type}`, 1);
  };
  const segments = listSegments(fs, wblDir);
  const { repair, recovered, last } = readSegments(fs, wblDir, segments, visit, recovery('wbl', fs, wblDir, head, repairDeps), repairDeps?.kernels);
  return { samples, unknownRefs, skippedRecords, repair, recovered, nextSegment: (last ?? -1) + 1 };
}

/** What became of the segments of a log. */
interface SegmentsRead {
  /** How many were sound. */
  readonly read: number;
  readonly repair: WalRepair | undefined;
  readonly recovered: HeadChunksReport | undefined;
  /** Number of the last one there is now. */
  readonly last: number | undefined;
}

/**
 * Reads segments one after the other, cutting the log where it is damaged.
 * @param first number of the first; any by default
 * @throws WalCorruptError where a segment is missing
 */
function readSegments(fs: FileSystem, dir: string, segments: readonly number[], visit: (record: Uint8Array) => void, recover: Recover, kernels: Kernels | undefined, first = segments[0]): SegmentsRead {
  for (const [i, segment] of segments.entries()) {
    const expected = i === 0 ? first : segments[i - 1]! + 1;
    if (expected !== undefined && segment !== expected) throw new WalCorruptError(dir, expected, 0, false, `segment is missing, next is ${walSegmentName(segment)}`);
    try {
      readSegment(fs, dir, segment, visit, kernels);
    } catch (error) {
      if (!(error instanceof WalCorruptError)) throw error;
      return { read: i, ...repairWal(fs, dir, segments.slice(i), error, recover), last: listSegments(fs, dir).at(-1) };
    }
  }
  return { read: segments.length, repair: undefined, recovered: undefined, last: segments.at(-1) };
}

/**
 * Cuts the log at the damage: later segments go first, last one first, then what can be had from elsewhere is logged behind the damage, and only
 * then that is cut away, so that a crash in between leads back here.
 */
function repairWal(fs: FileSystem, walDir: string, segments: readonly number[], damage: WalCorruptError, recover: Recover): Pick<SegmentsRead, 'repair' | 'recovered'> {
  const path = (segment: number): string => joinPath(walDir, walSegmentName(segment));
  const bytesOf = (segment: number): number => fs.stat(path(segment))?.bytes ?? 0;
  const later = segments.slice(1);
  let lostBytes = bytesOf(damage.segment) - damage.goodBytes;
  for (const segment of [...later].reverse()) {
    lostBytes += bytesOf(segment);
    fs.remove(path(segment));
  }
  const recovered = recover(damage.segment + 1);
  const handle = fs.open(path(damage.segment), 'modify');
  try {
    handle.truncate(damage.goodBytes);
    handle.fsync();
  } finally {
    handle.close();
  }
  fs.fsyncDir(walDir);
  const repair = {
    segment: damage.segment,
    goodBytes: damage.goodBytes,
    lostBytes,
    lostSegments: later.length,
    isTornTail: damage.isTorn && later.length === 0,
    reason: damage.message,
  };
  return { repair, recovered };
}
