/** The story of a component: flags, probe, HTTP and gRPC servers in a run group, a client, and an orderly end. */
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from '@jest/globals';
import {
  ServiceKitError,
  commonFlags,
  createGrpcMetrics,
  createGrpcServer,
  createHttpServer,
  createLogger,
  createMetrics,
  createProbe,
  createRunGroup,
  grpcServerFlags,
  httpFlags,
  loadProtos,
  openGrpcChannel,
  parseFlags,
} from './index.ts';

const testdata = join(fileURLToPath(import.meta.url), '../../testdata');

test('a component starts, serves, answers probes and stops', async () => {
  const flags = { ...commonFlags, ...httpFlags, ...grpcServerFlags };
  const outcome = parseFlags({ name: 'echo', help: 'Echoes.', flags }, ['--http-address=127.0.0.1:0', '--grpc-address=127.0.0.1:0', '--http-grace-period=1s', '--grpc-grace-period=1s']);
  if (outcome.kind !== 'run') throw new Error(outcome.stderr);
  const { values } = outcome;
  const lines: string[] = [];
  const log = createLogger({ level: values.logLevel, format: values.logFormat, sink: { write: (line) => void lines.push(line), flush() {} } });
  const metrics = createMetrics();
  const probe = createProbe({ component: 'echo', log, metrics });
  const protos = loadProtos(['echo'], testdata);
  const http = createHttpServer({ address: values.httpAddress, gracePeriodMs: values.httpGracePeriodMs, component: 'echo', log, metrics, probe });
  const grpc = createGrpcServer({ address: values.grpcAddress, gracePeriodMs: values.grpcGracePeriodMs, component: 'echo', log, metrics, probe, protos });
  grpc.addService(protos.service('echo.Echo'), {
    Say: (call: { request: { text: string } }, callback: (error: null, answer: unknown) => void) => callback(null, { text: call.request.text.toUpperCase() }),
  });
  http.app.get('/api/v1/hello', http.instrument('hello'), (_request, response) => void response.json({ status: 'success' }));

  const ending = new AbortController();
  let served: unknown;
  const group = createRunGroup({ log, gracePeriodMs: 5000, signals: undefined });
  group.add(http);
  group.add(grpc);
  group.add({
    name: 'client',
    start: () => probe.ready(),
    stop: () => probe.notReady('stopping'),
    async run() {
      const base = `http://127.0.0.1:${http.address().port}`;
      const ready = await fetch(`${base}/-/ready`);
      const hello = await fetch(`${base}/api/v1/hello`);
      const channel = openGrpcChannel({ address: `127.0.0.1:${grpc.port}`, metrics: createGrpcMetrics('client', metrics) });
      const said = await channel.call(protos.service('echo.Echo')['Say']!, { text: 'hello', time_ms: '9223372036854775807' }, { timeoutMs: 5000 });
      channel.close();
      const page = await (await fetch(`${base}/metrics`)).text();
      served = { ready: [ready.status, await ready.text()], hello: await hello.json(), said, page };
      ending.abort();
    },
  });
  await group.run(ending.signal);

  expect(served).toMatchObject({ ready: [200, 'OK'], hello: { status: 'success' }, said: { text: 'HELLO' } });
  const { page } = served as { page: string };
  expect(page).toContain('http_requests_total{code="200",handler="hello",method="get"} 1');
  expect(page).toContain('thanos_status{check="ready",component="echo"} 1');
  expect(page).toContain('grpc_server_handled_total{grpc_code="OK",grpc_method="Say",grpc_service="echo.Echo",grpc_type="unary"} 1');
  expect(page).toContain('grpc_server_handled_total{grpc_code="Internal",grpc_method="Repeat",grpc_service="echo.Echo",grpc_type="server_stream"} 0');
  expect(page).toContain('grpc_client_handled_total{grpc_code="OK",grpc_method="Say",grpc_service="echo.Echo",grpc_type="unary"} 1');
  expect(lines.filter((line) => line.includes('changing probe status')).map((line) => /status=(\S+)/.exec(line)![1])).toEqual(['healthy', 'ready', 'not-ready']);
  expect(() => http.address()).toThrow(ServiceKitError);
});
