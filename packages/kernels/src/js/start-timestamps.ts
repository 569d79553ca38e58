/**
 * Start timestamps in chunks: since when a counter counts, or where the interval of a delta began. XOR2 chunks and the histogram chunks of
 * encodings 5 and 6 store them the same way, behind each sample.
 *
 *   header byte   1 bit: sample 0 has a start │ 7 bits: first sample whose start differs from the one before, 0 = none
 *   sample 0      varint t − start, if the header says so
 *   that sample   varbit previous t − start            samples before it have the start of sample 0
 *   later ones    varbit change of that difference
 *
 * 0 stands for a start that is not known. Sample 127 counts as differing when none before it did: seven bits name no later one. What reads them
 * are the kernels, each with its sample. Source: Prometheus tsdb/chunkenc/st.go.
 */
import { type BitWriter, writeVarint } from '@gauntlet/bytes';
import { writeVarbitInt } from './varbit.ts';

const FIRST_KNOWN = 0x80;
/** The last sample that the header can name. */
const CHANGE_MAX = 0x7f;

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
