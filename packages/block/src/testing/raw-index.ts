/**
 * Index files of any content, right or wrong: the writer of tsdb refuses series and chunks out of order, old Prometheus did not.
 * Layout as in tsdb `index-file/layout.ts`; only the postings of all series and of names are written.
 */
import { compareUtf8, crc32c, GrowableBytes } from '@gauntlet/bytes';
import { INDEX_MAGIC, INDEX_VERSION, SERIES_ALIGN } from '@gauntlet/tsdb';

/** A series as it is to stand in the file. */
export interface RawSeries {
  /** Name, value, … in the order wanted. */
  readonly labels: readonly string[];
  /** mint, maxt, reference of each chunk, in the order wanted. */
  readonly chunks: readonly (readonly [number, number, number])[];
}

/** Options of {@link encodeRawIndex}. */
export interface RawIndexOptions {
  /** Order of the symbols, to get it wrong; default: byte order. */
  readonly symbols?: readonly string[];
}

/** An unsigned varint of the 64 bits of a number, negative ones wrapped as Go does. */
function putWrapped(out: GrowableBytes, value: number): void {
  let rest = BigInt.asUintN(64, BigInt(value));
  while (rest >= 0x80n) {
    out.putU8(Number(rest & 0x7fn) | 0x80);
    rest >>= 7n;
  }
  out.putU8(Number(rest));
}

function putSection(out: GrowableBytes, body: GrowableBytes): number {
  const at = out.length;
  out.putBE32(body.length);
  out.putBytes(body.bytes());
  out.putBE32(crc32c(body.bytes()));
  return at;
}

/** The bytes of an index with exactly these series, in this order. */
export function encodeRawIndex(series: readonly RawSeries[], options: RawIndexOptions = {}): Uint8Array {
  const symbols = options.symbols ?? [...new Set(series.flatMap(({ labels }) => labels))].sort(compareUtf8);
  const out = new GrowableBytes(4096);
  out.putBE32(INDEX_MAGIC);
  out.putU8(INDEX_VERSION);
  const body = new GrowableBytes(4096);
  body.putBE32(symbols.length);
  for (const symbol of symbols) body.putUvarintString(symbol);
  const symbolsAt = putSection(out, body);
  const seriesAt = out.length;
  const refs = series.map(({ labels, chunks }) => {
    out.putZeros((SERIES_ALIGN - (out.length % SERIES_ALIGN)) % SERIES_ALIGN);
    const ref = out.length / SERIES_ALIGN;
    body.reset();
    body.putUvarint(labels.length / 2);
    for (const label of labels) body.putUvarint(symbols.indexOf(label));
    body.putUvarint(chunks.length);
    for (const [i, [mint, maxt, chunkRef]] of chunks.entries()) {
      const before = chunks[i - 1];
      if (before === undefined) body.putVarint(mint);
      else putWrapped(body, mint - before[1]);
      putWrapped(body, maxt - mint);
      if (before === undefined) body.putUvarint(chunkRef);
      else body.putVarint(chunkRef - before[2]);
    }
    out.putUvarint(body.length);
    out.putBytes(body.bytes());
    out.putBE32(crc32c(body.bytes()));
    return ref;
  });
  const pairs = new Map<string, readonly [name: string, value: string, refs: number[]]>([['', ['', '', refs]]]);
  for (const [i, { labels }] of series.entries()) {
    for (let j = 0; j < labels.length; j += 2) {
      const key = JSON.stringify([labels[j], labels[j + 1]]);
      if (!pairs.has(key)) pairs.set(key, [labels[j]!, labels[j + 1]!, []]);
      pairs.get(key)![2].push(refs[i]!);
    }
  }
  const table = new GrowableBytes(4096);
  const sorted = [...pairs.values()].sort((a, b) => compareUtf8(a[0], b[0]) || compareUtf8(a[1], b[1]));
  table.putBE32(sorted.length);
  let postingsAt = 0;
  for (const [name, value, list] of sorted) {
    out.putZeros((4 - (out.length % 4)) % 4);
    body.reset();
    body.putBE32(list.length);
    for (const ref of list) body.putBE32(ref);
    const at = putSection(out, body);
    postingsAt ||= at;
    table.putUvarint(2);
    table.putUvarintString(name);
    table.putUvarintString(value);
    table.putUvarint(at);
  }
  const tableAt = putSection(out, table);
  const toc = new GrowableBytes(64);
  for (const offset of [symbolsAt, seriesAt, postingsAt, 0, postingsAt, tableAt]) toc.putBE64(offset);
  toc.putBE32(crc32c(toc.bytes()));
  out.putBytes(toc.bytes());
  return out.bytes().slice();
}
