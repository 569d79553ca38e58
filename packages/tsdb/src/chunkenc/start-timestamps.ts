/**
 * Start timestamps in chunks: since when a counter counts, or where the interval of a delta began. XOR2 chunks and the histogram chunks of
 * encodings 5 and 6 store them the same way, behind each sample.
 *
 *   header byte   1 bit: sample 0 has a start │ 7 bits: first sample whose start differs from the one before, 0 = none
 *   sample 0      varint t − start, if the header says so
 *   that sample   varbit previous t − start            samples before it have the start of sample 0
 *   later ones    varbit change of that difference
 *
 * 0 stands for a start that is not known. Sample 127 counts as differing when none before it did: seven bits name no later one.
 * Source: Prometheus tsdb/chunkenc/st.go.
 */
import { type BitReader, type BitWriter, BytesError, writeVarint } from '@gauntlet/bytes';
import { readVarbitInt, writeVarbitInt } from './varbit.ts';

const FIRST_KNOWN = 0x80;
/** The last sample that the header can name. */
const CHANGE_MAX = 0x7f;

/** Reads the starts of a chunk into a column, each after its sample was read. */
export class StartTimestampReader {
  /** One per sample, ms since 1970, 0 = not known. */
  readonly startTimestamps: Float64Array;
  readonly #reader: BitReader;
  readonly #isFirstKnown: boolean;
  readonly #changeAt: number;
  #start = 0;
  #distance = 0;

  /** @param header the byte; @param count samples of the chunk */
  constructor(reader: BitReader, header: number, count: number) {
    this.#reader = reader;
    this.#isFirstKnown = (header & FIRST_KNOWN) !== 0;
    this.#changeAt = header & CHANGE_MAX || count;
    this.startTimestamps = new Float64Array(count);
  }

  /**
   * To be called for each sample in turn.
   * @param timeMs of the sample; `deltaMs` is its distance from the one before
   * @throws BytesError ERR_BYTES_TRUNCATED; ERR_BYTES_UNSAFE_INTEGER for starts beyond ±2^53
   */
  read(sample: number, timeMs: number, deltaMs: number): void {
    if (sample === 0) {
      if (this.#isFirstKnown) this.#start = timeMs - readVarintBits(this.#reader);
    } else if (sample >= this.#changeAt) {
      const value = readVarbitInt(this.#reader);
      this.#distance = sample === this.#changeAt ? value : this.#distance + value;
      this.#start = timeMs - deltaMs - this.#distance;
    }
    if (!Number.isSafeInteger(this.#start) || !Number.isSafeInteger(this.#distance)) {
      throw new BytesError('ERR_BYTES_UNSAFE_INTEGER', `read start timestamp of sample ${sample}: beyond ±(2^53 − 1)`, Math.floor(this.#reader.bitOffset / 8));
    }
    this.startTimestamps[sample] = this.#start;
  }
}

/** Writes the starts of a chunk, each after its sample was written; the header is known at the end. */
export class StartTimestampWriter {
  #isFirstKnown = false;
  #changeAt = 0;
  #start = 0;
  #distance = 0;
  readonly #scratch = new Uint8Array(10);

  /** The header byte, for what was written so far. */
  get header(): number {
    return (this.#isFirstKnown ? FIRST_KNOWN : 0) | this.#changeAt;
  }

  /**
   * To be called for each sample in turn.
   * @param timeMs of the sample; `previousMs` of the one before, 0 for the first
   * @param start 0 = not known
   */
  write(writer: BitWriter, sample: number, timeMs: number, previousMs: number, start: number): void {
    if (sample === 0) {
      if (start !== 0) {
        writer.writeBytes(this.#scratch.subarray(0, writeVarint(this.#scratch, 0, timeMs - start)));
        this.#isFirstKnown = true;
      }
    } else if (this.#changeAt > 0) {
      const distance = previousMs - start;
      writeVarbitInt(writer, distance - this.#distance);
      this.#distance = distance;
    } else if (start !== this.#start || sample === CHANGE_MAX) {
      this.#changeAt = sample;
      this.#distance = previousMs - start;
      writeVarbitInt(writer, this.#distance);
    }
    this.#start = start;
  }
}

/** A zig-zag varint at any bit. */
function readVarintBits(reader: BitReader): number {
  let value = 0;
  let scale = 1;
  let isNegative = false;
  for (let i = 0; ; i++) {
    const byte = reader.readBits(8);
    if (i === 0) {
      isNegative = (byte & 1) === 1;
      value = (byte & 0x7f) >>> 1;
      scale = 64;
    } else {
      value += (byte & 0x7f) * scale;
      scale *= 128;
    }
    if (byte < 0x80) break;
    if (i === 9) throw new BytesError('ERR_BYTES_VARINT', 'read varint of a start timestamp: more than ten bytes', Math.floor(reader.bitOffset / 8));
  }
  return isNegative ? -value - 1 : value;
}
