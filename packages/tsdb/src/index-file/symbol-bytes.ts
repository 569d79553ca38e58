/**
 * A table of symbols as its bytes, one behind the other: what is merged, and written, without making strings.
 *
 *   symbols   '' a bc        bytes   a b c        starts   0 0 1 3
 */
import { utf8Decode, utf8EncodeInto, utf8Length } from '@gauntlet/bytes';

/** Symbols by ordinal; symbol i is the bytes [starts[i], starts[i + 1]). */
export interface SymbolBytes {
  readonly count: number;
  readonly bytes: Uint8Array;
  /** `count` + 1 of them count. */
  readonly starts: Uint32Array;
}

/** Collects symbols. */
export class SymbolBytesBuilder {
  #count = 0;
  #bytes: Uint8Array;
  #starts: Uint32Array;

  /** @param countMax most symbols there may be */
  constructor(countMax: number, bytes: number) {
    this.#bytes = new Uint8Array(bytes);
    this.#starts = new Uint32Array(countMax + 1);
  }

  get count(): number {
    return this.#count;
  }

  /** Adds the bytes [from, to) of `source` as a symbol. */
  add(source: Uint8Array, from: number, to: number): void {
    let at = this.#starts[this.#count]!;
    if (at + to - from > this.#bytes.length) {
      const bytes = new Uint8Array(Math.max(at + to - from, this.#bytes.length * 2));
      bytes.set(this.#bytes);
      this.#bytes = bytes;
    }
    for (let i = from; i < to; i++) this.#bytes[at++] = source[i]!;
    this.#starts[++this.#count] = at;
  }

  /** What was added; nothing may be added after. */
  take(): SymbolBytes {
    return { count: this.#count, bytes: this.#bytes, starts: this.#starts };
  }
}

/** Strings as bytes, less than 4 GiB in all. */
export function encodeSymbols(symbols: readonly string[]): SymbolBytes {
  let total = 0;
  for (const symbol of symbols) total += utf8Length(symbol);
  const bytes = new Uint8Array(total);
  const starts = new Uint32Array(symbols.length + 1);
  for (let i = 0; i < symbols.length; i++) starts[i + 1] = starts[i]! + utf8EncodeInto(symbols[i]!, bytes, starts[i]!);
  return { count: symbols.length, bytes, starts };
}

/** The string of an ordinal. */
export function symbolText({ bytes, starts }: SymbolBytes, ordinal: number): string {
  return utf8Decode(bytes, starts[ordinal], starts[ordinal + 1]);
}

/** Orders bytes [a, aEnd) of one array and [b, bEnd) of another: negative, 0 or positive. */
export function compareRanges(left: Uint8Array, a: number, aEnd: number, right: Uint8Array, b: number, bEnd: number): number {
  const shared = aEnd - a < bEnd - b ? aEnd - a : bEnd - b;
  for (let i = 0; i < shared; i++) if (left[a + i] !== right[b + i]) return left[a + i]! - right[b + i]!;
  return aEnd - a - (bEnd - b);
}
