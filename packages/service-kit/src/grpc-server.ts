/**
 * The gRPC server of a component: services with codecs, health and reflection, TLS that follows its files, metrics, request log and spans for every call.
 *
 *   call ─► request id · span · meter · log ─► handler; what it throws becomes INTERNAL and counts as `grpc_req_panics_recovered_total`
 *
 * Upstream limits here: grpc-js servers do not compress answers and ignore the flow-control option for uploads. Source: Thanos pkg/server/grpc.
 */
import {
  type Metadata,
  Server,
  ServerCredentials,
  type ServerInterceptor,
  ServerInterceptingCall,
  type ServiceDefinition,
  type UntypedHandleCall,
  type UntypedServiceImplementation,
  setLogger,
  status,
} from '@grpc/grpc-js';
import { ReflectionService } from '@grpc/reflection';
import { HealthImplementation } from 'grpc-health-check';
import type { SecureContextOptions } from 'node:tls';
import { errorText } from './errors.ts';
import { type FileWatch, watchFiles } from './file-watch.ts';
import { FramedMessage } from './framed-message.ts';
import { GRPC_MESSAGE_BYTES_MAX } from './grpc-channel.ts';
import { createGrpcMetrics, grpcCodeLevel, grpcCodeName } from './grpc-metrics.ts';
import { listenError, parseListenAddress } from './http-server.ts';
import type { GrpcService, LoadedProtos } from './load-protos.ts';
import type { Logger } from './log.ts';
import type { Metrics } from './metrics.ts';
import type { Probe } from './probe.ts';
import { createRequestId } from './request-id.ts';
import { NO_REQUEST_LOGGING, type RequestLogging, ruleAllows, ruleMatches } from './request-logging.ts';
import { type ServerTlsOptions, readServerTls, tlsFiles } from './tls.ts';
import { contextFromHeader } from './trace-context.ts';
import type { Tracing } from './tracing.ts';

/** Metadata key of the request id. */
export const REQUEST_ID_KEY = 'request-id';

/**
 * Lets a call send {@link FramedMessage}s as they lie. grpc-js has no way to hand it a message with its header; where a version of it works differently,
 * the message takes the usual way through the method's `responseSerialize`.
 */
function sendFramed(call: object): void {
  const inner = call as { serializeMessage?: (value: unknown) => Buffer };
  const serialize = inner.serializeMessage;
  if (serialize !== undefined) inner.serializeMessage = (value) => (value instanceof FramedMessage ? value.frame() : serialize.call(call, value));
}

/** What {@link createGrpcServer} needs. */
export interface GrpcServerOptions {
  /** `host:port`; port 0 takes a free one. */
  readonly address: string;
  readonly gracePeriodMs: number;
  /** TLS material; without certificate and key the server is plain. */
  readonly tls?: ServerTlsOptions;
  /** Age after which connections are asked to go; 0 for never. */
  readonly maxConnectionAgeMs?: number;
  /** Default {@link GRPC_MESSAGE_BYTES_MAX}. */
  readonly messageBytesMax?: number;
  readonly component: string;
  readonly log: Logger;
  readonly metrics: Metrics;
  /** Health mirrors its readiness. */
  readonly probe?: Probe;
  /** Loaded files, for reflection. */
  readonly protos?: LoadedProtos;
  readonly requestLogging?: RequestLogging;
  readonly tracing?: Tracing;
  /** Unix milliseconds. */
  readonly clock?: () => number;
  /** Time between looks at the TLS files; default 5 s. */
  readonly reloadIntervalMs?: number;
}

/** Makes a server that does not listen yet. @throws ServiceKitError ERR_TLS */
export function createGrpcServer(options: GrpcServerOptions): GrpcServer {
  return new GrpcServer(options);
}

/** A part for the run group: name, start, stop. */
export class GrpcServer {
  readonly name: string = 'gRPC server';
  readonly #options: GrpcServerOptions;
  readonly #log: Logger;
  readonly #server: Server;
  readonly #grpcMetrics: ReturnType<typeof createGrpcMetrics>;
  readonly #panics: { inc(): void };
  readonly #cleanups: (() => void)[] = [];
  readonly #credentials: ServerCredentials;
  #watch: FileWatch | undefined;
  #port = 0;

  constructor(options: GrpcServerOptions) {
    this.#options = options;
    this.#log = options.log.child({ service: 'gRPC/server', component: options.component });
    // grpc-js writes to the console otherwise; what matters of it reaches callers as errors.
    const toLog = (...parts: readonly unknown[]): void => this.#log.debug('grpc-js', { detail: parts.map(String).join(' ') });
    setLogger({ error: toLog, info: toLog, debug: toLog });
    this.#grpcMetrics = createGrpcMetrics('server', options.metrics, options.clock);
    this.#panics = options.metrics.counter({ name: 'grpc_req_panics_recovered_total', help: 'Total number of gRPC requests recovered from internal panic.' });
    this.#credentials = this.#createCredentials();
    const messageBytesMax = options.messageBytesMax ?? GRPC_MESSAGE_BYTES_MAX;
    const maxAgeMs = options.maxConnectionAgeMs ?? 0;
    this.#server = new Server({
      'grpc.max_receive_message_length': messageBytesMax,
      'grpc.max_send_message_length': -1,
      ...(maxAgeMs > 0 ? { 'grpc.max_connection_age_ms': maxAgeMs } : {}),
      interceptors: [this.#interceptor()],
    });
    this.#addHealthAndReflection();
  }

  /**
   * Adds a service. Handlers are grpc-js handlers by method name; one that throws (or rejects) answers INTERNAL.
   * A handler may answer other codes by passing `{code, details, metadata}` to its callback or as the stream's `error` event.
   */
  addService(service: GrpcService, handlers: UntypedServiceImplementation): void {
    const guarded: UntypedServiceImplementation = {};
    for (const [name, method] of Object.entries(service)) {
      const handler = handlers[name];
      if (handler !== undefined) guarded[name] = this.#guard(handler as unknown as GrpcHandler, method.responseStream) as unknown as UntypedHandleCall;
    }
    this.#server.addService(service as ServiceDefinition, guarded);
    this.#grpcMetrics.initialize(service);
  }

  /** Starts listening. @throws ServiceKitError ERR_LISTEN such as `listen on 127.0.0.1:80: port in use` */
  async start(): Promise<void> {
    const { address } = this.#options;
    const { host, port } = parseListenAddress(address);
    const target = host === '' ? `[::]:${port}` : address;
    this.#port = await new Promise<number>((resolve, reject) => {
      this.#server.bindAsync(target, this.#credentials, (error, bound) => (error === null ? resolve(bound) : reject(listenError(address, error))));
    });
    this.#log.info('listening for serving gRPC', { address, port: this.#port, tls: this.#credentials._isSecure() });
  }

  /** Port it listens on; 0 before start. */
  get port(): number {
    return this.#port;
  }

  /** Looks at the TLS files now. */
  reload(): Promise<boolean> {
    return this.#watch?.check() ?? Promise.resolve(false);
  }

  /** Takes no more calls, waits for running ones up to the grace period, then cancels the rest. */
  async stop(reason = 'stopped'): Promise<void> {
    this.#log.info('internal server is shutting down', { reason });
    for (const cleanup of this.#cleanups.splice(0)) cleanup();
    const { gracePeriodMs } = this.#options;
    if (gracePeriodMs === 0) {
      this.#server.forceShutdown();
      return;
    }
    await new Promise<void>((resolve) => {
      const timer = setTimeout(() => {
        this.#log.warn('grace period exceeded, cancelling calls', { gracePeriodMs });
        this.#server.forceShutdown();
        resolve();
      }, gracePeriodMs);
      this.#server.tryShutdown((error) => {
        clearTimeout(timer);
        if (error !== undefined) this.#server.forceShutdown();
        resolve();
      });
    });
    this.#log.info('internal server is shutdown gracefully', { reason });
  }

  #createCredentials(): ServerCredentials {
    const { tls } = this.#options;
    const material = tls === undefined ? undefined : readServerTls(tls);
    if (tls === undefined || material === undefined) {
      this.#log.info('disabled TLS, key and cert must be set to enable');
      return ServerCredentials.createInsecure();
    }
    const credentials = new FileCredentials(material, tls.clientCaFile !== '');
    this.#watch = watchFiles({
      paths: () => tlsFiles(tls),
      onChange: () => {
        credentials.replace(readServerTls(tls)!);
        this.#log.info('gRPC server certificates reloaded', { cert: tls.certFile });
      },
      log: this.#log,
      ...(this.#options.reloadIntervalMs === undefined ? {} : { intervalMs: this.#options.reloadIntervalMs }),
    });
    this.#cleanups.push(() => this.#watch?.stop());
    this.#log.info('enabling server side TLS', { clientVerification: tls.clientCaFile !== '' });
    return credentials;
  }

  #addHealthAndReflection(): void {
    const { probe, protos } = this.#options;
    const health = new HealthImplementation({ '': probe === undefined ? 'SERVING' : 'NOT_SERVING' });
    health.addToServer(this.#server);
    if (probe !== undefined) this.#cleanups.push(probe.onReadyChange((isReady) => health.setStatus('', isReady ? 'SERVING' : 'NOT_SERVING')));
    if (protos !== undefined) new ReflectionService(protos.definition).addToServer(this.#server);
  }

  /** Turns what a handler throws into an INTERNAL answer; otherwise a throw would end the process. */
  #guard(handler: GrpcHandler, responseStream: boolean): GrpcHandler {
    return (call, callback) => {
      const recover = (error: unknown): void => {
        this.#panics.inc();
        this.#log.error('recovered from panic', { panic: error, stack: error instanceof Error ? error.stack : undefined });
        const answer = { code: status.INTERNAL, details: errorText(error) };
        if (responseStream) call.emit('error', answer);
        else callback?.(answer);
      };
      try {
        const result: unknown = handler(call, callback);
        if (result instanceof Promise) result.catch(recover);
      } catch (error) {
        recover(error);
      }
    };
  }

  #interceptor(): ServerInterceptor {
    const rule = (this.#options.requestLogging ?? NO_REQUEST_LOGGING).grpc;
    const { tracing } = this.#options;
    const clock = this.#options.clock ?? Date.now;
    return (method, call) => {
      sendFramed(call);
      const meter = this.#grpcMetrics.start(method);
      const isLogged = ruleMatches(rule, method.path);
      const startMs = clock();
      let requestId = '';
      let span: ReturnType<Tracing['startSpan']> | undefined;
      let isOver = false;
      const [, service = '', name = ''] = method.path.split('/');
      const fields = (): Record<string, unknown> => ({ protocol: 'grpc', 'grpc.component': 'server', 'grpc.service': service, 'grpc.method': name, 'peer.address': call.getPeer(), requestID: requestId, ...(span?.traceId === undefined ? {} : { traceID: span.traceId }) });
      const finish = (code: number, details: string): void => {
        if (isOver) return;
        isOver = true;
        meter.handled(code);
        span?.end(code === status.OK ? undefined : details);
        const level = grpcCodeLevel(code);
        if (isLogged && ruleAllows(rule, level)) this.#log[level]('finished call', { ...fields(), 'grpc.code': grpcCodeName(code), 'grpc.time_ms': String(clock() - startMs), ...(code === status.OK ? {} : { 'grpc.error': details }) });
      };
      return new ServerInterceptingCall(call, {
        start: (next) =>
          next({
            onReceiveMetadata: (metadata, forward) => {
              requestId = metadataText(metadata, REQUEST_ID_KEY) ?? createRequestId(startMs);
              metadata.set(REQUEST_ID_KEY, requestId);
              if (tracing?.isEnabled === true) span = tracing.startSpan(method.path, { kind: 'server', parent: contextFromHeader(metadataText(metadata, 'traceparent')) });
              if (isLogged && rule.logStart && ruleAllows(rule, 'debug')) this.#log.debug('started call', fields());
              forward(metadata);
            },
            onReceiveMessage: (message, forward) => {
              meter.received();
              forward(message);
            },
            // Also fires after a normal finish; `finish` counts only the first.
            onCancel: () => finish(status.CANCELLED, 'cancelled by the client'),
          }),
        sendMessage: (message, next) => {
          meter.sent();
          next(message);
        },
        sendStatus: (answer, next) => {
          finish(answer.code ?? status.OK, answer.details ?? '');
          next(answer);
        },
      });
    };
  }
}

/** The parts of grpc-js handlers the guard touches. */
type GrpcHandler = (call: { emit(event: 'error', error: unknown): boolean }, callback?: (answer: { code: number; details: string }) => void) => unknown;

/** TLS credentials that can be replaced while the server runs. */
class FileCredentials extends ServerCredentials {
  constructor(material: SecureContextOptions, verifyClients: boolean) {
    super({ requestCert: verifyClients, rejectUnauthorized: verifyClients }, material);
  }

  /** New connections use this from now on. */
  replace(material: SecureContextOptions): void {
    this.updateSecureContextOptions(material);
  }

  override _equals(other: ServerCredentials): boolean {
    return this === other;
  }
}

/** First text value of a metadata key. */
export function metadataText(metadata: Metadata, key: string): string | undefined {
  const value = metadata.get(key)[0];
  return value === undefined ? undefined : String(value);
}
