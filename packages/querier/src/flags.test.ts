import { describe, expect, test } from '@jest/globals';
import { createMetrics, createNopLogger, parseFlags } from '@gauntlet/service-kit';
import { type QuerierConfig, querierFlags } from './flags.ts';
import { createQuerier } from './querier.ts';

const parse = (argv: readonly string[]): ReturnType<typeof parseFlags<typeof querierFlags>> => parseFlags({ name: 'query', help: '', flags: querierFlags }, argv);

function valuesOf(argv: readonly string[]): QuerierConfig {
  const outcome = parse(argv);
  if (outcome.kind !== 'run') throw new Error(outcome.stderr);
  return outcome.values;
}

test('the defaults are those of thanos query', () => {
  expect(valuesOf([])).toMatchObject({
    httpAddress: '0.0.0.0:10902',
    grpcAddress: '0.0.0.0:10901',
    timeoutMs: 120_000,
    maxConcurrent: 20,
    lookbackDeltaMs: 0,
    dynamicLookback: true,
    defaultEvaluationIntervalMs: 60_000,
    defaultStepMs: 1000,
    replicaLabels: [],
    partialResponse: true,
    autoDownsampling: false,
    dedupFunction: 'penalty',
    promqlEngine: 'prometheus',
    queryMode: 'local',
    storeUnhealthyTimeoutMs: 300_000,
    storeResponseTimeoutMs: 0,
    storeSdDnsIntervalMs: 30_000,
    endpointInfoTimeoutMs: 5000,
    tenantHeader: 'THANOS-TENANT',
    defaultTenantId: 'default-tenant',
    connMetricLabels: ['external_labels', 'store_type'],
  });
});

test('repeated flags and lists', () => {
  expect(valuesOf(['--endpoint=a:1', '--endpoint', 'dns+b:2', '--query.replica-label=replica,prometheus_replica', '--query.replica-label=r', '--selector-label=zone="eu"'])).toMatchObject({
    endpoints: ['a:1', 'dns+b:2'],
    replicaLabels: ['replica', 'prometheus_replica', 'r'],
    selectorLabels: [['zone', 'eu']],
  });
});

test('negated switches', () => {
  expect(valuesOf(['--no-query.partial-response', '--no-query.dynamic-lookback-delta', '--query.auto-downsampling'])).toMatchObject({ partialResponse: false, dynamicLookback: false, autoDownsampling: true });
});

describe('refused command lines', () => {
  test.each([
    { name: 'unknown flag', argv: ['--query.replica-lable=a'], text: /--query\.replica-lable.*did you mean.*--query\.replica-label/ },
    { name: 'removed: --store', argv: ['--store=a:1'], text: /--store.*use --endpoint/ },
    { name: 'removed: --store-strict', argv: ['--store-strict=a:1'], text: /--store-strict.*use --endpoint/ },
    { name: 'removed: --rule', argv: ['--rule=a:1'], text: /--rule.*use --endpoint/ },
    { name: 'removed: --target', argv: ['--target=a:1'], text: /--target.*use --endpoint/ },
    { name: 'removed: --metadata', argv: ['--metadata=a:1'], text: /--metadata.*use --endpoint/ },
    { name: 'removed: --exemplar', argv: ['--exemplar=a:1'], text: /--exemplar.*use --endpoint/ },
    { name: 'no duration', argv: ['--query.timeout=soon'], text: /query\.timeout.*soon/ },
    { name: 'no size', argv: ['--query.max-memory=lots'], text: /query\.max-memory.*lots/ },
    { name: 'not in the list', argv: ['--deduplication.func=newest'], text: /deduplication\.func.*penalty.*chain/ },
    { name: 'given twice', argv: ['--query.timeout=1m', '--query.timeout=2m'], text: /query\.timeout/ },
    { name: 'too small', argv: ['--query.max-concurrent=0'], text: /query\.max-concurrent/ },
  ])('$name', ({ argv, text }) => {
    const outcome = parse(argv);
    expect(outcome).toMatchObject({ kind: 'exit', exitCode: 1, stderr: expect.stringMatching(text) });
  });
});

describe('what is not there yet is refused at start, not ignored', () => {
  test.each([
    ['--query.mode=distributed', '--query.mode=distributed: distributed mode is not there yet; use local'],
    ['--query.enforce-tenancy', '--query.enforce-tenancy'],
    ['--query.tenant-certificate-field=commonName', '--query.tenant-certificate-field'],
    ['--grpc-compression=snappy', 'snappy'],
    ['--query.max-memory=64KiB', '--query.max-memory: wanted 1MiB to 4GiB, got 64.0 KiB'],
    ['--query.max-memory=5GiB', '--query.max-memory: wanted 1MiB to 4GiB, got 5.0 GiB'],
  ])('%s', async (flag, text) => {
    const deps = { log: createNopLogger(), metrics: createMetrics(), clock: Date.now, shownFlags: {}, uiDir: '/nowhere', workerModule: new URL('file:///nowhere') };
    await expect(createQuerier(valuesOf([flag]), deps)).rejects.toThrow(text);
  });
});
