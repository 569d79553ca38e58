/**
 * Metrics of gRPC calls under the names of go-grpc-prometheus, for servers and clients:
 *
 *   grpc_{server,client}_started_total · _handled_total{grpc_code} · _msg_received_total · _msg_sent_total · _handling_seconds    {grpc_type, grpc_service, grpc_method}
 */
import { status } from '@grpc/grpc-js';
import type { GrpcService } from './load-protos.ts';
import type { Counter, Histogram, Metrics } from './metrics.ts';

/** Go's names of status codes, by number. */
export const GRPC_CODE_NAMES = [
  'OK',
  'Canceled',
  'Unknown',
  'InvalidArgument',
  'DeadlineExceeded',
  'NotFound',
  'AlreadyExists',
  'PermissionDenied',
  'ResourceExhausted',
  'FailedPrecondition',
  'Aborted',
  'OutOfRange',
  'Unimplemented',
  'Internal',
  'Unavailable',
  'DataLoss',
  'Unauthenticated',
] as const;

const SERVER_BUCKETS = [0.001, 0.01, 0.1, 0.3, 0.6, 1, 3, 6, 9, 20, 30, 60, 90, 120];
const CLIENT_BUCKETS = [...SERVER_BUCKETS, 240, 360, 720];

/** Go's name of a status code; `Code(n)` for unknown ones. */
export function grpcCodeName(code: number): string {
  return GRPC_CODE_NAMES[code] ?? `Code(${code})`;
}

/** The streams of a method. */
export interface MethodShape {
  /** `/thanos.Store/Series`. */
  readonly path: string;
  readonly requestStream: boolean;
  readonly responseStream: boolean;
}

/** Measures one call. */
export interface CallMeter {
  received(): void;
  sent(): void;
  /** Once, at the end. */
  handled(code: number): void;
}

/** Makes the meter of a side. @param clock Unix milliseconds */
export function createGrpcMetrics(side: 'server' | 'client', metrics: Metrics, clock: () => number = Date.now): GrpcMetrics {
  return new GrpcMetrics(side, metrics, clock);
}

/** Meters calls of one side. */
export class GrpcMetrics {
  readonly #clock: () => number;
  readonly #started: Counter;
  readonly #handled: Counter;
  readonly #received: Counter;
  readonly #sent: Counter;
  readonly #seconds: Histogram;
  readonly #methods = new Map<string, { started: Counter; received: Counter; sent: Counter; seconds: Histogram; handled: Map<number, Counter>; labels: Record<string, string> }>();

  constructor(side: 'server' | 'client', metrics: Metrics, clock: () => number) {
    this.#clock = clock;
    const labels = ['grpc_type', 'grpc_service', 'grpc_method'];
    const on = side === 'server' ? 'on the server' : 'by the client';
    this.#started = metrics.counter({ name: `grpc_${side}_started_total`, help: `Total number of RPCs started ${on}.`, labels });
    this.#handled = metrics.counter({ name: `grpc_${side}_handled_total`, help: `Total number of RPCs completed ${on}, regardless of success or failure.`, labels: [...labels, 'grpc_code'] });
    this.#received = metrics.counter({ name: `grpc_${side}_msg_received_total`, help: `Total number of RPC stream messages received ${on}.`, labels });
    this.#sent = metrics.counter({ name: `grpc_${side}_msg_sent_total`, help: `Total number of gRPC stream messages sent ${on}.`, labels });
    this.#seconds = metrics.histogram({
      name: `grpc_${side}_handling_seconds`,
      help: `Histogram of response latency (seconds) of gRPC calls handled ${on}.`,
      labels,
      buckets: side === 'server' ? SERVER_BUCKETS : CLIENT_BUCKETS,
    });
  }

  /** Sets all series of a service to 0, so that rates are right from the first call on. */
  initialize(service: GrpcService): void {
    for (const method of Object.values(service)) {
      const entry = this.#method(method);
      for (let code = 0; code < GRPC_CODE_NAMES.length; code++) this.#handledOf(entry, code).inc(0);
      for (const counter of [entry.started, entry.received, entry.sent]) counter.inc(0);
    }
  }

  /** A call begins. */
  start(method: MethodShape): CallMeter {
    const entry = this.#method(method);
    const startMs = this.#clock();
    let isOver = false;
    entry.started.inc();
    return {
      received: () => entry.received.inc(),
      sent: () => entry.sent.inc(),
      handled: (code) => {
        if (isOver) return;
        isOver = true;
        this.#handledOf(entry, code).inc();
        entry.seconds.observe((this.#clock() - startMs) / 1000);
      },
    };
  }

  #method(method: MethodShape) {
    let entry = this.#methods.get(method.path);
    if (entry === undefined) {
      const [, service = '', name = ''] = method.path.split('/');
      const type = method.requestStream ? (method.responseStream ? 'bidi_stream' : 'client_stream') : method.responseStream ? 'server_stream' : 'unary';
      const labels = { grpc_type: type, grpc_service: service, grpc_method: name };
      entry = { started: this.#started.with(labels), received: this.#received.with(labels), sent: this.#sent.with(labels), seconds: this.#seconds.with(labels), handled: new Map(), labels };
      this.#methods.set(method.path, entry);
    }
    return entry;
  }

  #handledOf(entry: { handled: Map<number, Counter>; labels: Record<string, string> }, code: number): Counter {
    let counter = entry.handled.get(code);
    if (counter === undefined) {
      counter = this.#handled.with({ ...entry.labels, grpc_code: grpcCodeName(code) });
      entry.handled.set(code, counter);
    }
    return counter;
  }
}

/** Level of a finished call's log line: error for failures of the server, debug for all else. */
export function grpcCodeLevel(code: number): 'error' | 'debug' {
  return code === status.UNKNOWN || code === status.UNIMPLEMENTED || code === status.INTERNAL || code === status.DATA_LOSS ? 'error' : 'debug';
}
