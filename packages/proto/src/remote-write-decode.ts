/**
 * Decodes remote-write requests (already decompressed) into TimeSeriesColumns.
 *
 *   1.0  WriteRequest { timeseries=1 { labels=1, samples=2, exemplars=3, histograms=4 }, metadata=3 }
 *   2.0  Request { symbols=4, timeseries=5 { labels_refs=1, samples=2, histograms=3, exemplars=4, metadata=5 } }
 *
 * In 2.0 labels are references into the symbols; here they become byte ranges as in 1.0. Symbols may follow the series that
 * use them, so a first pass collects them. Sources: Prometheus prompb/remote.proto, prompb/io/prometheus/write/v2/types.proto.
 */
import { ProtoError } from './errors.ts';
import type { TimeSeriesColumns } from './time-series-columns.ts';
import type { WireReader } from './wire-reader.ts';

/** Field numbers inside a series, which the two versions and remote read number differently. */
interface SeriesLayout {
  readonly exemplars: number;
  readonly histograms: number;
}

const V1: SeriesLayout = { exemplars: 3, histograms: 4 };
const V2: SeriesLayout = { exemplars: 4, histograms: 3 };
const NONE: readonly [number, number] = [0, 0];

/**
 * Decodes a 1.0 request.
 * @param bytes protobuf, decompressed; retained by `columns`
 * @throws ProtoError on damage
 */
export function decodeWriteRequest(bytes: Uint8Array, columns: TimeSeriesColumns): void {
  columns.reset(bytes);
  const r = columns.reader.reset(bytes);
  while (decodeWriteRequestField(r, columns));
}

/**
 * Decodes the field of a 1.0 request at the cursor.
 * @returns false at the end of the request
 * @throws ProtoError on damage
 */
export function decodeWriteRequestField(r: WireReader, columns: TimeSeriesColumns): boolean {
  const tag = r.tag();
  if (tag === 0) return false;
  if (tag === 0x0a) decodeTimeSeries(r, columns);
  else if (tag === 0x1a) decodeFamilyMetadata(r, columns);
  else r.skip(tag);
  return true;
}

/**
 * Decodes one TimeSeries message of 1.0, Query or remote read at the cursor.
 * @throws ProtoError on damage
 */
export function decodeTimeSeries(r: WireReader, columns: TimeSeriesColumns): void {
  const outer = r.enter();
  for (let tag = r.tag(); tag !== 0; tag = r.tag()) {
    if (tag === 0x0a) decodeLabel(r, columns);
    else decodeSeriesField(r, tag, columns, V1);
  }
  r.leave(outer);
  columns.endSeries();
}

/**
 * Decodes a 2.0 request.
 * @param bytes protobuf, decompressed; retained by `columns`
 * @throws ProtoError on damage; ERR_PROTO_VALUE for a reference that no symbol has
 */
export function decodeWriteRequestV2(bytes: Uint8Array, columns: TimeSeriesColumns): void {
  columns.reset(bytes);
  const r = columns.reader.reset(bytes);
  let symbols = new Int32Array(256);
  let symbolCount = 0;
  for (let tag = r.tag(); tag !== 0; tag = r.tag()) {
    if (tag !== 0x22) {
      r.skip(tag);
      continue;
    }
    if (2 * symbolCount === symbols.length) {
      const wider = new Int32Array(symbols.length * 2);
      wider.set(symbols);
      symbols = wider;
    }
    const length = r.length();
    symbols[2 * symbolCount] = r.skipBytes(length);
    symbols[2 * symbolCount++ + 1] = length;
  }
  r.reset(bytes);
  const table = symbols.subarray(0, 2 * symbolCount);
  for (let tag = r.tag(); tag !== 0; tag = r.tag()) {
    if (tag === 0x2a) decodeSeriesV2(r, columns, table);
    else r.skip(tag);
  }
}

function decodeSeriesV2(r: WireReader, columns: TimeSeriesColumns, symbols: Int32Array): void {
  const outer = r.enter();
  for (let tag = r.tag(); tag !== 0; tag = r.tag()) {
    if (tag === 0x0a) {
      const end = r.enter();
      while (r.pos < r.end) pushSymbolPair(r, columns, symbols);
      r.leave(end);
    } else if (tag === 0x08) {
      throw new ProtoError('ERR_PROTO_WIRE_TYPE', `decode write request: labels_refs of series ${columns.seriesCount} are not packed`, r.pos);
    } else if (tag === 0x2a) {
      decodeSeriesMetadata(r, columns, symbols);
    } else {
      decodeSeriesField(r, tag, columns, V2);
    }
  }
  r.leave(outer);
  columns.endSeries();
}

function pushSymbolPair(r: WireReader, columns: TimeSeriesColumns, symbols: Int32Array): void {
  const name = symbolRow(r, columns, symbols);
  if (r.pos >= r.end) {
    throw new ProtoError('ERR_PROTO_VALUE', `decode write request: series ${columns.seriesCount} has an odd number of labels_refs`, r.pos);
  }
  const value = symbolRow(r, columns, symbols);
  columns.pushLabel(symbols[name]!, symbols[name + 1]!, symbols[value]!, symbols[value + 1]!);
}

function symbolRow(r: WireReader, columns: TimeSeriesColumns, symbols: Int32Array): number {
  const ref = r.uint32();
  if (2 * ref >= symbols.length) {
    throw new ProtoError('ERR_PROTO_VALUE', `decode write request: series ${columns.seriesCount} refers to symbol ${ref} of ${symbols.length / 2}`, r.pos);
  }
  return 2 * ref;
}

function decodeLabel(r: WireReader, columns: TimeSeriesColumns): void {
  const outer = r.enter();
  let nameStart = r.pos;
  let nameBytes = 0;
  let valueStart = r.pos;
  let valueBytes = 0;
  for (let tag = r.tag(); tag !== 0; tag = r.tag()) {
    if (tag === 0x0a) {
      nameBytes = r.length();
      nameStart = r.skipBytes(nameBytes);
    } else if (tag === 0x12) {
      valueBytes = r.length();
      valueStart = r.skipBytes(valueBytes);
    } else r.skip(tag);
  }
  r.leave(outer);
  columns.pushLabel(nameStart, nameBytes, valueStart, valueBytes);
}

function decodeSeriesField(r: WireReader, tag: number, columns: TimeSeriesColumns, layout: SeriesLayout): void {
  if (tag === 0x12) decodeSample(r, columns);
  else if (tag === ((layout.histograms << 3) | 2)) {
    const start = r.pos;
    const timestampMs = decodeTimestamp(r, 15);
    const length = prefixed(columns.bytes, start, r.pos);
    columns.pushHistogram(r.pos - length, length, timestampMs);
  } else if (tag === ((layout.exemplars << 3) | 2)) {
    const start = r.pos;
    const timestampMs = decodeTimestamp(r, 3);
    const length = prefixed(columns.bytes, start, r.pos);
    columns.pushExemplar(r.pos - length, length, timestampMs);
  } else if (tag >>> 3 <= 4) throw r.wireType(tag, 'time series field');
  else r.skip(tag);
}

function decodeSample(r: WireReader, columns: TimeSeriesColumns): void {
  const outer = r.enter();
  let timestampMs = 0;
  let lo = 0;
  let hi = 0;
  for (let tag = r.tag(); tag !== 0; tag = r.tag()) {
    if (tag === 0x09) {
      r.fixed64Words();
      lo = r.lo;
      hi = r.hi;
    } else if (tag === 0x10) timestampMs = r.int64();
    else if (tag >>> 3 <= 2) throw r.wireType(tag, 'sample field');
    else r.skip(tag);
  }
  r.leave(outer);
  columns.pushSample(timestampMs, lo, hi);
}

/** Walks a nested message for its int64 field `number`; leaves the cursor behind the message. */
function decodeTimestamp(r: WireReader, number: number): number {
  const outer = r.enter();
  let timestampMs = 0;
  for (let tag = r.tag(); tag !== 0; tag = r.tag()) {
    if (tag === number << 3) timestampMs = r.int64();
    else r.skip(tag);
  }
  r.leave(outer);
  return timestampMs;
}

/** Bytes of the message in `[start, end)`, which begins with its own length. */
function prefixed(bytes: Uint8Array, start: number, end: number): number {
  let p = start;
  while (bytes[p]! >= 0x80) p++;
  return end - p - 1;
}

function range(r: WireReader): readonly [number, number] {
  const length = r.length();
  return [r.skipBytes(length), length];
}

function decodeFamilyMetadata(r: WireReader, columns: TimeSeriesColumns): void {
  const outer = r.enter();
  let type = 0;
  let family = NONE;
  let help = NONE;
  let unit = NONE;
  for (let tag = r.tag(); tag !== 0; tag = r.tag()) {
    if (tag === 0x08) type = r.int32();
    else if (tag === 0x12) family = range(r);
    else if (tag === 0x22) help = range(r);
    else if (tag === 0x2a) unit = range(r);
    else r.skip(tag);
  }
  r.leave(outer);
  columns.metadata.push({ series: -1, type, family, help, unit });
}

function decodeSeriesMetadata(r: WireReader, columns: TimeSeriesColumns, symbols: Int32Array): void {
  const outer = r.enter();
  let type = 0;
  let help = NONE;
  let unit = NONE;
  for (let tag = r.tag(); tag !== 0; tag = r.tag()) {
    if (tag === 0x08) type = r.int32();
    else if (tag === 0x18 || tag === 0x20) {
      const row = symbolRow(r, columns, symbols);
      const text = [symbols[row]!, symbols[row + 1]!] as const;
      if (tag === 0x18) help = text;
      else unit = text;
    } else r.skip(tag);
  }
  r.leave(outer);
  columns.metadata.push({ series: columns.seriesCount, type, family: NONE, help, unit });
}
