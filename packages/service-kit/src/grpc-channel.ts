/**
 * gRPC clients: one channel per peer with the options that matter, and calls as promises and streams.
 *
 *   window 1 MiB (server→client streaming 2–4x faster than the default) · messages up to 512 MiB · keepalive ping every 10 s of a running call, 5 s to answer
 *   no service config from DNS (saves a TXT lookup per target) · no HTTP proxy from the environment · reconnects within 5 s
 *   a call waits 5 s for a connection: a host that has vanished refuses nothing, and the kernel alone tries for more than a minute
 *
 * Source: DEPENDENCIES.md 3.2 for the figures, Thanos pkg/extgrpc for keepalive.
 */
import {
  type CallOptions,
  ChannelCredentials,
  Client,
  type ClientReadableStream,
  type Interceptor,
  InterceptingCall,
  Metadata,
  connectivityState,
  credentials,
  status,
} from '@grpc/grpc-js';
import { ServiceKitError } from './errors.ts';
import type { GrpcMetrics } from './grpc-metrics.ts';
import type { GrpcMethod } from './load-protos.ts';
import { isIPv6 } from 'node:net';
import { splitHostPort } from './dns.ts';
import { type ClientTlsOptions, readClientTls } from './tls.ts';
import { headerFromContext } from './trace-context.ts';
import type { TraceSpan, Tracing } from './tracing.ts';

/** Receive window of a stream, bytes; also the most a peer can have in flight to us. */
export const GRPC_WINDOW_BYTES = 1_048_576;

/** Largest message taken, bytes: Go's limit would be 2 GiB; no frame of a store comes near this. */
export const GRPC_MESSAGE_BYTES_MAX = 536_870_912;

/** Longest wait of a call for the connection, ms. */
const CONNECT_TIMEOUT_MS = 5000;

/** What {@link openGrpcChannel} needs. */
export interface GrpcChannelOptions {
  /** `host:port`, or several equal peers that share the calls (round robin). */
  readonly address: string | readonly string[];
  /** Undefined: no TLS. */
  readonly tls?: ClientTlsOptions;
  /** `snappy` is refused: the library has no framed snappy. */
  readonly compression?: 'none' | 'snappy';
  /** Default {@link GRPC_WINDOW_BYTES}. */
  readonly windowBytes?: number;
  /** Default 512 MiB. */
  readonly messageBytesMax?: number;
  /** From `createGrpcMetrics('client', …)`, shared by all channels. */
  readonly metrics?: GrpcMetrics;
  readonly tracing?: Tracing;
  /** Longest wait of a call for the connection, ms; default 5,000. */
  readonly connectTimeoutMs?: number;
}

/** What goes with a call. */
export interface CallSettings {
  readonly signal?: AbortSignal;
  /** Time for the whole call; every remote call should have one. */
  readonly timeoutMs?: number;
  /** Sent with the call, such as `thanos-tenant`. */
  readonly metadata?: Readonly<Record<string, string>>;
  /** Parent of the call's span. */
  readonly span?: TraceSpan;
}

/** A connection to one peer (or one group). Connects at the first call. */
export interface GrpcChannel {
  /** As given, several joined by commas. */
  readonly address: string;
  /** One request, one answer. @throws grpc-js ServiceError (`code`, `details`, `metadata`) */
  call(method: GrpcMethod, request: unknown, settings?: CallSettings): Promise<unknown>;
  /** One request, a stream of answers. Leaving the loop early cancels the call. */
  stream(method: GrpcMethod, request: unknown, settings?: CallSettings): AsyncIterable<unknown>;
  /** As {@link GrpcChannel.stream}, as a Node stream; its `error` event must be handled. */
  readable(method: GrpcMethod, request: unknown, settings?: CallSettings): ClientReadableStream<unknown>;
  /** `idle`, `connecting`, `ready`, `transient_failure`, `shutdown`. */
  state(): string;
  /** Ends it; running calls are cancelled. */
  close(): void;
}

/** Makes a channel. Reads TLS files now; make another channel when they change. @throws ServiceKitError ERR_TLS, ERR_UNSUPPORTED */
export function openGrpcChannel(options: GrpcChannelOptions): GrpcChannel {
  if (options.compression === 'snappy') throw new ServiceKitError('ERR_UNSUPPORTED', 'gRPC compression snappy: the gRPC library has no framed snappy; set compression to none');
  const addresses = typeof options.address === 'string' ? [options.address] : options.address;
  const address = addresses.join(',');
  const { tls } = options;
  const client = new Client(targetOf(addresses), credentialsOf(tls), {
    'grpc-node.flow_control_window': options.windowBytes ?? GRPC_WINDOW_BYTES,
    'grpc.max_receive_message_length': options.messageBytesMax ?? GRPC_MESSAGE_BYTES_MAX,
    'grpc.max_send_message_length': -1,
    'grpc.keepalive_time_ms': 10_000,
    'grpc.keepalive_timeout_ms': 5000,
    'grpc.keepalive_permit_without_calls': 0,
    'grpc.service_config_disable_resolution': 1,
    'grpc.enable_http_proxy': 0,
    'grpc.max_reconnect_backoff_ms': 5000,
    'grpc.use_local_subchannel_pool': 1,
    ...(addresses.length > 1 ? { 'grpc.service_config': JSON.stringify({ loadBalancingConfig: [{ round_robin: {} }] }) } : {}),
    ...(tls === undefined || tls.serverName === '' ? {} : { 'grpc.ssl_target_name_override': tls.serverName, 'grpc.default_authority': tls.serverName }),
    interceptors: interceptorsOf(options),
  });
  const callOptions = (settings: CallSettings): CallOptions => (settings.timeoutMs === undefined ? {} : { deadline: Date.now() + settings.timeoutMs });
  const readable = (method: GrpcMethod, request: unknown, settings: CallSettings = {}): ClientReadableStream<unknown> => {
    settings.signal?.throwIfAborted();
    const stream = client.makeServerStreamRequest(method.path, method.requestSerialize, method.responseDeserialize, request, metadataOf(settings), callOptions(settings));
    const cancel = (): void => stream.cancel();
    settings.signal?.addEventListener('abort', cancel, { once: true });
    stream.once('close', () => settings.signal?.removeEventListener('abort', cancel));
    return stream;
  };
  const connected = (settings: CallSettings): Promise<void> => waitForConnection(client, address, options.connectTimeoutMs ?? CONNECT_TIMEOUT_MS, settings);
  return {
    address,
    readable,
    async call(method, request, settings = {}) {
      await connected(settings);
      return new Promise((resolve, reject) => {
        settings.signal?.throwIfAborted();
        const call = client.makeUnaryRequest(method.path, method.requestSerialize, method.responseDeserialize, request, metadataOf(settings), callOptions(settings), (error, answer) => {
          settings.signal?.removeEventListener('abort', cancel);
          if (error === null) resolve(answer);
          else reject(settings.signal?.aborted === true ? (settings.signal.reason as Error) : error);
        });
        const cancel = (): void => call.cancel();
        settings.signal?.addEventListener('abort', cancel, { once: true });
      });
    },
    async *stream(method, request, settings = {}) {
      await connected(settings);
      const answers = readable(method, request, settings);
      try {
        for await (const answer of answers) yield answer as unknown;
      } catch (error) {
        throw settings.signal?.aborted === true ? settings.signal.reason : error;
      } finally {
        answers.cancel();
      }
    },
    state: () => connectivityState[client.getChannel().getConnectivityState(false)]!.toLowerCase(),
    close: () => client.close(),
  };
}

/**
 * Waits until there is a connection, or the last try has failed: then the call fails at once, with the reason.
 * @throws a ServiceError UNAVAILABLE when neither comes in time; the signal's reason
 */
async function waitForConnection(client: Client, address: string, timeoutMs: number, { signal, timeoutMs: callMs = Number.POSITIVE_INFINITY }: CallSettings): Promise<void> {
  const channel = client.getChannel();
  const waitMs = Math.min(timeoutMs, callMs);
  const deadlineMs = Date.now() + waitMs;
  for (;;) {
    signal?.throwIfAborted();
    const state = channel.getConnectivityState(true);
    if (state !== connectivityState.IDLE && state !== connectivityState.CONNECTING) return;
    const isLate = await new Promise<boolean>((resolve) => {
      const onAbort = (): void => resolve(false);
      signal?.addEventListener('abort', onAbort, { once: true });
      channel.watchConnectivityState(state, deadlineMs, (error) => {
        signal?.removeEventListener('abort', onAbort);
        resolve(error !== undefined);
      });
    });
    if (isLate) {
      const code = callMs < timeoutMs ? status.DEADLINE_EXCEEDED : status.UNAVAILABLE;
      const details = `connect to ${address}: no answer within ${waitMs} ms`;
      throw Object.assign(new Error(`${code} ${status[code]}: ${details}`), { code, details, metadata: new Metadata() });
    }
  }
}

/** Several addresses need the ip scheme, which takes a list; a single one goes through the default resolver. */
function targetOf(addresses: readonly string[]): string {
  if (addresses.length === 1) return addresses[0]!;
  if (addresses.length === 0) throw new ServiceKitError('ERR_CONFIG', 'open gRPC channel: no address');
  const families = new Set(addresses.map((address) => isIPv6(splitHostPort(address).host)));
  if (families.size > 1) throw new ServiceKitError('ERR_CONFIG', `open gRPC channel: ${addresses.join(', ')}: IPv4 and IPv6 addresses in one group`);
  return `${families.has(true) ? 'ipv6' : 'ipv4'}:${addresses.join(',')}`;
}

function credentialsOf(tls: ClientTlsOptions | undefined): ChannelCredentials {
  if (tls === undefined) return credentials.createInsecure();
  return credentials.createFromSecureContext(readClientTls(tls).context, tls.skipVerify ? { rejectUnauthorized: false, checkServerIdentity: () => undefined } : {});
}

function metadataOf(settings: CallSettings): Metadata {
  const metadata = new Metadata();
  for (const [key, value] of Object.entries(settings.metadata ?? {})) metadata.set(key, value);
  const parent = settings.span === undefined ? undefined : headerFromContext(settings.span.context);
  if (parent !== undefined) metadata.set('traceparent', parent);
  return metadata;
}

function interceptorsOf(options: GrpcChannelOptions): Interceptor[] {
  const { metrics } = options;
  if (metrics === undefined) return [];
  return [
    (callOptions, nextCall) => {
      const meter = metrics.start(callOptions.method_definition);
      return new InterceptingCall(nextCall(callOptions), {
        start: (metadata, _listener, next) =>
          next(metadata, {
            onReceiveMessage: (message, forward) => {
              if (message !== null) meter.received();
              forward(message);
            },
            onReceiveStatus: (answer, forward) => {
              meter.handled(answer.code);
              forward(answer);
            },
          }),
        sendMessage: (message, next) => {
          meter.sent();
          next(message);
        },
      });
    },
  ];
}
