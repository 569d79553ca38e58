/**
 * Appending to the head.
 *
 *   append()  checks a sample against its series and remembers it        nothing is visible yet
 *   commit()  1 one write to the log: new series, then all samples       fails: nothing of the batch is applied
 *             2 samples go into the chunks                               returns: the batch survives the death of the process
 *
 * Floats of a batch are logged and applied before its histograms. Where a series gets a float after a histogram in the same batch, or another
 * kind of histogram, the batch goes on in a further part.
 *
 * Rules for samples, as Prometheus: newer than the last sample of the series, not older than half a block range before the newest sample of
 * all, not in a block already. The very same sample again is accepted and ignored. With an out-of-order window what is older is taken too,
 * as far back from the newest sample of all as the window reaches; it goes into a log and chunks of its own (out-of-order.ts).
 */
import { GrowableBytes } from '@gauntlet/bytes';
import { type FloatHistogram, type IntegerHistogram, type Labels, STALE_NAN_HI, STALE_NAN_LO } from '@gauntlet/model';
import type { HistogramSample } from '../chunkenc/histogram-encoder.ts';
import { histogramToSample, isSameHistogram, staleSample } from '../chunkenc/histogram-sample.ts';
import { TsdbError } from '../errors.ts';
import { encodeHistogramRecord, type HistogramEntry, histogramRecordType } from '../wal/histogram-record.ts';
import { beginSeriesRecord, encodeSamplesRecord, putSeries, RECORD, SampleColumns } from '../wal/record.ts';
import { type ExemplarEntry, encodeExemplarsRecord, encodeMetadataRecord, type MetadataEntry } from '../wal/exemplar-record.ts';
import { type Exemplar, EXEMPLAR_CHARACTERS_MAX } from './exemplar-buffer.ts';
import type { Head } from './head.ts';
import type { SeriesMetadata } from './metadata-table.ts';

/** What `tryAppend` answers instead of a reference when it refuses a sample. */
export const REFUSED = { outOfOrder: -1, outOfBounds: -2, duplicate: -3, tooOld: -4, seriesLimit: -5 } as const;

/** Outcome of a commit. */
export interface CommitResult {
  /** Samples that are now in the head, those out of order among them. */
  readonly samples: number;
  /** Series that this commit logged for the first time. */
  readonly series: number;
  /** Repetitions of the last sample, accepted by `append` and not stored again. */
  readonly repeated: number;
  /** Samples that are logged but not stored: they lost against another appender's commit in between, or out of order one was there already. */
  readonly rejected: number;
}

/** A batch of samples. Used once: commit or rollback ends it. */
export interface Appender {
  /**
   * Adds a sample.
   * @param ref what an earlier append of the series returned, or 0
   * @param labels identity of the series; not looked at when `ref` is known
   * @param timeMs ms since 1970, an integer within ±2^52
   * @param startMs since when the sample counts, 0 = not known; passed over where the database does not store start timestamps
   * @returns reference of the series for later appends
   * @throws TsdbError ERR_SAMPLE_OUT_OF_ORDER, ERR_SAMPLE_OUT_OF_BOUNDS, ERR_SAMPLE_TOO_OLD, ERR_SAMPLE_DUPLICATE, ERR_SAMPLE_TIMESTAMP, ERR_LABELS_INVALID,
   *   ERR_SERIES_LIMIT
   */
  append(ref: number, labels: Labels, timeMs: number, value: number, startMs?: number): number;
  /** As `append`, but refusals of the sample are a negative number of REFUSED: cheaper where they are frequent. */
  tryAppend(ref: number, labels: Labels, timeMs: number, value: number, startMs?: number): number;
  /** As `append`, with the value as two words: keeps every NaN as it is. */
  appendBits(ref: number, labels: Labels, timeMs: number, high: number, low: number, startMs?: number): number;
  /** As `appendBits`, but refusals of the sample are a negative number of REFUSED. */
  tryAppendBits(ref: number, labels: Labels, timeMs: number, high: number, low: number, startMs?: number): number;
  /**
   * Ends a series, in the kind it has: as `tryAppendBits` with a stale marker, but refused wherever the series has a sample at that time or later,
   * also where late samples are taken. Somebody else goes on with it then.
   */
  tryAppendStale(ref: number, labels: Labels, timeMs: number): number;
  /**
   * Adds samples of columns in order, as long as they are ordinary: of a known series, newer than its last sample and not too old, no end of a
   * series. The first that is not so is to be given to `appendBits`, which takes or refuses it; then this may go on behind it.
   * @param refs what earlier appends of the series returned, or 0
   * @param words values as little-endian words, two per sample
   * @returns index of the first sample in [from, to) that was not taken; `to` when all were
   */
  appendColumns(refs: Float64Array, timesMs: Float64Array, words: Uint32Array, from: number, to: number): number;
  /**
   * As `append`, for a native histogram, which is not copied and must not change. Whole counts and floats are stored as what they are;
   * STALE_HISTOGRAM ends the series in the kind it has.
   * @throws as `append`, and ModelError ERR_HISTOGRAM for one that is not sound
   */
  appendHistogram(ref: number, labels: Labels, timeMs: number, histogram: FloatHistogram | IntegerHistogram, startMs?: number): number;
  /** As `appendHistogram`, but refusals of the sample are a negative number of REFUSED. */
  tryAppendHistogram(ref: number, labels: Labels, timeMs: number, histogram: FloatHistogram | IntegerHistogram, startMs?: number): number;
  /**
   * Adds an exemplar to a series that is there. What is said again, or older than the newest of its series, is passed over.
   * @returns whether it goes into the log; what is refused beside others of the batch is refused at commit
   * @throws TsdbError ERR_SERIES_UNKNOWN, ERR_EXEMPLAR
   */
  appendExemplar(ref: number, labels: Labels, exemplar: Exemplar): boolean;
  /** Sets type, unit and help of a series that is there. @throws TsdbError ERR_SERIES_UNKNOWN */
  setMetadata(ref: number, labels: Labels, metadata: SeriesMetadata): void;
  /**
   * Makes the batch durable and visible.
   * @throws the medium's error, TsdbError ERR_WAL_FAILED: then nothing was applied, or, where only the log of samples out of order failed,
   *   nothing of those
   */
  commit(): CommitResult;
  /** Forgets the batch. */
  rollback(): void;
}

const TIME_MAX = 2 ** 52;
const SPARE_BATCHES_MAX = 4;

/** What is logged and applied together. */
interface BatchPart {
  readonly floats: SampleColumns;
  readonly histograms: HistogramEntry[];
}

/** All of a batch. */
interface Batch {
  readonly parts: readonly BatchPart[];
  readonly exemplars: readonly ExemplarEntry[];
  readonly metadata: readonly MetadataEntry[];
}

/** Records of histograms in the order in which they are written and applied. */
const HISTOGRAM_RECORDS: readonly number[] = [RECORD.histograms, RECORD.customHistograms, RECORD.floatHistograms, RECORD.customFloatHistograms];

/** Scratch shared by the appenders of one head. */
export interface AppendScratch {
  readonly series: GrowableBytes;
  readonly samples: GrowableBytes;
  /** Of everything but series and floats. */
  readonly beside: GrowableBytes;
  /** One double and its words. */
  readonly value: Float64Array;
  readonly words: Uint32Array;
  /** 1 where the high word of a double comes second in memory. */
  readonly highWord: number;
  /** Columns of batches that are done, for the next ones. */
  readonly spareBatches: SampleColumns[];
}

/** Makes scratch. */
export function createAppendScratch(): AppendScratch {
  const value = new Float64Array(1);
  const words = new Uint32Array(value.buffer);
  value[0] = 1;
  return { series: new GrowableBytes(), samples: new GrowableBytes(), beside: new GrowableBytes(), value, words, highWord: words[1] === 0 ? 0 : 1, spareBatches: [] };
}

/** Opens a batch. @param assertOpen throws once the database is closed */
export function createAppender(head: Head, scratch: AppendScratch, assertOpen: () => void): Appender {
  let batch = scratch.spareBatches.pop() ?? new SampleColumns();
  let histograms: HistogramEntry[] = [];
  const parts: BatchPart[] = [{ floats: batch, histograms }];
  /** Last histogram of a series in this batch, by slot. */
  const pendingHistograms = new Map<number, HistogramSample>();
  const windowMs = head.outOfOrderWindowMs;
  const { withStarts } = head;
  let late: BatchPart | undefined;
  const exemplars: ExemplarEntry[] = [];
  const metadata: MetadataEntry[] = [];
  const batchNumber = ++head.batchCount;
  const numberingBefore = head.slotNumbering;
  const commitsBefore = head.commitCount;
  let minTimeMs = head.isInitialized ? head.appendableMinTimeMs() : Number.NaN;
  let maxTimeMs = head.maxTimeMs;
  let isDone = false;
  let repeated = 0;

  const release = (ref: number): void => void head.table.held[head.refs.get(ref)]!--;
  const releaseAll = ({ refs, slots, count }: SampleColumns): void => {
    const { held } = head.table;
    if (head.slotNumbering === numberingBefore) for (let i = 0; i < count; i++) held[slots[i]!]!--;
    else for (let i = 0; i < count; i++) release(refs[i]!);
  };
  const end = (): void => {
    isDone = true;
    for (const part of late === undefined ? parts : [...parts, late]) {
      releaseAll(part.floats);
      for (const { ref } of part.histograms) release(ref);
      part.floats.reset();
      if (scratch.spareBatches.length < SPARE_BATCHES_MAX) scratch.spareBatches.push(part.floats);
    }
  };
  const nextPart = (): void => {
    batch = scratch.spareBatches.pop() ?? new SampleColumns();
    histograms = [];
    parts.push({ floats: batch, histograms });
  };
  /** Finds or makes the series of a sample. @returns its slot, or REFUSED */
  const begin = (ref: number, labels: Labels, timeMs: number, startMs: number): number => {
    assertOpen();
    if (isDone) throw new TsdbError('ERR_DB_CLOSED', 'append: the appender has been committed or rolled back');
    if (!Number.isInteger(timeMs) || timeMs > TIME_MAX || timeMs < -TIME_MAX) {
      throw new TsdbError('ERR_SAMPLE_TIMESTAMP', `append to series ${JSON.stringify(labels)}: timestamp ${timeMs} is not an integer within ±2^52 ms`);
    }
    if (startMs !== 0 && (!Number.isInteger(startMs) || startMs > TIME_MAX || startMs < -TIME_MAX)) {
      throw new TsdbError('ERR_SAMPLE_TIMESTAMP', `append to series ${JSON.stringify(labels)}: start timestamp ${startMs} is not an integer within ±2^52 ms`);
    }
    if (!head.isInitialized) head.initializeTime(timeMs);
    if (Number.isNaN(minTimeMs)) {
      minTimeMs = head.appendableMinTimeMs();
      maxTimeMs = head.maxTimeMs;
    }
    if (timeMs < minTimeMs && windowMs === 0) return REFUSED.outOfBounds;
    const slot = ref > 0 ? head.refs.get(ref) : -1;
    if (slot >= 0) return slot;
    const made = head.getOrCreateSeries(labels);
    return made < 0 ? REFUSED.seriesLimit : made;
  };
  /** What becomes of a sample that is not newer: 0 when it goes among those out of order, else REFUSED. */
  const judgeLate = (timeMs: number): number => {
    if (windowMs === 0) return REFUSED.outOfOrder;
    return timeMs >= maxTimeMs - windowMs ? 0 : REFUSED.tooOld;
  };
  /** Whether a sample would not be the newest of its series: 0, or REFUSED. */
  const judgeNewest = (slot: number, timeMs: number): number => {
    const { table } = head;
    if (timeMs < minTimeMs) return REFUSED.outOfBounds;
    const isInBatch = table.pendingBatch[slot] === batchNumber;
    if (!isInBatch && !table.hasSamples(slot)) return 0;
    const lastTimeMs = isInBatch ? table.pendingTimeMs[slot]! : table.lastTimeMs(slot);
    return timeMs > lastTimeMs ? 0 : timeMs === lastTimeMs ? REFUSED.duplicate : REFUSED.outOfOrder;
  };
  const latePart = (): BatchPart => (late ??= { floats: scratch.spareBatches.pop() ?? new SampleColumns(), histograms: [] });
  const tryBits = (ref: number, labels: Labels, timeMs: number, high: number, low: number, startMs: number): number => {
    const slot = begin(ref, labels, timeMs, startMs);
    if (slot < 0) return slot;
    const { table } = head;
    const own = table.refs[slot]!;
    const isInBatch = table.pendingBatch[slot] === batchNumber;
    let isLate = timeMs < minTimeMs;
    if (isInBatch || table.hasSamples(slot)) {
      if (high === STALE_NAN_HI && low === STALE_NAN_LO) {
        // The end of a series is stored as what the series is.
        const last = pendingHistograms.get(slot) ?? (isInBatch ? undefined : table.lastHistogram(slot));
        if (last !== undefined) return trySample(slot, staleSample(last.isFloat, timeMs));
      }
      const lastTimeMs = isInBatch ? table.pendingTimeMs[slot]! : table.lastTimeMs(slot);
      isLate ||= timeMs < lastTimeMs;
      if (timeMs === lastTimeMs && !isLate) {
        const isSame = isInBatch ? table.pendingHigh[slot] === high && table.pendingLow[slot] === low && !pendingHistograms.has(slot) : table.isLastValue(slot, high, low);
        if (!isSame) return REFUSED.duplicate;
        repeated++;
        return own;
      }
    }
    if (isLate) {
      const verdict = judgeLate(timeMs);
      if (verdict < 0) return verdict;
      table.held[slot]!++;
      latePart().floats.push(own, timeMs, high, low, withStarts ? startMs : 0, slot);
      return own;
    }
    if (pendingHistograms.size > 0 && pendingHistograms.delete(slot)) nextPart();
    table.pendingBatch[slot] = batchNumber;
    table.pendingTimeMs[slot] = timeMs;
    table.pendingHigh[slot] = high;
    table.pendingLow[slot] = low;
    table.held[slot]!++;
    batch.push(own, timeMs, high, low, withStarts ? startMs : 0, slot);
    return own;
  };
  const trySample = (slot: number, sample: HistogramSample): number => {
    const { table } = head;
    const own = table.refs[slot]!;
    const isInBatch = table.pendingBatch[slot] === batchNumber;
    const pending = pendingHistograms.get(slot);
    let isLate = sample.timeMs < minTimeMs;
    if (isInBatch || table.hasSamples(slot)) {
      const lastTimeMs = isInBatch ? table.pendingTimeMs[slot]! : table.lastTimeMs(slot);
      isLate ||= sample.timeMs < lastTimeMs;
      if (sample.timeMs === lastTimeMs && !isLate) {
        const last = isInBatch ? pending : table.lastHistogram(slot);
        if (last === undefined || !isSameHistogram(last, sample)) return REFUSED.duplicate;
        repeated++;
        return own;
      }
    }
    if (isLate) {
      const verdict = judgeLate(sample.timeMs);
      if (verdict < 0) return verdict;
      table.held[slot]!++;
      latePart().histograms.push({ ref: own, sample });
      return own;
    }
    if (pending !== undefined && histogramRecordType(pending) !== histogramRecordType(sample)) nextPart();
    pendingHistograms.set(slot, sample);
    table.pendingBatch[slot] = batchNumber;
    table.pendingTimeMs[slot] = sample.timeMs;
    table.held[slot]!++;
    histograms.push({ ref: own, sample });
    return own;
  };
  const tryHistogram = (ref: number, labels: Labels, timeMs: number, histogram: FloatHistogram | IntegerHistogram, startMs = 0): number => {
    let sample = histogramToSample(histogram, timeMs);
    if (withStarts && startMs !== 0) sample = { ...sample, startTimestamp: startMs };
    const slot = begin(ref, labels, timeMs, startMs);
    if (slot < 0) return slot;
    if (sample.isStale) {
      const last = pendingHistograms.get(slot) ?? head.table.lastHistogram(slot);
      if (last !== undefined && last.isFloat !== sample.isFloat) sample = staleSample(last.isFloat, timeMs);
    }
    return trySample(slot, sample);
  };
  const orThrow = (answer: number, ref: number, labels: Labels, timeMs: number): number => {
    if (answer > 0) return answer;
    const slot = ref > 0 ? head.refs.get(ref) : -1;
    const series = JSON.stringify(slot < 0 ? labels : head.table.labels(slot));
    if (answer === REFUSED.outOfBounds) throw new TsdbError('ERR_SAMPLE_OUT_OF_BOUNDS', `append to series ${series}: out of bounds: timestamp ${timeMs} is before ${minTimeMs}, the earliest still taken`);
    if (answer === REFUSED.tooOld) throw new TsdbError('ERR_SAMPLE_TOO_OLD', `append to series ${series}: too old sample: timestamp ${timeMs} is before ${maxTimeMs - windowMs}, where the out-of-order window begins`);
    if (answer === REFUSED.seriesLimit) throw new TsdbError('ERR_SERIES_LIMIT', `append to series ${series}: the head has ${head.table.seriesCount} series, at most ${head.seriesMax}`);
    if (answer === REFUSED.outOfOrder) throw new TsdbError('ERR_SAMPLE_OUT_OF_ORDER', `append to series ${series}: out of order sample: timestamp ${timeMs} is before the last one of the series`);
    throw new TsdbError('ERR_SAMPLE_DUPLICATE', `append to series ${series}: duplicate sample for timestamp ${timeMs} with another value`);
  };
  /** Moves samples that other commits have overtaken among those out of order. */
  const overtaken = (): void => {
    const { table } = head;
    const isOvertaken = (slot: number, timeMs: number): boolean =>
      (timeMs < head.minValidTimeMs || (table.hasSamples(slot) && timeMs < table.lastTimeMs(slot))) && judgeLate(timeMs) === 0;
    for (const part of parts) {
      const { floats } = part;
      let kept = 0;
      for (let i = 0; i < floats.count; i++) {
        const [ref, timeMs, high, low, startMs, slot] = [floats.refs[i]!, floats.timesMs[i]!, floats.high[i]!, floats.low[i]!, floats.start(i), floats.slots[i]!];
        if (isOvertaken(head.refs.get(ref), timeMs)) latePart().floats.push(ref, timeMs, high, low, startMs, slot);
        else floats.put(kept++, ref, timeMs, high, low, startMs, slot);
      }
      floats.count = kept;
      const inOrder = part.histograms.filter((entry) => {
        if (!isOvertaken(head.refs.get(entry.ref), entry.sample.timeMs)) return true;
        latePart().histograms.push(entry);
        return false;
      });
      part.histograms.splice(0, part.histograms.length, ...inOrder);
    }
  };
  const known = (ref: number, labels: Labels, what: string): number => {
    assertOpen();
    if (isDone) throw new TsdbError('ERR_DB_CLOSED', `${what}: the appender has been committed or rolled back`);
    let slot = ref > 0 ? head.refs.get(ref) : -1;
    if (slot < 0) slot = head.findSeries(labels);
    if (slot < 0) throw new TsdbError('ERR_SERIES_UNKNOWN', `${what} of series ${JSON.stringify(labels)}: no such series, reference ${ref}`);
    return slot;
  };
  const appendExemplar = (ref: number, labels: Labels, exemplar: Exemplar): boolean => {
    const slot = known(ref, labels, 'append exemplar');
    const verdict = head.exemplars.check(head.table.labels(slot), exemplar);
    if (verdict === 'too long') {
      throw new TsdbError('ERR_EXEMPLAR', `append exemplar of series ${JSON.stringify(head.table.labels(slot))}: its labels have more than ${EXEMPLAR_CHARACTERS_MAX} characters`);
    }
    if (verdict !== 'taken') return false;
    exemplars.push({ ref: head.table.refs[slot]!, exemplar });
    return true;
  };
  const setMetadata = (ref: number, labels: Labels, one: SeriesMetadata): void => {
    const slot = known(ref, labels, 'set metadata');
    const present = head.metadata.get(slot);
    if (present?.type !== one.type || present.unit !== one.unit || present.help !== one.help) metadata.push({ ref: head.table.refs[slot]!, metadata: one });
  };
  const tryAppend = (ref: number, labels: Labels, timeMs: number, value: number, startMs = 0): number => {
    scratch.value[0] = value;
    return tryBits(ref, labels, timeMs, scratch.words[scratch.highWord]!, scratch.words[1 - scratch.highWord]!, startMs);
  };

  return {
    append: (ref, labels, timeMs, value, startMs) => orThrow(tryAppend(ref, labels, timeMs, value, startMs), ref, labels, timeMs),
    tryAppend,
    appendBits: (ref, labels, timeMs, high, low, startMs = 0) => orThrow(tryBits(ref, labels, timeMs, high, low, startMs), ref, labels, timeMs),
    tryAppendStale(ref, labels, timeMs) {
      const slot = begin(ref, labels, timeMs, 0);
      const verdict = slot < 0 ? slot : judgeNewest(slot, timeMs);
      return verdict < 0 ? verdict : tryBits(head.table.refs[slot]!, labels, timeMs, STALE_NAN_HI, STALE_NAN_LO, 0);
    },
    tryAppendBits: (ref, labels, timeMs, high, low, startMs = 0) => tryBits(ref, labels, timeMs, high, low, startMs),
    appendColumns(refs, timesMs, words, from, to) {
      assertOpen();
      if (isDone) throw new TsdbError('ERR_DB_CLOSED', 'append: the appender has been committed or rolled back');
      // A float behind a histogram of its series begins a part; a bound that is not known yet comes with the first sample.
      if (pendingHistograms.size > 0 || Number.isNaN(minTimeMs)) return from;
      return takeOrdinary(head, batch, batchNumber, minTimeMs, refs, timesMs, words, from, to);
    },
    appendHistogram: (ref, labels, timeMs, histogram, startMs) => orThrow(tryHistogram(ref, labels, timeMs, histogram, startMs), ref, labels, timeMs),
    tryAppendHistogram: tryHistogram,
    appendExemplar,
    setMetadata,
    commit() {
      assertOpen();
      if (isDone) throw new TsdbError('ERR_DB_CLOSED', 'commit: the appender has been committed or rolled back');
      const series = head.unlogged.length;
      try {
        if (windowMs > 0 && head.commitCount !== commitsBefore) overtaken();
        logBatch(head, { parts, exemplars, metadata }, scratch);
        head.unlogged.length = 0;
        head.commitCount++;
        for (const { ref, exemplar } of exemplars) {
          const slot = head.refs.get(ref);
          if (slot >= 0) head.exemplars.add(head.table.labels(slot), exemplar);
        }
        for (const one of metadata) {
          const slot = head.refs.get(one.ref);
          if (slot >= 0) head.metadata.set(slot, one.metadata);
        }
        const inOrder = apply(head, parts, head.slotNumbering === numberingBefore);
        const outOfOrder = late === undefined ? NOTHING_APPLIED : applyLate(head, late, scratch);
        return { samples: inOrder.samples + outOfOrder.samples, rejected: inOrder.rejected + outOfOrder.rejected, series, repeated };
      } finally {
        end();
      }
    },
    rollback() {
      if (!isDone) end();
    },
  };
}

/** The loop of `appendColumns`. */
function takeOrdinary(head: Head, batch: SampleColumns, batchNumber: number, minTimeMs: number, refs: Float64Array, timesMs: Float64Array, words: Uint32Array, from: number, to: number): number {
  const { table } = head;
  const { held, pendingBatch, pendingHigh, pendingLow, pendingTimeMs } = table;
  batch.reserve(to - from);
  const { high: batchHigh, low: batchLow, refs: batchRefs, slots: batchSlots, timesMs: batchTimesMs } = batch;
  const withStarts = batch.starts.length > 0;
  let count = batch.count;
  let i = from;
  for (; i < to; i++) {
    const ref = refs[i]!;
    const timeMs = timesMs[i]!;
    const low = words[2 * i]!;
    const high = words[2 * i + 1]!;
    const slot = head.refs.get(ref);
    // Also for a time that is no number.
    if (slot < 0 || !(timeMs >= minTimeMs && timeMs <= TIME_MAX) || timeMs !== Math.floor(timeMs)) break;
    if (pendingBatch[slot] === batchNumber ? timeMs <= pendingTimeMs[slot]! : table.hasSamples(slot) && timeMs <= table.lastTimeMs(slot)) break;
    if (high === STALE_NAN_HI && low === STALE_NAN_LO) break;
    pendingBatch[slot] = batchNumber;
    pendingTimeMs[slot] = timeMs;
    pendingHigh[slot] = high;
    pendingLow[slot] = low;
    held[slot]!++;
    batchRefs[count] = table.refs[slot]!;
    batchSlots[count] = slot;
    batchTimesMs[count] = timeMs;
    batchHigh[count] = high;
    batchLow[count] = low;
    if (withStarts) batch.starts[count] = 0;
    count++;
  }
  batch.count = count;
  return i;
}

/** Writes new series and the samples of a batch to the log, in one write. */
function logBatch(head: Head, batch: Batch, scratch: AppendScratch): void {
  const { parts, exemplars, metadata } = batch;
  const records: Uint8Array[] = [];
  if (head.unlogged.length > 0) {
    scratch.series.reset();
    beginSeriesRecord(scratch.series);
    for (const slot of head.unlogged) putSeries(scratch.series, head.table.refs[slot]!, head.table.labels(slot));
    records.push(scratch.series.bytes());
  }
  const putBeside = (encode: (out: GrowableBytes) => void): void => {
    scratch.beside.reset();
    encode(scratch.beside);
    if (scratch.beside.length > 0) records.push(scratch.beside.copy());
  };
  if (metadata.length > 0) putBeside((out) => encodeMetadataRecord(metadata, out));
  for (const { floats, histograms } of parts) {
    if (floats.count > 0) {
      scratch.samples.reset();
      encodeSamplesRecord(floats, scratch.samples, head.withStarts);
      records.push(parts.length === 1 ? scratch.samples.bytes() : scratch.samples.copy());
    }
    records.push(...histogramRecords(histograms, scratch.beside, head.withStarts));
  }
  if (exemplars.length > 0) putBeside((out) => encodeExemplarsRecord(exemplars, out));
  if (records.length > 0) head.wal!.log(records);
}

const NOTHING_APPLIED = { samples: 0, rejected: 0 } as const;

/** Logs samples out of order and takes them in. */
function applyLate(head: Head, { floats, histograms }: BatchPart, scratch: AppendScratch): { samples: number; rejected: number } {
  const records: Uint8Array[] = [];
  scratch.samples.reset();
  encodeSamplesRecord(floats, scratch.samples, head.withStarts);
  if (floats.count > 0) records.push(scratch.samples.bytes());
  records.push(...histogramRecords(histograms, scratch.beside, head.withStarts));
  head.wbl!.log(records);
  let samples = 0;
  for (let i = 0; i < floats.count; i++) {
    const slot = head.refs.get(floats.refs[i]!);
    if (slot >= 0 && head.outOfOrder.insert(head.table.refs[slot]!, floats.timesMs[i]!, floats.high[i]!, floats.low[i]!, undefined, floats.start(i))) samples++;
  }
  for (const { ref, sample } of histograms) {
    const slot = head.refs.get(ref);
    if (slot >= 0 && head.outOfOrder.insert(head.table.refs[slot]!, sample.timeMs, sample.sumHigh, sample.sumLow, sample)) samples++;
  }
  return { samples, rejected: floats.count + histograms.length - samples };
}

function histogramRecords(histograms: readonly HistogramEntry[], out: GrowableBytes, withStarts: boolean): Uint8Array[] {
  const records: Uint8Array[] = [];
  for (const type of histograms.length === 0 ? [] : HISTOGRAM_RECORDS) {
    out.reset();
    encodeHistogramRecord(type, histograms.filter(({ sample }) => histogramRecordType(sample) === type), out, withStarts);
    if (out.length > 0) records.push(out.copy());
  }
  return records;
}

/** Moves a logged batch into the chunks. @param areSlotsValid whether slots are still those of when samples were appended */
function apply(head: Head, parts: readonly BatchPart[], areSlotsValid: boolean): { samples: number; rejected: number } {
  let samples = 0;
  let given = 0;
  let mint = Number.POSITIVE_INFINITY;
  let maxt = Number.NEGATIVE_INFINITY;
  const table = head.table;
  for (const { floats, histograms } of parts) {
    given += floats.count + histograms.length;
    for (let i = 0; i < floats.count; i++) {
      const timeMs = floats.timesMs[i]!;
      const slot = areSlotsValid ? floats.slots[i]! : head.refs.get(floats.refs[i]!);
      if (slot < 0 || timeMs < head.minValidTimeMs || !table.append(slot, timeMs, floats.high[i]!, floats.low[i]!, floats.start(i))) continue;
      samples++;
      if (timeMs < mint) mint = timeMs;
      if (timeMs > maxt) maxt = timeMs;
    }
    for (const { ref, sample } of histograms) {
      const slot = head.refs.get(ref);
      if (slot < 0 || sample.timeMs < head.minValidTimeMs || !table.appendHistogram(slot, sample)) continue;
      samples++;
      if (sample.timeMs < mint) mint = sample.timeMs;
      if (sample.timeMs > maxt) maxt = sample.timeMs;
    }
  }
  head.noteTimes(mint, maxt);
  return { samples, rejected: given - samples };
}
