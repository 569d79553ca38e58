/**
 * A growing JSON text as UTF-8 bytes in pieces of about one megabyte: a large answer never exists as one string or one buffer, and each piece can be
 * transferred between threads.
 */
import type { Kernels } from '@gauntlet/kernels';
import { POINT_JSON_BYTES_MAX, STEP_JSON_ROOM, STEP_TEXT_BYTES } from '@gauntlet/kernels';
import type { StepRows } from '@gauntlet/promql';

/** What `JsonBuffer` needs of the kernels. */
export type PointKernels = Pick<Kernels, 'memory' | 'writePointsJson' | 'writeStepTexts' | 'writeStepsJson'>;

/** Size of a piece, bytes. */
export const PIECE_BYTES: number = 1 << 20;

/** Points written by one call of the kernel; their columns and text take 640 KiB of kernel memory. */
const POINTS_MAX = 8192;

/** Room that always suffices for some progress; also the smallest size of a piece. */
const LEAST_BYTES = 64;

const encoder = new TextEncoder();

/**
 * Collects text. The owner takes full pieces with `takeFull` as often as it likes, at the end the rest with `finish`; pieces belong to whom they are given.
 */
export class JsonBuffer {
  readonly #pieceBytes: number;
  #full: Uint8Array<ArrayBuffer>[] = [];
  #piece: Uint8Array<ArrayBuffer> = new Uint8Array(0);
  #used = 0;
  #isFirst = true;
  /** Columns and text of POINTS_MAX points in kernel memory; 0 until needed. */
  #scratch = 0;
  #kernels: PointKernels | undefined;
  /** Texts, values, presence and output of steps in kernel memory; 0 until needed. */
  #stepScratch = 0;
  /** Range of steps whose texts are in the scratch. */
  #textFrom = -1;
  #textTo = -1;

  constructor(pieceBytes: number = PIECE_BYTES) {
    this.#pieceBytes = Math.max(pieceBytes, LEAST_BYTES);
  }

  /** Appends a string. */
  text(text: string): void {
    let rest = text;
    for (;;) {
      this.#room(rest.length * 3);
      const { read, written } = encoder.encodeInto(rest, this.#piece.subarray(this.#used));
      this.#used += written;
      if (read === rest.length) return;
      rest = rest.slice(read);
      this.#flush();
    }
  }

  /**
   * Appends points [from, to) of two columns as `[seconds,"value"],…`, without brackets around.
   * @param timestampsMs whole milliseconds
   */
  points(kernels: PointKernels, timestampsMs: Float64Array, values: Float64Array, from: number, to: number): void {
    this.#kernels = kernels;
    if (this.#scratch === 0) this.#scratch = kernels.memory.alloc(POINTS_MAX * (16 + POINT_JSON_BYTES_MAX));
    const timestampsPtr = this.#scratch;
    const valuesPtr = timestampsPtr + POINTS_MAX * 8;
    const outPtr = valuesPtr + POINTS_MAX * 8;
    for (let at = from; at < to; at += POINTS_MAX) {
      const count = Math.min(POINTS_MAX, to - at);
      kernels.memory.f64(timestampsPtr, count).set(timestampsMs.subarray(at, at + count));
      kernels.memory.f64(valuesPtr, count).set(values.subarray(at, at + count));
      const bytes = kernels.writePointsJson(timestampsPtr, valuesPtr, count, outPtr, POINTS_MAX * POINT_JSON_BYTES_MAX);
      if (bytes < 0) throw new RangeError(`write points as JSON: timestamps from ${timestampsMs[at]} ms on are not whole milliseconds`);
      if (at > from) this.text(',');
      this.#bytes(kernels.memory.u8(outPtr, bytes));
    }
  }

  /**
   * Appends the present steps [from, to) of a row as `[seconds,"value"],…`, at most POINTS_MAX of them. All calls are about the same steps.
   * @param isFirst no comma before the first point
   * @returns whether there was one
   */
  steps(kernels: PointKernels, rows: StepRows, row: number, from: number, to: number, isFirst: boolean): boolean {
    const room = Math.min(rows.steps, POINTS_MAX);
    const outBytes = room * POINT_JSON_BYTES_MAX + STEP_JSON_ROOM;
    this.#kernels = kernels;
    if (this.#stepScratch === 0) this.#stepScratch = kernels.memory.alloc(room * (STEP_TEXT_BYTES + 9) + outBytes);
    const textPtr = this.#stepScratch;
    const valuesPtr = textPtr + room * STEP_TEXT_BYTES;
    const outPtr = valuesPtr + room * 8;
    const presentPtr = outPtr + outBytes;
    const count = to - from;
    if (this.#textFrom !== from || this.#textTo !== to) {
      const startMs = rows.startMs + from * rows.stepMs;
      if (kernels.writeStepTexts(startMs, rows.stepMs, count, textPtr) < 0) throw new RangeError(`write steps as JSON: timestamps from ${startMs} ms on are not whole milliseconds`);
      this.#textFrom = from;
      this.#textTo = to;
    }
    const at = row * rows.steps + from;
    kernels.memory.f64(valuesPtr, count).set(rows.values.subarray(at, at + count));
    kernels.memory.u8(presentPtr, count).set(rows.present.subarray(at, at + count));
    const bytes = kernels.writeStepsJson(textPtr, valuesPtr, presentPtr, count, outPtr, outBytes);
    if (bytes === 0) return false;
    if (!isFirst) this.text(',');
    this.#bytes(kernels.memory.u8(outPtr, bytes));
    return true;
  }

  /** The pieces that are full, in order. */
  takeFull(): Uint8Array<ArrayBuffer>[] {
    const full = this.#full;
    if (full.length > 0) this.#full = [];
    return full;
  }

  /** All pieces that are left. Call `dispose` too. */
  finish(): Uint8Array<ArrayBuffer>[] {
    this.#flush();
    return this.takeFull();
  }

  /** Gives back kernel memory; safe to call twice. */
  dispose(): void {
    if (this.#scratch !== 0) this.#kernels?.memory.free(this.#scratch);
    if (this.#stepScratch !== 0) this.#kernels?.memory.free(this.#stepScratch);
    this.#scratch = 0;
    this.#stepScratch = 0;
  }

  #bytes(source: Uint8Array): void {
    for (let at = 0; at < source.length; ) {
      this.#room(source.length - at);
      const count = Math.min(source.length - at, this.#piece.length - this.#used);
      this.#piece.set(source.subarray(at, at + count), this.#used);
      this.#used += count;
      at += count;
    }
  }

  /** Makes room for `wanted` bytes, or for as much as a piece can give but at least LEAST_BYTES: by growing the first piece, or by starting another. */
  #room(wanted: number): void {
    if (this.#piece.length - this.#used >= wanted) return;
    if (this.#piece.length < this.#pieceBytes) {
      const bytes = this.#isFirst ? Math.min(this.#pieceBytes, Math.max(4096, this.#piece.length * 4, this.#used + wanted)) : this.#pieceBytes;
      const grown = new Uint8Array(bytes);
      grown.set(this.#piece.subarray(0, this.#used));
      this.#piece = grown;
    }
    if (this.#piece.length - this.#used < Math.min(wanted, LEAST_BYTES)) {
      this.#flush();
      this.#piece = new Uint8Array(this.#pieceBytes);
    }
  }

  #flush(): void {
    if (this.#used === 0) return;
    // A piece that is nearly full is handed over as it is; of others only the used part, so that transferring costs nothing for the rest.
    this.#full.push(this.#used * 2 > this.#piece.length ? this.#piece.subarray(0, this.#used) : this.#piece.slice(0, this.#used));
    this.#piece = new Uint8Array(0);
    this.#used = 0;
    this.#isFirst = false;
  }
}
