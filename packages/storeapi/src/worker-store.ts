/**
 * A Store whose calls run in worker threads: this thread passes the request on and hands out the frames that come back.
 *
 *   series ─► run(call) ─► worker: sendFrames ─► pieces ─► frames, at their reader's pace; who stops reading cancels the call
 *   label calls ─► run(call) ─► answer
 */
import type { LabelNamesRequest, LabelNamesResponse, LabelValuesRequest, LabelValuesResponse, SeriesRequest } from '@gauntlet/proto';
import { WorkerTaskError } from '@gauntlet/service-kit/worker';
import { StoreError, type StoreErrorCode } from './errors.ts';
import { type FramesPiece, unpackFrames } from './frames-piece.ts';
import type { CallOptions, Store, StoreInfo } from './store.ts';

/** A StoreAPI call as data. */
export type StoreCall =
  | { readonly kind: 'series'; readonly request: SeriesRequest }
  | { readonly kind: 'labelNames'; readonly request: LabelNamesRequest }
  | { readonly kind: 'labelValues'; readonly request: LabelValuesRequest };

/** How a call gets to a worker. */
export interface CallTransport {
  /** Takes the pieces of a Series call, in order; what it returns is waited for. */
  readonly onPiece: (piece: unknown) => Promise<void> | void;
  readonly signal: AbortSignal;
}

/** What {@link createWorkerStore} needs. */
export interface WorkerStoreDeps {
  /**
   * Runs a call in a worker. Pieces of a Series call are FramesPiece; other calls have their answer as value.
   * @throws WorkerTaskError what the worker threw · the signal's reason
   */
  readonly run: (call: StoreCall, transport: CallTransport, options: CallOptions) => Promise<unknown>;
  readonly info: () => StoreInfo;
}

/** See the head of this file. */
export function createWorkerStore({ run, info }: WorkerStoreDeps): Store {
  const ask = async (call: StoreCall, options: CallOptions): Promise<unknown> => {
    try {
      return await run(call, { onPiece: () => {}, signal: options.signal ?? new AbortController().signal }, options);
    } catch (error) {
      throw workerStoreError(error);
    }
  };
  return {
    async *series(request, options = {}) {
      try {
        for await (const piece of streamPieces((transport) => run({ kind: 'series', request }, transport, options), options.signal)) yield* unpackFrames(piece as FramesPiece);
      } catch (error) {
        throw workerStoreError(error);
      }
    },
    labelNames: (request, options = {}) => ask({ kind: 'labelNames', request }, options) as Promise<LabelNamesResponse>,
    labelValues: (request, options = {}) => ask({ kind: 'labelValues', request }, options) as Promise<LabelValuesResponse>,
    info,
  };
}

/** An error of a worker, with the code that decides the gRPC status; other errors as they are. */
export function workerStoreError(error: unknown): unknown {
  if (!(error instanceof WorkerTaskError)) return error;
  const { code, message } = error.task;
  return code !== undefined && code.startsWith('ERR_STORE_') ? new StoreError(code as StoreErrorCode, message, { cause: error }) : error;
}

/**
 * A job's pieces as a stream to pull from. A piece waits here until it is taken; leaving the loop early aborts the job.
 * @param run starts the job; called with the first pull
 * @throws what the job threw · the signal's reason
 */
export async function* streamPieces(run: (transport: CallTransport) => Promise<unknown>, signal?: AbortSignal): AsyncGenerator<unknown, void> {
  const stop = new AbortController();
  const waiting: { readonly piece: unknown; readonly taken: () => void }[] = [];
  let outcome: { readonly error?: unknown } | undefined;
  let wake = (): void => {};
  const onPiece = (piece: unknown): Promise<void> =>
    new Promise((taken) => {
      waiting.push({ piece, taken });
      wake();
    });
  const running = run({ onPiece, signal: signal === undefined ? stop.signal : AbortSignal.any([stop.signal, signal]) }).then(
    () => {
      outcome = {};
      wake();
    },
    (error: unknown) => {
      outcome = { error };
      wake();
    },
  );
  try {
    for (;;) {
      const next = waiting.shift();
      if (next !== undefined) {
        try {
          yield next.piece;
        } finally {
          next.taken();
        }
      } else if (outcome === undefined) {
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      } else {
        if ('error' in outcome) throw outcome.error;
        return;
      }
    }
  } finally {
    if (outcome === undefined) {
      stop.abort(new DOMException('the reader went away', 'AbortError'));
      for (const { taken } of waiting) taken();
      await running;
    }
  }
}
