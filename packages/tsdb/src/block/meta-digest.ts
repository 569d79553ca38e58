/**
 * A digest over meta.json, which has no checksum of its own: kept in `thanos.extensions`, which Thanos carries along and does not read.
 *
 *   "extensions": { "gauntletDigest": { "ulid": "01…", "meta": "<16 hex digits>" } }
 *
 * It covers what gives samples their meaning: name, range, counters, origin, external labels, resolution. Left out is what uploads and
 * downsampling fill in later (files, index_stats, upload_time). Extensions are copied from block to block by compaction, so a digest that names
 * another block says nothing.
 */
import { utf8Encode, wordsToHex, xxhash64 } from '@gauntlet/bytes';
import { TsdbError } from '../errors.ts';
import type { BlockMeta } from './block-meta.ts';

/** Key below `thanos.extensions`. */
export const META_DIGEST_KEY = 'gauntletDigest';

/** What stands under the key. */
export interface MetaDigest {
  /** The block it is of. */
  readonly ulid: string;
  /** xxhash64, seed 0, of the covered part. */
  readonly meta: string;
}

type JsonObject = Readonly<Record<string, unknown>>;

function member(value: unknown, key: string): unknown {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && Object.hasOwn(value, key) ? (value as JsonObject)[key] : undefined;
}

/** Computes the digest of a meta, to be put into its `thanos.extensions` under META_DIGEST_KEY. */
export function computeMetaDigest(meta: BlockMeta): MetaDigest {
  const { ulid, minTime, maxTime, stats, compaction, thanos } = meta;
  const labels = member(thanos, 'labels');
  const sorted = typeof labels === 'object' && labels !== null ? Object.entries(labels).sort(([a], [b]) => (a < b ? -1 : 1)) : null;
  const covered = [
    ulid,
    minTime,
    maxTime,
    [stats.numSamples, stats.numFloatSamples ?? 0, stats.numHistogramSamples ?? 0, stats.numSeries, stats.numChunks],
    [compaction.level, compaction.sources, (compaction.parents ?? []).map((parent) => [parent.ulid, parent.minTime, parent.maxTime]), compaction.hints ?? []],
    sorted,
    member(member(thanos, 'downsample'), 'resolution') ?? 0,
    member(thanos, 'source') ?? '',
  ];
  return { ulid, meta: wordsToHex(xxhash64(utf8Encode(JSON.stringify(covered)))) };
}

/** Holds a meta to the digest in it, if there is one of this block. @throws TsdbError ERR_BLOCK_META */
export function checkMetaDigest(meta: BlockMeta): void {
  const digest = member(member(meta.thanos, 'extensions'), META_DIGEST_KEY);
  if (digest === undefined || member(digest, 'ulid') !== meta.ulid) return;
  const want = member(digest, 'meta');
  const got = computeMetaDigest(meta).meta;
  if (got === want) return;
  throw new TsdbError('ERR_BLOCK_META', `read meta.json of block ${meta.ulid}: digest ${got}, want ${String(want)} as ${META_DIGEST_KEY} says`, { place: { block: meta.ulid, file: 'meta.json', section: 'thanos.extensions', offset: 0 } });
}
