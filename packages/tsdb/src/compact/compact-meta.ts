/**
 * What a compacted block is, from what went into it: level, sources, parents, hints, range.
 * Source: Prometheus tsdb/compact.go, `CompactBlockMetas`.
 */
import type { BlockCompaction, BlockMeta } from '../block/block-meta.ts';

/** The part of a new block's meta that is known before its series are. */
export interface CompactedMeta {
  readonly minTime: number;
  readonly maxTime: number;
  readonly compaction: BlockCompaction;
}

/** A block only of out-of-order samples: said of the result when all inputs say it. */
const OUT_OF_ORDER = 'from-out-of-order';
/** Said of the result when any input says it. */
const INHERITED_HINTS: readonly string[] = ['from-stale-series', 'from-selected-series'];

/** Combines the metas of blocks, at least one. Parents keep the order given. */
export function compactMetas(metas: readonly BlockMeta[]): CompactedMeta {
  const has = (meta: BlockMeta, hint: string): boolean => meta.compaction.hints?.includes(hint) === true;
  const hints = INHERITED_HINTS.filter((hint) => metas.some((meta) => has(meta, hint)));
  if (metas.every((meta) => has(meta, OUT_OF_ORDER))) hints.push(OUT_OF_ORDER);
  hints.sort();
  return {
    minTime: Math.min(...metas.map(({ minTime }) => minTime)),
    maxTime: Math.max(...metas.map(({ maxTime }) => maxTime)),
    compaction: {
      level: Math.max(...metas.map(({ compaction }) => compaction.level)) + 1,
      // ULIDs are ASCII: the order of code units is that of their bytes.
      sources: [...new Set(metas.flatMap(({ compaction }) => compaction.sources))].sort(),
      parents: metas.map(({ ulid, minTime, maxTime }) => ({ ulid, minTime, maxTime })),
      ...(hints.length > 0 && { hints }),
    },
  };
}
