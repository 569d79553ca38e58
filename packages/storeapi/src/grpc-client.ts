/**
 * A Store on the other side of a gRPC channel (service-kit, `openGrpcChannel`). Frames of Series are handed on as they came.
 */
import type { MethodDefinition } from '@grpc/grpc-js';
import type { InfoResponse, LabelNamesRequest, LabelNamesResponse, LabelValuesRequest, LabelValuesResponse, SeriesRequest } from '@gauntlet/proto';
import type { CallSettings, GrpcChannel, GrpcMethod } from '@gauntlet/service-kit';
import { StoreError } from './errors.ts';
import { INFO_METHODS, STORE_METHODS } from './grpc-methods.ts';
import { TENANT_METADATA } from './grpc-server.ts';
import { fromServiceError } from './grpc-status.ts';
import { type CallOptions, infoFromMessage, type Store, type StoreInfo } from './store.ts';

/** Client of one endpoint. The channel stays the caller's, to share it with other services and to close it. */
export class GrpcStoreClient implements Store {
  readonly channel: GrpcChannel;
  #info: StoreInfo | undefined;

  constructor(channel: GrpcChannel) {
    this.channel = channel;
  }

  get address(): string {
    return this.channel.address;
  }

  series(request: SeriesRequest, options: CallOptions = {}): AsyncIterable<Uint8Array> {
    return this.stream(STORE_METHODS.Series, request, options);
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

  /** Any unary method of the endpoint. @throws StoreError, or the signal's reason */
  async unary<Request, Response>(method: MethodDefinition<Request, Response>, request: Request, options: CallOptions = {}): Promise<Response> {
    try {
      return (await this.channel.call(asMethod(method), request, settings(options))) as Response;
    } catch (error) {
      options.signal?.throwIfAborted();
      throw fromServiceError(error);
    }
  }

  /** Any server-streaming method; leaving early cancels the call. @throws StoreError, or the signal's reason */
  async *stream<Request, Response>(method: MethodDefinition<Request, Response>, request: Request, options: CallOptions = {}): AsyncGenerator<Response> {
    try {
      for await (const message of this.channel.stream(asMethod(method), request, settings(options))) yield message as Response;
    } catch (error) {
      options.signal?.throwIfAborted();
      throw fromServiceError(error);
    }
  }
}

/** The channel takes methods of any message types; requests are typed above. */
function asMethod<Request, Response>(method: MethodDefinition<Request, Response>): GrpcMethod {
  return method as unknown as GrpcMethod;
}

function settings(options: CallOptions): CallSettings {
  return {
    ...(options.signal === undefined ? {} : { signal: options.signal }),
    ...(options.timeoutMs === undefined ? {} : { timeoutMs: options.timeoutMs }),
    ...(options.tenant === undefined ? {} : { metadata: { [TENANT_METADATA]: options.tenant } }),
  };
}
