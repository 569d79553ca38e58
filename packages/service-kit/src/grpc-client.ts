/** gRPC clients alone, for worker threads that call peers: `@gauntlet/service-kit/grpc-client`. Loads grpc-js, none of the servers. */
export { GRPC_MESSAGE_BYTES_MAX, GRPC_WINDOW_BYTES, openGrpcChannel, type CallSettings, type GrpcChannel, type GrpcChannelOptions } from './grpc-channel.ts';
export type { GrpcMethod } from './load-protos.ts';
export type { ClientTlsOptions } from './tls.ts';
