/**
 * Tracing: OpenTelemetry spans, sent as OTLP over HTTP when `--tracing.config` says so, and nothing at all otherwise (the SDK is loaded only then).
 *
 *   type: OTLP
 *   config: {client_type: http, endpoint: host:4318, insecure: true, service_name: x, sampler_type: traceidratio, sampler_param: "0.1"}
 *
 * Contexts are passed by hand: an AsyncLocalStorage under every await costs more than the spans. Source: thanos.md 3.6, W3C Trace Context for the headers.
 */
import { type Context, ROOT_CONTEXT, type Span, SpanKind, SpanStatusCode, TraceFlags, type Tracer, trace } from '@opentelemetry/api';
import * as schema from './config-schema.ts';
import { type Schema, decodeYaml } from './config-yaml.ts';
import { ServiceKitError, errorText } from './errors.ts';
import type { Logger } from './log.ts';
import { readClientTls } from './tls.ts';

/** Request header that forces sampling. */
export const FORCE_TRACING_HEADER = 'x-thanos-force-tracing';
/** Response header with the trace id. */
export const TRACE_ID_HEADER = 'x-thanos-trace-id';

/** See {@link createTracing}. */
export interface Tracing {
  /** Starts a span; end it with {@link endSpan}. */
  startSpan(name: string, options?: { readonly parent?: Context; readonly kind?: 'server' | 'client' | 'internal'; readonly attributes?: Readonly<Record<string, string | number | boolean>> }): TraceSpan;
  /** Whether spans go anywhere. */
  readonly isEnabled: boolean;
  /** Sends what is left. */
  close(): Promise<void>;
}

/** A running span. */
export interface TraceSpan {
  /** Parent for spans inside. */
  readonly context: Context;
  /** 32 hex digits, or undefined when not sampled. */
  readonly traceId: string | undefined;
  setAttribute(name: string, value: string | number | boolean): void;
  /** Ends the span; with an error it is marked failed. */
  end(error?: unknown): void;
}

/** What {@link createTracing} needs. */
export interface TracingOptions {
  /** Content of `--tracing.config`; empty: no tracing. */
  readonly text: string;
  /** For messages. */
  readonly source: string;
  /** Component, for the default service name. */
  readonly component: string;
  readonly version: string;
  readonly log: Logger;
}

const text = (): Schema<string> => schema.withDefault(schema.string(), '');
const durationMs = (): Schema<number> => schema.withDefault(schema.duration(), 0);

const otlpSchema = schema.orEmpty({
  client_type: schema.withDefault(schema.oneOf(['grpc', 'http', '']), ''),
  service_name: text(),
  resource_attributes: schema.withDefault(schema.map(schema.string()), new Map<string, string>()),
  reconnection_period: durationMs(),
  compression: schema.withDefault(schema.oneOf(['', 'none', 'gzip']), ''),
  insecure: schema.withDefault(schema.bool(), false),
  endpoint: text(),
  url_path: text(),
  timeout: durationMs(),
  retry_config: schema.orEmpty({
    retry_enabled: schema.withDefault(schema.bool(), false),
    retry_initial_interval: durationMs(),
    retry_max_interval: durationMs(),
    retry_max_elapsed_time: durationMs(),
  }),
  headers: schema.withDefault(schema.map(schema.secret()), new Map()),
  tls_config: schema.orEmpty({
    ca_file: text(),
    cert_file: text(),
    key_file: text(),
    server_name: text(),
    insecure_skip_verify: schema.withDefault(schema.bool(), false),
  }),
  sampler_type: text(),
  sampler_param: text(),
});
const tracingSchema = schema.object({
  type: schema.oneOf(['OTLP', 'JAEGER', 'GOOGLE_CLOUD', 'STACKDRIVER', 'ELASTIC_APM', 'LIGHTSTEP'], { ignoreCase: true }),
  config: schema.deferred(),
});

/** The tracer of a process. @throws ConfigError, ServiceKitError ERR_UNSUPPORTED for types other than OTLP over HTTP */
export async function createTracing(options: TracingOptions): Promise<Tracing> {
  if (options.text.trim() === '') return tracingOver(trace.getTracer('gauntlet'), false, () => Promise.resolve());
  const { type, config } = decodeYaml(options.text, tracingSchema, options.source);
  if (type !== 'OTLP') throw new ServiceKitError('ERR_UNSUPPORTED', `${options.source}: tracing type ${type} is not supported, use OTLP (all these systems take it)`);
  const otlp = config.decode(otlpSchema);
  if (otlp.client_type !== 'http') {
    throw new ServiceKitError('ERR_UNSUPPORTED', `${options.source}: OTLP client_type '${otlp.client_type}' is not supported, use http (port 4318 of a collector)`);
  }
  const [{ OTLPTraceExporter }, sdk, { resourceFromAttributes }] = await Promise.all([
    import('@opentelemetry/exporter-trace-otlp-proto'),
    import('@opentelemetry/sdk-trace-node'),
    import('@opentelemetry/resources'),
  ]);
  const tls = otlp.tls_config;
  const scheme = otlp.insecure ? 'http' : 'https';
  const material = otlp.insecure
    ? {}
    : readClientTls({ caFile: tls.ca_file, certFile: tls.cert_file, keyFile: tls.key_file, serverName: tls.server_name, skipVerify: tls.insecure_skip_verify, minVersion: '1.2' }).options;
  const exporter = new OTLPTraceExporter({
    url: `${scheme}://${otlp.endpoint === '' ? 'localhost:4318' : otlp.endpoint}${otlp.url_path === '' ? '/v1/traces' : otlp.url_path}`,
    headers: Object.fromEntries([...otlp.headers].map(([name, value]) => [name, value.reveal()])),
    ...(otlp.timeout === 0 ? {} : { timeoutMillis: otlp.timeout }),
    ...(otlp.compression === 'gzip' ? { compression: 'gzip' as never } : {}),
    ...(otlp.insecure
      ? {}
      : { httpAgentOptions: { ...material, rejectUnauthorized: !tls.insecure_skip_verify, ...(tls.server_name === '' ? {} : { servername: tls.server_name }) } as never }),
  });
  const provider = new sdk.NodeTracerProvider({
    sampler: chooseSampler(sdk, otlp.sampler_type, otlp.sampler_param, options.source),
    resource: resourceFromAttributes({
      'service.name': otlp.service_name === '' ? `thanos-${options.component}` : otlp.service_name,
      'service.version': options.version,
      ...Object.fromEntries(otlp.resource_attributes),
    }),
    spanProcessors: [new sdk.BatchSpanProcessor(exporter)],
  });
  options.log.info('sending traces', { endpoint: otlp.endpoint, type });
  return tracingOver(provider.getTracer('gauntlet', options.version), true, () => provider.shutdown());
}

/** A tracer of your own as {@link Tracing}; for tests. */
export function tracingOver(tracer: Tracer, isEnabled: boolean, close: () => Promise<void>): Tracing {
  return {
    isEnabled,
    close,
    startSpan(name, options = {}) {
      const parent = options.parent ?? ROOT_CONTEXT;
      const kind = options.kind === 'server' ? SpanKind.SERVER : options.kind === 'client' ? SpanKind.CLIENT : SpanKind.INTERNAL;
      const span = tracer.startSpan(name, { kind, ...(options.attributes === undefined ? {} : { attributes: options.attributes }) }, parent);
      return new ContextSpan(span, trace.setSpan(parent, span));
    },
  };
}

class ContextSpan implements TraceSpan {
  readonly context: Context;
  readonly #span: Span;

  constructor(span: Span, context: Context) {
    this.#span = span;
    this.context = context;
  }

  get traceId(): string | undefined {
    const { traceId, traceFlags } = this.#span.spanContext();
    return (traceFlags & TraceFlags.SAMPLED) === 0 ? undefined : traceId;
  }

  setAttribute(name: string, value: string | number | boolean): void {
    this.#span.setAttribute(name, value);
  }

  end(error?: unknown): void {
    if (error !== undefined) this.#span.setStatus({ code: SpanStatusCode.ERROR, message: errorText(error) });
    this.#span.end();
  }
}

function chooseSampler(sdk: typeof import('@opentelemetry/sdk-trace-node'), type: string, parameter: string, source: string): import('@opentelemetry/sdk-trace-node').Sampler {
  const ratio = (): number => {
    const value = Number(parameter);
    if (parameter === '' || !(value >= 0 && value <= 1)) throw new ServiceKitError('ERR_CONFIG', `${source}: sampler_param of sampler_type ${type}: wanted a number from 0 to 1, got '${parameter}'`);
    return value;
  };
  let root: import('@opentelemetry/sdk-trace-node').Sampler;
  switch (type.toLowerCase()) {
    case '':
    case 'alwayssample':
      root = new sdk.AlwaysOnSampler();
      break;
    case 'neversample':
      root = new sdk.AlwaysOffSampler();
      break;
    case 'traceidratio':
    case 'traceidratiobased':
    case 'parentbasedtraceidratio':
    case 'probabilistic':
      root = new sdk.TraceIdRatioBasedSampler(ratio());
      break;
    default:
      throw new ServiceKitError('ERR_CONFIG', `${source}: sampler_type '${type}': wanted one of alwayssample, neversample, traceidratiobased, parentbasedtraceidratio`);
  }
  const parentBased = new sdk.ParentBasedSampler({ root });
  return {
    shouldSample: (...args) => (args[4]['thanos.force_tracing'] === true ? { decision: sdk.SamplingDecision.RECORD_AND_SAMPLED } : parentBased.shouldSample(...args)),
    toString: () => `ForceOr(${parentBased.toString()})`,
  };
}
