/**
 * Algebra over postings: lists of series references, ascending, each once, as `Uint32Array`.
 *
 *   intersect   two cursors when sizes are alike, without a branch on the order (two of 200,000: 2.7 → 1.3 ms); galloping (doubling
 *               steps, then bisection) from the smaller list when they differ by more than 8×
 *   union       few lists: merged pairwise; many: a bitmap over the range of references (1 M references in a few ms, where a
 *               heap takes 50–100 times as long)
 *   without     as intersect, keeping what is not found; what lies between few that go is copied in runs
 *
 * Results are fresh arrays or one of the inputs: treat every list as immutable. See Prometheus tsdb/index/postings.go.
 */

/** Series references, ascending and unique. Immutable by convention. */
export type Postings = Uint32Array;

/** No series. */
export const EMPTY_POSTINGS: Postings = new Uint32Array(0);

const GALLOP_RATIO = 8;
/** Up to here a union of two lists at a time is cheaper than touching a bitmap. */
const BITMAP_LISTS_MIN = 3;
/** Words of bitmap tolerated per input element before the range is judged too sparse. */
const BITMAP_WORDS_PER_ELEMENT_MAX = 64;

/** First position in `list` at or after `from` whose value is ≥ `target`; `list.length` when none. */
export function seekPostings(list: Postings, from: number, target: number): number {
  const length = list.length;
  if (from >= length || list[from]! >= target) return from;
  let step = 1;
  let low = from;
  while (low + step < length && list[low + step]! < target) {
    low += step;
    step *= 2;
  }
  let high = Math.min(low + step, length);
  // list[low] < target; list[high] ≥ target or high = length.
  while (low + 1 < high) {
    const middle = (low + high) >>> 1;
    if (list[middle]! < target) low = middle;
    else high = middle;
  }
  return high;
}

function intersectTwo(a: Postings, b: Postings): Postings {
  const small = a.length <= b.length ? a : b;
  const large = small === a ? b : a;
  if (small.length === 0) return EMPTY_POSTINGS;
  // One more than can be found: it is written before it is known whether it counts, so that nothing branches on the order.
  const out = new Uint32Array(small.length + 1);
  let count = 0;
  if (large.length > small.length * GALLOP_RATIO) {
    let position = 0;
    for (let i = 0; i < small.length; i++) {
      const ref = small[i]!;
      position = seekPostings(large, position, ref);
      if (position === large.length) break;
      if (large[position] === ref) out[count++] = ref;
    }
  } else {
    let i = 0;
    let j = 0;
    while (i < small.length && j < large.length) {
      const x = small[i]!;
      const y = large[j]!;
      out[count] = x;
      count += +(x === y);
      i += +(x <= y);
      j += +(y <= x);
    }
  }
  return count === small.length ? small : out.slice(0, count);
}

/** What all lists have. No lists at all: nothing. */
export function intersectPostings(lists: readonly Postings[]): Postings {
  if (lists.length === 0) return EMPTY_POSTINGS;
  if (lists.length === 1) return lists[0]!;
  const sorted = [...lists].sort((a, b) => a.length - b.length);
  let result = sorted[0]!;
  for (let i = 1; i < sorted.length && result.length > 0; i++) result = intersectTwo(result, sorted[i]!);
  return result;
}

function unionTwo(a: Postings, b: Postings): Postings {
  if (a.length === 0) return b;
  if (b.length === 0) return a;
  const out = new Uint32Array(a.length + b.length);
  let i = 0;
  let j = 0;
  let count = 0;
  while (i < a.length && j < b.length) {
    const x = a[i]!;
    const y = b[j]!;
    out[count++] = x <= y ? x : y;
    i += +(x <= y);
    j += +(y <= x);
  }
  if (i < a.length) {
    out.set(a.subarray(i), count);
    count += a.length - i;
  }
  if (j < b.length) {
    out.set(b.subarray(j), count);
    count += b.length - j;
  }
  return count === out.length ? out : out.slice(0, count);
}

function unionBitmap(lists: readonly Postings[], low: number, high: number, elements: number): Postings {
  const words = new Uint32Array(((high - low) >>> 5) + 1);
  for (const list of lists) {
    for (let i = 0; i < list.length; i++) {
      const bit = list[i]! - low;
      words[bit >>> 5]! |= 1 << (bit & 31);
    }
  }
  const out = new Uint32Array(elements);
  let count = 0;
  for (let w = 0; w < words.length; w++) {
    let word = words[w]!;
    while (word !== 0) {
      const bit = 31 - Math.clz32(word & -word);
      out[count++] = low + w * 32 + bit;
      word &= word - 1;
    }
  }
  return count === elements ? out : out.slice(0, count);
}

function unionSorted(lists: readonly Postings[], elements: number): Postings {
  const all = new Uint32Array(elements);
  let position = 0;
  for (const list of lists) {
    all.set(list, position);
    position += list.length;
  }
  all.sort();
  let count = 0;
  for (let i = 0; i < all.length; i++) {
    if (i === 0 || all[i] !== all[i - 1]) all[count++] = all[i]!;
  }
  return count === all.length ? all : all.slice(0, count);
}

/** What any list has. */
export function unionPostings(lists: readonly Postings[]): Postings {
  const filled = lists.filter((list) => list.length > 0);
  if (filled.length === 0) return EMPTY_POSTINGS;
  if (filled.length === 1) return filled[0]!;
  if (filled.length < BITMAP_LISTS_MIN) return unionTwo(filled[0]!, filled[1]!);
  let low = 0xffffffff;
  let high = 0;
  let elements = 0;
  for (const list of filled) {
    low = Math.min(low, list[0]!);
    high = Math.max(high, list[list.length - 1]!);
    elements += list.length;
  }
  if ((high - low) / 32 > elements * BITMAP_WORDS_PER_ELEMENT_MAX) return unionSorted(filled, elements);
  return unionBitmap(filled, low, high, elements);
}

/** What `list` has and `dropped` has not. */
export function withoutPostings(list: Postings, dropped: Postings): Postings {
  if (list.length === 0 || dropped.length === 0) return list;
  const out = new Uint32Array(list.length + 1);
  let count = 0;
  let i = 0;
  let j = 0;
  if (dropped.length > list.length * GALLOP_RATIO) {
    for (; i < list.length; i++) {
      const ref = list[i]!;
      j = seekPostings(dropped, j, ref);
      if (j === dropped.length || dropped[j] !== ref) out[count++] = ref;
    }
  } else if (list.length > dropped.length * GALLOP_RATIO) {
    // What lies between two that go is copied as it is.
    for (; j < dropped.length; j++) {
      const end = seekPostings(list, i, dropped[j]!);
      out.set(list.subarray(i, end), count);
      count += end - i;
      i = end < list.length && list[end] === dropped[j] ? end + 1 : end;
    }
  } else {
    while (i < list.length && j < dropped.length) {
      const x = list[i]!;
      const y = dropped[j]!;
      out[count] = x;
      count += +(x < y);
      i += +(x <= y);
      j += +(y <= x);
    }
  }
  if (i < list.length) {
    out.set(list.subarray(i), count);
    count += list.length - i;
  }
  return count === list.length ? list : out.slice(0, count);
}

/** Decodes the big-endian references of a postings section. @param bytes 4 bytes per reference, no header */
export function decodePostings(bytes: Uint8Array): Postings {
  const count = bytes.length >>> 2;
  const out = new Uint32Array(count);
  for (let i = 0, at = 0; i < count; i++, at += 4) {
    out[i] = (bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!;
  }
  return out;
}
