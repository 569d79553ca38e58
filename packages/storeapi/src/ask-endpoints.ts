/**
 * Asks many endpoints at once for a stream of messages each. One that fails is a warning (strategy WARN), or ends the call and the others (ABORT).
 * Source of behaviour: Thanos pkg/rules/proxy.go, pkg/exemplars/proxy.go.
 */
import { ProtoError } from '@gauntlet/proto';
import { StoreError } from './errors.ts';
import { errorCode, errorText } from './grpc-status.ts';
import type { CallOptions } from './store.ts';

/** One endpoint to ask. */
export interface AskedEndpoint {
  /** For messages. */
  readonly address: string;
  /** Encoded messages. @throws StoreError, or the signal's reason */
  ask(options: CallOptions): AsyncIterable<Uint8Array>;
}

/** Options of {@link askEndpoints}. `timeoutMs` is for each endpoint. */
export interface AskOptions extends CallOptions {
  /** What is asked for, in the words of warnings: `rules`. */
  readonly what: string;
  /** Whether an endpoint that fails ends the call. */
  readonly aborts: boolean;
}

/** Takes what comes. */
export interface AnswerReceiver {
  /** May throw ProtoError for a damaged message, which is the endpoint's failure; other errors end the call. */
  onFrame(frame: Uint8Array, index: number): void;
  onWarning(warning: string): void;
}

/** Resolves when all have answered. @throws StoreError of the first that failed, if that aborts; the signal's reason; what the receiver throws */
export async function askEndpoints(endpoints: readonly AskedEndpoint[], options: AskOptions, receiver: AnswerReceiver): Promise<void> {
  const { timeoutMs, tenant, signal, what } = options;
  const stop = new AbortController();
  const callOptions: CallOptions = {
    signal: signal === undefined ? stop.signal : AbortSignal.any([stop.signal, signal]),
    ...(timeoutMs === undefined ? {} : { timeoutMs }),
    ...(tenant === undefined ? {} : { tenant }),
  };
  const askOne = async (endpoint: AskedEndpoint, index: number): Promise<void> => {
    let isAnswering = false;
    try {
      for await (const frame of endpoint.ask(callOptions)) {
        isAnswering = true;
        receiver.onFrame(frame, index);
      }
    } catch (error) {
      signal?.throwIfAborted();
      // Refused by the charge, or ended because another endpoint failed.
      if (stop.signal.aborted || !(error instanceof StoreError || error instanceof ProtoError)) throw error;
      const text = `${isAnswering ? 'receiving' : 'fetching'} ${what} from ${what} client ${endpoint.address}: ${errorText(error)}`;
      if (options.aborts) throw new StoreError(errorCode(error), text, { cause: error });
      receiver.onWarning(text);
    }
  };
  let first: { readonly error: unknown } | undefined;
  await Promise.allSettled(
    endpoints.map((endpoint, index) =>
      askOne(endpoint, index).catch((error: unknown) => {
        first ??= { error };
        stop.abort(new DOMException('another endpoint failed', 'AbortError'));
      }),
    ),
  );
  if (first !== undefined) throw first.error;
}
