/** A whole sidecar over a fake Prometheus that gives one answer at one path, and a Store API client of it. */
import { createMetrics, createNopLogger, createRunGroup, openGrpcChannel, parseFlags } from '@gauntlet/service-kit';
import { GrpcStoreClient } from '@gauntlet/storeapi';
import { createSidecar } from '../sidecar.ts';
import { sidecarFlags } from '../flags.ts';
import { type FakePrometheus, startFakePrometheus } from './fake-prometheus.ts';

/** What Prometheus answers. */
export interface FakeAnswer {
  /** Start of the paths that get this answer. */
  readonly path: string;
  readonly status: number;
  readonly text: string;
}

/** See {@link startAnsweringSidecar}. */
export interface AnsweringSidecar {
  readonly fake: FakePrometheus;
  readonly client: GrpcStoreClient;
}

/**
 * Starts both, with external labels cluster="live", replica="0".
 * @param closers what is to be called afterwards, last first
 */
export async function startAnsweringSidecar({ path, status, text }: FakeAnswer, closers: (() => Promise<void> | void)[]): Promise<AnsweringSidecar> {
  const fake = await startFakePrometheus([], { externalLabels: { cluster: 'live', replica: '0' } });
  closers.push(() => fake.close());
  fake.intercept = (request, response) => {
    if (request.url?.startsWith(path) !== true) return false;
    response.statusCode = status;
    response.end(text);
    return true;
  };
  const argv = ['--http-address=127.0.0.1:0', '--grpc-address=127.0.0.1:0', '--http-grace-period=1s', '--grpc-grace-period=1s', `--prometheus.url=${fake.url.href}`];
  const outcome = parseFlags({ name: 'sidecar', help: '', flags: sidecarFlags }, argv);
  if (outcome.kind !== 'run') throw new Error(outcome.stderr);
  const sidecar = await createSidecar(outcome.values, { log: createNopLogger(), metrics: createMetrics(), clock: Date.now });
  const group = createRunGroup({ log: createNopLogger(), signals: undefined });
  for (const part of sidecar.parts) group.add(part);
  const abort = new AbortController();
  const done = group.run(abort.signal);
  done.catch(() => {});
  closers.push(async () => {
    abort.abort();
    await done.catch(() => {});
  });
  while (sidecar.grpc.port === 0) await new Promise((resolve) => setImmediate(resolve));
  const channel = openGrpcChannel({ address: `127.0.0.1:${sidecar.grpc.port}` });
  closers.push(() => channel.close());
  return { fake, client: new GrpcStoreClient(channel) };
}
