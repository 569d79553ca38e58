/**
 * The gRPC methods of Store and Info for @grpc/grpc-js, on the codecs of `proto`. Series answers pass through as bytes in both
 * directions: who needs their content decodes them. Paths and messages: protos/store.proto, protos/info.proto.
 */
import type { MethodDefinition } from '@grpc/grpc-js';
import {
  type Codec,
  type InfoResponse,
  infoResponse,
  type LabelNamesRequest,
  labelNamesRequest,
  type LabelNamesResponse,
  labelNamesResponse,
  type LabelValuesRequest,
  labelValuesRequest,
  type LabelValuesResponse,
  labelValuesResponse,
  type Present,
  present,
  type SeriesRequest,
  seriesRequest,
} from '@gauntlet/proto';
import { FramedMessage } from '@gauntlet/service-kit/worker';

/** A method definition from two codecs. */
export function grpcMethod<Request, Response>(
  path: string,
  request: Codec<Request>,
  response: Codec<Response>,
  responseStream = false,
): MethodDefinition<Request, Response> {
  return {
    path,
    requestStream: false,
    responseStream,
    requestSerialize: (value) => buffer(request.encode(value)),
    requestDeserialize: (bytes) => request.decode(plain(bytes)),
    responseSerialize: (value) => buffer(response.encode(value)),
    responseDeserialize: (bytes) => response.decode(plain(bytes)),
  };
}

/** A Buffer's bytes as a plain Uint8Array: decoders stay monomorphic. */
function plain(bytes: Buffer): Uint8Array {
  return new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.length);
}

function buffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
}

const series: MethodDefinition<SeriesRequest, Uint8Array | FramedMessage> = {
  path: '/thanos.Store/Series',
  requestStream: false,
  responseStream: true,
  requestSerialize: (value) => buffer(seriesRequest.encode(value)),
  requestDeserialize: (bytes) => seriesRequest.decode(plain(bytes)),
  responseSerialize: (frame) => buffer(frame instanceof FramedMessage ? frame.bytes : frame),
  responseDeserialize: plain,
};

/** Service `thanos.Store`. */
export const STORE_METHODS: {
  readonly Series: MethodDefinition<SeriesRequest, Uint8Array>;
  readonly LabelNames: MethodDefinition<LabelNamesRequest, LabelNamesResponse>;
  readonly LabelValues: MethodDefinition<LabelValuesRequest, LabelValuesResponse>;
} = {
  Series: series as MethodDefinition<SeriesRequest, Uint8Array>,
  LabelNames: grpcMethod('/thanos.Store/LabelNames', labelNamesRequest, labelNamesResponse),
  LabelValues: grpcMethod('/thanos.Store/LabelValues', labelValuesRequest, labelValuesResponse),
};

/** Service `thanos.info.Info`. */
export const INFO_METHODS: { readonly Info: MethodDefinition<Present, InfoResponse> } = {
  Info: grpcMethod('/thanos.info.Info/Info', present, infoResponse),
};
