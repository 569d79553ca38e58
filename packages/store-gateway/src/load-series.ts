/**
 * Series entries of one block: a batch of references → labels and chunks, decoded into columns one after the other.
 *
 * How long an entry is, is not known before it is read. Ranges are planned with a guess (meta.json's series_max_size where it is
 * known); an entry that is longer is read again. Checksums are checked for every entry.
 */
import { crc32c } from '@gauntlet/bytes';
import { be32, CRC_BYTES, decodeSeriesEntry, SERIES_ALIGN, type SeriesEntry } from '@gauntlet/tsdb';
import { type BlockAccess, indexKey } from './block-access.ts';
import { StoreGatewayError } from './errors.ts';
import { planRanges } from './range-plan.ts';

/** The entries of a batch; release when their bytes are no longer used. */
export interface SeriesBatchBytes {
  readonly count: number;
  /** Decodes entry `i`. @throws StoreGatewayError ERR_BLOCK_DAMAGED */
  decode(i: number, out: SeriesEntry): void;
  release(): void;
}

/** Bytes of the length field at most. */
const LENGTH_BYTES_MAX = 5;

/**
 * Loads entries.
 * @param refs ascending
 * @throws StoreGatewayError ERR_BLOCK_DAMAGED; StoreError for a limit; ObjstoreError
 */
export async function loadSeries(access: BlockAccess, refs: Uint32Array): Promise<SeriesBatchBytes> {
  const { target, io, limits, stats, clock } = access;
  const key = indexKey(target.id);
  const starts = new Float64Array(refs.length);
  const ends = new Float64Array(refs.length);
  for (let i = 0; i < refs.length; i++) {
    const start = refs[i]! * SERIES_ALIGN;
    starts[i] = start;
    // Entries do not overlap: the next one asked for bounds this one.
    const next = i + 1 < refs.length ? refs[i + 1]! * SERIES_ALIGN : Number.POSITIVE_INFINITY;
    ends[i] = Math.min(start + target.seriesBytes, next, Math.max(target.indexBytes, start + 1));
  }
  const damaged = (i: number, what: string): StoreGatewayError => new StoreGatewayError('ERR_BLOCK_DAMAGED', `read series of block ${target.id}: object ${key}, offset ${starts[i]}: ${what}`);
  const parts = planRanges(starts, ends, refs.length);
  const cacheKeys = parts.map((part) => `S:${target.id}:${part.start}-${part.end}`);
  const cached = await io.cached('Series', cacheKeys);
  const held: Uint8Array[] = [];
  const read = async (start: number, length: number): Promise<Uint8Array> => {
    limits.reserveBytes(length, 'while fetching series');
    const startMs = clock();
    const bytes = await io.read(key, start, length);
    held.push(bytes);
    stats.series.fetchMs += clock() - startMs;
    stats.series.fetches++;
    stats.series.fetchedBytes += bytes.length;
    return bytes;
  };

  const entryBytes: Uint8Array[] = [];
  await Promise.all(parts.map(async (part, p) => {
    let bytes = cached[p];
    if (bytes === undefined) {
      bytes = await read(part.start, part.end - part.start);
      stats.series.fetched += part.last - part.first;
      io.cache('Series', [[cacheKeys[p]!, bytes]]);
    } else limits.reserveBytes(bytes.length, 'while loading series from index cache');
    for (let i = part.first; i < part.last; i++) entryBytes[i] = bytes.subarray(starts[i]! - part.start);
  }));

  const heads = new Uint8Array(refs.length);
  const lengths = new Uint32Array(refs.length);
  const short: number[] = [];
  for (let i = 0; i < refs.length; i++) {
    const bytes = entryBytes[i]!;
    let length = 0;
    let head = 0;
    let byte: number;
    do {
      if (head >= bytes.length || head >= LENGTH_BYTES_MAX) throw damaged(i, 'length is truncated or over-long');
      byte = bytes[head]!;
      length += (byte & 0x7f) * 2 ** (7 * head);
      head++;
    } while (byte >= 0x80);
    if (starts[i]! + head + length + CRC_BYTES > target.indexBytes) throw damaged(i, `length ${length} passes the end of the index (${target.indexBytes} bytes)`);
    heads[i] = head;
    lengths[i] = length;
    if (head + length + CRC_BYTES > bytes.length) short.push(i);
  }
  if (short.length > 0) {
    stats.seriesRefetches += short.length;
    await Promise.all(short.map(async (i) => {
      const wanted = heads[i]! + lengths[i]! + CRC_BYTES;
      entryBytes[i] = await read(starts[i]!, wanted);
      if (entryBytes[i]!.length < wanted) throw damaged(i, `length ${lengths[i]} passes the end of the index`);
    }));
  }
  stats.series.touched += refs.length;
  return {
    count: refs.length,
    decode(i, out) {
      const bytes = entryBytes[i]!;
      const start = heads[i]!;
      const end = start + lengths[i]!;
      const wanted = be32(bytes, end);
      const got = crc32c(bytes.subarray(start, end));
      if (got !== wanted) throw damaged(i, `invalid checksum ${got.toString(16)}, want ${wanted.toString(16)}`);
      const problem = decodeSeriesEntry(bytes, start, end, out);
      if (problem !== '') throw damaged(i, problem);
      stats.series.touchedBytes += end + CRC_BYTES;
    },
    release() {
      entryBytes.length = 0;
      io.release(held.reduce((sum, bytes) => sum + bytes.length, 0));
      for (const bytes of held) io.reuse(bytes);
      held.length = 0;
    },
  };
}
