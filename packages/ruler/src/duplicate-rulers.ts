/**
 * Finds another ruler with the same external labels: both write the same series, deduplication cannot tell them apart, and their blocks
 * collide in the bucket. Queriers know all rulers: each is asked for its stores, and two of kind `rule` with our label set are one too many.
 */
import { formatLabels, type Labels, labelsEqual } from '@gauntlet/model';
import type { Logger, Metrics } from '@gauntlet/service-kit';
import type { KnownStore } from './query-clients.ts';

/** What {@link createDuplicateWatch} needs. */
export interface DuplicateWatchDeps {
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly externalLabels: Labels;
  /** Stores by querier. */
  readonly stores: (signal: AbortSignal) => Promise<readonly (readonly KnownStore[])[]>;
}

/** Makes a function that looks once; it warns when what it sees changes. It throws the signal's reason only. */
export function createDuplicateWatch({ log, metrics, externalLabels, stores }: DuplicateWatchDeps): (signal: AbortSignal) => Promise<void> {
  const gauge = metrics.gauge({ name: 'gauntlet_rule_duplicate_label_sets', help: 'Number of other rulers, as queriers see them, that announce the external labels of this one.' });
  let last = '';
  return async (signal) => {
    const addresses = duplicateAddresses(await stores(signal), externalLabels);
    gauge.set(Math.max(0, addresses.length - 1));
    const seen = addresses.length > 1 ? addresses.join(', ') : '';
    if (seen !== '' && seen !== last) {
      log.warn('several rulers announce the external labels of this one: their series and blocks cannot be told apart; give each a --label of its own and take that label off alerts with --alert.label-drop', {
        labels: formatLabels(externalLabels),
        rulers: seen,
      });
    }
    if (seen === '' && last !== '') log.info('no other ruler announces the external labels of this one any more', { labels: formatLabels(externalLabels) });
    last = seen;
  };
}

/** Addresses of all rulers that are up and announce exactly these labels, as the querier that sees most of them names them. */
export function duplicateAddresses(byQuerier: readonly (readonly KnownStore[])[], labels: Labels): readonly string[] {
  let most: readonly string[] = [];
  for (const stores of byQuerier) {
    const same = stores.filter((store) => store.component === 'rule' && store.isUp && (labels.length === 0 ? store.labelSets.length === 0 : store.labelSets.some((set) => labelsEqual(set, labels))));
    const names = [...new Set(same.map(({ name }) => name))].sort();
    if (names.length > most.length) most = names;
  }
  return most;
}
