/**
 * Is meta.json that of this folder? It has no checksum, and what it says of time decides which samples are looked at: a wrong digit would hide
 * data without a word. So opening a block holds it to what has checksums.
 *
 *   folder 01M7…/meta.json "ulid"           the same name
 *   minTime ≤ first chunk, last chunk < maxTime   of the series in the index: all of a small block, a sample of a large one
 *   thanos.extensions.gauntletDigest         where present
 *
 * A sample does, because a wrong range cuts off every series that has samples there, not one of them.
 */
import { formatLabels } from '@gauntlet/model';
import { TsdbError } from '../errors.ts';
import type { IndexReader } from '../index-file/index-reader.ts';
import { createSeriesEntry } from '../index-file/series-entry.ts';
import type { BlockMeta } from './block-meta.ts';
import { checkMetaDigest } from './meta-digest.ts';
import { isUlid } from './ulid.ts';

/** Series looked at: up to so many all of them, else so many clusters of neighbours, evenly spread. */
const SERIES_WHOLE_MAX = 4096;
const CLUSTERS = 32;
const CLUSTER_SERIES = 32;

/**
 * Holds a meta to the folder's name, and to its digest.
 * @param folder last segment of the path; only a ULID is compared
 * @throws TsdbError ERR_BLOCK_META
 */
export function checkMetaName(meta: BlockMeta, folder: string): void {
  const name = folder.slice(0, 26);
  if (isUlid(name) && (folder.length === 26 || folder[26] === '.') && name !== meta.ulid) throw metaError(folder, `ulid is ${meta.ulid}, which is not the folder's name`);
  checkMetaDigest(meta);
}

/**
 * Looks for chunks that the range of the meta hides.
 * @throws TsdbError ERR_BLOCK_META naming a series; ERR_INDEX_CORRUPT
 */
export function checkMetaRange(meta: BlockMeta, index: IndexReader): void {
  const postings = index.allPostings();
  const entry = createSeriesEntry();
  const check = (ref: number): void => {
    index.readSeries(ref, entry);
    for (let i = 0; i < entry.chunkCount; i++) {
      if (entry.mint[i]! >= meta.minTime && entry.maxt[i]! < meta.maxTime) continue;
      throw metaError(meta.ulid, `range [${meta.minTime}, ${meta.maxTime}) hides the chunk from ${entry.mint[i]} to ${entry.maxt[i]} of series ${formatLabels(index.labelsOf(entry))}`);
    }
  };
  if (postings.length <= SERIES_WHOLE_MAX) {
    for (const ref of postings) check(ref);
    return;
  }
  for (let cluster = 0; cluster < CLUSTERS; cluster++) {
    const first = Math.floor((cluster * (postings.length - CLUSTER_SERIES)) / (CLUSTERS - 1));
    for (let i = first; i < first + CLUSTER_SERIES; i++) check(postings[i]!);
  }
}

function metaError(block: string, what: string): TsdbError {
  return new TsdbError('ERR_BLOCK_META', `read meta.json of block ${block}: ${what}`, { place: { block, file: 'meta.json', section: '', offset: 0 } });
}
