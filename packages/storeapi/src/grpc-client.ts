/**
 * A Store on the other side of a gRPC channel. One channel per endpoint; frames of Series are handed on as they came.
 */
import { Client, type ChannelCredentials, type ClientOptions, type ClientReadableStream, type CallOptions as GrpcCallOptions, credentials as grpcCredentials, Metadata, type ServiceError } from '@grpc/grpc-js';
import type { InfoResponse, LabelNamesRequest, LabelNamesResponse, LabelValuesRequest, LabelValuesResponse, SeriesRequest } from '@gauntlet/proto';
import type { MethodDefinition } from '@grpc/grpc-js';
import { StoreError } from './errors.ts';
import { INFO_METHODS, STORE_METHODS } from './grpc-methods.ts';
import { TENANT_METADATA } from './grpc-server.ts';
import { fromServiceError } from './grpc-status.ts';
import { type CallOptions, infoFromMessage, type Store, type StoreInfo } from './store.ts';

/**
 * Channel options of all clients. The receive window lifts streams of large frames from about 550 to 1,000–2,400 MB/s; pings are
 * those of Thanos; retries and service configs from DNS are off, a proxy from the environment is not used.
 */
export const CLIENT_CHANNEL_OPTIONS: ClientOptions = {
  'grpc-node.flow_control_window': 1 << 20,
  'grpc.max_receive_message_length': -1,
  'grpc.max_send_message_length': -1,
  'grpc.keepalive_time_ms': 10_000,
  'grpc.keepalive_timeout_ms': 5_000,
  'grpc.enable_retries': 0,
  'grpc.service_config_disable_resolution': 1,
  'grpc.enable_http_proxy': 0,
};

/** Options of {@link GrpcStoreClient}. */
export interface GrpcStoreClientOptions {
  /** Default: no TLS. */
  readonly credentials?: ChannelCredentials;
  /** Merged over {@link CLIENT_CHANNEL_OPTIONS}. */
  readonly channelOptions?: ClientOptions;
}

/** Client of one endpoint. Close it to end its connections. */
export class GrpcStoreClient implements Store {
  readonly address: string;
  readonly #client: Client;
  #info: StoreInfo | undefined;

  constructor(address: string, options: GrpcStoreClientOptions = {}) {
    this.address = address;
    this.#client = new Client(address, options.credentials ?? grpcCredentials.createInsecure(), { ...CLIENT_CHANNEL_OPTIONS, ...options.channelOptions });
  }

  /** The underlying client, for other services of the endpoint. */
  get client(): Client {
    return this.#client;
  }

  async *series(request: SeriesRequest, options: CallOptions = {}): AsyncGenerator<Uint8Array> {
    options.signal?.throwIfAborted();
    const method = STORE_METHODS.Series;
    const call = this.#client.makeServerStreamRequest(
      method.path,
      method.requestSerialize,
      method.responseDeserialize,
      request,
      metadata(options),
      deadline(options),
    );
    yield* readStream(call, options.signal);
  }

  labelNames(request: LabelNamesRequest, options: CallOptions = {}): Promise<LabelNamesResponse> {
    return this.unary(STORE_METHODS.LabelNames, request, options);
  }

  labelValues(request: LabelValuesRequest, options: CallOptions = {}): Promise<LabelValuesResponse> {
    return this.unary(STORE_METHODS.LabelValues, request, options);
  }

  /** Asks what the endpoint offers, and remembers it for {@link info}. */
  async fetchInfo(options: CallOptions = {}): Promise<InfoResponse> {
    const answer = await this.unary(INFO_METHODS.Info, {}, options);
    this.#info = infoFromMessage(answer);
    return answer;
  }

  /** What the endpoint last announced. @throws StoreError ERR_STORE_UNAVAILABLE before the first {@link fetchInfo} */
  info(): StoreInfo {
    if (this.#info === undefined) throw new StoreError('ERR_STORE_UNAVAILABLE', `info of ${this.address}: not known yet`);
    return this.#info;
  }

  /** Any unary method of the endpoint. @throws StoreError */
  unary<Request, Response>(method: MethodDefinition<Request, Response>, request: Request, options: CallOptions = {}): Promise<Response> {
    return new Promise((resolve, reject) => {
      const { signal } = options;
      if (signal?.aborted === true) {
        reject(signal.reason as Error);
        return;
      }
      const onAbort = (): void => call.cancel();
      const call = this.#client.makeUnaryRequest(
        method.path,
        method.requestSerialize,
        method.responseDeserialize,
        request,
        metadata(options),
        deadline(options),
        (error: ServiceError | null, response?: Response) => {
          signal?.removeEventListener('abort', onAbort);
          if (error === null) resolve(response as Response);
          else reject(fromServiceError(error));
        },
      );
      signal?.addEventListener('abort', onAbort, { once: true });
    });
  }

  /** Ends the channel; running calls fail. */
  close(): void {
    this.#client.close();
  }
}

function metadata(options: CallOptions): Metadata {
  const out = new Metadata();
  if (options.tenant !== undefined) out.set(TENANT_METADATA, options.tenant);
  return out;
}

function deadline(options: CallOptions): GrpcCallOptions {
  return options.deadlineMs === undefined ? {} : { deadline: options.deadlineMs };
}

/** Messages of a server stream; leaving early cancels the call. @throws StoreError */
export async function* readStream<T>(call: ClientReadableStream<T>, signal?: AbortSignal): AsyncGenerator<T> {
  const onAbort = (): void => call.cancel();
  signal?.addEventListener('abort', onAbort, { once: true });
  let isOver = false;
  try {
    for await (const message of call) yield message as T;
    isOver = true;
  } catch (error) {
    isOver = true;
    throw fromServiceError(error);
  } finally {
    signal?.removeEventListener('abort', onAbort);
    if (!isOver) {
      // The cancellation is reported as an error event, which nobody waits for any more.
      call.on('error', () => {});
      call.cancel();
    }
  }
}
