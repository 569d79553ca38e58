/** `tools promql query` against a server and over blocks: answers, choice of blocks, limits, what is left behind. */
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createThanosSection } from '@gauntlet/block';
import { type Bucket, createFilesystemBucket } from '@gauntlet/objstore';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import type { RunToolDeps } from './main.ts';
import { evaluateQuery } from './promql-evaluate.ts';
import { writeRawBlock } from './testing/raw-block.ts';
import { runWith, type ToolRun } from './testing/tool-run.ts';

const dir = mkdtempSync(join(tmpdir(), 'gauntlet-promql-query-'));
const blocks = join(dir, 'blocks');
const temporary = join(dir, 'tmp');
afterAll(() => rmSync(dir, { recursive: true, force: true }));

const HOUR = 3_600_000;
const IDS = ['01M7YH8MWRAHCY0QHCESGFVHVY', '01M7YH8MX7YBJPAZEJM8D3WZNT', '01M7YH8MXMNKZM4QJSBS6AGBZJ', '01M7YH8MXYT3PGHCNEBS5FYSV5'] as const;
const up = (value: number, from: number): Parameters<typeof writeRawBlock>[4] => [{ labels: ['__name__', 'up', 'job', 'x'], chunks: [[from, from + 60_000, value]] }];
const section = (replica: string, resolutionMs = 0): Partial<Parameters<typeof writeRawBlock>[5] & object> => ({ thanos: createThanosSection({ labels: ['cluster', 'eu', 'replica', replica], source: 'sidecar', resolutionMs }) });

beforeAll(() => {
  mkdirSync(temporary);
  // Two replicas in the first two hours, one of them in the next two, and a downsampled block after that.
  writeRawBlock(blocks, IDS[0], 0, 2 * HOUR, up(1, HOUR), section('a'));
  writeRawBlock(blocks, IDS[1], 0, 2 * HOUR, up(2, HOUR), section('b'));
  writeRawBlock(blocks, IDS[2], 2 * HOUR, 4 * HOUR, up(3, 3 * HOUR), section('a'));
  writeRawBlock(blocks, IDS[3], 4 * HOUR, 6 * HOUR, up(4, 5 * HOUR), section('a', 300_000));
});
beforeEach(() => expect(readdirSync(temporary)).toEqual([]));

/** Evaluates in this thread; promql-thread.test.ts is about the other one. */
const here = (bucket?: Bucket): RunToolDeps => ({ evaluateQuery: (job, deps) => (bucket === undefined ? evaluateQuery(job, deps) : evaluateQuery(job, deps, () => Promise.resolve(bucket))) });
const query = (argv: readonly string[], more: RunToolDeps = {}): Promise<ToolRun> => runWith([], ['promql', 'query', ...argv], { ...here(), ...more });
const overFolder = (...argv: string[]): Promise<ToolRun> => query([...argv, `--block-dir=${blocks}`]);
const openBucket = (): Promise<Bucket> => createFilesystemBucket({ directory: blocks });
const overBucket = async (argv: readonly string[], more: RunToolDeps = {}, bucket?: Bucket): Promise<ToolRun> => query([...argv, '--objstore.config=given'], { tmpDir: temporary, ...here(bucket ?? (await openBucket())), ...more });
const warnings = ({ log }: ToolRun): unknown[] => log.filter(({ level, msg }) => level === 'warn' && msg === 'answer').map(({ warning }) => warning);
const failure = ({ code, log }: ToolRun): string => {
  expect(code).toBe(1);
  return String(log.at(-1)!['err']);
};

describe('over blocks', () => {
  test.each<{ name: string; argv: string[]; out: string }>([
    { name: 'external labels are labels of the series', argv: ['instant', '--time=3660', 'up'], out: 'up{cluster="eu", job="x", replica="a"} => 1 @[3660]\nup{cluster="eu", job="x", replica="b"} => 2 @[3660]\n' },
    { name: 'and are matched', argv: ['instant', '--time=3660', 'up{replica!="a"}'], out: 'up{cluster="eu", job="x", replica="b"} => 2 @[3660]\n' },
    { name: 'alone, too', argv: ['instant', '--time=3660', '{replica="b"}'], out: 'up{cluster="eu", job="x", replica="b"} => 2 @[3660]\n' },
    { name: 'selected blocks', argv: ['instant', '--time=3660', '-l', 'replica="a"', 'sum(up)'], out: '{} => 1 @[3660]\n' },
    { name: 'offsets reach other blocks', argv: ['instant', '--time=10860', 'up - ignoring(x) up offset 2h'], out: '{cluster="eu", job="x", replica="a"} => 2 @[10860]\n' },
    { name: 'JSON', argv: ['instant', '-o', 'json', '--time=3660', 'sum(up)'], out: '[{"metric":{},"value":[3660,"3"]}]\n' },
    { name: 'a range', argv: ['range', '--start=3600', '--end=3720', '--step=1m', 'sum(up)'], out: '{} =>\n3 @[3600]\n3 @[3660]\n3 @[3720]\n' },
    { name: 'a range in JSON', argv: ['range', '--output=json', '--start=3600', '--end=3660', '--step=1m', 'sum by (job) (up)'], out: '[{"metric":{"job":"x"},"values":[[3600,"3"],[3660,"3"]]}]\n' },
    { name: 'samples as they are', argv: ['instant', '--time=3700', 'up{replica="a"}[2m]'], out: 'up{cluster="eu", job="x", replica="a"} =>\n1 @[3600]\n1 @[3630]\n1 @[3660]\n' },
    { name: 'a number', argv: ['instant', '--time=3660', '1+1'], out: 'scalar: 2 @[3660]\n' },
    { name: 'a string', argv: ['instant', '--time=3660', '"s"'], out: 's\n' },
    { name: 'lookback', argv: ['instant', '--time=5000', '--query.lookback-delta=1h', 'sum(up)'], out: '{} => 3 @[5000]\n' },
    { name: 'features', argv: ['instant', '--time=3660', '--enable-feature=promql-experimental-functions', 'count(limitk(1, up))'], out: '{} => 1 @[3660]\n' },
  ])('$name', async ({ argv, out }) => {
    expect(await overFolder(...argv)).toMatchObject({ code: 0, out });
    expect(await overBucket(argv)).toMatchObject({ code: 0, out });
  });

  test('native histograms', async () => {
    const recorded = join(import.meta.dirname, '../../tsdb/testdata/tsdb/out-of-order');
    const ask = async (...argv: string[]): Promise<string> => (await query(['instant', '--time=1772424060', `--block-dir=${recorded}`, ...argv])).out;
    expect(await ask('late_hist offset 1m')).toBe('late_hist{i="0"} => Count: 1.000000, Sum: 0.289449, Buckets: [(0.25,0.35355339059327373]:1] @[1772424060]\n');
    expect(await ask('-o', 'json', 'late_hist offset 1m')).toBe('[{"metric":{"__name__":"late_hist","i":"0"},"histogram":[1772424060,{"count":"1","sum":"0.2894493006169796","buckets":[[0,"0.25","0.35355339059327373","1"]]}]}]\n');
    expect(await ask('histogram_count(late_hist)')).toBe('{i="0"} => 2 @[1772424060]\n');
  });

  test('an expression from standard input', async () => {
    expect(await query(['instant', '--time=3660', '-', `--block-dir=${join(blocks, IDS[0])}`], { readInput: () => Promise.resolve('count(\nup)\n') })).toMatchObject({ code: 0, out: '{} => 1 @[3660]\n' });
  });

  test('series in many pieces', async () => {
    const wide = join(dir, 'wide');
    writeRawBlock(wide, IDS[0], 0, 2 * HOUR, Array.from({ length: 600 }, (_none, i) => ({ labels: ['__name__', 'm', 'i', String(i).padStart(3, '0')], chunks: [[HOUR, HOUR + 60_000, i]] as const })), { thanos: createThanosSection({}) });
    const { code, out } = await query(['instant', '--time=3660', 'm', `--block-dir=${wide}`]);
    expect(code).toBe(0);
    expect(out.trimEnd().split('\n')).toEqual(Array.from({ length: 600 }, (_none, i) => `m{i="${String(i).padStart(3, '0')}"} => ${i} @[3660]`));
  });

  test('what is not read is said: downsampled blocks, no blocks at that time, the log of a Prometheus', async () => {
    const downsampled = await overFolder('instant', '--time=18060', 'up');
    expect([downsampled.code, downsampled.out]).toEqual([0, '\n']);
    expect(warnings(downsampled)).toEqual([expect.stringMatching(`block ${IDS[3]} is downsampled to 5m and not read: .*replica="a".* may be missing`)]);
    expect(warnings(await overFolder('instant', '--time=90000', 'up'))).toEqual([expect.stringMatching(/^no block has samples between .* there are blocks from 1970-01-01T00:00:00Z to 1970-01-01T06:00:00Z$/)]);
    expect(warnings(await overFolder('instant', '--time=3660', 'up'))).toEqual([]);
    mkdirSync(join(blocks, 'wal'));
    writeFileSync(join(blocks, 'wal', '00000000'), 'x');
    expect((await overFolder('instant', '--time=3660', 'up')).log).toContainEqual(expect.objectContaining({ level: 'warn', msg: 'samples that are in no block yet are not read' }));
    rmSync(join(blocks, 'wal'), { recursive: true });
  });
});

describe('a bucket', () => {
  test('only blocks that are needed are downloaded, once, and their size is said', async () => {
    const bucket = await openBucket();
    const read: string[] = [];
    const stream = bucket.stream.bind(bucket);
    const counted = Object.assign(bucket, {
      stream: (...args: Parameters<typeof stream>) => {
        read.push(args[0]);
        return stream(...args);
      },
    });
    const run = await overBucket(['instant', '--time=10860', 'up + up'], {}, counted);
    expect(run).toMatchObject({ code: 0, out: '{cluster="eu", job="x", replica="a"} => 6 @[10860]\n' });
    expect(read.sort()).toEqual([`${IDS[2]}/chunks/000001`, `${IDS[2]}/index`]);
    expect(run.log).toContainEqual(expect.objectContaining({ msg: 'downloading blocks', blocks: 1, size: expect.stringMatching(/ B$|KiB$/) }));
  });

  test('an interruption ends the download and leaves nothing', async () => {
    const interruption = new AbortController();
    const bucket = await openBucket();
    const downloads: string[] = [];
    const interrupted = Object.assign(bucket, {
      stream: async function* (key: string): AsyncGenerator<Uint8Array> {
        downloads.push(key);
        yield new Uint8Array(1);
        interruption.abort(new Error('interrupted'));
        interruption.signal.throwIfAborted();
      },
    });
    const run = await overBucket(['instant', '--time=3660', 'up'], { signal: interruption.signal }, interrupted);
    expect(downloads.length).toBeGreaterThan(0);
    expect(failure(run)).toMatch(/interrupted|canceled/);
    expect(readdirSync(temporary)).toEqual([]);
  });

  test('a damaged block is an error by name, and leaves nothing', async () => {
    const bucket = await openBucket();
    const damaged = Object.assign(bucket, {
      stream: async function* (): AsyncGenerator<Uint8Array> {
        yield new Uint8Array(100);
      },
    });
    const run = await overBucket(['instant', '--time=3660', 'up'], {}, damaged);
    expect(failure(run)).toContain(IDS[0]);
    expect(readdirSync(temporary)).toEqual([]);
  });
});

describe('limits', () => {
  test.each<{ name: string; argv: string[]; text: string }>([
    { name: 'memory', argv: ['--max-memory=64KiB'], text: '(--max-memory)' },
    { name: 'samples', argv: ['--query.max-samples=1'], text: 'too many samples' },
    { name: 'downloads', argv: ['--max-download=1KiB'], text: 'download 2 blocks: ' },
  ])('$name', async ({ argv, text }) => {
    const run = await overBucket(['instant', '--time=3660', 'up', ...argv]);
    expect(failure(run)).toContain(text);
    expect(run.out).toBe('');
  });
});

describe('refused', () => {
  test.each<{ name: string; argv: string[]; text: string }>([
    { name: 'no source', argv: ['instant', 'up'], text: 'wanted one of --url, --block-dir and --objstore.config-file, got none' },
    { name: 'two sources', argv: ['instant', 'up', '--url=http://x', '--block-dir=y'], text: 'got --url and --block-dir' },
    { name: 'parameters of servers', argv: ['instant', 'up', '--block-dir=y', '--no-dedup'], text: 'go with --url' },
    { name: 'blocks of a server', argv: ['instant', 'up', '--url=http://x', '-l', 'a="b"'], text: '--selector chooses blocks' },
    { name: 'no such folder', argv: ['instant', 'up', '--block-dir=/nowhere/at/all'], text: 'look for blocks in /nowhere/at/all: ENOENT' },
    { name: 'a folder without blocks', argv: ['instant', 'up', `--block-dir=${temporary}`], text: 'it is no block and has none in it' },
    { name: 'labels no block has', argv: ['instant', 'up', `--block-dir=${blocks}`, '-l', 'cluster="us"'], text: 'none of 4 blocks has the external labels' },
    { name: 'a time', argv: ['instant', 'up', '--time=noon', `--block-dir=${blocks}`], text: 'flag --time: cannot parse "noon"' },
    { name: 'a range backwards', argv: ['range', 'up', '--start=2', '--end=1', `--block-dir=${blocks}`], text: '--start is not before --end' },
    { name: 'a header', argv: ['instant', 'up', '--url=http://x', '--header=x'], text: 'flag --header: wanted name=value' },
    { name: 'a URL', argv: ['instant', 'up', '--url=ftp://x'], text: 'wanted an http or https URL' },
    { name: 'an expression', argv: ['instant', 'up +', `--block-dir=${blocks}`], text: '1:5: parse error: unexpected end of input' },
    { name: 'a range vector over a range', argv: ['range', 'up[5m]', '--start=1', '--end=2', `--block-dir=${blocks}`], text: 'must be Scalar or instant Vector' },
  ])('$name', async ({ argv, text }) => expect(failure(await query(argv, { printError: () => {} }))).toContain(text));
});

describe('a server', () => {
  let server: Server;
  const requests: { readonly path: string; readonly form: Record<string, string>; readonly headers: Record<string, unknown> }[] = [];
  let url: string;
  beforeAll(async () => {
    server = createServer((request, response) => {
      const parts: Buffer[] = [];
      request.on('data', (part: Buffer) => parts.push(part));
      request.on('end', () => {
        const form = Object.fromEntries(new URLSearchParams(Buffer.concat(parts).toString()));
        requests.push({ path: request.url!, form, headers: request.headers });
        const isBad = form['query'] === 'bad';
        response.writeHead(isBad ? 400 : 200, { 'content-type': 'application/json' });
        response.end(JSON.stringify(isBad ? { status: 'error', errorType: 'bad_data', error: '1:1: parse error: bad' } : { status: 'success', data: { resultType: 'vector', result: [{ metric: { __name__: 'up' }, value: [5, '1'] }] }, warnings: ['a store is away'] }));
      });
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    url = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  });
  afterAll(() => {
    server.close();
  });
  beforeEach(() => {
    requests.length = 0;
  });
  const ask = (...argv: string[]): Promise<ToolRun> => runWith([], ['promql', 'query', ...argv]);

  test('is asked with the parameters given, and nothing else', async () => {
    const run = await ask('instant', '--time=5', `--url=http://user:p%40ss@${url}/prefix/`, '--header=THANOS-TENANT=a=b', '--no-dedup', '--partial-response', 'up');
    expect(run).toMatchObject({ code: 0, out: 'up => 1 @[5]\n' });
    expect(warnings(run)).toEqual(['a store is away']);
    expect(requests).toMatchObject([{ path: '/prefix/api/v1/query', form: { query: 'up', time: '5.000', dedup: 'false', partial_response: 'true' }, headers: { 'thanos-tenant': 'a=b', authorization: `Basic ${Buffer.from('user:p@ss').toString('base64')}` } }]);
    await ask('instant', '--time=5', `--url=${url}`, 'up');
    expect(requests[1]!.form).toEqual({ query: 'up', time: '5.000' });
  });

  test('a range has the defaults of promtool', async () => {
    await runWith([], ['promql', 'query', 'range', `--url=${url}`, 'up'], { clock: () => 10_000_000 });
    await runWith([], ['promql', 'query', 'range', `--url=${url}`, '--start=0', '--end=3600', 'up']);
    expect(requests.map(({ path, form }) => [path, form])).toEqual([
      ['/api/v1/query_range', { query: 'up', start: '9700.000', end: '10000.000', step: '1.000' }],
      ['/api/v1/query_range', { query: 'up', start: '0.000', end: '3600.000', step: '14.000' }],
    ]);
  });

  test('its errors are passed on, without the password of the URL', async () => {
    const text = failure(await ask('instant', `--url=http://user:secret@${url}`, 'bad'));
    expect(text).toContain('status 400: 1:1: parse error: bad');
    expect(text).not.toContain('secret');
  });
});
