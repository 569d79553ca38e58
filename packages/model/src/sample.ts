/**
 * Stale markers: the NaN that says "this series ended here". It is told from other NaNs by its 64 bits, never by value, and JavaScript
 * keeps NaN bits only inside typed arrays; so everything here works on the two 32-bit words of a Float64Array.
 *
 *   stale  0x7ff00000_00000002      normal  0x7ff80000_00000001
 *
 * Source: Prometheus model/value/value.go.
 */

/** Upper and lower word of the stale marker. */
export const STALE_NAN_HI = 0x7ff00000;
export const STALE_NAN_LO = 2;

/** Upper and lower word of the NaN that Prometheus writes for "not a number". */
export const NORMAL_NAN_HI = 0x7ff80000;
export const NORMAL_NAN_LO = 1;

/** Index of the upper word in a pair: 1 on little-endian machines, which are all that run JavaScript today; computed all the same. */
const HI = new Uint8Array(new Uint32Array([1]).buffer)[0] === 1 ? 1 : 0;
const LO = 1 - HI;

/** The words under a column of values: two per value, sharing its memory. */
export function wordsOf(values: Float64Array): Uint32Array {
  return new Uint32Array(values.buffer, values.byteOffset, values.length * 2);
}

/**
 * Whether value `index` of a column is the stale marker.
 * @param words the column's words, see `wordsOf`
 */
export function isStaleNaN(words: Uint32Array, index: number): boolean {
  return words[2 * index + LO] === STALE_NAN_LO && words[2 * index + HI] === STALE_NAN_HI;
}

/** Writes the stale marker as value `index` of a column. */
export function writeStaleNaN(words: Uint32Array, index: number): void {
  words[2 * index + HI] = STALE_NAN_HI;
  words[2 * index + LO] = STALE_NAN_LO;
}
