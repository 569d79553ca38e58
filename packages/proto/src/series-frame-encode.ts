/**
 * Builds SeriesResponse frames: one series a frame, or batches of up to `batchSize` series and about `frameBytesTarget` bytes.
 *
 *   encoder.beginSeries(encodeLabelFields(labels))   labels are encoded once and reused
 *   encoder.addChunk(mint, maxt, encoding, data)     raw; or beginChunk, addPart…, endChunk for aggregates;
 *   encoder.copyField(bytes, start, end)             or a chunk field of another frame as it is
 *   const frame = encoder.endSeries()                bytes, or undefined while a batch is filling
 *   … const last = encoder.flush()
 *
 * A series is written behind a gap for its tag and length (2 bytes fit lengths up to 16 KiB); a longer one is moved.
 */
import { utf8EncodeInto, utf8Length } from '@gauntlet/bytes';
import type { Labels } from '@gauntlet/model';
import { LABEL_STRIDE } from './series-frame.ts';
import { AGGREGATE, type Any, any } from './store-messages.ts';
import { int64Length, uint32Length, WireWriter } from './wire-writer.ts';

const SERIES_TAG = 0x0a;
const BATCH_TAG = 0x22;
/** Room for tag and length of the frame's outer field. */
const FRAME_GAP = 6;
/** Room for tag and length of one series; moved if the length needs more. */
const SERIES_GAP = 3;
const DEFAULT_FRAME_BYTES_TARGET = 1 << 20;

/** How frames are cut. */
export interface SeriesFrameEncoderOptions {
  /** Most series in a frame: `response_batch_size` of the request; 0 and 1 mean one series a frame. Default 0. */
  readonly batchSize?: number;
  /** A batch is closed once it has so many bytes. Default 1 MiB. */
  readonly frameBytesTarget?: number;
  /** Gives the memory of a frame, exactly so many bytes. Default: new memory. */
  readonly allocate?: (bytes: number) => Uint8Array;
}

/** Encodes labels as the `labels` fields of a Series message, to be given to `beginSeries`. */
export function encodeLabelFields(labels: Labels): Uint8Array {
  let total = 0;
  const lengths = new Int32Array(labels.length);
  for (let i = 0; i < labels.length; i += 2) {
    const name = (lengths[i] = utf8Length(labels[i]!));
    const value = (lengths[i + 1] = utf8Length(labels[i + 1]!));
    const inner = stringFieldLength(name) + stringFieldLength(value);
    total += 1 + uint32Length(inner) + inner;
  }
  const out = new Uint8Array(total);
  let p = 0;
  for (let i = 0; i < labels.length; i += 2) {
    out[p++] = 0x0a;
    p = putUint32(out, p, stringFieldLength(lengths[i]!) + stringFieldLength(lengths[i + 1]!));
    p = putStringField(out, p, 0x0a, labels[i]!, lengths[i]!);
    p = putStringField(out, p, 0x12, labels[i + 1]!, lengths[i + 1]!);
  }
  return out;
}

/** Bytes that {@link putLabelFields} takes at most. */
export function labelFieldsRoom(labels: Labels): number {
  let characters = 0;
  for (const text of labels) characters += text.length;
  // UTF-8 takes three bytes for a character at most, tags and lengths of a label eighteen.
  return 3 * characters + 9 * labels.length;
}

/**
 * As {@link encodeLabelFields}, into `out`, with the ranges of names and values as a SeriesFrame has them.
 * @param out has {@link labelFieldsRoom} bytes from `at`
 * @param ranges LABEL_STRIDE ints per label, from label row `row`
 * @returns end of the fields
 */
export function putLabelFields(labels: Labels, out: Uint8Array, at: number, ranges: Int32Array, row: number): number {
  let p = at;
  for (let i = 0, r = row * LABEL_STRIDE; i < labels.length; i += 2, r += LABEL_STRIDE) {
    const nameBytes = utf8Length(labels[i]!);
    const valueBytes = utf8Length(labels[i + 1]!);
    out[p++] = 0x0a;
    p = putUint32(out, p, stringFieldLength(nameBytes) + stringFieldLength(valueBytes));
    p = putStringField(out, p, 0x0a, labels[i]!, nameBytes);
    ranges[r] = p - nameBytes;
    ranges[r + 1] = nameBytes;
    p = putStringField(out, p, 0x12, labels[i + 1]!, valueBytes);
    ranges[r + 2] = p - valueBytes;
    ranges[r + 3] = valueBytes;
  }
  return p;
}

/** A frame with a warning. */
export function encodeWarningFrame(text: string): Uint8Array {
  const w = new WireWriter(text.length + 8);
  w.uint32(0x12);
  w.string(text);
  return w.take();
}

/** A frame with response hints. */
export function encodeHintsFrame(hints: Any): Uint8Array {
  const w = new WireWriter();
  w.uint32(0x1a);
  w.lengthDelimited(any.encode(hints));
  return w.take();
}

/** See the head of this file. Frames returned belong to the caller. */
export class SeriesFrameEncoder {
  readonly #batchSize: number;
  readonly #frameBytesTarget: number;
  readonly #allocate: SeriesFrameEncoderOptions['allocate'];
  readonly #w: WireWriter = new WireWriter(64 * 1024);
  #seriesInFrame = 0;
  /** Where the open series' fields begin; -1 outside a series. */
  #bodyStart = -1;
  #chunkStart = -1;

  constructor(options: SeriesFrameEncoderOptions = {}) {
    this.#batchSize = Math.max(1, options.batchSize ?? 0);
    this.#frameBytesTarget = options.frameBytesTarget ?? DEFAULT_FRAME_BYTES_TARGET;
    this.#allocate = options.allocate;
    this.#w.pos = FRAME_GAP;
  }

  /** Bytes of the open series so far, labels included; 0 outside a series. */
  get seriesBytes(): number {
    return this.#bodyStart === -1 ? 0 : this.#w.pos - this.#bodyStart;
  }

  /** @param labelFields from `encodeLabelFields`, or the label range of a decoded frame */
  beginSeries(labelFields: Uint8Array): void {
    const w = this.#w;
    w.reserve(SERIES_GAP + labelFields.length);
    w.pos += SERIES_GAP;
    this.#bodyStart = w.pos;
    w.raw(labelFields);
  }

  /** Adds a raw chunk; see {@link writeRawChunkField}. */
  addChunk(mint: number, maxt: number, encoding: number, data: Uint8Array, hashHi = 0, hashLo = 0): void {
    writeRawChunkField(this.#w, mint, maxt, encoding, data, hashHi, hashLo);
  }

  /** Starts a chunk of several parts. */
  beginChunk(mint: number, maxt: number): void {
    this.#w.uint32(0x12);
    this.#chunkStart = this.#w.open();
    this.#w.reserve(22);
    writeTimes(this.#w, mint, maxt);
  }

  /** Adds one aggregate to the open chunk; `aggregate` is one of AGGREGATE, the rest as in `addChunk`. */
  addPart(aggregate: number, encoding: number, data: Uint8Array, hashHi = 0, hashLo = 0): void {
    writePart(this.#w, aggregate, partLength(encoding, data.length, hashHi, hashLo), encoding, data, hashHi, hashLo);
  }

  endChunk(): void {
    this.#w.close(this.#chunkStart);
  }

  /** Adds fields of a Series message as they are: chunk ranges of a decoded frame. */
  copyField(bytes: Uint8Array, start: number, end: number): void {
    this.#w.raw(bytes.subarray(start, end));
  }

  /** Closes the series. @returns the frame if it is full */
  endSeries(): Uint8Array | undefined {
    const w = this.#w;
    const bodyStart = this.#bodyStart;
    const length = w.pos - bodyStart;
    const gap = 1 + uint32Length(length);
    if (gap !== SERIES_GAP) {
      const to = bodyStart - SERIES_GAP + gap;
      w.reserve(Math.max(0, gap - SERIES_GAP));
      w.buffer.copyWithin(to, bodyStart, w.pos);
      w.pos = to + length;
    }
    const head = bodyStart - SERIES_GAP;
    w.buffer[head] = SERIES_TAG;
    putUint32(w.buffer, head + 1, length);
    this.#bodyStart = -1;
    this.#seriesInFrame++;
    return this.#seriesInFrame >= this.#batchSize || w.pos >= this.#frameBytesTarget ? this.flush() : undefined;
  }

  /** @returns what a batch holds so far, if anything */
  flush(): Uint8Array | undefined {
    const w = this.#w;
    if (this.#seriesInFrame === 0) return undefined;
    let start = FRAME_GAP;
    if (this.#batchSize > 1) {
      const length = w.pos - FRAME_GAP;
      start = FRAME_GAP - 1 - uint32Length(length);
      w.buffer[start] = BATCH_TAG;
      putUint32(w.buffer, start + 1, length);
    }
    const encoded = w.buffer.subarray(start, w.pos);
    const frame = this.#allocate?.(encoded.length) ?? encoded.slice();
    if (this.#allocate !== undefined) frame.set(encoded);
    this.#seriesInFrame = 0;
    w.pos = FRAME_GAP;
    return frame;
  }
}

/**
 * Writes a chunk of one raw part as a field of a Series message.
 * @param mint first timestamp, ms, inclusive; `maxt` the last
 * @param encoding encoding byte as in chunk files, XOR is 1
 * @param data payload after the encoding byte; copied
 * @param hashHi xxhash64 of `data` in two words, or two zeros
 */
export function writeRawChunkField(
  w: WireWriter,
  mint: number,
  maxt: number,
  encoding: number,
  data: Uint8Array,
  hashHi: number,
  hashLo: number,
): void {
  // One reservation, then straight into the buffer: called per chunk, 20 times a series.
  w.reserve(64 + data.length);
  const part = partLength(encoding, data.length, hashHi, hashLo);
  const length = timesLength(mint, maxt) + 1 + uint32Length(part) + part;
  const out = w.buffer;
  out[w.pos] = 0x12;
  w.pos = putUint32(out, w.pos + 1, length);
  writeTimes(w, mint, maxt);
  writePart(w, AGGREGATE.raw, part, encoding, data, hashHi, hashLo);
}

/** Needs 22 bytes reserved. */
function writeTimes(w: WireWriter, mint: number, maxt: number): void {
  if (mint !== 0) {
    w.buffer[w.pos++] = 0x08;
    w.int64(mint);
  }
  if (maxt !== 0) {
    w.buffer[w.pos++] = 0x10;
    w.int64(maxt);
  }
}

function writePart(w: WireWriter, aggregate: number, length: number, encoding: number, data: Uint8Array, hashHi: number, hashLo: number): void {
  w.reserve(32 + data.length);
  const out = w.buffer;
  out[w.pos] = ((aggregate + 3) << 3) | 2;
  w.pos = putUint32(out, w.pos + 1, length);
  if (encoding > 1) {
    out[w.pos] = 0x08;
    w.pos = putUint32(out, w.pos + 1, encoding - 1);
  }
  if (data.length > 0) {
    out[w.pos] = 0x12;
    const at = putUint32(out, w.pos + 1, data.length);
    out.set(data, at);
    w.pos = at + data.length;
  }
  if (hashHi !== 0 || hashLo !== 0) {
    w.buffer[w.pos++] = 0x18;
    w.words64(hashLo, hashHi);
  }
}

function timesLength(mint: number, maxt: number): number {
  return (mint === 0 ? 0 : 1 + int64Length(mint)) + (maxt === 0 ? 0 : 1 + int64Length(maxt));
}

function partLength(encoding: number, dataBytes: number, hashHi: number, hashLo: number): number {
  let length = encoding > 1 ? 1 + uint32Length(encoding - 1) : 0;
  if (dataBytes > 0) length += 1 + uint32Length(dataBytes) + dataBytes;
  if (hashHi !== 0) length += 1 + Math.ceil((32 + (32 - Math.clz32(hashHi))) / 7);
  else if (hashLo !== 0) length += 1 + uint32Length(hashLo);
  return length;
}

function stringFieldLength(bytes: number): number {
  return bytes === 0 ? 0 : 1 + uint32Length(bytes) + bytes;
}

function putStringField(out: Uint8Array, at: number, tag: number, text: string, bytes: number): number {
  if (bytes === 0) return at;
  out[at] = tag;
  const start = putUint32(out, at + 1, bytes);
  return start + utf8EncodeInto(text, out, start);
}

function putUint32(out: Uint8Array, at: number, value: number): number {
  let p = at;
  let rest = value;
  while (rest >= 0x80) {
    out[p++] = (rest & 0x7f) | 0x80;
    rest >>>= 7;
  }
  out[p++] = rest;
  return p;
}
