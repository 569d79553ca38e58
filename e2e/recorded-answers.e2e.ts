/**
 * Every exchange recorded with `thanos query`, asked again of our querier over our store gateway on the same blocks, as processes with the flags of the
 * recording. Each is equal (status, headers, JSON, values to the digit; sums over several series to 1e-12) or stands in a table below with the reason; one
 * that differs and is in none fails, and so does one that is listed and equal. The counts are printed.
 */
import { cpSync, existsSync, readdirSync, readFileSync } from 'node:fs';
import { request as httpRequest } from 'node:http';
import { join, resolve } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { type Service, startService } from './harness/gauntlet.ts';
import { temporaryDir } from './harness/process.ts';

const golden = join(process.env['GAUNTLET_SHARED'] ?? resolve(import.meta.dirname, '../../shared'), 'golden');
const isThere = existsSync(join(golden, 'http-api'));
const TIMEOUT_MS = 120_000;

/** Where the recorded store was; in the recordings' requests and texts. */
const RECORDED_STORE = '127.0.0.1:27001';

/** A folder of recordings with the flags of its querier. */
const SETS: readonly { readonly name: string; readonly flags: readonly string[] }[] = [
  { name: 'query', flags: ['--query.replica-label=replica'] },
  { name: 'query-chain', flags: ['--query.replica-label=replica', '--deduplication.func=chain'] },
  { name: 'query-no-dedup-label', flags: [] },
  { name: 'query-dead-store', flags: ['--query.replica-label=replica', '--endpoint-strict=127.0.0.1:9'] },
  {
    name: 'query-options',
    flags: [
      '--query.replica-label=replica',
      '--query.auto-downsampling',
      '--enable-feature=promql-experimental-functions',
      '--query.enable-x-functions',
      '--query.promql-engine=thanos',
      '--web.route-prefix=/thanos',
      '--no-query.partial-response',
    ],
  },
];

/** Pages and state of the server, which are about the program and not its data. */
const NOT_OURS: readonly (readonly [RegExp, string])[] = [
  [/^(query|query-options)\/(root|prefix|prefix-slash)$/, 'a page: ours is another'],
  [/^query\/status-(buildinfo|flags|runtimeinfo)$/, 'state of the program'],
  [/^query(-dead-store)?\/stores$/, 'addresses and times of the recording; querier.test.ts'],
];

/** Answers that are known to differ, and why. */
const DIFFERENT: readonly (readonly [RegExp, string])[] = [
  [/^query\/(query-range-res-.*-(5m|1h)|query-range-res-auto|query-param-resolution-(5m|1h))$/, 'downsampled data is not read yet'],
  [/^query-options\/query-range-auto$/, 'downsampled data is not read yet'],
  [/^query\/(format-query|parse-query)$/, 'Thanos has no such endpoint; we answer as Prometheus does'],
  [/^query\/query-(range-)?explain-thanos$|^query\/query-param-analyze$/, 'the operators of another engine: explain-query.test.ts'],
  [/^query\/query-bad-duplicate-match$|^query\/query-range-bad-exec-error$/, 'the Prometheus in that Thanos named the later series first; 3.14 sorts the two'],
  [/^query-dead-store\/series-partial$/, 'Thanos loses the warning of /series; we say that a store is missing'],
];

interface Recording {
  readonly request: { readonly method: string; readonly path: string; readonly params: readonly (readonly [string, string | number | boolean])[]; readonly form?: boolean };
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly text: string;
}

function recordingsOf(set: string): [string, Recording][] {
  if (!isThere) return [];
  const folder = join(golden, 'http-api', set);
  return readdirSync(folder).sort().map((file) => [`${set}/${file.replace('.json', '')}`, JSON.parse(readFileSync(join(folder, file), 'utf8')) as Recording]);
}

const COMPARED_HEADERS = ['content-type', 'cache-control', 'vary', 'access-control-allow-origin', 'access-control-allow-methods', 'access-control-allow-headers', 'access-control-expose-headers'] as const;

interface Body {
  data?: { resultType?: string; result?: { metric: unknown }[]; stats?: { timings?: unknown } };
  warnings?: string[];
}

/** What is compared. Instant vectors and warnings have no order, and timings belong to the machine. */
function comparable(text: string): unknown {
  if (!text.startsWith('{')) return text;
  const body = JSON.parse(text) as Body;
  if (body.data?.resultType === 'vector') body.data.result!.sort((a, b) => (JSON.stringify(a.metric) < JSON.stringify(b.metric) ? -1 : 1));
  if (body.data?.stats !== undefined) body.data.stats.timings = Object.keys(body.data.stats.timings ?? {});
  body.warnings?.sort();
  return body;
}

/** Equal, where numbers in texts may differ by 1e-12 of their size. */
function isNear(a: unknown, b: unknown): boolean {
  if (typeof a === 'string' && typeof b === 'string') return a === b || (a !== '' && b !== '' && Math.abs(Number(a) - Number(b)) <= 1e-12 * Math.abs(Number(b)));
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return isDeepStrictEqual(a, b);
  const keys = Object.keys(a);
  return keys.length === Object.keys(b).length && keys.every((key) => isNear((a as Record<string, unknown>)[key], (b as Record<string, unknown>)[key]));
}

interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, unknown>>;
  readonly text: string;
}

/** Sends the recorded request as it is: fetch would add headers and refuse methods. */
function ask(url: string, { method, path, params, form }: Recording['request'], storeAddress: string, headers: Record<string, string>): Promise<Answer> {
  const { hostname, port } = new URL(url);
  const query = new URLSearchParams((params ?? []).map(([name, value]) => [name, String(value).replace(RECORDED_STORE, storeAddress)])).toString();
  const target = form === true || query === '' ? path : `${path}?${query}`;
  return new Promise((done, fail) => {
    const sent = httpRequest({ host: hostname, port, method, path: target, headers: { ...headers, ...(form === true ? { 'content-type': 'application/x-www-form-urlencoded' } : {}) } }, (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('end', () => done({ status: response.statusCode!, headers: response.headers, text: Buffer.concat(chunks).toString().replaceAll(storeAddress, RECORDED_STORE) }));
    }).on('error', fail);
    sent.end(form === true ? query : undefined);
  });
}

(isThere ? describe : describe.skip)('recorded answers of thanos query (needs ../shared/golden)', () => {
  let store: Service;

  beforeAll(async () => {
    const bucket = temporaryDir('recorded-bucket');
    cpSync(join(golden, 'bucket/plain'), bucket, { recursive: true });
    store = await startService('store', [`--objstore.config=type: FILESYSTEM\nconfig:\n  directory: ${bucket}\n`, `--data-dir=${temporaryDir('recorded-store')}`]);
  }, TIMEOUT_MS);

  afterAll(() => store?.stop(), TIMEOUT_MS);

  describe.each(SETS)('$name', ({ name: set, flags }) => {
    let querier: Service;
    const seen = { equal: 0, different: 0, notOurs: 0 };
    const recordings = recordingsOf(set);

    beforeAll(async () => {
      querier = await startService('query', [`--endpoint=${store.grpc}`, ...flags]);
    }, TIMEOUT_MS);

    afterAll(async () => {
      process.stdout.write(`recorded answers, ${set}: ${seen.equal} equal, ${seen.different} different with a reason, ${seen.notOurs} of other endpoints\n`);
      await querier?.stop();
    }, TIMEOUT_MS);

    test.each(recordings)('%s', async (name, { request, status, headers, text }) => {
      if (NOT_OURS.some(([pattern]) => pattern.test(name))) {
        seen.notOurs++;
        return;
      }
      const answer = await ask(querier.url, request, store.grpc, name.endsWith('-origin') ? { origin: 'http://example.test' } : {});
      const ours = { status: answer.status, headers: COMPARED_HEADERS.map((header) => [header, answer.headers[header]]), body: comparable(answer.text) };
      const theirs = { status, headers: COMPARED_HEADERS.map((header) => [header, headers[header]]), body: comparable(text) };
      const query = String(request.params?.find(([param]) => param === 'query')?.[1] ?? '');
      const isListed = DIFFERENT.some(([pattern]) => pattern.test(name));
      if (isDeepStrictEqual(ours, theirs) || (/\b(sum|avg)\b/.test(query) && isNear(ours, theirs))) {
        expect([name, isListed]).toEqual([name, false]);
        seen.equal++;
        return;
      }
      if (isListed) {
        seen.different++;
        return;
      }
      expect(ours).toEqual(theirs);
    }, TIMEOUT_MS);
  });
});
