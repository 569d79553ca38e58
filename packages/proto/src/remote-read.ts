/**
 * Remote read, both response types.
 *
 *   request   snappy( ReadRequest { queries=1 { start=1, end=2, matchers=3, hints=4 }, accepted_response_types=2 } )
 *   streamed  frames: uvarint length | CRC-32C of the message, big-endian | ChunkedReadResponse
 *             { chunked_series=1 { labels=1, chunks=2 { min=1, max=2, type=3, data=4 } }, query_index=2 }
 *   sampled   snappy( ReadResponse { results=1 { timeseries=1 } } )
 *
 * Compression is the caller's. A streamed message decodes into a SeriesFrame: the chunk type is already the encoding byte of
 * chunk files. Sources: Prometheus prompb/remote.proto, storage/remote/chunked.go.
 */
import { crc32c } from '@gauntlet/bytes';
import { ProtoError } from './errors.ts';
import { type Codec, field, message, repeated } from './message-codec.ts';
import { decodeTimeSeries } from './remote-write-decode.ts';
import type { SeriesFrame } from './series-frame.ts';
import { decodeFrameLabel } from './series-frame-decode.ts';
import { type LabelMatcher, labelMatcher } from './store-messages.ts';
import type { TimeSeriesColumns } from './time-series-columns.ts';
import type { WireReader } from './wire-reader.ts';

/** Wire numbers of response types. */
export const READ_RESPONSE_TYPE = { samples: 0, streamedXorChunks: 1 } as const;

/** What the samples are for; all fields may be zero. */
export interface ReadHints {
  readonly stepMs: number;
  readonly func: string;
  readonly startMs: number;
  readonly endMs: number;
  readonly grouping: readonly string[];
  readonly by: boolean;
  readonly rangeMs: number;
}

export interface ReadQuery {
  /** Inclusive. */
  readonly startMs: number;
  /** Inclusive. */
  readonly endMs: number;
  readonly matchers: readonly LabelMatcher[];
  readonly hints: ReadHints | undefined;
}

export interface ReadRequest {
  readonly queries: readonly ReadQuery[];
  /** In order of preference; see {@link READ_RESPONSE_TYPE}. */
  readonly acceptedResponseTypes: readonly number[];
}

const readHints: Codec<ReadHints> = message<ReadHints>({
  stepMs: field(1, 'int64'),
  func: field(2, 'string'),
  startMs: field(3, 'int64'),
  endMs: field(4, 'int64'),
  grouping: repeated(5, 'string'),
  by: field(6, 'bool'),
  rangeMs: field(7, 'int64'),
});

const readQuery: Codec<ReadQuery> = message<ReadQuery>({
  startMs: field(1, 'int64'),
  endMs: field(2, 'int64'),
  matchers: repeated(3, labelMatcher),
  hints: field(4, readHints),
});

export const readRequest: Codec<ReadRequest> = message<ReadRequest>({
  queries: repeated(1, readQuery),
  acceptedResponseTypes: repeated(2, 'int32'),
});

/** Options of {@link ChunkedReadSplitter}. */
export interface ChunkedReadOptions {
  /** Largest message accepted, bytes. Default 50 MiB, as Prometheus' own reader. */
  readonly messageBytesMax?: number;
}

/** Cuts the body of a streamed answer into messages and checks their CRCs. */
export class ChunkedReadSplitter {
  readonly #messageBytesMax: number;
  #pending: Uint8Array = new Uint8Array(0);
  #pos = 0;
  /** End of the body bytes in `#pending`; what follows is free. */
  #filled = 0;
  /** Offset in the body of `#pending[0]`, for errors. */
  #bodyOffset = 0;

  constructor(options: ChunkedReadOptions = {}) {
    this.#messageBytesMax = options.messageBytesMax ?? 50 * 1024 * 1024;
  }

  /** Adds the next piece of the body. It is retained until its messages are taken; messages may be views into it. */
  push(piece: Uint8Array): void {
    const rest = this.#filled - this.#pos;
    if (rest === 0) {
      this.#bodyOffset += this.#pos;
      this.#pending = piece;
      this.#pos = 0;
      this.#filled = piece.length;
      return;
    }
    if (this.#pending.length - this.#filled < piece.length) {
      // Doubling keeps a frame of many pieces linear; messages handed out stay views into the old memory.
      const wider = new Uint8Array(2 * rest + piece.length);
      wider.set(this.#pending.subarray(this.#pos, this.#filled));
      this.#pending = wider;
      this.#bodyOffset += this.#pos;
      this.#pos = 0;
      this.#filled = rest;
    }
    this.#pending.set(piece, this.#filled);
    this.#filled += piece.length;
  }

  /**
   * The next whole message, or `undefined` if more bytes are needed.
   * @throws ProtoError ERR_PROTO_CRC, ERR_PROTO_TOO_LARGE, ERR_PROTO_VARINT
   */
  next(): Uint8Array | undefined {
    const bytes = this.#pending;
    let p = this.#pos;
    let length = 0;
    for (let shift = 0; ; shift += 7) {
      if (p >= this.#filled) return undefined;
      if (shift > 28) throw new ProtoError('ERR_PROTO_VARINT', `read chunked frame at offset ${this.#at()}: length longer than 5 bytes`, this.#at());
      const b = bytes[p++]!;
      length += (b & 0x7f) * 2 ** shift;
      if (b < 0x80) break;
    }
    if (length > this.#messageBytesMax) {
      throw new ProtoError('ERR_PROTO_TOO_LARGE', `read chunked frame at offset ${this.#at()}: ${length} bytes, limit ${this.#messageBytesMax}`, this.#at());
    }
    if (this.#filled - p < 4 + length) return undefined;
    const wanted = ((bytes[p]! << 24) | (bytes[p + 1]! << 16) | (bytes[p + 2]! << 8) | bytes[p + 3]!) >>> 0;
    const messageBytes = bytes.subarray(p + 4, p + 4 + length);
    const got = crc32c(messageBytes) >>> 0;
    if (got !== wanted) {
      throw new ProtoError('ERR_PROTO_CRC', `read chunked frame at offset ${this.#at()}: CRC-32C ${hex(got)}, frame says ${hex(wanted)}`, this.#at());
    }
    this.#pos = p + 4 + length;
    return messageBytes;
  }

  /** Call at the end of the body. @throws ProtoError ERR_PROTO_TRUNCATED if a frame is incomplete */
  end(): void {
    const rest = this.#filled - this.#pos;
    if (rest > 0) throw new ProtoError('ERR_PROTO_TRUNCATED', `read chunked frame at offset ${this.#at()}: body ends after ${rest} bytes of it`, this.#at());
  }

  #at(): number {
    return this.#bodyOffset + this.#pos;
  }
}

/** Frames one message for a streamed answer. */
export function encodeChunkedFrame(messageBytes: Uint8Array): Uint8Array {
  const head: number[] = [];
  let rest = messageBytes.length;
  for (; rest >= 0x80; rest = Math.floor(rest / 0x80)) head.push((rest % 0x80) | 0x80);
  head.push(rest);
  const crc = crc32c(messageBytes);
  const out = new Uint8Array(head.length + 4 + messageBytes.length);
  out.set(head);
  out.set([crc >>> 24, (crc >>> 16) & 0xff, (crc >>> 8) & 0xff, crc & 0xff], head.length);
  out.set(messageBytes, head.length + 4);
  return out;
}

/**
 * Decodes one ChunkedReadResponse. Its chunk fields are not those of the Store API: of the byte ranges only labels may be copied.
 * @param bytes retained by `frame`
 * @returns the query's index
 * @throws ProtoError on damage
 */
export function decodeChunkedReadResponse(bytes: Uint8Array, frame: SeriesFrame): number {
  const r = frame.reader.reset(bytes);
  frame.bytes = bytes;
  frame.warning = undefined;
  frame.hints = undefined;
  frame.seriesCount = frame.labelCount = frame.chunkCount = frame.partCount = 0;
  frame.labelOffsets[0] = frame.chunkOffsets[0] = frame.partOffsets[0] = 0;
  let queryIndex = 0;
  for (let tag = r.tag(); tag !== 0; tag = r.tag()) {
    if (tag === 0x0a) decodeChunkedSeries(r, frame);
    else if (tag === 0x10) queryIndex = r.int64();
    else if (tag >>> 3 <= 2) throw r.wireType(tag, 'chunked read response field');
    else r.skip(tag);
  }
  return queryIndex;
}

function decodeChunkedSeries(r: WireReader, frame: SeriesFrame): void {
  const series = frame.seriesCount;
  if (series >= frame.seriesStart.length) frame.growSeries();
  const outer = r.enter();
  frame.seriesStart[series] = r.pos;
  frame.seriesEnd[series] = r.end;
  let labelsEnd = -1;
  for (let at = r.pos, tag = r.tag(); tag !== 0; at = r.pos, tag = r.tag()) {
    if (tag === 0x0a) decodeFrameLabel(r, frame);
    else if (tag === 0x12) {
      if (labelsEnd === -1) labelsEnd = at;
      decodeChunk(r, frame, at);
    } else if (tag >>> 3 <= 2) throw r.wireType(tag, 'chunked series field');
    else r.skip(tag);
  }
  frame.labelsEnd[series] = labelsEnd === -1 ? r.end : labelsEnd;
  r.leave(outer);
  frame.seriesCount = series + 1;
  frame.labelOffsets[series + 1] = frame.labelCount;
  frame.chunkOffsets[series + 1] = frame.chunkCount;
}

function decodeChunk(r: WireReader, frame: SeriesFrame, fieldStart: number): void {
  const chunk = frame.chunkCount;
  const part = frame.partCount;
  if (chunk >= frame.chunkMint.length) frame.growChunks();
  if (part >= frame.partStart.length) frame.growParts();
  const outer = r.enter();
  let mint = 0;
  let maxt = 0;
  let encoding = 0;
  let start = r.pos;
  let length = 0;
  for (let tag = r.tag(); tag !== 0; tag = r.tag()) {
    if (tag === 0x08) mint = r.int64();
    else if (tag === 0x10) maxt = r.int64();
    else if (tag === 0x18) encoding = r.uint32();
    else if (tag === 0x22) {
      length = r.length();
      start = r.skipBytes(length);
    } else if (tag >>> 3 <= 4) throw r.wireType(tag, 'chunk field');
    else r.skip(tag);
  }
  frame.chunkMint[chunk] = mint;
  frame.chunkMaxt[chunk] = maxt;
  frame.chunkStart[chunk] = fieldStart;
  frame.chunkEnd[chunk] = r.end;
  r.leave(outer);
  frame.partAggregate[part] = 0;
  frame.partEncoding[part] = Math.min(encoding, 255);
  frame.partStart[part] = start;
  frame.partBytes[part] = length;
  frame.partHashHi[part] = 0;
  frame.partHashLo[part] = 0;
  frame.partCount = part + 1;
  frame.chunkCount = chunk + 1;
  frame.partOffsets[chunk + 1] = part + 1;
}

/**
 * Decodes a sampled answer; the series of all results follow each other.
 * @param bytes ReadResponse, decompressed; retained by `columns`
 * @returns for each result the index of its first series, and the total at the end
 * @throws ProtoError on damage
 */
export function decodeReadResponse(bytes: Uint8Array, columns: TimeSeriesColumns): number[] {
  columns.reset(bytes);
  const r = columns.reader.reset(bytes);
  const firstSeries: number[] = [];
  for (let tag = r.tag(); tag !== 0; tag = r.tag()) {
    if (tag !== 0x0a) {
      r.skip(tag);
      continue;
    }
    firstSeries.push(columns.seriesCount);
    const outer = r.enter();
    for (let inner = r.tag(); inner !== 0; inner = r.tag()) {
      if (inner === 0x0a) decodeTimeSeries(r, columns);
      else r.skip(inner);
    }
    r.leave(outer);
  }
  firstSeries.push(columns.seriesCount);
  return firstSeries;
}

function hex(n: number): string {
  return n.toString(16).padStart(8, '0');
}
