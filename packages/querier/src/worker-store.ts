/**
 * The querier as a Store, so that queriers stack: each call runs in a query worker, the main thread hands its frames on.
 */
import type { LabelNamesRequest, LabelNamesResponse, LabelValuesRequest, LabelValuesResponse, SeriesRequest } from '@gauntlet/proto';
import { MAX_TIME_MS, MIN_TIME_MS } from '@gauntlet/proto';
import { type Labels, compareLabels, extendLabels, labelsEqual } from '@gauntlet/model';
import { type CallOptions, type Store, StoreError, type StoreErrorCode, type StoreInfo } from '@gauntlet/storeapi';
import { WorkerTaskError } from '@gauntlet/service-kit';
import type { EndpointSnapshot } from './endpoint-set.ts';
import type { QueryRunner } from './query-runner.ts';
import type { FramesPiece, StoreTask } from './query-task.ts';
import { streamTask } from './task-stream.ts';

export interface WorkerStoreOptions {
  readonly runner: QueryRunner;
  readonly endpoints: () => readonly EndpointSnapshot[];
  readonly selectorLabels: Labels;
  readonly defaultTenant: string;
}

/** What a StoreAPI call asks for. */
type TaskRequest = { readonly kind: 'series'; readonly request: SeriesRequest } | { readonly kind: 'labelNames'; readonly request: LabelNamesRequest } | { readonly kind: 'labelValues'; readonly request: LabelValuesRequest };

/** Errors of a worker keep their code, which decides the gRPC status. */
function asStoreError(error: unknown): unknown {
  if (!(error instanceof WorkerTaskError)) return error;
  const { code, message } = error.task;
  return code !== undefined && code.startsWith('ERR_STORE_') ? new StoreError(code as StoreErrorCode, message, { cause: error }) : error;
}

/** See the head of this file. */
export function createWorkerStore({ runner, endpoints, selectorLabels, defaultTenant }: WorkerStoreOptions): Store {
  const taskOf = (request: TaskRequest, options: CallOptions): StoreTask => ({ ...request, name: `store ${request.kind}`, endpoints: endpoints(), tenant: options.tenant ?? defaultTenant });
  const signalOf = (options: CallOptions): AbortSignal => options.signal ?? new AbortController().signal;
  const ask = async (request: TaskRequest, options: CallOptions): Promise<unknown> => {
    try {
      return (await runner.run(taskOf(request, options), () => {}, signalOf(options))).value;
    } catch (error) {
      throw asStoreError(error);
    }
  };
  return {
    async *series(request, options = {}) {
      try {
        for await (const piece of streamTask(runner, taskOf({ kind: 'series', request }, options), signalOf(options))) {
          const { bytes, ends } = piece as FramesPiece;
          let start = 0;
          for (const end of ends) {
            yield bytes.subarray(start, end);
            start = end;
          }
        }
      } catch (error) {
        throw asStoreError(error);
      }
    },
    labelNames: (request, options = {}) => ask({ kind: 'labelNames', request }, options) as Promise<LabelNamesResponse>,
    labelValues: (request, options = {}) => ask({ kind: 'labelValues', request }, options) as Promise<LabelValuesResponse>,
    info: () => unitedInfo(endpoints(), selectorLabels),
  };
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
