/** The querier's Rules API, so that queriers stack: each call runs in a query worker, the main thread hands its messages on. Nothing is merged: who shows rules does that. */
import { type FramesPiece, type RulesFrames, streamPieces, unpackFrames, workerStoreError } from '@gauntlet/storeapi';
import type { EndpointSnapshot } from './endpoint-set.ts';
import type { QueryRunner } from './query-runner.ts';

export interface QuerierRulesOptions {
  readonly runner: Pick<QueryRunner, 'run'>;
  /** Endpoints with rules, now. */
  readonly endpoints: () => readonly EndpointSnapshot[];
  readonly defaultTenant: string;
}

/** See the head of this file. */
export function createQuerierRules({ runner, endpoints, defaultTenant }: QuerierRulesOptions): RulesFrames {
  return async function* rules(request, { tenant = defaultTenant, signal }) {
    const task = { kind: 'rules', request, name: 'rules', endpoints: endpoints(), tenant } as const;
    try {
      for await (const piece of streamPieces((transport) => runner.run(task, transport.onPiece, transport.signal), signal)) yield* unpackFrames(piece as FramesPiece);
    } catch (error) {
      throw workerStoreError(error);
    }
  };
}
