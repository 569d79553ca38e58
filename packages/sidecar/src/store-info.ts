/** What the sidecar announces in the Info call. */
import type { Labels } from '@gauntlet/model';
import type { StoreInfo } from '@gauntlet/storeapi';

/**
 * @param externalLabels empty before Prometheus was reached
 * @param range first and last timestamp served, ms
 */
export function sidecarInfo(externalLabels: Labels, range: { readonly mint: number; readonly maxt: number }): StoreInfo {
  const isLabelled = externalLabels.length > 0;
  return {
    labelSets: isLabelled ? [externalLabels] : [],
    ...range,
    storeType: 'sidecar',
    supportsSharding: true,
    supportsWithoutReplicaLabels: true,
    tsdbInfos: isLabelled ? [{ labels: externalLabels, ...range }] : [],
  };
}
