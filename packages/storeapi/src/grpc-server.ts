/**
 * Serves any Store over gRPC: `server.addService(service.methods, service.handlers)` for each of the two services. Series
 * respects back-pressure: the next frame is asked for when the stream has room, so a slow reader holds one frame, not the answer.
 */
import type { EventEmitter } from 'node:events';
import type { Metadata, sendUnaryData, ServerUnaryCall, ServerWritableStream, UntypedServiceImplementation } from '@grpc/grpc-js';
import type { InfoResponse, LabelNamesRequest, LabelNamesResponse, LabelValuesRequest, LabelValuesResponse, Present, SeriesRequest } from '@gauntlet/proto';
import type { GrpcService as GrpcMethods } from '@gauntlet/service-kit';
import { FramedMessage } from '@gauntlet/service-kit/worker';
import { StoreError } from './errors.ts';
import { INFO_METHODS, STORE_METHODS } from './grpc-methods.ts';
import { toGrpcStatus } from './grpc-status.ts';
import type { CallOptions, FrameSender, Store } from './store.ts';

/** A service, ready for `GrpcServer.addService(service.methods, service.handlers)`. */
export interface GrpcService {
  readonly name: string;
  readonly methods: GrpcMethods;
  readonly handlers: UntypedServiceImplementation;
}

/** Name of the metadata entry that carries the tenant. */
export const TENANT_METADATA = 'thanos-tenant';

interface Call {
  readonly metadata: Metadata;
  on(event: 'cancelled', listener: () => void): unknown;
}

/** Options of a call for the store: its signal follows the peer's cancellation and deadline. */
function callOptions(call: Call): CallOptions {
  const abort = new AbortController();
  call.on('cancelled', () => abort.abort());
  const tenant = call.metadata.get(TENANT_METADATA)[0];
  return { signal: abort.signal, ...(typeof tenant === 'string' && tenant !== '' ? { tenant } : {}) };
}

/** Service `thanos.Store` over a store. */
export function createStoreService(store: Store): GrpcService {
  return {
    name: 'thanos.Store',
    methods: STORE_METHODS as unknown as GrpcMethods,
    handlers: {
      Series: (call: ServerWritableStream<SeriesRequest, Uint8Array>) => {
        // Never rejects: what goes wrong becomes the status of the call.
        void (store.lendSeries === undefined ? streamAnswer(call, (request, options) => store.series(request, options)) : streamLent(call, store.lendSeries.bind(store)));
      },
      LabelNames: unary<LabelNamesRequest, LabelNamesResponse>((request, options) => store.labelNames(request, options)),
      LabelValues: unary<LabelValuesRequest, LabelValuesResponse>((request, options) => store.labelValues(request, options)),
    },
  };
}

/**
 * Service `thanos.info.Info`.
 * @param info the current answer, or `undefined` while the component is not ready: callers get UNAVAILABLE
 */
export function createInfoService(info: () => InfoResponse | undefined): GrpcService {
  return {
    name: 'thanos.info.Info',
    methods: INFO_METHODS as unknown as GrpcMethods,
    handlers: {
      Info: unary<Present, InfoResponse>(async () => {
        const answer = info();
        if (answer === undefined) throw new StoreError('ERR_STORE_UNAVAILABLE', 'not ready');
        return answer;
      }),
    },
  };
}

/** A unary handler from an async function. */
export function unary<Request, Response>(
  answer: (request: Request, options: CallOptions) => Promise<Response>,
): (call: ServerUnaryCall<Request, Response>, callback: sendUnaryData<Response>) => void {
  return (call, callback) => {
    // Wrapped, so that what a handler throws at once becomes a status too.
    Promise.resolve(callOptions(call))
      .then((options) => answer(call.request, options))
      .then(
        (response) => callback(null, response),
        (error: unknown) => callback(toGrpcStatus(error)),
      );
  };
}

/** Writes lent frames to the call, at the pace of its reader, from where they lie. */
function streamLent(call: ServerWritableStream<SeriesRequest, Uint8Array | FramedMessage>, lendSeries: NonNullable<Store['lendSeries']>): Promise<void> {
  let unsent = 0;
  let isOver = false;
  let wake = (): void => {};
  const end = (): void => {
    isOver = true;
    wake();
  };
  call.once('close', end);
  call.once('cancelled', end);
  const sender: FrameSender = {
    async sent() {
      while (unsent > 0 && !isOver) {
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
      return unsent === 0;
    },
  };
  const write = (frame: Uint8Array): boolean => {
    unsent++;
    return call.write(new FramedMessage(frame), () => {
      unsent--;
      wake();
    });
  };
  return pump(call, (request, options) => lendSeries(request, options, sender), write);
}

/** Writes what `answer` yields to the call, at the pace of its reader. */
export function streamAnswer<Request, Response>(
  call: ServerWritableStream<Request, Response>,
  answer: (request: Request, options: CallOptions) => AsyncIterable<Response>,
): Promise<void> {
  return pump(call, answer, (message) => call.write(message));
}

/** @param write gives a message to the call; false if it is to wait */
async function pump<Request, Message>(
  call: ServerWritableStream<Request, unknown>,
  answer: (request: Request, options: CallOptions) => AsyncIterable<Message>,
  write: (message: Message) => boolean,
): Promise<void> {
  const options = callOptions(call);
  const signal = options.signal!;
  try {
    for await (const message of answer(call.request, options)) {
      if (signal.aborted) return;
      if (!write(message)) await drained(call, signal);
    }
    call.end();
  } catch (error) {
    if (!signal.aborted) call.emit('error', toGrpcStatus(error));
  }
}

function drained(call: EventEmitter, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      call.off('drain', done);
      call.off('close', done);
      signal.removeEventListener('abort', done);
      resolve();
    };
    call.once('drain', done);
    call.once('close', done);
    signal.addEventListener('abort', done, { once: true });
    if (signal.aborted) done();
  });
}
