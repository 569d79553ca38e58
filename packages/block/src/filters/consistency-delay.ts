/**
 * Leaves out blocks that are younger than a delay, for stores whose listings lag behind: `--consistency-delay`. What compaction and
 * repair wrote is never left out, because its sources may be gone already.
 */
import type { Metrics } from '@gauntlet/service-kit';
import { ulidTimeMs } from '@gauntlet/tsdb';

import type { MetaFilter } from '../meta-filter.ts';
import { uploadTimeMs } from '../thanos-meta.ts';

const EXEMPT = new Set(['bucket.repair', 'compactor', 'compactor.repair']);

/**
 * @param delayMs least age
 * @param clock milliseconds since 1970
 * @param metrics gets `thanos_consistency_delay_seconds`
 */
export function createConsistencyDelayFilter(delayMs: number, clock: () => number, metrics: Metrics): MetaFilter {
  metrics.gauge({ name: 'thanos_consistency_delay_seconds', help: 'Configured consistency delay in seconds.' }).set(delayMs / 1000);
  return {
    apply: (metas, counts) => {
      const nowMs = clock();
      for (const [id, meta] of metas) {
        const bornMs = uploadTimeMs(meta) ?? ulidTimeMs(id);
        if (nowMs - bornMs >= delayMs || EXEMPT.has(meta.thanos.source)) continue;
        counts.add('too-fresh');
        metas.delete(id);
      }
      return Promise.resolve();
    },
  };
}
