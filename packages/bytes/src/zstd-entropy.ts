/**
 * The two entropy codes inside of zstd frames, FSE (tabled asymmetric numeral systems) and Huffman, as decoding tables.
 *
 *   forward bits     table descriptions: least significant bit of the first byte first
 *   backward bits    everything coded: from the last byte's highest set bit, which marks the end, downwards
 *
 * Source: RFC 8878, sections 4.1 and 4.2.
 */
import { BytesError } from './errors.ts';

/** The error of a damaged frame. */
export function damaged(what: string, offset: number): BytesError {
  return new BytesError('ERR_BYTES_ZSTD', `decode zstd at offset ${offset}: ${what}`, offset);
}

/** Position of the highest set bit of a number above 0. */
export function highBit(value: number): number {
  return 31 - Math.clz32(value);
}

/** Reads bits from the end of a range towards its start. Past the start there are zeros, and `left` is negative. */
export class BackwardBits {
  readonly #bytes: Uint8Array;
  readonly #start: number;
  /** Bits left. */
  left: number;

  /** @throws BytesError ERR_BYTES_ZSTD when the end is not marked */
  constructor(bytes: Uint8Array, start: number, end: number) {
    const last = end > start ? bytes[end - 1]! : 0;
    if (last === 0) throw damaged('bit stream without an end mark', Math.max(start, end - 1));
    this.#bytes = bytes;
    this.#start = start;
    this.left = (end - start - 1) * 8 + highBit(last);
  }

  /** The next `count` bits, at most 31, without taking them. */
  peek(count: number): number {
    if (count === 0) return 0;
    const from = this.left - count;
    if (from < 0) return this.left <= 0 ? 0 : (this.#at(0, this.left) << -from) >>> 0;
    return this.#at(from, count);
  }

  /** Takes the next `count` bits, at most 31. */
  read(count: number): number {
    const value = this.peek(count);
    this.left -= count;
    return value;
  }

  /** `count` bits at a bit position. Bytes behind the range are read and masked off. */
  #at(position: number, count: number): number {
    const at = this.#start + (position >>> 3);
    const shift = position & 7;
    const bytes = this.#bytes;
    const low = ((bytes[at]! | ((bytes[at + 1] ?? 0) << 8) | ((bytes[at + 2] ?? 0) << 16) | ((bytes[at + 3] ?? 0) << 24)) >>> shift) >>> 0;
    if (count + shift <= 32) return count === 32 ? low : low & (2 ** count - 1);
    const high = bytes[at + 4] ?? 0;
    return ((low | (high << (32 - shift))) & (2 ** count - 1)) >>> 0;
  }
}

/** An FSE decoding table. */
export interface FseTable {
  /** States: 2^accuracy. */
  readonly accuracy: number;
  readonly symbols: Uint8Array;
  /** Bits to read for the next state, and what to add to them. */
  readonly bits: Uint8Array;
  readonly baselines: Uint16Array;
}

/** The table for counts per symbol; −1 stands for "less than one". @param offset for messages */
export function buildFseTable(counts: ArrayLike<number>, accuracy: number, offset: number): FseTable {
  const size = 1 << accuracy;
  const symbols = new Uint8Array(size);
  const next = new Uint16Array(counts.length);
  let high = size;
  for (let symbol = 0; symbol < counts.length; symbol++) {
    if (counts[symbol] !== -1) continue;
    symbols[--high] = symbol;
    next[symbol] = 1;
  }
  const step = (size >>> 1) + (size >>> 3) + 3;
  let position = 0;
  for (let symbol = 0; symbol < counts.length; symbol++) {
    const count = counts[symbol]!;
    if (count <= 0) continue;
    next[symbol] = count;
    for (let i = 0; i < count; i++) {
      symbols[position] = symbol;
      do position = (position + step) & (size - 1);
      while (position >= high);
    }
  }
  if (position !== 0) throw damaged('symbol counts do not fill the FSE table', offset);
  const bits = new Uint8Array(size);
  const baselines = new Uint16Array(size);
  for (let state = 0; state < size; state++) {
    const order = next[symbols[state]!]!++;
    bits[state] = accuracy - highBit(order);
    baselines[state] = (order << bits[state]!) - size;
  }
  return { accuracy, symbols, bits, baselines };
}

/** The table that always gives one symbol. */
export function constantFseTable(symbol: number): FseTable {
  return { accuracy: 0, symbols: Uint8Array.of(symbol), bits: new Uint8Array(1), baselines: new Uint16Array(1) };
}

/**
 * Reads the description of an FSE table.
 * @returns the table and where the description ends
 */
export function readFseTable(bytes: Uint8Array, start: number, end: number, accuracyMax: number, symbolMax: number): { readonly table: FseTable; readonly end: number } {
  let position = start * 8;
  const stop = end * 8;
  const peek = (count: number): number => {
    // Up to 10 bits, which with a shift of 7 are 17: three bytes at most.
    const value = ((bytes[position >>> 3] ?? 0) | ((bytes[(position >>> 3) + 1] ?? 0) << 8) | ((bytes[(position >>> 3) + 2] ?? 0) << 16)) >>> (position & 7);
    return value & ((1 << count) - 1);
  };
  const accuracy = peek(4) + 5;
  position += 4;
  if (accuracy > accuracyMax) throw damaged(`FSE accuracy ${accuracy}, at most ${accuracyMax}`, start);
  const counts: number[] = [];
  let remaining = 1 << accuracy;
  while (remaining > 0) {
    if (counts.length > symbolMax) throw damaged(`FSE table has a symbol above ${symbolMax}`, start);
    const width = highBit(remaining + 1) + 1;
    const mask = (1 << (width - 1)) - 1;
    const spare = (1 << width) - 1 - (remaining + 1);
    let value = peek(width);
    if ((value & mask) < spare) {
      value &= mask;
      position += width - 1;
    } else {
      if (value > mask) value -= spare;
      position += width;
    }
    if (position > stop) throw damaged('FSE table is cut off', start);
    const count = value - 1;
    remaining -= Math.abs(count);
    counts.push(count);
    if (count !== 0) continue;
    for (;;) {
      const zeros = peek(2);
      position += 2;
      for (let i = 0; i < zeros; i++) counts.push(0);
      if (zeros < 3) break;
      if (position > stop) throw damaged('FSE table is cut off', start);
    }
  }
  if (remaining < 0 || counts.length > symbolMax + 1 || position > stop) throw damaged('FSE table does not add up', start);
  return { table: buildFseTable(counts, accuracy, start), end: Math.ceil(position / 8) };
}

/** A Huffman decoding table, looked up by the next `bitsMax` bits. */
export interface HuffmanTable {
  readonly bitsMax: number;
  readonly symbols: Uint8Array;
  /** Bits that the code has. */
  readonly bits: Uint8Array;
}

/** Longest Huffman code, bits. */
const HUFFMAN_BITS_MAX = 11;
const WEIGHT_ACCURACY_MAX = 6;

/** Reads the description of a Huffman table. @returns the table and where the description ends */
export function readHuffmanTable(bytes: Uint8Array, start: number, end: number): { readonly table: HuffmanTable; readonly end: number } {
  if (start >= end) throw damaged('Huffman table is missing', start);
  const header = bytes[start]!;
  const weights: number[] = [];
  let at = start + 1;
  if (header >= 128) {
    const count = header - 127;
    if (at + Math.ceil(count / 2) > end) throw damaged('Huffman weights are cut off', start);
    for (let i = 0; i < count; i++) weights.push((i & 1) === 0 ? bytes[at + (i >>> 1)]! >>> 4 : bytes[at + (i >>> 1)]! & 15);
    at += Math.ceil(count / 2);
  } else {
    const weightsEnd = at + header;
    if (weightsEnd > end) throw damaged('Huffman weights are cut off', start);
    const description = readFseTable(bytes, at, weightsEnd, WEIGHT_ACCURACY_MAX, HUFFMAN_BITS_MAX + 1);
    readWeights(new BackwardBits(bytes, description.end, weightsEnd), description.table, weights, start);
    at = weightsEnd;
  }
  return { table: buildHuffmanTable(weights, start), end: at };
}

/** Two states take turns until the bits are used up. */
function readWeights(bits: BackwardBits, table: FseTable, weights: number[], offset: number): void {
  const states = [bits.read(table.accuracy), bits.read(table.accuracy)];
  for (let turn = 0; ; turn = 1 - turn) {
    const state = states[turn]!;
    weights.push(table.symbols[state]!);
    states[turn] = table.baselines[state]! + bits.read(table.bits[state]!);
    if (bits.left < 0) {
      weights.push(table.symbols[states[1 - turn]!]!);
      return;
    }
    if (weights.length > 254) throw damaged('more than 255 Huffman weights', offset);
  }
}

function buildHuffmanTable(weights: number[], offset: number): HuffmanTable {
  let sum = 0;
  for (const weight of weights) {
    if (weight > HUFFMAN_BITS_MAX) throw damaged(`Huffman weight ${weight}, at most ${HUFFMAN_BITS_MAX}`, offset);
    if (weight > 0) sum += 1 << (weight - 1);
  }
  if (sum === 0) throw damaged('Huffman weights are all 0', offset);
  const bitsMax = highBit(sum) + 1;
  const rest = (1 << bitsMax) - sum;
  // The last weight is not written: it fills the table.
  if (bitsMax > HUFFMAN_BITS_MAX || (rest & (rest - 1)) !== 0) throw damaged('Huffman weights do not fill a table', offset);
  weights.push(highBit(rest) + 1);
  const symbols = new Uint8Array(1 << bitsMax);
  const bits = new Uint8Array(1 << bitsMax);
  let position = 0;
  for (let weight = 1; weight <= bitsMax; weight++) {
    for (let symbol = 0; symbol < weights.length; symbol++) {
      if (weights[symbol] !== weight) continue;
      const next = position + (1 << (weight - 1));
      symbols.fill(symbol, position, next);
      bits.fill(bitsMax + 1 - weight, position, next);
      position = next;
    }
  }
  return { bitsMax, symbols, bits };
}

/** Decodes one Huffman stream, which must end with the last symbol. */
export function decodeHuffman(table: HuffmanTable, bytes: Uint8Array, start: number, end: number, out: Uint8Array, outStart: number, outEnd: number): void {
  const stream = new BackwardBits(bytes, start, end);
  const { bitsMax, symbols, bits } = table;
  for (let at = outStart; at < outEnd; at++) {
    const code = stream.peek(bitsMax);
    out[at] = symbols[code]!;
    stream.left -= bits[code]!;
    if (stream.left < 0) throw damaged('Huffman stream is too short', start);
  }
  if (stream.left !== 0) throw damaged(`Huffman stream has ${stream.left} bits too many`, start);
}
