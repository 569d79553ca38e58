/** Exemplars of a replica for the Exemplars API: those of its database, with its external labels. */
import { extendLabels, type Labels } from '@gauntlet/model';
import { type ExemplarsSource, StoreError } from '@gauntlet/storeapi';
import type { Db } from '@gauntlet/tsdb';

/** A source over a database. The parser of queries is loaded with the first request: most replicas never get one. */
export function createReplicaExemplars(db: Pick<Db, 'exemplars'>, externalLabels: Labels): ExemplarsSource {
  return async ({ query, start, end }) => {
    const { selectorsOfQuery } = await import('@gauntlet/http-api/worker');
    let found: ReturnType<Db['exemplars']>;
    try {
      found = db.exemplars(selectorsOfQuery(query), start, end);
    } catch (error) {
      throw new StoreError('ERR_STORE_INVALID_ARGUMENT', `select exemplars: ${(error as Error).message}`, { cause: error });
    }
    return found.map(({ labels, exemplars }) => ({ labels: extendLabels(labels, externalLabels), exemplars }));
  };
}
