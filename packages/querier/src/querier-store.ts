/**
 * The querier as a Store, so that queriers stack: each call runs in a query worker, the main thread hands its frames on.
 */
import { MAX_TIME_MS, MIN_TIME_MS } from '@gauntlet/proto';
import { type Labels, compareLabels, extendLabels, labelsEqual } from '@gauntlet/model';
import { type Store, type StoreInfo, createWorkerStore } from '@gauntlet/storeapi';
import type { EndpointSnapshot } from './endpoint-set.ts';
import type { QueryRunner } from './query-runner.ts';

export interface QuerierStoreOptions {
  readonly runner: QueryRunner;
  readonly endpoints: () => readonly EndpointSnapshot[];
  readonly selectorLabels: Labels;
  readonly defaultTenant: string;
}

/** See the head of this file. */
export function createQuerierStore({ runner, endpoints, selectorLabels, defaultTenant }: QuerierStoreOptions): Store {
  return createWorkerStore({
    async run(call, { onPiece, signal }, { tenant = defaultTenant }) {
      return (await runner.run({ ...call, name: `store ${call.kind}`, endpoints: endpoints(), tenant }, onPiece, signal)).value;
    },
    info: () => unitedInfo(endpoints(), selectorLabels),
  });
}

/** What all endpoints together announce. */
export function unitedInfo(endpoints: readonly EndpointSnapshot[], selectorLabels: Labels): StoreInfo {
  const labelSets: Labels[] = [];
  let mint = MAX_TIME_MS;
  let maxt = MIN_TIME_MS;
  for (const { info } of endpoints) {
    mint = Math.min(mint, info.mint);
    maxt = Math.max(maxt, info.maxt);
    for (const labels of info.labelSets) labelSets.push(extendLabels(labels, selectorLabels));
  }
  if (endpoints.length === 0) [mint, maxt] = [MIN_TIME_MS, MAX_TIME_MS];
  labelSets.sort(compareLabels);
  const unique = labelSets.filter((labels, index) => index === 0 || !labelsEqual(labels, labelSets[index - 1]!));
  return {
    labelSets: unique.length === 0 && selectorLabels.length > 0 ? [selectorLabels] : unique,
    mint,
    maxt,
    storeType: 'query',
    supportsSharding: true,
    supportsWithoutReplicaLabels: true,
    tsdbInfos: endpoints.flatMap(({ info }) => info.tsdbInfos),
  };
}
