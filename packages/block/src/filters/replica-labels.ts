/** Takes replica labels off the blocks' labels, so that replicas form one stream for vertical compaction: `--deduplication.replica-label`. */
import { withoutLabels } from '@gauntlet/model';
import type { Logger } from '@gauntlet/service-kit';

import type { MetaFilter } from '../meta-filter.ts';

/** Blocks with nothing left get the first replica label with value `deduped`: a stream must have a label. */
export function createReplicaLabelRemover(replicaLabels: readonly string[], log: Logger): MetaFilter {
  const removed = new Set(replicaLabels);
  return {
    apply: (metas, counts) => {
      if (replicaLabels.length === 0) return Promise.resolve();
      for (const [id, meta] of metas) {
        for (let i = 0; i < meta.thanos.labels.length; i += 2) if (removed.has(meta.thanos.labels[i]!)) counts.addModified('replica-label-removed');
        let labels = withoutLabels(meta.thanos.labels, removed);
        if (labels.length === 0) {
          log.warn('block has no labels left, creating one', { block: id, label: replicaLabels[0], value: 'deduped' });
          labels = [replicaLabels[0]!, 'deduped'];
        }
        metas.set(id, { ...meta, thanos: { ...meta.thanos, labels } });
      }
      return Promise.resolve();
    },
  };
}
