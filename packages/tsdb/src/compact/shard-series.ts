/**
 * Shares the series of several blocks out to shards, before any is written: a block begins with its symbols, so each shard's must be known.
 *
 *   series {a} {b} {c} {d}      shard of labels      shard 0  {a} {d}     symbols '' a d
 *                               ──────────────►      shard 1  {b} {c}     symbols '' b c
 *
 * Memory: two bytes a series, and per shard a quarter of a byte a symbol, besides its list of symbols.
 */
import { type Labels, stableHashLabels } from '@gauntlet/model';
import type { Block } from '../block/block-reader.ts';
import { TsdbError } from '../errors.ts';
import { createSeriesEntry } from '../index-file/series-entry.ts';
import { type SymbolBytes, SymbolBytesBuilder } from '../index-file/symbol-bytes.ts';
import type { MergedSymbols } from './merge-symbols.ts';

/** Which shard a series goes to: a whole number in [0, shards), and the same whenever it is asked. */
export type ShardOf = (labels: Labels) => number;

/** Most shards. */
export const SHARDS_MAX = 65_535;
const POLL_SERIES = 1000;

/** The hash of all labels, by which one of `count` shards is chosen: even, and the same in every process. */
export function shardByHash(count: number): ShardOf {
  const carry = 2 ** 32 % count;
  return (labels) => {
    const { hi, lo } = stableHashLabels(labels);
    return ((hi % count) * carry + (lo % count)) % count;
  };
}

/** Where series go. */
export interface SeriesShards {
  /** By input, by place among its series. */
  readonly shards: readonly Uint16Array[];
  /** By shard. */
  readonly symbols: readonly SymbolSubset[];
}

/**
 * Walks the indexes of the inputs.
 * @param poll called now and then; what it throws ends the walk
 * @throws TsdbError ERR_COMPACT_INPUT when `shardOf` gives no shard; ERR_INDEX_CORRUPT
 */
export function shardSeries(blocks: readonly Block[], merged: MergedSymbols, count: number, shardOf: ShardOf, poll: () => void): SeriesShards {
  if (!Number.isInteger(count) || count < 1 || count > SHARDS_MAX) throw new TsdbError('ERR_COMPACT_INPUT', `compact into shards: got ${count} of them, want 1 to ${SHARDS_MAX}`);
  const symbols = Array.from({ length: count }, () => new SymbolSubset(merged.symbols));
  // Prometheus' blocks begin with the empty string.
  if (merged.symbols.count > 0 && merged.symbols.starts[1] === 0) for (const one of symbols) one.add(0);
  const entry = createSeriesEntry();
  const shards = blocks.map((block, input) => {
    const map = merged.maps[input]!;
    const postings = block.index.allPostings();
    const chosen = new Uint16Array(postings.length);
    for (let series = 0; series < postings.length; series++) {
      if (series % POLL_SERIES === 0) poll();
      block.index.readSeries(postings[series]!, entry);
      const labels = block.index.labelsOf(entry);
      const shard = shardOf(labels);
      const subset = symbols[shard];
      if (subset === undefined) throw new TsdbError('ERR_COMPACT_INPUT', `compact block ${block.meta.ulid} into ${count} shards: series ${JSON.stringify(labels)} got shard ${shard}`);
      chosen[series] = shard;
      for (let i = 0; i < entry.labelCount * 2; i++) subset.add(map[entry.symbols[i]!]!);
    }
    return chosen;
  });
  for (const one of symbols) one.freeze();
  return { shards, symbols };
}

/** Some of the symbols of a table, and what ordinals they have among themselves. */
export class SymbolSubset {
  readonly #table: SymbolBytes;
  /** A bit per symbol. */
  readonly #bits: Uint32Array;
  /** Members before each word of bits. */
  readonly #before: Uint32Array;
  #count = 0;

  constructor(table: SymbolBytes) {
    this.#table = table;
    this.#bits = new Uint32Array(Math.ceil(table.count / 32));
    this.#before = new Uint32Array(this.#bits.length);
  }

  /** Takes the symbol with that ordinal. */
  add(ordinal: number): void {
    this.#bits[ordinal >>> 5]! |= 1 << (ordinal & 31);
  }

  /** To be called once, after the last `add`. */
  freeze(): void {
    for (let word = 0; word < this.#bits.length; word++) {
      this.#before[word] = this.#count;
      this.#count += ones(this.#bits[word]!);
    }
  }

  /** The members, in the order of the table. */
  list(): SymbolBytes {
    const { count, bytes, starts } = this.#table;
    const members = new SymbolBytesBuilder(this.#count, 1024);
    for (let ordinal = 0; ordinal < count; ordinal++) if (((this.#bits[ordinal >>> 5]! >>> (ordinal & 31)) & 1) === 1) members.add(bytes, starts[ordinal]!, starts[ordinal + 1]!);
    return members.take();
  }

  /** Ordinal of a member in `list()`. */
  rank(ordinal: number): number {
    const word = ordinal >>> 5;
    return this.#before[word]! + ones(this.#bits[word]! & ((1 << (ordinal & 31)) - 1));
  }
}

/** Set bits of a word. */
function ones(word: number): number {
  let bits = word - ((word >>> 1) & 0x55555555);
  bits = (bits & 0x33333333) + ((bits >>> 2) & 0x33333333);
  return Math.imul((bits + (bits >>> 4)) & 0x0f0f0f0f, 0x01010101) >>> 24;
}
