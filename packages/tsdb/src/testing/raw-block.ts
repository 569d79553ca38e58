/**
 * Blocks that the writer would refuse, byte by byte: series and labels in any order, chunks that overlap or promise other times, lists that lack
 * or lie. For tests of verification and repair.
 */
import { compareUtf8, crc32c, GrowableBytes } from '@gauntlet/bytes';
import type { Labels } from '@gauntlet/model';
import { formatBlockMeta } from '../block/block-meta.ts';
import { type BlockChunk, chunkSampleCount } from '../block/block-writer.ts';
import { formatTombstones } from '../block/tombstones.ts';
import { CHUNKS_MAGIC, CHUNKS_VERSION } from '../chunks/layout.ts';
import { INDEX_MAGIC, INDEX_VERSION, SERIES_ALIGN } from '../index-file/layout.ts';

/** A list of postings to be written. */
export interface RawList {
  readonly name: string;
  readonly value: string;
  readonly refs: readonly number[];
}

/** What to write, as it is. */
export interface RawBlock {
  readonly ulid: string;
  readonly minTime: number;
  readonly maxTime: number;
  readonly series: readonly { readonly labels: Labels; readonly chunks: readonly BlockChunk[] }[];
  /** Counters that replace what was counted. */
  readonly stats?: Partial<Record<'numSamples' | 'numFloatSamples' | 'numHistogramSamples' | 'numSeries' | 'numChunks', number>>;
  readonly thanos?: unknown;
  /** In this order; default sorted. */
  readonly symbols?: readonly string[];
  /** Positions in `series` of those that no list names. */
  readonly hidden?: readonly number[];
  /** Changes the lists, which come sorted by pair. */
  readonly lists?: (pairs: readonly RawList[]) => readonly RawList[];
  /** Bytes before each chunk but the first. */
  readonly gapBytes?: number;
  /** Writes label indices and their table, as Prometheus 2 does. */
  readonly labelIndices?: boolean;
}

/** The files of the block, by path below its folder. */
export function encodeRawBlock(block: RawBlock): ReadonlyMap<string, Uint8Array> {
  const segment = new GrowableBytes(1024);
  segment.putBE32(CHUNKS_MAGIC);
  segment.putU8(CHUNKS_VERSION);
  segment.putZeros(3);
  let [samples, count] = [0, 0];
  const refs = block.series.map(({ chunks }) =>
    chunks.map(({ encoding, data }) => {
      if (count++ > 0) segment.putZeros(block.gapBytes ?? 0);
      samples += chunkSampleCount(encoding, data);
      const at = segment.length;
      segment.putUvarint(data.length);
      const checked = Uint8Array.of(encoding, ...data);
      segment.putBytes(checked);
      segment.putBE32(crc32c(checked));
      return at;
    }),
  );
  const stats = { numSamples: samples, numSeries: block.series.length, numChunks: count, ...block.stats };
  const { ulid, minTime, maxTime, thanos } = block;
  const meta = { ulid, minTime, maxTime, stats, compaction: { level: 1, sources: [ulid] }, version: 1 as const, ...(thanos !== undefined && { thanos }) };
  return new Map([
    ['meta.json', formatBlockMeta(meta)],
    ['index', encodeIndex(block, refs)],
    ['chunks/000001', segment.bytes().slice()],
    ['tombstones', formatTombstones(new Map())],
  ]);
}

function encodeIndex(block: RawBlock, chunkRefs: readonly (readonly number[])[]): Uint8Array {
  const { series } = block;
  const symbols = block.symbols ?? [...new Set(['', ...series.flatMap(({ labels }) => labels)])].sort(compareUtf8);
  const ordinalOf = new Map(symbols.map((symbol, i) => [symbol, i]));
  const out = new GrowableBytes(4096);
  const section = (fill: (body: GrowableBytes) => void): number => {
    while (out.length % 4 !== 0) out.putU8(0);
    const at = out.length;
    const body = new GrowableBytes(256);
    fill(body);
    out.putBE32(body.length);
    out.putBytes(body.bytes());
    out.putBE32(crc32c(body.bytes()));
    return at;
  };
  out.putBE32(INDEX_MAGIC);
  out.putU8(INDEX_VERSION);
  // The one section that is not aligned.
  const body = new GrowableBytes(256);
  body.putBE32(symbols.length);
  for (const symbol of symbols) body.putUvarintString(symbol);
  const symbolsAt = out.length;
  out.putBE32(body.length);
  out.putBytes(body.bytes());
  out.putBE32(crc32c(body.bytes()));
  const seriesAt = out.length;
  const refs = series.map(({ labels, chunks }, i) => {
    while (out.length % SERIES_ALIGN !== 0) out.putU8(0);
    const ref = out.length / SERIES_ALIGN;
    const encoded = encodeEntry(labels.map((label) => ordinalOf.get(label)!), chunks, chunkRefs[i]!);
    out.putUvarint(encoded.length);
    out.putBytes(encoded.bytes());
    out.putBE32(crc32c(encoded.bytes()));
    return ref;
  });
  const seriesEnd = out.length;
  const pairs = new Map<string, RawList & { readonly refs: number[] }>();
  const named = refs.filter((_, i) => block.hidden?.includes(i) !== true);
  for (const [i, { labels }] of series.entries()) {
    if (block.hidden?.includes(i) === true) continue;
    for (let at = 0; at < labels.length; at += 2) {
      const key = JSON.stringify([labels[at], labels[at + 1]]);
      const pair = pairs.get(key) ?? { name: labels[at]!, value: labels[at + 1]!, refs: [] };
      pairs.set(key, pair);
      pair.refs.push(refs[i]!);
    }
  }
  const sorted = [...pairs.values()].sort((a, b) => compareUtf8(a.name, b.name) || compareUtf8(a.value, b.value));
  const lists: readonly RawList[] = [{ name: '', value: '', refs: named }, ...(block.lists?.(sorted) ?? sorted)];

  let [labelIndices, labelIndicesTable] = [seriesEnd, 0];
  const indexOffsets: (readonly [string, number])[] = [];
  if (block.labelIndices === true) {
    for (const name of new Set(sorted.map((pair) => pair.name))) {
      const values = sorted.filter((pair) => pair.name === name).map(({ value }) => ordinalOf.get(value)!);
      const at = section((index) => {
        for (const number of [1, values.length, ...values]) index.putBE32(number);
      });
      if (indexOffsets.length === 0) labelIndices = at;
      indexOffsets.push([name, at]);
    }
  }
  const offsets = lists.map((list) =>
    section((postings) => {
      for (const number of [list.refs.length, ...list.refs]) postings.putBE32(number);
    }),
  );
  if (indexOffsets.length > 0) {
    labelIndicesTable = section((table) => {
      table.putBE32(indexOffsets.length);
      for (const [name, at] of indexOffsets) {
        table.putUvarint(1);
        table.putUvarintString(name);
        table.putUvarint(at);
      }
    });
  }
  const tableAt = section((table) => {
    table.putBE32(lists.length);
    for (const [i, { name, value }] of lists.entries()) {
      table.putUvarint(2);
      table.putUvarintString(name);
      table.putUvarintString(value);
      table.putUvarint(offsets[i]!);
    }
  });
  const tocAt = out.length;
  for (const offset of [symbolsAt, seriesAt, labelIndices, labelIndicesTable === 0 ? tableAt : labelIndicesTable, labelIndicesTable === 0 ? seriesEnd : offsets[0]!, tableAt]) out.putBE64(offset);
  out.putBE32(crc32c(out.bytes().subarray(tocAt)));
  return out.bytes().slice();
}

/** As Prometheus writes an entry of chunks that are out of order: the difference wraps around. */
function encodeEntry(symbols: readonly number[], chunks: readonly BlockChunk[], refs: readonly number[]): GrowableBytes {
  const out = new GrowableBytes(256);
  out.putUvarint(symbols.length / 2);
  for (const symbol of symbols) out.putUvarint(symbol);
  out.putUvarint(chunks.length);
  for (const [i, { mint, maxt }] of chunks.entries()) {
    if (i === 0) out.putVarint(mint);
    else putWrapped(out, mint - chunks[i - 1]!.maxt);
    out.putUvarint(maxt - mint);
    if (i === 0) out.putUvarint(refs[0]!);
    else out.putVarint(refs[i]! - refs[i - 1]!);
  }
  return out;
}

function putWrapped(out: GrowableBytes, difference: number): void {
  let rest = BigInt.asUintN(64, BigInt(difference));
  for (; rest >= 0x80n; rest >>= 7n) out.putU8(Number(rest & 0x7fn) | 0x80);
  out.putU8(Number(rest));
}
