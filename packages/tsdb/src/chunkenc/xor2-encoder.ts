/**
 * Encodes floats, with or without start timestamps, into XOR2 chunks, bit for bit as Prometheus 3.14 appends them. Layout of the payload:
 * xor2-chunk.ts. Merging and deleting do this, neither of them often. Source: Prometheus tsdb/chunkenc/xor2.go.
 */
import { BitWriter, writeUvarintWords, writeVarint } from '@gauntlet/bytes';
import { StartTimestampWriter } from '@gauntlet/kernels';
import { STALE_NAN_HI, STALE_NAN_LO } from '@gauntlet/model';
import { TsdbError } from '../errors.ts';

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
  const stream = new Xor2Stream(64 + (to - from) * 4);
  for (let i = from; i < to; i++) stream.add(timestampsMs[i]!, words[2 * i + 1]!, words[2 * i]!, startTimestamps === undefined ? 0 : startTimestamps[i]!);
  return stream.bytes().slice();
}

/** A chunk being written, sample by sample. */
export class Xor2Stream {
  readonly #writer: BitWriter;
  readonly #value: ValueField;
  readonly #starts = new StartTimestampWriter();
  readonly #scratch = new Uint8Array(10);
  /** Samples written. */
  count = 0;
  #timeMs = 0;
  #delta = 0;

  /** @param roomBytes to begin with */
  constructor(roomBytes: number = 128) {
    this.#writer = new BitWriter(roomBytes);
    // Count and start header: filled in when the bytes are asked for.
    this.#writer.writeBits(0, 24);
    this.#value = new ValueField(this.#writer);
  }

  /** Bytes so far. */
  get byteLength(): number {
    return Math.ceil(this.#writer.bitLength / 8);
  }

  /** The payload so far; a view valid until the next sample. */
  bytes(): Uint8Array {
    const bytes = this.#writer.bytes();
    bytes[0] = this.count >>> 8;
    bytes[1] = this.count & 0xff;
    bytes[2] = this.#starts.header;
    return bytes;
  }

  /**
   * Appends a float by its bits.
   * @param startMs 0 = not known
   * @throws TsdbError ERR_CHUNK_WRITE for times or differences beyond ±(2^53 − 1)
   */
  add(timeMs: number, high: number, low: number, startMs: number): void {
    const [writer, value, scratch] = [this.#writer, this.#value, this.#scratch];
    const [time, start, previous] = [checked(timeMs), checked(startMs), this.#timeMs];
    if (this.count === 0) {
      writer.writeBytes(scratch.subarray(0, writeVarint(scratch, 0, time)));
      value.writeFirst(high, low);
    } else {
      const next = checked(time - previous);
      const change = checked(next - this.#delta);
      this.#delta = next;
      if (this.count === 1) {
        // A negative difference is written as its two's complement, which takes ten bytes.
        writer.writeBytes(scratch.subarray(0, writeUvarintWords(scratch, 0, Math.floor(next / TWO_32), next)));
        value.writeLong(high, low);
      } else if (change === 0) value.writeShort(high, low);
      else {
        writeChange(writer, change);
        value.writeLong(high, low);
      }
    }
    this.#starts.write(writer, this.count, time, previous, start);
    this.#timeMs = time;
    this.count++;
  }
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
