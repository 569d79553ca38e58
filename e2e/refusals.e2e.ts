/**
 * What a mistake looks like from outside: each is refused by the built program with a message that says what, where, and, where it
 * can, what was meant. Exit code 1 unless the case says that the process goes on.
 */
import { writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { join } from 'node:path';
import { createKernels } from '@gauntlet/kernels';
import { startTestS3 } from '@gauntlet/s3-server/testing';
import { createNodeFileSystem } from '@gauntlet/service-kit';
import { type FakePrometheus, type FakeState, startFakePrometheus } from '@gauntlet/sidecar/testing';
import { FIXTURE_SERIES } from '@gauntlet/storeapi/testing';
import { buildBlock } from '@gauntlet/tsdb/testing';
import { afterEach, beforeAll, afterAll, describe, expect, test } from '@jest/globals';
import { getApi } from './harness/api.ts';
import { runGauntlet, startService } from './harness/gauntlet.ts';
import { freePort, temporaryDir, waitFor } from './harness/process.ts';

const TIMEOUT_MS = 90_000;
const FREE_PORTS = ['--http-address=127.0.0.1:0', '--grpc-address=127.0.0.1:0', '--http-grace-period=1s', '--grpc-grace-period=1s'];

const closers: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

async function prometheus(state: Partial<FakeState> = {}): Promise<FakePrometheus> {
  const fake = await startFakePrometheus(FIXTURE_SERIES, state);
  closers.push(() => fake.close());
  return fake;
}

const overPrometheus = ({ url }: FakePrometheus): readonly string[] => [`--prometheus.url=${url}`, '--prometheus.get_config_interval=100ms'];

describe('the command line', () => {
  test.each([
    ['sidecar', '--prometheus.ulr=http://x', "gauntlet: error: unknown long flag '--prometheus.ulr', did you mean '--prometheus.url'?\n"],
    ['query', '--query.replica-lable=x', "gauntlet: error: unknown long flag '--query.replica-lable', did you mean '--query.replica-label'?\n"],
    ['store', '--objstore.confg-file=x', "gauntlet: error: unknown long flag '--objstore.confg-file', did you mean '--objstore.config-file'?\n"],
    ['query', '--query.timeout=soon', 'gauntlet: error: '],
    ['qeury', '', 'gauntlet: error: expected command but got "qeury", did you mean "query"? (try --help)\n'],
  ])('%s %s', async (component, flag, message) => {
    const { code, output } = await runGauntlet([component, flag].filter((word) => word !== ''));
    expect(output).toContain(message);
    expect(code).toBe(1);
  }, TIMEOUT_MS);
});

describe('an object store configuration', () => {
  const dir = temporaryDir('refusals');
  const file = join(dir, 'bucket.yml');
  const CASES: readonly (readonly [string, string, string])[] = [
    ['with an unknown key: file, line, column, key, and the nearest one', 'type: S3\nconfig:\n  bucket: b\n  endpoint: 127.0.0.1:1\n  acces_key: x\n', `${file}:5:3: unknown key 'acces_key' in config, did you mean 'access_key'?`],
    ['that is no YAML', 'type: S3\nconfig: {bucket: b\n', `${file}:`],
    ['of a type that does not exist', 'type: S4\nconfig: {}\n', `${file}:1:7: `],
  ];

  test.each(CASES.flatMap(([name, text, message]) => (['sidecar', 'store'] as const).map((component) => [component, name, text, message] as const)))('%s: %s', async (component, _name, text, message) => {
    writeFileSync(file, text);
    const { code, output } = await runGauntlet([component, ...FREE_PORTS, `--objstore.config-file=${file}`, ...(component === 'store' ? [`--data-dir=${dir}`] : [])]);
    expect(output).toContain(message);
    expect(code).toBe(1);
  }, TIMEOUT_MS);

  test('of a bucket that cannot be reached: the store says so and ends', async () => {
    const endpoint = `127.0.0.1:${await freePort()}`;
    writeFileSync(file, `type: S3\nconfig: {bucket: nowhere, endpoint: '${endpoint}', insecure: true, access_key: a, secret_key: s}\n`);
    const { code, output } = await runGauntlet(['store', ...FREE_PORTS, `--objstore.config-file=${file}`, `--data-dir=${dir}`]);
    expect(output).toMatch(/level=error .*nowhere/);
    expect(output).toMatch(new RegExp(`level=error .*(ECONNREFUSED|${endpoint})`));
    expect(code).toBe(1);
  }, TIMEOUT_MS);

  test('with keys the bucket does not take: the store says so and ends', async () => {
    const s3 = await startTestS3();
    closers.push(() => s3.close());
    writeFileSync(file, s3.configYaml.replace(s3.secretKey, 'wrong'));
    const { code, output } = await runGauntlet(['store', ...FREE_PORTS, `--objstore.config-file=${file}`, `--data-dir=${dir}`]);
    expect(output).toMatch(/level=error .*SignatureDoesNotMatch|level=error .*403/);
    expect(output).not.toContain('wrong');
    expect(code).toBe(1);
  }, TIMEOUT_MS);

  test('of a bucket that cannot be reached: the sidecar goes on serving, and says that it does not ship', async () => {
    const endpoint = `127.0.0.1:${await freePort()}`;
    const data = temporaryDir('refusals-tsdb');
    writeFileSync(file, `type: S3\nconfig: {bucket: nowhere, endpoint: '${endpoint}', insecure: true, access_key: a, secret_key: s}\n`);
    const { meta } = buildBlock(createNodeFileSystem(), data, 'up 1x100', { kernels: createKernels({ backend: 'js' }) });
    const sidecar = await startService('sidecar', [...overPrometheus(await prometheus()), `--objstore.config-file=${file}`, `--tsdb.path=${data}`]);
    const warning = await waitFor('the warning', async () => /level=warn .*msg="shipping blocks".*/.exec(sidecar.process.output())?.[0], { process: sidecar.process });
    expect(warning).toContain(meta.ulid);
    expect(warning).toContain('nowhere');
    expect(warning).toContain('ECONNREFUSED');
    expect((await fetch(`${sidecar.url}/-/ready`)).status).toBe(200);
    await sidecar.stop();
  }, TIMEOUT_MS);
});

describe('a port in use', () => {
  let holder: Server;
  let address: string;
  beforeAll(async () => {
    holder = createServer();
    await new Promise<void>((resolve) => holder.listen(0, '127.0.0.1', resolve));
    address = `127.0.0.1:${(holder.address() as { port: number }).port}`;
  });
  afterAll(() => void holder.close());

  test.each([
    ['sidecar', '--http-address'],
    ['sidecar', '--grpc-address'],
    ['query', '--http-address'],
    ['query', '--grpc-address'],
    ['store', '--http-address'],
    ['store', '--grpc-address'],
  ] as const)('%s %s', async (component, flag) => {
    const own = component === 'sidecar' ? overPrometheus(await prometheus()) : component === 'store' ? [`--data-dir=${temporaryDir('refusals-store')}`, `--objstore.config=${JSON.stringify({ type: 'FILESYSTEM', config: { directory: temporaryDir('refusals-bucket') } })}`] : [];
    const { code, output } = await runGauntlet([component, ...FREE_PORTS.filter((word) => !word.startsWith(flag)), `${flag}=${address}`, ...own]);
    expect(output).toContain(`listen on ${address}: port in use`);
    expect(code).toBe(1);
  }, TIMEOUT_MS);
});

describe('a Prometheus beside the sidecar', () => {
  test('without external labels', async () => {
    const { code, output } = await runGauntlet(['sidecar', ...FREE_PORTS, ...overPrometheus(await prometheus({ externalLabels: {} }))]);
    expect(output).toContain('no external labels configured on Prometheus server, uniquely identifying external labels must be configured');
    expect(code).toBe(1);
  }, TIMEOUT_MS);

  test('that compacts the blocks which are to be shipped', async () => {
    const fake = await prometheus({ flags: { 'storage.tsdb.min-block-duration': '2h', 'storage.tsdb.max-block-duration': '1d' } });
    const objstore = JSON.stringify({ type: 'FILESYSTEM', config: { directory: temporaryDir('refusals-bucket') } });
    const sidecar = await startService('sidecar', [...overPrometheus(fake), `--objstore.config=${objstore}`], { waitsForReady: false });
    await waitFor('the reason', async () => sidecar.process.output().includes('--storage.tsdb.min-block-duration is 2h, --storage.tsdb.max-block-duration is 1d; both must be the same'), { process: sidecar.process });
    expect((await fetch(`${sidecar.url}/-/ready`)).status).toBe(503);
    await sidecar.stop();
  }, TIMEOUT_MS);

  test('two of them with the same labels: the querier warns, and names both', async () => {
    const one = await startService('sidecar', overPrometheus(await prometheus()));
    const other = await startService('sidecar', overPrometheus(await prometheus()));
    const querier = await startService('query', [`--endpoint=${one.grpc}`, `--endpoint=${other.grpc}`]);
    const warning = await waitFor('the warning', async () => /level=warn .*found duplicate sidecar endpoints: different Prometheus servers must have different external labels.*/.exec(querier.process.output())?.[0], { process: querier.process });
    expect(warning).toContain(one.grpc);
    expect(warning).toContain(other.grpc);
    expect(warning).toContain('cluster=');
    await Promise.all([querier.stop(), one.stop(), other.stop()]);
  }, TIMEOUT_MS);
});

describe('a query', () => {
  let url: string;
  beforeAll(async () => {
    ({ url } = await startService('query', []));
  }, TIMEOUT_MS);

  // Texts and positions are those of Prometheus 3.14; as with Thanos' querier, nothing stands before them.
  test.each([
    ['sum(up', '1:7: parse error: unclosed left parenthesis'],
    ['rate(up)', '1:6: parse error: expected type range vector in call to function "rate", got instant vector'],
    ['up{job=}', '1:8: parse error: unexpected "}" in label matching, expected string'],
    ['nosuch(up)', '1:1: parse error: unknown function with name "nosuch"'],
    ['', 'unknown position: parse error: no expression found in input'],
  ])('%j is refused as Prometheus refuses it', async (query, text) => {
    for (const [path, times] of [['query', {}], ['query_range', { start: 0, end: 60, step: 15 }]] as const) {
      const answer = await getApi(url, path, { query, ...times });
      expect(answer).toMatchObject({ httpStatus: 400, status: 'error', errorType: 'bad_data', error: text });
    }
  });
});
