/**
 * Leaves out blocks whose data is in another block of the same stream: a block's `sources` say which level-1 blocks went into it, and
 * one whose sources are all among another's holds nothing of its own. After a compaction, both are there until the sources are deleted.
 *
 *   sort by number of sources (most first), then id; keep a block unless one kept before covers it
 */
import { compareUtf8 } from '@gauntlet/bytes';

import type { MetaFilter } from '../meta-filter.ts';
import { groupKey } from '../thanos-meta.ts';
import type { ThanosMeta } from '../thanos-meta.ts';

/** A filter that knows which blocks it left out: garbage, for a compactor. */
export interface DeduplicateFilter extends MetaFilter {
  /** Ids of the last fetch, in no particular order. */
  duplicates(): readonly string[];
}

function findDuplicates(group: ThanosMeta[]): string[] {
  group.sort((a, b) => b.compaction.sources.length - a.compaction.sources.length || compareUtf8(a.ulid, b.ulid));
  const duplicates: string[] = [];
  // Which kept blocks have a source: those that have all of a block's sources cover it.
  const holders = new Map<string, Set<number>>();
  let kept = 0;
  for (const meta of group) {
    const { sources } = meta.compaction;
    let covering: number[] | undefined = kept > 0 && sources.length === 0 ? [0] : undefined;
    for (const source of sources) {
      const having = holders.get(source);
      covering = covering === undefined ? [...(having ?? [])] : covering.filter((k) => having?.has(k) === true);
      if (covering.length === 0) break;
    }
    if (covering !== undefined && covering.length > 0) {
      duplicates.push(meta.ulid);
      continue;
    }
    for (const source of sources) {
      const having = holders.get(source);
      if (having === undefined) holders.set(source, new Set([kept]));
      else having.add(kept);
    }
    kept++;
  }
  return duplicates;
}

/** Creates the filter. */
export function createDeduplicateFilter(): DeduplicateFilter {
  let found: string[] = [];
  return {
    duplicates: () => found,
    apply: (metas, counts) => {
      const groups = new Map<string, ThanosMeta[]>();
      for (const meta of metas.values()) {
        const key = groupKey(meta);
        const group = groups.get(key);
        if (group === undefined) groups.set(key, [meta]);
        else group.push(meta);
      }
      found = [];
      for (const group of groups.values()) found.push(...findDuplicates(group));
      for (const id of found) {
        counts.add('duplicate');
        metas.delete(id);
      }
      return Promise.resolve();
    },
  };
}
