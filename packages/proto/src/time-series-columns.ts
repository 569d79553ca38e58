/**
 * Series with samples as remote write and remote read carry them, as columns: label and symbol texts are byte ranges of the
 * message, timestamps and values two columns, histograms and exemplars byte ranges of their messages.
 *
 *   labels      rows labelOffsets[s] … labelOffsets[s+1]           4 ints each: name start, name bytes, value start, value bytes
 *   samples     rows sampleOffsets[s] … sampleOffsets[s+1]         timestampsMs, values
 *   histograms  rows histogramOffsets[s] … histogramOffsets[s+1]   histogramRanges (start, bytes), histogramTimestampsMs
 *   exemplars   rows exemplarOffsets[s] … exemplarOffsets[s+1]     exemplarRanges (start, bytes), exemplarTimestampsMs
 *
 * Values are copied as bits, so a stale marker stays one.
 */
import { grownColumn, utf8Decode } from '@gauntlet/bytes';
import type { Labels } from '@gauntlet/model';
import { WireReader } from './wire-reader.ts';

/** A metadata entry; all texts are byte ranges [start, length]. */
export interface MetadataRange {
  /** Series it belongs to, or -1 if it names a metric family. */
  readonly series: number;
  /** Prometheus MetricMetadata.MetricType. */
  readonly type: number;
  readonly family: readonly [number, number];
  readonly help: readonly [number, number];
  readonly unit: readonly [number, number];
}

/** Reused from message to message; valid as long as `bytes`. Read columns only up to the offsets. */
export class TimeSeriesColumns {
  bytes: Uint8Array = new Uint8Array(0);
  seriesCount = 0;
  labelOffsets: Int32Array = new Int32Array(65);
  sampleOffsets: Int32Array = new Int32Array(65);
  histogramOffsets: Int32Array = new Int32Array(65);
  exemplarOffsets: Int32Array = new Int32Array(65);

  labelCount = 0;
  labelRanges: Int32Array = new Int32Array(4 * 512);

  sampleCount = 0;
  timestampsMs: Float64Array = new Float64Array(512);
  values: Float64Array = new Float64Array(512);
  /** The same memory as `values`, two little-endian words each. */
  valueWords: Uint32Array = new Uint32Array(this.values.buffer);

  histogramCount = 0;
  histogramRanges: Int32Array = new Int32Array(2 * 16);
  histogramTimestampsMs: Float64Array = new Float64Array(16);

  exemplarCount = 0;
  exemplarRanges: Int32Array = new Int32Array(2 * 16);
  exemplarTimestampsMs: Float64Array = new Float64Array(16);

  metadata: MetadataRange[] = [];

  /** Cursor of the decoders, kept to be reused. */
  readonly reader: WireReader = new WireReader();

  /** Forgets all rows and points at `bytes`. */
  reset(bytes: Uint8Array): void {
    this.bytes = bytes;
    this.seriesCount = 0;
    this.labelCount = 0;
    this.sampleCount = 0;
    this.histogramCount = 0;
    this.exemplarCount = 0;
    this.metadata = [];
  }

  /** Closes the series whose rows were pushed. */
  endSeries(): void {
    const next = ++this.seriesCount;
    if (next >= this.labelOffsets.length) {
      this.labelOffsets = grownColumn(this.labelOffsets);
      this.sampleOffsets = grownColumn(this.sampleOffsets);
      this.histogramOffsets = grownColumn(this.histogramOffsets);
      this.exemplarOffsets = grownColumn(this.exemplarOffsets);
    }
    this.labelOffsets[next] = this.labelCount;
    this.sampleOffsets[next] = this.sampleCount;
    this.histogramOffsets[next] = this.histogramCount;
    this.exemplarOffsets[next] = this.exemplarCount;
  }

  pushLabel(nameStart: number, nameBytes: number, valueStart: number, valueBytes: number): void {
    const row = this.labelCount++ * 4;
    if (row >= this.labelRanges.length) this.labelRanges = grownColumn(this.labelRanges);
    const ranges = this.labelRanges;
    ranges[row] = nameStart;
    ranges[row + 1] = nameBytes;
    ranges[row + 2] = valueStart;
    ranges[row + 3] = valueBytes;
  }

  /** @param lo low word of the value's bits */
  pushSample(timestampMs: number, lo: number, hi: number): void {
    const row = this.sampleCount++;
    if (row >= this.timestampsMs.length) {
      this.timestampsMs = grownColumn(this.timestampsMs);
      this.values = grownBits(this.values);
      this.valueWords = new Uint32Array(this.values.buffer);
    }
    this.timestampsMs[row] = timestampMs;
    this.valueWords[2 * row] = lo;
    this.valueWords[2 * row + 1] = hi;
  }

  pushHistogram(start: number, length: number, timestampMs: number): void {
    const row = this.histogramCount++;
    if (row >= this.histogramTimestampsMs.length) {
      this.histogramRanges = grownColumn(this.histogramRanges);
      this.histogramTimestampsMs = grownColumn(this.histogramTimestampsMs);
    }
    this.histogramRanges[2 * row] = start;
    this.histogramRanges[2 * row + 1] = length;
    this.histogramTimestampsMs[row] = timestampMs;
  }

  pushExemplar(start: number, length: number, timestampMs: number): void {
    const row = this.exemplarCount++;
    if (row >= this.exemplarTimestampsMs.length) {
      this.exemplarRanges = grownColumn(this.exemplarRanges);
      this.exemplarTimestampsMs = grownColumn(this.exemplarTimestampsMs);
    }
    this.exemplarRanges[2 * row] = start;
    this.exemplarRanges[2 * row + 1] = length;
    this.exemplarTimestampsMs[row] = timestampMs;
  }
}

/** Creates empty columns. */
export function createTimeSeriesColumns(): TimeSeriesColumns {
  return new TimeSeriesColumns();
}

/** Labels of one series as strings, in the order of the message. */
export function columnLabels(columns: TimeSeriesColumns, series: number): Labels {
  const out: string[] = [];
  const end = columns.labelOffsets[series + 1]! * 4;
  for (let i = columns.labelOffsets[series]! * 4; i < end; i += 2) {
    const start = columns.labelRanges[i]!;
    out.push(utf8Decode(columns.bytes, start, start + columns.labelRanges[i + 1]!));
  }
  return out;
}

/** Copies as words: a Float64Array may canonicalise NaNs that pass through a number. */
function grownBits(old: Float64Array): Float64Array {
  const next = new Float64Array(old.length * 2);
  new Uint32Array(next.buffer).set(new Uint32Array(old.buffer));
  return next;
}
