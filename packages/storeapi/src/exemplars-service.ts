/** The Exemplars API over gRPC, both ends: `createExemplarsService` serves series with exemplars, `createExemplarsFrameService` encoded messages; `createExemplarsClient` asks. */
import type { MethodDefinition, ServerWritableStream } from '@grpc/grpc-js';
import { encodeExemplarsResponse, type ExemplarSeries, type ExemplarsRequest, exemplarsRequest } from '@gauntlet/proto';
import type { GrpcService as GrpcMethods } from '@gauntlet/service-kit';
import type { GrpcStoreClient } from './grpc-client.ts';
import { type GrpcService, streamAnswer } from './grpc-server.ts';
import type { CallOptions } from './store.ts';

const buffer = (bytes: Uint8Array): Buffer => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
const plain = (bytes: Buffer): Uint8Array => new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.length);

/** Service `thanos.Exemplars`; answers are encoded ExemplarsResponse messages. */
export const EXEMPLARS_METHODS: { readonly Exemplars: MethodDefinition<ExemplarsRequest, Uint8Array> } = {
  Exemplars: {
    path: '/thanos.Exemplars/Exemplars',
    requestStream: false,
    responseStream: true,
    requestSerialize: (value) => buffer(exemplarsRequest.encode(value)),
    requestDeserialize: (bytes) => exemplarsRequest.decode(plain(bytes)),
    responseSerialize: buffer,
    responseDeserialize: plain,
  },
};

/** Where a server has its exemplars from. External labels are to be in the series' labels. */
export type ExemplarsSource = (request: ExemplarsRequest, options: CallOptions) => Promise<readonly ExemplarSeries[]>;

/** Messages of an answer, encoded. */
export type ExemplarsFrames = (request: ExemplarsRequest, options: CallOptions) => AsyncIterable<Uint8Array>;

/** Service `thanos.Exemplars`, one message per series. */
export function createExemplarsService(source: ExemplarsSource): GrpcService {
  return createExemplarsFrameService((request, options) => encodeExemplars(source(request, options)));
}

/** Series as messages. */
export async function* encodeExemplars(found: Promise<readonly ExemplarSeries[]>): AsyncGenerator<Uint8Array, void> {
  for (const series of await found) yield encodeExemplarsResponse({ series, warning: '' });
}

/** Service `thanos.Exemplars` that passes messages on. */
export function createExemplarsFrameService(frames: ExemplarsFrames): GrpcService {
  return {
    name: 'thanos.Exemplars',
    methods: EXEMPLARS_METHODS as unknown as GrpcMethods,
    handlers: {
      Exemplars: (call: ServerWritableStream<ExemplarsRequest, Uint8Array>) => {
        // Never rejects: what goes wrong becomes the status of the call.
        void streamAnswer(call, frames);
      },
    },
  };
}

/** Something that can be asked for exemplars. */
export interface ExemplarsClient {
  /** Encoded ExemplarsResponse messages. @throws StoreError, or the signal's reason */
  exemplars(request: ExemplarsRequest, options?: CallOptions): AsyncIterable<Uint8Array>;
}

/** Asks an endpoint for its exemplars, over the channel of its Store client. */
export function createExemplarsClient(client: Pick<GrpcStoreClient, 'stream'>): ExemplarsClient {
  return { exemplars: (request, options = {}) => client.stream(EXEMPLARS_METHODS.Exemplars, request, options) };
}
