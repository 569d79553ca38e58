/**
 * Encodes floats, with or without start timestamps, into XOR2 chunks, bit for bit as Prometheus 3.14 appends them. Layout of the payload:
 * xor2-chunk.ts. Merging and deleting do this, neither of them often. Source: Prometheus tsdb/chunkenc/xor2.go.
 */
import { BitWriter, writeUvarintWords, writeVarint } from '@gauntlet/bytes';
import { STALE_NAN_HI, STALE_NAN_LO } from '@gauntlet/model';
import { TsdbError } from '../errors.ts';
import { StartTimestampWriter } from './start-timestamps.ts';

const TWO_32 = 4294967296;
const SAMPLES_MAX = 65535;

/** Columns of equal length. */
export interface Xor2Samples {
  readonly timestampsMs: Float64Array;
  /** Raw bits are kept. */
  readonly values: Float64Array;
  /** 0 = not known; absent when no sample has one. */
  readonly startTimestamps?: Float64Array | undefined;
}

/**
 * Writes the samples [from, to) as the payload of one chunk.
 * @throws TsdbError ERR_CHUNK_WRITE for more than 65,535 samples, and for times or differences beyond ±(2^53 − 1)
 */
export function encodeXor2Chunk(samples: Xor2Samples, from: number, to: number): Uint8Array {
  const { timestampsMs, values, startTimestamps } = samples;
  if (to - from > SAMPLES_MAX) throw new TsdbError('ERR_CHUNK_WRITE', `encode XOR2 chunk: ${to - from} samples, want at most ${SAMPLES_MAX}`);
  const words = new Uint32Array(values.buffer, values.byteOffset, values.length * 2);
  const writer = new BitWriter(64 + (to - from) * 4);
  writer.writeBits(to - from, 16);
  writer.writeByte(0);
  const scratch = new Uint8Array(10);
  const value = new ValueField(writer);
  const starts = startTimestamps === undefined ? undefined : new StartTimestampWriter();
  let delta = 0;
  for (let i = from; i < to; i++) {
    const time = checked(timestampsMs[i]!);
    const previous = i === from ? 0 : timestampsMs[i - 1]!;
    const low = words[2 * i]!;
    const high = words[2 * i + 1]!;
    if (i === from) {
      writer.writeBytes(scratch.subarray(0, writeVarint(scratch, 0, time)));
      value.writeFirst(high, low);
    } else {
      const next = checked(time - previous);
      const change = checked(next - delta);
      delta = next;
      if (i === from + 1) {
        // A negative difference is written as its two's complement, which takes ten bytes.
        writer.writeBytes(scratch.subarray(0, writeUvarintWords(scratch, 0, Math.floor(delta / TWO_32), delta)));
        value.writeLong(high, low);
      } else if (change === 0) value.writeShort(high, low);
      else {
        writeChange(writer, change);
        value.writeLong(high, low);
      }
    }
    starts?.write(writer, i - from, time, previous, checked(startTimestamps![i]!));
  }
  const data = writer.bytes().slice();
  if (starts !== undefined) data[2] = starts.header;
  return data;
}

function checked(time: number): number {
  if (!Number.isSafeInteger(time)) throw new TsdbError('ERR_CHUNK_WRITE', `encode XOR2 chunk: time or difference ${time}, want an integer within ±(2^53 − 1)`);
  return time;
}

/** A change of the distance between samples, other than 0. */
function writeChange(writer: BitWriter, change: number): void {
  if (change >= -4096 && change <= 4095) writer.writeBits((0b110 << 13) | (change & 0x1fff), 16);
  else if (change >= -524288 && change <= 524287) writer.writeBits((0b1110 << 20) | (change & 0xfffff), 24);
  else {
    writer.writeBits(0b11110, 5);
    writer.writeBits64(Math.floor(change / TWO_32) >>> 0, change >>> 0, 64);
  }
}

/** The values: bits of the last one that is no stale marker, and the window. */
class ValueField {
  readonly #writer: BitWriter;
  #high = 0;
  #low = 0;
  /** −1 before the first window. */
  #leading = -1;
  #trailing = 0;

  constructor(writer: BitWriter) {
    this.#writer = writer;
  }

  writeFirst(high: number, low: number): void {
    this.#writer.writeBits64(high, low, 64);
    if (isStale(high, low)) return;
    this.#high = high;
    this.#low = low;
  }

  /** After the code of a time. */
  writeLong(high: number, low: number): void {
    if (isStale(high, low)) this.#writer.writeBits(0b111, 3);
    else if (high === this.#high && low === this.#low) this.#writer.writeBit(0);
    else {
      this.#writer.writeBit(1);
      this.#writeDifference(high, low, 0b10, 2);
    }
  }

  /** Where the distance in time stays: the code says both. */
  writeShort(high: number, low: number): void {
    if (isStale(high, low)) this.#writer.writeBits(0b11111, 5);
    else if (high === this.#high && low === this.#low) this.#writer.writeBit(0);
    else {
      this.#writer.writeBits(0b10, 2);
      this.#writeDifference(high, low, 1, 1);
    }
  }

  /** @param newWindow code of a window that follows, in so many bits; 0 in one bit says that the last one holds */
  #writeDifference(high: number, low: number, newWindow: number, newWindowBits: number): void {
    const writer = this.#writer;
    const deltaHigh = (high ^ this.#high) >>> 0;
    const deltaLow = (low ^ this.#low) >>> 0;
    this.#high = high;
    this.#low = low;
    // Five bits hold at most 31.
    const leading = Math.min(deltaHigh !== 0 ? Math.clz32(deltaHigh) : 31, 31);
    const trailing = deltaLow !== 0 ? countTrailing(deltaLow) : 32 + countTrailing(deltaHigh);
    if (this.#leading >= 0 && leading >= this.#leading && trailing >= this.#trailing) writer.writeBit(0);
    else {
      this.#leading = leading;
      this.#trailing = trailing;
      writer.writeBits(newWindow, newWindowBits);
      writer.writeBits((leading << 6) | ((64 - leading - trailing) & 63), 11);
    }
    const shift = this.#trailing;
    const shiftedLow = shift >= 32 ? deltaHigh >>> (shift - 32) : shift === 0 ? deltaLow : ((deltaLow >>> shift) | (deltaHigh << (32 - shift))) >>> 0;
    writer.writeBits64(shift >= 32 ? 0 : deltaHigh >>> shift, shiftedLow, 64 - this.#leading - shift);
  }
}

function isStale(high: number, low: number): boolean {
  return high === STALE_NAN_HI && low === STALE_NAN_LO;
}

function countTrailing(word: number): number {
  return 31 - Math.clz32(word & -word);
}
