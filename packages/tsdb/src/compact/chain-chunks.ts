/**
 * Chains the samples of chunks that overlap, in Prometheus' order, with no more chunks decoded at a time than have samples around the place reached.
 *
 *   chunk 0   ├────────┤                      decoded when its first sample is wanted, let go after its last
 *   chunk 1       ├────────┤
 *   chunk 2                     ├────┤        until then its mint stands for its first sample
 *
 * The moves are those of `chainOrder` (chain-samples.ts). Source: Prometheus storage/merge.go, `chainSampleIterator`.
 */
import { TieHeap } from './tie-heap.ts';

/** Walks samples of chunks; `columns` and `sample` are valid after `next()` returned true, until the next call. */
export class ChunkChain<Columns extends { readonly timestampsMs: Float64Array }> {
  readonly #mints: readonly number[];
  readonly #open: (chunk: number) => Columns;
  readonly #opened: (Columns | undefined)[] = [];
  /** Sample of each chunk that it stands at. */
  readonly #at: Int32Array;
  readonly #heap: TieHeap;
  #chunk = 0;
  #lastTime: number = Number.NEGATIVE_INFINITY;

  /**
   * @param mints first timestamp of each chunk, at least one, in the order in which Prometheus chains them
   * @param open decodes a chunk, which has samples and begins at its mint
   */
  constructor(mints: readonly number[], open: (chunk: number) => Columns) {
    this.#mints = mints;
    this.#open = open;
    this.#at = new Int32Array(mints.length);
    // The first step moves on to the first sample.
    this.#at[0] = -1;
    this.#heap = new TieHeap((a, b) => this.#timeOf(a) < this.#timeOf(b));
    for (let chunk = 1; chunk < mints.length; chunk++) this.#heap.push(chunk);
  }

  /** The chunk of the sample, decoded. */
  get columns(): Columns {
    return this.#columnsOf(this.#chunk);
  }

  /** Its place there. */
  get sample(): number {
    return this.#at[this.#chunk]!;
  }

  /** Moves to the next sample. @throws what `open` throws */
  next(): boolean {
    for (;;) {
      const { timestampsMs } = this.#columnsOf(this.#chunk);
      const at = ++this.#at[this.#chunk]!;
      if (at < timestampsMs.length) {
        const time = timestampsMs[at]!;
        if (time === this.#lastTime) continue;
        if (this.#heap.size === 0 || time < this.#timeOf(this.#heap.top)) return this.#reach(time);
        this.#heap.push(this.#chunk);
      } else {
        if (this.#heap.size === 0) return false;
        this.#opened[this.#chunk] = undefined;
      }
      this.#chunk = this.#heap.pop();
      const time = this.#timeOf(this.#chunk);
      if (time !== this.#lastTime) return this.#reach(time);
    }
  }

  #reach(time: number): boolean {
    this.#lastTime = time;
    return true;
  }

  #columnsOf(chunk: number): Columns {
    return (this.#opened[chunk] ??= this.#open(chunk));
  }

  #timeOf(chunk: number): number {
    const columns = this.#opened[chunk];
    return columns === undefined ? this.#mints[chunk]! : columns.timestampsMs[this.#at[chunk]!]!;
  }
}
