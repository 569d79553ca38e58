/**
 * Buckets of one sign by index, ascending: what spans say, written out, so that merging and merging at coarser schemas are plain loops.
 *
 *   {offset −1, length 2} {offset 3, length 1}, 4 5 6   →   indexes −1 0 4, counts 4 5 6
 *
 * With losses, each count has what compensated summation lost on the way to it.
 */
import { coarserIndex, exponentialBound } from './bucket-bounds.ts';
import type { HistogramSpan } from './float-histogram.ts';
import { addCompensated } from './float-math.ts';

/** Columns of one length. */
export interface BucketList {
  readonly indexes: Int32Array;
  readonly counts: Float64Array;
}

/** A list with the loss of each count. */
export interface CompensatedList extends BucketList {
  readonly losses: Float64Array;
}

/** Writes spans out; `counts` are the buckets themselves. Of spans and buckets that disagree, what both have. */
export function listBuckets(spans: readonly HistogramSpan[], buckets: Float64Array): BucketList {
  const indexes = new Int32Array(buckets.length);
  let at = 0;
  let index = 0;
  for (const { offset, length } of spans) {
    index += offset;
    for (let i = 0; i < length && at < indexes.length; i++) indexes[at++] = index++;
  }
  return at === indexes.length ? { indexes, counts: buckets } : { indexes: indexes.subarray(0, at), counts: buckets.subarray(0, at) };
}

/** The spans of ascending indexes, none of length 0, none adjacent. */
export function spansOf(indexes: Int32Array): HistogramSpan[] {
  const spans: HistogramSpan[] = [];
  let end = 0;
  for (let i = 0; i < indexes.length; ) {
    const start = indexes[i]!;
    let next = start + 1;
    for (i++; i < indexes.length && indexes[i] === next; i++) next++;
    spans.push({ offset: start - end, length: next - start });
    end = next;
  }
  return spans;
}

/** Whether spans stand for these indexes. Looks at the ends of spans: in between, ascending indexes cannot differ. */
export function spansMatchIndexes(spans: readonly HistogramSpan[], indexes: Int32Array): boolean {
  let at = 0;
  let index = 0;
  for (const { offset, length } of spans) {
    index += offset;
    if (length === 0) continue;
    if (indexes[at] !== index || indexes[at + length - 1] !== index + length - 1) return false;
    at += length;
    index += length;
  }
  return at === indexes.length;
}

/** The list at a coarser schema, in new columns; itself if that is its schema. */
export function coarsenList(list: BucketList, from: number, to: number): BucketList {
  if (from === to || list.indexes.length === 0) return list;
  const indexes = new Int32Array(list.indexes.length);
  const counts = new Float64Array(list.indexes.length);
  let size = 0;
  for (let i = 0; i < list.indexes.length; i++) {
    const index = coarserIndex(list.indexes[i]!, from, to);
    if (size > 0 && indexes[size - 1] === index) counts[size - 1]! += list.counts[i]!;
    else {
      indexes[size] = index;
      counts[size++] = list.counts[i]!;
    }
  }
  return { indexes: indexes.subarray(0, size), counts: counts.subarray(0, size) };
}

/** `coarsenList` with compensation. */
export function coarsenCompensated(list: CompensatedList, from: number, to: number): CompensatedList {
  if (from === to || list.indexes.length === 0) return list;
  const indexes = new Int32Array(list.indexes.length);
  const counts = new Float64Array(list.indexes.length);
  const losses = new Float64Array(list.indexes.length);
  let size = 0;
  for (let i = 0; i < list.indexes.length; i++) {
    const index = coarserIndex(list.indexes[i]!, from, to);
    if (size > 0 && indexes[size - 1] === index) {
      addCompensated(counts, losses, size - 1, list.counts[i]!);
      addCompensated(counts, losses, size - 1, list.losses[i]!);
    } else {
      indexes[size] = index;
      counts[size] = list.counts[i]!;
      losses[size++] = list.losses[i]!;
    }
  }
  return { indexes: indexes.subarray(0, size), counts: counts.subarray(0, size), losses: losses.subarray(0, size) };
}

/** How many buckets at the start of a list of an exponential schema end within the threshold. */
export function bucketsWithin(list: BucketList, schema: number, threshold: number): number {
  if (threshold === 0) return 0;
  let i = 0;
  while (i < list.indexes.length && exponentialBound(schema, list.indexes[i]!) <= threshold) i++;
  return i;
}

/** Whether no bucket of these spans, of an exponential schema, ends within the threshold. Looks at the first only. */
export function startsBeyond(spans: readonly HistogramSpan[], schema: number, threshold: number): boolean {
  if (threshold === 0) return true;
  let index = 0;
  for (const { offset, length } of spans) {
    index += offset;
    if (length > 0) return exponentialBound(schema, index) > threshold;
  }
  return true;
}

/**
 * a + sign·b, bucket by bucket, in new columns.
 * @param skip buckets at the start of b that are left out
 */
export function mergeLists(a: BucketList, b: BucketList, sign: 1 | -1, skip: number): BucketList {
  const size = a.indexes.length + b.indexes.length - skip;
  const indexes = new Int32Array(size);
  const counts = new Float64Array(size);
  let i = 0;
  let j = skip;
  let out = 0;
  while (i < a.indexes.length || j < b.indexes.length) {
    const indexA = i < a.indexes.length ? a.indexes[i]! : Infinity;
    const indexB = j < b.indexes.length ? b.indexes[j]! : Infinity;
    indexes[out] = indexA < indexB ? indexA : indexB;
    if (indexA < indexB) counts[out] = a.counts[i++]!;
    else if (indexB < indexA) counts[out] = sign * b.counts[j++]!;
    else counts[out] = a.counts[i++]! + sign * b.counts[j++]!;
    out++;
  }
  return { indexes: indexes.subarray(0, out), counts: counts.subarray(0, out) };
}

/** a + b with compensation; columns of a are written to when b has no bucket that a lacks. */
export function mergeCompensated(a: CompensatedList, b: CompensatedList | BucketList, skip: number): CompensatedList {
  const lossesB = 'losses' in b ? b.losses : undefined;
  const { indexes, counts, losses } = withIndexes(a, b.indexes, skip);
  let at = 0;
  for (let j = skip; j < b.indexes.length; j++, at++) {
    const index = b.indexes[j]!;
    while (indexes[at] !== index) at++;
    addCompensated(counts, losses, at, b.counts[j]!);
    if (lossesB !== undefined && lossesB[j] !== 0) addCompensated(counts, losses, at, lossesB[j]!);
  }
  return { indexes, counts, losses };
}

/** The list with empty buckets where the other indexes have some that it lacks; itself if none. */
function withIndexes(a: CompensatedList, others: Int32Array, skip: number): CompensatedList {
  let missing = 0;
  for (let i = 0, j = skip; j < others.length; j++) {
    while (i < a.indexes.length && a.indexes[i]! < others[j]!) i++;
    if (i === a.indexes.length || a.indexes[i] !== others[j]) missing++;
  }
  if (missing === 0) return a;
  const size = a.indexes.length + missing;
  const indexes = new Int32Array(size);
  const counts = new Float64Array(size);
  const losses = new Float64Array(size);
  for (let out = 0, i = 0, j = skip; out < size; out++) {
    const indexA = i < a.indexes.length ? a.indexes[i]! : Infinity;
    const indexB = j < others.length ? others[j]! : Infinity;
    if (indexB <= indexA) j++;
    indexes[out] = Math.min(indexA, indexB);
    if (indexA > indexB) continue;
    counts[out] = a.counts[i]!;
    losses[out] = a.losses[i++]!;
  }
  return { indexes, counts, losses };
}
