/**
 * Filters that read the marks of every block: one request per block and fetch.
 *
 *   deletion        hides blocks marked longer ago than the delay (their replacement has been seen by then); keeps the marks for cleaners
 *   no-compact …    hide nothing, gather the marks for planners
 *
 * A mark that is cut off counts as what it was at the last fetch, or as absent, with a warning; a mark that cannot be read fails the
 * fetch, and the marks known before stay.
 */
import type { Bucket } from '@gauntlet/objstore';
import type { Logger } from '@gauntlet/service-kit';

import { BlockError } from '../errors.ts';
import { forEachLimited } from '../local-file.ts';
import { MARKERS, readMarker } from '../markers.ts';
import type { Marker, MarkerKind } from '../markers.ts';
import type { BlockMetas, MetaFilter } from '../meta-filter.ts';

/** What the filters read with. */
export interface MarkFilterDeps {
  readonly bucket: Bucket;
  readonly log: Logger;
  /** Milliseconds since 1970. */
  readonly clock: () => number;
  /** Marks read at once; default 32. */
  readonly concurrency?: number;
}

/** A filter that knows the marks of the blocks it last saw. */
export interface MarkFilter extends MetaFilter {
  /** Marks by block id, of the last fetch; those of blocks that are gone are forgotten. */
  marks(): ReadonlyMap<string, Marker>;
}

/** @param before marks of the last fetch: one that is cut off now keeps its earlier content */
async function readMarks(deps: MarkFilterDeps, ids: readonly string[], kind: MarkerKind, before: ReadonlyMap<string, Marker>, signal: AbortSignal | undefined): Promise<Map<string, Marker>> {
  const marks = new Map<string, Marker>();
  await forEachLimited(ids, deps.concurrency ?? 32, async (id) => {
    try {
      const mark = await readMarker(deps.bucket, id, kind, signal);
      if (mark !== undefined) marks.set(id, mark);
    } catch (error) {
      if (!(error instanceof BlockError && error.code === 'ERR_MARKER_CORRUPT')) throw error;
      deps.log.warn(`found partial ${MARKERS[kind].file}; if it is seen often for the same block, consider deleting it from the object storage`, { block: id, err: error });
      const earlier = before.get(id);
      if (earlier !== undefined) marks.set(id, earlier);
    }
  });
  return marks;
}

/** @param delayMs how long a marked block is still seen: `--ignore-deletion-marks-delay` */
export function createDeletionMarkFilter(deps: MarkFilterDeps, delayMs: number): MarkFilter {
  let known: ReadonlyMap<string, Marker> = new Map();
  return {
    marks: () => known,
    apply: async (metas, counts, signal) => {
      known = await readMarks(deps, [...metas.keys()], 'deletion', known, signal);
      const nowMs = deps.clock();
      for (const [id, mark] of known) {
        if (nowMs - mark.timeSeconds * 1000 <= delayMs) continue;
        counts.add('marked-for-deletion');
        metas.delete(id);
      }
    },
  };
}

/** Gathers no-compact or no-downsample marks. */
export function createMarkGatherer(deps: MarkFilterDeps, kind: 'no-compact' | 'no-downsample'): MarkFilter {
  let known: ReadonlyMap<string, Marker> = new Map();
  return {
    marks: () => known,
    apply: async (metas: BlockMetas, counts, signal) => {
      known = await readMarks(deps, [...metas.keys()], kind, known, signal);
      for (const id of known.keys()) {
        void id;
        counts.add(kind === 'no-compact' ? 'marked-for-no-compact' : 'marked-for-no-downsample');
      }
    },
  };
}
