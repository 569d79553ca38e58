/** The store over a fake Prometheus: the Store contract, old servers, failures, slow readers; and recorded exchanges. */
import { existsSync, mkdtempSync, readdirSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { snappyDecode } from '@gauntlet/bytes';
import { createKernels } from '@gauntlet/kernels';
import { type Labels, labelsFromMap } from '@gauntlet/model';
import { labelNamesRequest, labelValuesRequest, readRequest, seriesRequest } from '@gauntlet/proto';
import { createProxyStore, type Store } from '@gauntlet/storeapi';
import { FIXTURE_EXTERNAL_LABELS, FIXTURE_MAXT, FIXTURE_MINT, FIXTURE_SERIES, readSeries, seriesOf, storeCases } from '@gauntlet/storeapi/testing';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { createPrometheusStore, createPrometheusTransport, PrometheusClient, type PrometheusStoreDeps } from './index.ts';
import { type FakePrometheus, startFakePrometheus } from './testing/index.ts';

// oxlint-disable-next-line typescript/no-explicit-any -- JSON of many shapes
type Json = any;

const kernels = createKernels({ backend: 'js', maxMemoryBytes: 8 << 20 });
let fake: FakePrometheus;
let client: PrometheusClient;
beforeEach(async () => {
  fake = await startFakePrometheus(FIXTURE_SERIES);
  client = new PrometheusClient(fake.url, createPrometheusTransport('', 'test'));
});
afterEach(async () => {
  client.close();
  await fake.close();
});

function storeOver(override: Partial<PrometheusStoreDeps> = {}): Store {
  return createPrometheusStore({
    client,
    kernels,
    externalLabels: () => FIXTURE_EXTERNAL_LABELS,
    timeRange: () => ({ mint: 0, maxt: Number.MAX_SAFE_INTEGER }),
    version: () => '3.14.0',
    ...override,
  });
}

describe('the Store contract', () => {
  for (const { name, run } of storeCases()) test(name, () => run(storeOver()));
  for (const { name, run } of storeCases()) {
    test(`behind a proxy: ${name}`, () => {
      const store = storeOver();
      return run(createProxyStore({ endpoints: () => [{ address: 'sidecar', info: store.info(), store }] }));
    });
  }
  for (const { name, run } of storeCases().filter((c) => c.name.startsWith('label'))) {
    test(`a Prometheus whose label calls take no matchers: ${name}`, async () => {
      await run(storeOver({ version: () => '2.23.0' }));
      expect(fake.requests.filter((r) => r.includes('/labels?') && r.includes('match[]'))).toEqual([]);
    });
  }
});

describe('remote read', () => {
  test('a range before the announced begin is cut', async () => {
    await readSeries(storeOver({ timeRange: () => ({ mint: FIXTURE_MINT + 5, maxt: Number.MAX_SAFE_INTEGER }) }).series(seriesOf(['__name__=up'], { minTime: 0, skipChunks: true })));
    expect(fake.requests).toEqual([`GET /api/v1/series?end=${FIXTURE_MAXT / 1000}&match[]={__name__="up"}&start=${(FIXTURE_MINT + 5) / 1000}`]);
  });

  test('an open end is left open', async () => {
    const { series } = await readSeries(storeOver().series(seriesOf(['__name__=up'], { maxTime: Number.MAX_SAFE_INTEGER, skipChunks: true })));
    expect(series.length).toBeGreaterThan(0);
    expect(fake.requests[0]).not.toContain('end=');
  });

  test('samples of an old server become chunks of 120', async () => {
    const samples = FIXTURE_SERIES.map((_, s) => Array.from({ length: 250 }, (__, i) => [1_000_000 + i * 1000, s + i / 4] as const));
    fake.state.samples = samples;
    const { series } = await readSeries(storeOver().series(seriesOf(['__name__=up', 'instance=a'])));
    expect(series.map((s) => s.labels)).toEqual([['__name__', 'up', 'cluster', 'eu', 'instance', 'a', 'job', 'api', 'replica', 'a']]);
    expect(series[0]!.chunks.map((c) => [c[0], c[1], c[2]])).toEqual([
      [1_000_000, 1_119_000, 1],
      [1_120_000, 1_239_000, 1],
      [1_240_000, 1_249_000, 1],
    ]);
    const wanted = samples[FIXTURE_SERIES.findIndex((s) => s.labels.includes('a') && s.labels.includes('instance'))]!;
    expect(series[0]!.chunks.flatMap((c) => decodeXor(c[3]))).toEqual(wanted.map(([t, v]) => [t, v]));
  });

  test.each([
    [400, 'bad\n', 'ERR_STORE_UNKNOWN', /^query Prometheus: request failed with code 400 Bad Request; msg broken on purpose$/],
    [503, '', 'ERR_STORE_UNKNOWN', /code 503/],
  ])('status %d', async (status, _body, code, text) => {
    fake.state.failWith = status;
    await expect(readSeries(storeOver().series(seriesOf(['a=b'])))).rejects.toMatchObject({ code, message: expect.stringMatching(text) });
  });

  test.each([
    [400, 'ERR_STORE_INVALID_ARGUMENT'],
    [404, 'ERR_STORE_NOT_FOUND'],
    [422, 'ERR_STORE_INTERNAL'],
    [500, 'ERR_STORE_INTERNAL'],
    [503, 'ERR_STORE_UNAVAILABLE'],
  ])('status %d of an API call', async (status, code) => {
    fake.state.failWith = status;
    await expect(readSeries(storeOver().series(seriesOf(['a=b'], { skipChunks: true })))).rejects.toMatchObject({ code, message: `expected 2xx response, got ${status}. Body: broken on purpose` });
  });

  test('an answer that ends early is an error, not a short answer', async () => {
    fake.intercept = (_, response) => {
      response.writeHead(200, { 'content-type': 'application/x-streamed-protobuf; proto=prometheus.ChunkedReadResponse', 'content-length': '1000' });
      response.write(Buffer.from([0x05, 1, 2]));
      setImmediate(() => response.destroy());
      return true;
    };
    await expect(readSeries(storeOver().series(seriesOf(['a=b'])))).rejects.toMatchObject({ code: 'ERR_STORE_UNAVAILABLE', message: expect.stringMatching(/^read answer of Prometheus: /) });
  });

  test('an unknown content type', async () => {
    fake.intercept = (_, response) => {
      response.setHeader('content-type', 'text/html');
      response.end('hello');
      return true;
    };
    await expect(readSeries(storeOver().series(seriesOf(['a=b'])))).rejects.toThrow('not supported remote read content type: text/html');
  });

  test('leaving early ends the request at Prometheus', async () => {
    let isOver: (value: boolean) => void;
    const over = new Promise<boolean>((resolve) => (isOver = resolve));
    fake.intercept = (request, response) => {
      if (!request.url!.endsWith('/read')) return false;
      response.on('close', () => isOver(true));
      return false;
    };
    const abort = new AbortController();
    fake.intercept = (_, response) => {
      response.writeHead(200, { 'content-type': 'application/x-streamed-protobuf; proto=prometheus.ChunkedReadResponse' });
      response.flushHeaders();
      response.on('close', () => isOver(true));
      setImmediate(() => abort.abort());
      return true;
    };
    await expect(readSeries(storeOver().series(seriesOf(['a=b']), { signal: abort.signal }))).rejects.toMatchObject({ name: 'AbortError' });
    expect(await over).toBe(true);
  });

  test('a slow reader sends the rest to disk and still gets everything', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'gauntlet-spool-test-'));
    let onSpooled: () => void;
    const spooled = new Promise<void>((resolve) => (onSpooled = resolve));
    const store = storeOver({ spool: { folder, stallMs: 1, onSpool: () => onSpooled() } });
    const frames: Uint8Array[] = [];
    for await (const frame of store.series(seriesOf(['__name__!=none']))) {
      frames.push(frame);
      if (frames.length === 1) await spooled;
    }
    async function* replay(): AsyncGenerator<Uint8Array> {
      yield* frames;
    }
    expect(await readSeries(replay())).toEqual(await readSeries(storeOver().series(seriesOf(['__name__!=none']))));
    expect(readdirSync(folder)).toEqual([]);
  });
});

/** XOR chunk (hex) to samples, by the kernels' twin. */
function decodeXor(hex: string): [number, number][] {
  const bytes = Buffer.from(hex, 'hex');
  const { memory } = kernels;
  const ptr = memory.alloc(bytes.length + 16);
  const out = memory.alloc(16 * 200);
  memory.u8(ptr, bytes.length).set(bytes);
  const count = kernels.decodeXor(ptr, bytes.length, out, out + 8 * 200, 200);
  const samples = Array.from({ length: count }, (_, i): [number, number] => [memory.f64(out, 200)[i]!, memory.f64(out + 8 * 200, 200)[i]!]);
  memory.free(out);
  memory.free(ptr);
  return samples;
}

const golden = join(process.env['GAUNTLET_SHARED'] ?? join(dirname(fileURLToPath(import.meta.url)), '../../../../shared'), 'golden/storeapi');

/** Path and parameters, however they were escaped. */
function parsedUrl(text: string): unknown {
  const url = new URL(text, 'http://x');
  return [url.pathname, [...url.searchParams]];
}

/** Calls where our answer differs from the recorded one, and why. */
const DIFFERENT: Readonly<Record<string, string>> = {
  'label-names-limit-2.json': 'the limit holds for external labels too',
  'label-names-limit-2-matcher.json': 'the limit holds for external labels too',
  'series-limit-1-chunks.json': 'the limit holds with chunks too',
  'series-shard-by-0.json': 'shards hold without chunks too',
  'series-shard-by-1.json': 'shards hold without chunks too',
  'series-shard-without-replica.json': 'shards hold without chunks too',
  'series-shard-without-0.json': 'shards hold without chunks too',
  'series-shard-without-1.json': 'shards hold without chunks too',
  'label-names-without-instance-matcher.json': 'all labels in without_replica_labels are removed, as gateways do',
  'series-without-inner-label.json': 'all labels in without_replica_labels are removed without chunks too',
  'series-without-name.json': 'all labels in without_replica_labels are removed without chunks too',
};

if (!existsSync(golden)) test.skip('recordings are not on this machine (GAUNTLET_SHARED)', () => {});
else describe.each(['sidecar', 'sidecar-b', 'sidecar-old-prometheus'])('recorded calls of %s', (folder) => {
  const startup = JSON.parse(readFileSync(join(golden, 'sidecar/startup.json'), 'utf8'));
  const mint = Number(/^prometheus_tsdb_lowest_timestamp_seconds (\S+)/m.exec(startup.answers['/metrics'].text)![1]) * 1000;
  const externalLabels: Labels = labelsFromMap({ cluster: 'eu', replica: folder === 'sidecar-b' ? 'b' : 'a' });
  const names = existsSync(golden) ? readdirSync(join(golden, folder)).filter((name) => /^(series|label)/.test(name)) : [];

  test.each(names)('%s', async (name) => {
    const call = JSON.parse(readFileSync(join(golden, folder, name), 'utf8'));
    const bytes = new Uint8Array(Buffer.from(call.requestBase64, 'base64'));
    const upstream: Json[] = [...(call.upstream ?? [])];
    const asked: string[] = [];
    fake.intercept = (request, response) => {
      const recorded = upstream.shift();
      asked.push(request.url!);
      const pieces: Buffer[] = [];
      request.on('data', (piece: Buffer) => pieces.push(piece));
      request.on('end', () => {
        if (recorded?.request.bodyBase64 !== undefined) {
          expect(readRequest.decode(snappyDecode(Buffer.concat(pieces)))).toEqual(readRequest.decode(snappyDecode(Buffer.from(recorded.request.bodyBase64, 'base64'))));
        }
        response.writeHead(recorded?.response.status ?? 500, recorded?.response.headers ?? {});
        response.end(recorded?.response.bodyBase64 === undefined ? recorded?.response.text : Buffer.from(recorded.response.bodyBase64, 'base64'));
      });
      return true;
    };
    const store = storeOver({ externalLabels: () => externalLabels, timeRange: () => ({ mint, maxt: Number.MAX_SAFE_INTEGER }), version: () => (folder === 'sidecar-old-prometheus' ? '2.23.0' : '3.14.0') });
    const wantedUrls = (call.upstream ?? []).map((u: Json) => u.request.url);

    async function* recordedFrames(): AsyncGenerator<Uint8Array> {
      for (const text of call.frames as string[]) yield new Uint8Array(Buffer.from(text, 'base64'));
    }
    const outcome = async (work: Promise<unknown>): Promise<unknown> => work.catch((error: Error) => error.message);
    let got: unknown;
    let wanted: unknown;
    if (call.method === 'thanos.Store/Series') {
      got = await outcome(readSeries(store.series(seriesRequest.decode(bytes))));
      wanted = await readSeries(recordedFrames());
    } else if (call.method === 'thanos.Store/LabelNames') {
      got = await outcome(store.labelNames(labelNamesRequest.decode(bytes)).then((a) => a.names));
      wanted = call.decoded[0]?.names ?? [];
    } else {
      got = await outcome(store.labelValues(labelValuesRequest.decode(bytes)).then((a) => a.values));
      wanted = call.decoded[0]?.values ?? [];
    }
    if (call.status.code !== 0) wanted = call.status.message;
    if (DIFFERENT[name] !== undefined) {
      expect(got).not.toEqual(wanted);
      return;
    }
    expect(got).toEqual(wanted);
    // Open ends are left out; limits are set where they suffice.
    if (!/min-max|time-int64|external-matcher|limit/.test(name)) expect(asked.map(parsedUrl)).toEqual(wantedUrls.map(parsedUrl));
  });
});
