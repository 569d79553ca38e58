/**
 * Series entries of a block, many per call of a kernel: a stretch of the index that holds the next entries is copied into kernel memory and
 * decoded there.
 *
 *   postings   r0  r1  r2 … │ r3                    entries more than a stretch apart wait for the next one
 *   index      [e0][e1]  [e2]│        [e3]
 *
 * What the kernel will not decode (damage, the entry of a series with very many chunks) is left to the caller. Labels are symbol ordinals.
 */
import type { Kernels } from '@gauntlet/kernels';
import type { IndexReader } from '../index-file/index-reader.ts';
import { SERIES_ALIGN } from '../index-file/layout.ts';
import type { Postings } from '../index-file/postings.ts';

const ENTRIES_MAX = 128;
/** From the first entry to where the last one begins. */
const STRETCH_BYTES_MAX = 32 * 1024;
/** Read for the last entry, whose length is not known. */
const TAIL_BYTES = 1024;
const SYMBOLS_MAX = ENTRIES_MAX * 32;
const CHUNKS_MAX = 4096;
/** Fewer entries are not worth a call. */
const ENTRIES_MIN = 4;

/** The entries decoded last, in columns of its own. */
export class EntryBatch {
  readonly #index: IndexReader;
  readonly #kernels: Kernels;
  readonly #mint: number;
  readonly #maxt: number;
  /** Entries there are. */
  count = 0;
  /** Up to its end an entry has so many symbols and so many chunks. */
  readonly ends: Int32Array = new Int32Array(ENTRIES_MAX * 2);
  readonly symbols: Uint32Array = new Uint32Array(SYMBOLS_MAX);
  readonly mint: Float64Array = new Float64Array(CHUNKS_MAX);
  readonly maxt: Float64Array = new Float64Array(CHUNKS_MAX);
  readonly refs: Float64Array = new Float64Array(CHUNKS_MAX);

  /** Chunks that do not touch [mint, maxt] are left out. */
  constructor(index: IndexReader, kernels: Kernels, mint: number, maxt: number) {
    this.#index = index;
    this.#kernels = kernels;
    this.#mint = mint;
    this.#maxt = maxt;
  }

  /** Decodes entries of postings from `position` on. `count` says how many; 0 where the next one has to be read in another way. */
  fill(postings: Postings, position: number): void {
    this.count = 0;
    const first = postings[position]!;
    let wanted = 1;
    while (wanted < ENTRIES_MAX && position + wanted < postings.length && (postings[position + wanted]! - first) * SERIES_ALIGN <= STRETCH_BYTES_MAX) wanted++;
    if (wanted < ENTRIES_MIN) return;
    const stretchBytes = (postings[position + wanted - 1]! - first) * SERIES_ALIGN + TAIL_BYTES;
    const { memory } = this.#kernels;
    // One allocation: columns of doubles first, so that all is aligned.
    const chunksPtr = memory.alloc(CHUNKS_MAX * 24 + SYMBOLS_MAX * 4 + ENTRIES_MAX * 12 + stretchBytes);
    try {
      const symbolsPtr = chunksPtr + CHUNKS_MAX * 24;
      const endsPtr = symbolsPtr + SYMBOLS_MAX * 4;
      const offsetsPtr = endsPtr + ENTRIES_MAX * 8;
      const bytesPtr = offsetsPtr + ENTRIES_MAX * 4;
      const bytes = this.#index.seriesBytes(first, stretchBytes);
      memory.u8(bytesPtr, bytes.length).set(bytes);
      const offsets = memory.i32(offsetsPtr, wanted);
      for (let i = 0; i < wanted; i++) offsets[i] = (postings[position + i]! - first) * SERIES_ALIGN;
      this.count = this.#kernels.decodeSeriesEntries(bytesPtr, bytes.length, offsetsPtr, wanted, this.#mint, this.#maxt, symbolsPtr, SYMBOLS_MAX, chunksPtr, CHUNKS_MAX, endsPtr);
      if (this.count === 0) return;
      this.ends.set(memory.i32(endsPtr, this.count * 2));
      const symbols = this.ends[this.count * 2 - 2]!;
      const chunks = this.ends[this.count * 2 - 1]!;
      this.symbols.set(new Uint32Array(memory.buffer, symbolsPtr, symbols));
      this.mint.set(memory.f64(chunksPtr, chunks));
      this.maxt.set(memory.f64(chunksPtr + CHUNKS_MAX * 8, chunks));
      this.refs.set(memory.f64(chunksPtr + CHUNKS_MAX * 16, chunks));
    } finally {
      memory.free(chunksPtr);
    }
  }
}
