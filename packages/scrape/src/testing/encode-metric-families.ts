/** Writes protobuf expositions: delimited MetricFamily messages, as an instrumented program serves them. For tests. */
import { WireWriter } from '@gauntlet/proto';

/** An exemplar; `timeMs` may be left out. */
export interface FamilyExemplar {
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
  readonly timeMs?: number;
}

/** A histogram, classic, native or both. */
export interface FamilyHistogram {
  /** Whole counts. */
  readonly count?: number;
  readonly countFloat?: number;
  readonly sum?: number;
  /** Cumulative counts, ascending bounds. */
  readonly buckets?: readonly { readonly bound: number; readonly count?: number; readonly countFloat?: number; readonly exemplar?: FamilyExemplar }[];
  readonly schema?: number;
  readonly zeroThreshold?: number;
  readonly zeroCount?: number;
  readonly zeroCountFloat?: number;
  readonly positive?: FamilySide;
  readonly negative?: FamilySide;
  readonly exemplars?: readonly FamilyExemplar[];
  readonly startMs?: number;
}

/** Spans as [offset, length], and buckets as differences or as floats. */
export interface FamilySide {
  readonly spans: readonly (readonly [offset: number, length: number])[];
  readonly deltas?: readonly number[];
  readonly counts?: readonly number[];
  /** Numbers one by one instead of packed, as proto2 encoders write them. */
  readonly unpacked?: boolean;
}

/** One metric of a family; the part that belongs to the family's type is written. */
export interface FamilyMetric {
  readonly labels?: Readonly<Record<string, string>>;
  readonly timestampMs?: number;
  /** Of a counter, gauge or untyped metric. */
  readonly value?: number;
  readonly exemplar?: FamilyExemplar;
  readonly startMs?: number;
  readonly summary?: { readonly count: number; readonly sum: number; readonly quantiles: readonly (readonly [quantile: number, value: number])[]; readonly startMs?: number };
  readonly histogram?: FamilyHistogram;
}

/** A metric family. */
export interface Family {
  readonly name: string;
  readonly help?: string;
  readonly unit?: string;
  readonly type: 'counter' | 'gauge' | 'summary' | 'untyped' | 'histogram' | 'gaugehistogram' | number;
  readonly metrics: readonly FamilyMetric[];
}

const TYPES = ['counter', 'gauge', 'summary', 'untyped', 'histogram', 'gaugehistogram'];
/** Field of Metric by type. */
const FIELDS = [3, 2, 4, 5, 7, 7];

/** Encodes families, each with its length in front. */
export function encodeMetricFamilies(families: readonly Family[]): Uint8Array {
  const w = new WireWriter();
  for (const family of families) {
    const mark = w.open();
    putFamily(w, family);
    w.close(mark);
  }
  return w.take();
}

function putFamily(w: WireWriter, family: Family): void {
  const type = typeof family.type === 'number' ? family.type : TYPES.indexOf(family.type);
  putString(w, 1, family.name);
  putString(w, 2, family.help ?? '');
  if (type !== 0) {
    w.uint32(3 << 3);
    w.int32(type);
  }
  for (const metric of family.metrics) nested(w, 4, () => putMetric(w, metric, type));
  putString(w, 5, family.unit ?? '');
}

function putMetric(w: WireWriter, metric: FamilyMetric, type: number): void {
  for (const [name, value] of Object.entries(metric.labels ?? {})) putLabel(w, name, value);
  const { histogram, summary } = metric;
  const field = FIELDS[type] ?? 2;
  nested(w, field, () => {
    if (histogram !== undefined) putHistogram(w, histogram);
    else if (summary !== undefined) {
      putUint(w, 1, summary.count);
      putDouble(w, 2, summary.sum);
      for (const [quantile, value] of summary.quantiles) {
        nested(w, 3, () => {
          putDouble(w, 1, quantile);
          putDouble(w, 2, value);
        });
      }
      putTime(w, 4, summary.startMs);
    } else {
      putDouble(w, 1, metric.value ?? 0);
      if (metric.exemplar !== undefined) putExemplar(w, 2, metric.exemplar);
      putTime(w, 3, metric.startMs);
    }
  });
  if (metric.timestampMs !== undefined) {
    w.uint32(6 << 3);
    w.int64(metric.timestampMs);
  }
}

function putHistogram(w: WireWriter, histogram: FamilyHistogram): void {
  putUint(w, 1, histogram.count ?? 0);
  putDouble(w, 2, histogram.sum ?? 0);
  for (const bucket of histogram.buckets ?? []) {
    nested(w, 3, () => {
      putUint(w, 1, bucket.count ?? 0);
      putDouble(w, 2, bucket.bound);
      if (bucket.exemplar !== undefined) putExemplar(w, 3, bucket.exemplar);
      putDouble(w, 4, bucket.countFloat ?? 0);
    });
  }
  putDouble(w, 4, histogram.countFloat ?? 0);
  if (histogram.schema !== undefined) {
    w.uint32(5 << 3);
    w.sint32(histogram.schema);
  }
  putDouble(w, 6, histogram.zeroThreshold ?? 0);
  putUint(w, 7, histogram.zeroCount ?? 0);
  putDouble(w, 8, histogram.zeroCountFloat ?? 0);
  if (histogram.negative !== undefined) putSide(w, 9, histogram.negative);
  if (histogram.positive !== undefined) putSide(w, 12, histogram.positive);
  putTime(w, 15, histogram.startMs);
  for (const exemplar of histogram.exemplars ?? []) putExemplar(w, 16, exemplar);
}

/** Spans, differences and counts have consecutive field numbers. */
function putSide(w: WireWriter, field: number, side: FamilySide): void {
  for (const [offset, length] of side.spans) {
    nested(w, field, () => {
      w.uint32(1 << 3);
      w.sint32(offset);
      w.uint32(2 << 3);
      w.uint32(length);
    });
  }
  putNumbers(w, field + 1, side.deltas ?? [], side.unpacked === true, 0, (n) => w.sint64(n));
  putNumbers(w, field + 2, side.counts ?? [], side.unpacked === true, 1, (n) => w.double(n));
}

function putNumbers(w: WireWriter, field: number, numbers: readonly number[], unpacked: boolean, wireType: number, put: (n: number) => void): void {
  if (numbers.length === 0) return;
  if (!unpacked) return nested(w, field, () => numbers.forEach(put));
  for (const n of numbers) {
    w.uint32((field << 3) | wireType);
    put(n);
  }
}

function putExemplar(w: WireWriter, field: number, exemplar: FamilyExemplar): void {
  nested(w, field, () => {
    for (const [name, value] of Object.entries(exemplar.labels)) putLabel(w, name, value);
    putDouble(w, 2, exemplar.value);
    putTime(w, 3, exemplar.timeMs);
  });
}

function putLabel(w: WireWriter, name: string, value: string): void {
  nested(w, 1, () => {
    putString(w, 1, name);
    putString(w, 2, value);
  });
}

function putTime(w: WireWriter, field: number, timeMs: number | undefined): void {
  if (timeMs === undefined) return;
  nested(w, field, () => {
    w.uint32(1 << 3);
    w.int64(Math.floor(timeMs / 1000));
    w.uint32(2 << 3);
    w.int32((timeMs - Math.floor(timeMs / 1000) * 1000) * 1_000_000);
  });
}

function putUint(w: WireWriter, field: number, n: number): void {
  if (n === 0) return;
  w.uint32(field << 3);
  w.words64(n % 0x1_0000_0000, Math.floor(n / 0x1_0000_0000));
}

function putDouble(w: WireWriter, field: number, n: number): void {
  if (n === 0) return;
  w.uint32((field << 3) | 1);
  w.double(n);
}

function putString(w: WireWriter, field: number, text: string): void {
  if (text === '') return;
  w.uint32((field << 3) | 2);
  w.string(text);
}

function nested(w: WireWriter, field: number, put: () => void): void {
  w.uint32((field << 3) | 2);
  const mark = w.open();
  put();
  w.close(mark);
}
