/**
 * The `traceparent` header: how a span's context travels between processes. Apart from tracing.ts, so that a client of gRPC loads no
 * configuration reader and no SDK.
 * Source: W3C Trace Context, "traceparent header field values".
 */
import { type Context, ROOT_CONTEXT, TraceFlags, trace } from '@opentelemetry/api';

/** Context of a request from its `traceparent` header; the root when there is none or it is malformed. */
export function contextFromHeader(traceparent: string | undefined): Context {
  const [, version, traceId, spanId, flags] = /^([\da-f]{2})-([\da-f]{32})-([\da-f]{16})-([\da-f]{2})(?:-.*)?$/.exec(traceparent ?? '') ?? [];
  if (version === undefined || version === 'ff' || /^0+$/.test(traceId!) || /^0+$/.test(spanId!)) return ROOT_CONTEXT;
  return trace.setSpanContext(ROOT_CONTEXT, { traceId: traceId!, spanId: spanId!, traceFlags: Number.parseInt(flags!, 16) & TraceFlags.SAMPLED, isRemote: true });
}

/** `traceparent` header of requests made inside a context; undefined when there is no valid span. */
export function headerFromContext(context: Context): string | undefined {
  const span = trace.getSpanContext(context);
  if (span === undefined || /^0+$/.test(span.traceId)) return undefined;
  return `00-${span.traceId}-${span.spanId}-0${span.traceFlags & TraceFlags.SAMPLED}`;
}
