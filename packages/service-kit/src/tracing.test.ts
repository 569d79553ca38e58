import { createServer } from 'node:http';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { ROOT_CONTEXT } from '@opentelemetry/api';
import { describe, expect, test } from '@jest/globals';
import { createNopLogger } from './log.ts';
import { contextFromHeader, headerFromContext } from './trace-context.ts';
import { createTracing } from './tracing.ts';

const base = { source: 't.yml', component: 'query', version: '1', log: createNopLogger() };

test('spans reach a collector as OTLP over HTTP, with parents and errors', async () => {
  const bodies: Buffer[] = [];
  const collector = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      bodies.push(Buffer.concat(chunks));
      response.end();
    });
  }).listen(0, '127.0.0.1');
  await once(collector, 'listening');
  const { port } = collector.address() as AddressInfo;
  const text = `type: OTLP\nconfig: {client_type: http, insecure: true, endpoint: "127.0.0.1:${port}", service_name: me, resource_attributes: {zone: z9}}\n`;
  const tracing = await createTracing({ ...base, text });
  const outer = tracing.startSpan('outer', { kind: 'server', parent: contextFromHeader('00-0123456789abcdef0123456789abcdef-0123456789abcdef-01') });
  expect(outer.traceId).toBe('0123456789abcdef0123456789abcdef');
  expect(headerFromContext(outer.context)).toMatch(/^00-0123456789abcdef0123456789abcdef-[\da-f]{16}-01$/);
  const inner = tracing.startSpan('inner', { parent: outer.context, attributes: { blocks: 3 } });
  inner.end(new Error('boom'));
  outer.end();
  await tracing.close();
  collector.closeAllConnections();
  collector.close();
  const sent = Buffer.concat(bodies).toString('latin1');
  for (const part of ['me', 'z9', 'outer', 'inner', 'blocks', 'boom']) expect(sent).toContain(part);
});

test('without configuration nothing is traced', async () => {
  const tracing = await createTracing({ ...base, text: '' });
  const span = tracing.startSpan('x');
  expect([tracing.isEnabled, span.traceId]).toEqual([false, undefined]);
  span.end();
  await tracing.close();
});

test('a request can force its trace past a sampler that takes none', async () => {
  const tracing = await createTracing({ ...base, text: 'type: otlp\nconfig: {client_type: http, insecure: true, endpoint: "127.0.0.1:1", timeout: 1ms, sampler_type: neversample}' });
  expect(tracing.startSpan('x').traceId).toBeUndefined();
  expect(tracing.startSpan('x', { attributes: { 'thanos.force_tracing': true } }).traceId).toMatch(/^[\da-f]{32}$/);
});

describe('refusals', () => {
  test.each([
    ['type: JAEGER\nconfig: {service_name: x}', 't.yml: tracing type JAEGER is not supported, use OTLP (all these systems take it)'],
    ['type: OTLP\nconfig: {client_type: grpc}', "t.yml: OTLP client_type 'grpc' is not supported, use http (port 4318 of a collector)"],
    ['type: OTLP\nconfig: {client_typ: http}', "t.yml:2:10: unknown key 'client_typ' in config, did you mean 'client_type'?"],
    ['type: OTLP\nconfig: {client_type: http, insecure: true, sampler_type: traceidratio, sampler_param: "2"}', "sampler_param of sampler_type traceidratio: wanted a number from 0 to 1, got '2'"],
    ['type: OTLP\nconfig: {client_type: http, insecure: true, sampler_type: some}', "sampler_type 'some': wanted one of"],
    ['type: OTLP\nconfig: {client_type: http, tls_config: {ca_file: /none}}', 'read client CA /none: ENOENT'],
  ])('%s', async (text, message) => {
    await expect(createTracing({ ...base, text })).rejects.toThrow(message);
  });
});

test('trace headers that are malformed are no parent', () => {
  for (const header of [undefined, '', 'x', '00-00000000000000000000000000000000-0123456789abcdef-01', '00-0123456789abcdef0123456789abcdef-0000000000000000-01', 'ff-0123456789abcdef0123456789abcdef-0123456789abcdef-01']) {
    expect(contextFromHeader(header)).toBe(ROOT_CONTEXT);
  }
  expect(headerFromContext(ROOT_CONTEXT)).toBeUndefined();
});
