/** Only blocks that touch a time range: `--min-time`, `--max-time`. */
import type { MetaFilter } from '../meta-filter.ts';

/**
 * @param range both ends inclusive, milliseconds since 1970; asked for at every fetch, because the flags may be relative to now
 */
export function createTimePartitionFilter(range: () => { readonly mint: number; readonly maxt: number }): MetaFilter {
  return {
    apply: (metas, counts) => {
      const { mint, maxt } = range();
      for (const [id, meta] of metas) {
        if (meta.maxTime >= mint && meta.minTime <= maxt) continue;
        counts.add('time-excluded');
        metas.delete(id);
      }
      return Promise.resolve();
    },
  };
}
