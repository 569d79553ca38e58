/**
 * A Series frame that stays bytes: four tables of offsets into it, reused from frame to frame, no object per label or chunk.
 *
 *   series s   seriesStart[s] … labelsEnd[s] … seriesEnd[s]      byte range; labels first, then chunks
 *     labels   rows labelOffsets[s] … labelOffsets[s+1]           4 ints each: name start, name bytes, value start, value bytes
 *     chunks   rows chunkOffsets[s] … chunkOffsets[s+1]           mint, maxt, and the byte range of the whole field
 *       parts  rows partOffsets[c] … partOffsets[c+1]             aggregate, encoding, data start, data bytes, hash
 *
 * A raw chunk has one part; a downsampled one has a part per aggregate that was asked for. Wire form: Thanos
 * pkg/store/storepb/{rpc,types}.proto, here protos/store.proto, store-types.proto.
 */
import { grownColumn, utf8Decode } from '@gauntlet/bytes';
import type { Labels } from '@gauntlet/model';
import type { Any } from './store-messages.ts';
import { WireReader } from './wire-reader.ts';

/** Ints per row of {@link SeriesFrame.labelRanges}. */
export const LABEL_STRIDE = 4;

/**
 * The decoded tables. Filled by `decodeSeriesFrame`; valid until the next decode into the same object and as long as `bytes`
 * is not overwritten. Read the columns only up to the counts: they are larger than that.
 */
export class SeriesFrame {
  /** The frame; all starts are offsets into it. */
  bytes: Uint8Array = new Uint8Array(0);
  /** Text of a warning frame. */
  warning: string | undefined = undefined;
  /** Content of a hints frame; its value is a view. */
  hints: Any | undefined = undefined;

  seriesCount = 0;
  /** First byte of the series message, after tag and length. */
  seriesStart: Int32Array = new Int32Array(64);
  /** Exclusive. */
  seriesEnd: Int32Array = new Int32Array(64);
  /**
   * Exclusive end of the labels, if the message is nothing but labels followed by chunks, as all known writers have it; then
   * `[seriesStart, labelsEnd)` and `[labelsEnd, seriesEnd)` can be copied as they are. Else -1.
   */
  labelsEnd: Int32Array = new Int32Array(64);
  /** `seriesCount + 1` entries. */
  labelOffsets: Int32Array = new Int32Array(65);
  /** `seriesCount + 1` entries. */
  chunkOffsets: Int32Array = new Int32Array(65);

  labelCount = 0;
  labelRanges: Int32Array = new Int32Array(64 * 8 * LABEL_STRIDE);

  chunkCount = 0;
  /** First and last timestamp, ms, inclusive. */
  chunkMint: Float64Array = new Float64Array(256);
  chunkMaxt: Float64Array = new Float64Array(256);
  /** Byte range of the chunk as a field of its series: tag, length and message. */
  chunkStart: Int32Array = new Int32Array(256);
  chunkEnd: Int32Array = new Int32Array(256);
  /** `chunkCount + 1` entries. */
  partOffsets: Int32Array = new Int32Array(257);

  partCount = 0;
  /** One of AGGREGATE. */
  partAggregate: Uint8Array = new Uint8Array(256);
  /** Encoding byte as in chunk files (XOR is 1): one more than on the wire. 255 stands for all past it. */
  partEncoding: Uint8Array = new Uint8Array(256);
  partStart: Int32Array = new Int32Array(256);
  partBytes: Int32Array = new Int32Array(256);
  /** xxhash64 of the data in two words; both 0 if the sender did not compute it. */
  partHashHi: Uint32Array = new Uint32Array(256);
  partHashLo: Uint32Array = new Uint32Array(256);

  /** Cursor of the decoder, kept to be reused. */
  readonly reader: WireReader = new WireReader();

  /** Makes room for one more series row. */
  growSeries(): void {
    this.seriesStart = grownColumn(this.seriesStart);
    this.seriesEnd = grownColumn(this.seriesEnd);
    this.labelsEnd = grownColumn(this.labelsEnd);
    this.labelOffsets = grownColumn(this.labelOffsets);
    this.chunkOffsets = grownColumn(this.chunkOffsets);
  }

  /** Makes room for one more label row. */
  growLabels(): void {
    this.labelRanges = grownColumn(this.labelRanges);
  }

  /** Makes room for one more chunk row. */
  growChunks(): void {
    this.chunkMint = grownColumn(this.chunkMint);
    this.chunkMaxt = grownColumn(this.chunkMaxt);
    this.chunkStart = grownColumn(this.chunkStart);
    this.chunkEnd = grownColumn(this.chunkEnd);
    this.partOffsets = grownColumn(this.partOffsets);
  }

  /** Makes room for one more part row. */
  growParts(): void {
    this.partAggregate = grownColumn(this.partAggregate);
    this.partEncoding = grownColumn(this.partEncoding);
    this.partHashHi = grownColumn(this.partHashHi);
    this.partHashLo = grownColumn(this.partHashLo);
    this.partStart = grownColumn(this.partStart);
    this.partBytes = grownColumn(this.partBytes);
  }
}

/** Creates empty tables. */
export function createSeriesFrame(): SeriesFrame {
  return new SeriesFrame();
}

/** Labels of one series as strings. */
export function frameLabels(frame: SeriesFrame, series: number): Labels {
  const out: string[] = [];
  const end = frame.labelOffsets[series + 1]! * LABEL_STRIDE;
  for (let i = frame.labelOffsets[series]! * LABEL_STRIDE; i < end; i += 2) {
    const start = frame.labelRanges[i]!;
    out.push(utf8Decode(frame.bytes, start, start + frame.labelRanges[i + 1]!));
  }
  return out;
}

/** Data of one part, a view into the frame. */
export function framePartData(frame: SeriesFrame, part: number): Uint8Array {
  const start = frame.partStart[part]!;
  return frame.bytes.subarray(start, start + frame.partBytes[part]!);
}

/**
 * Orders series `i` of `a` against series `j` of `b` as Prometheus orders labels: name, then value, pair by pair, as bytes;
 * of two where one is the beginning of the other the shorter comes first.
 */
export function compareFrameLabels(a: SeriesFrame, i: number, b: SeriesFrame, j: number): number {
  const x = a.bytes;
  const y = b.bytes;
  const aEnd = a.labelOffsets[i + 1]! * LABEL_STRIDE;
  const bEnd = b.labelOffsets[j + 1]! * LABEL_STRIDE;
  let p = a.labelOffsets[i]! * LABEL_STRIDE;
  let q = b.labelOffsets[j]! * LABEL_STRIDE;
  while (p < aEnd && q < bEnd) {
    let s = a.labelRanges[p]!;
    let t = b.labelRanges[q]!;
    const sBytes = a.labelRanges[p + 1]!;
    const tBytes = b.labelRanges[q + 1]!;
    const stop = s + Math.min(sBytes, tBytes);
    for (; s < stop; s++, t++) {
      const difference = x[s]! - y[t]!;
      if (difference !== 0) return difference;
    }
    if (sBytes !== tBytes) return sBytes - tBytes;
    p += 2;
    q += 2;
  }
  return aEnd - p - (bEnd - q);
}
