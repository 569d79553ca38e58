/**
 * Stands for an endpoint that is known but down: every call fails at once with what its last check said, so that the proxy answers with
 * the warning (or, without partial response, the error) of a store that did not answer, and only where it could have had data.
 */
import { type Store, StoreError, type StoreInfo } from '@gauntlet/storeapi';

/** @param reason text of the failed check */
export function createUnavailableStore(info: StoreInfo, reason: string): Store {
  const fail = (): Promise<never> => Promise.reject(new StoreError('ERR_STORE_UNAVAILABLE', `the endpoint is down: ${reason}`));
  return {
    series: () => ({ [Symbol.asyncIterator]: () => ({ next: fail }) }),
    labelNames: fail,
    labelValues: fail,
    info: () => info,
  };
}
