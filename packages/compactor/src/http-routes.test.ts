/** The page and the API of a compactor that runs. */
import { BucketLedger, createLedgerBucket, createMemoryBucket, type MemoryBucket } from '@gauntlet/objstore';
import { afterEach, describe, expect, test } from '@jest/globals';
import type { Compactor } from './compactor.ts';
import { escapeHtml, renderStatusPage } from './status-page.ts';
import { createTestCompactor, putRecorded, removeTestDirs, REPLICA_A } from './testing/compactor-kit.ts';

const signal = new AbortController().signal;
const stops: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const stop of stops.splice(0)) await stop();
  removeTestDirs();
});

async function start(flags: readonly string[] = [], ids: readonly string[] = REPLICA_A.slice(0, 6)): Promise<{ bucket: MemoryBucket; ledger: BucketLedger; compactor: Compactor; get: (path: string) => Promise<{ status: number; text: string; headers: Headers }>; post: (path: string, body: string) => Promise<{ status: number; text: string }> }> {
  const bucket = createMemoryBucket();
  for (const id of ids) await putRecorded(bucket, id);
  const ledger = new BucketLedger();
  const compactor = await createTestCompactor(createLedgerBucket(bucket, ledger), { flags });
  await compactor.http.start();
  stops.push(() => compactor.http.stop());
  const base = `http://127.0.0.1:${compactor.http.address().port}`;
  const call = async (path: string, init: RequestInit = {}): Promise<{ status: number; text: string; headers: Headers }> => {
    const response = await fetch(base + path, { redirect: 'manual', ...init });
    return { status: response.status, text: await response.text(), headers: response.headers };
  };
  return { bucket, ledger, compactor, get: (path) => call(path), post: (path, body) => call(path, { method: 'POST', body, headers: { 'content-type': 'application/x-www-form-urlencoded' } }) };
}

describe('the page', () => {
  test('names groups, blocks and plans; what is blocked and why', async () => {
    const { get, bucket, compactor } = await start();
    expect((await get('/')).text).toContain('bucket seen never');
    await bucket.upload(`${REPLICA_A[1]}/index`, Buffer.from('<script>alert(1)</script>'));
    await bucket.upload(`${REPLICA_A[8]}/index`, Buffer.from('half'));
    await compactor.iterate(signal);
    const { status, text, headers } = await get('/');
    expect(status).toBe(200);
    expect(headers.get('content-type')).toBe('text/html; charset=utf-8');
    expect(headers.get('content-security-policy')).toContain("default-src 'none'");
    expect(text).toContain('{cluster=&quot;eu&quot;, replica=&quot;a&quot;}');
    for (const id of REPLICA_A.slice(0, 6)) expect(text).toContain(id);
    expect(text).toContain('<strong>1 blocked</strong>');
    expect(text).toMatch(/<strong>Blocked<\/strong> since .* UTC: compact group 0@16129748038303570002: /);
    expect(text).toContain(`load block ${REPLICA_A[8]}: has no meta file`);
  });
  test('escapes what comes from outside', () => {
    expect(escapeHtml(`<a href="x" title='y'>&`)).toBe('&lt;a href=&quot;x&quot; title=&#39;y&#39;&gt;&amp;');
    const problem = { message: '<script>', kind: 'other', code: 'X', blocks: [], sinceMs: 0 } as const;
    const html = renderStatusPage({
      phase: '<script>', iterations: 1, syncedMs: 0, partialBlocks: [{ ulid: '<script>', reason: '<script>' }], problems: [problem],
      groups: [{ key: '<script>', labels: '{a="<script>"}', resolutionMs: 1, blocks: [{ ulid: '<script>', minTime: 0, maxTime: 0, level: 1, samples: 0, marks: ['<script>'] }], planned: ['<script>'], planReason: '<script>', step: '<script>', problem }],
    });
    expect(html).not.toContain('<script>');
  });
  test('the places of Thanos\' viewer lead there', async () => {
    const { get } = await start();
    for (const path of ['/loaded', '/global', '/blocks']) {
      const { status, headers } = await get(path);
      expect([status, headers.get('location')]).toEqual([302, '/']);
    }
  });
  test('below a prefix', async () => {
    const { get } = await start(['--web.route-prefix=/compact', '--web.external-prefix=/ops/compact']);
    expect((await get('/compact/')).status).toBe(200);
    expect((await get('/compact')).headers.get('location')).toBe('/ops/compact/');
    expect((await get('/compact/loaded')).headers.get('location')).toBe('/ops/compact/');
    expect((await get('/compact/api/v1/compact')).status).toBe(200);
    expect((await get('/-/healthy')).status).toBe(200);
    expect((await get('/')).status).toBe(404);
  });
  test('is not there with --web.disable; probes and metrics are', async () => {
    const { get } = await start(['--web.disable']);
    for (const path of ['/', '/api/v1/blocks', '/api/v1/compact']) expect((await get(path)).status).toBe(404);
    expect((await get('/metrics')).text).toContain('thanos_compact_halted 0');
  });
});

describe('the API', () => {
  const json = (text: string): { status: string; data: never } => JSON.parse(text) as { status: string; data: never };

  test('blocks: those it works with, or all of the bucket; the latter fetched when asked for and old', async () => {
    const { get, bucket, compactor, ledger } = await start(['--max-time=2026-04-12T20:30:00Z']);
    await compactor.iterate(signal);
    const view = async (name: string): Promise<{ label: string; blocks: { ulid: string }[]; refreshedAt: string; err: null }> => json((await get(`/api/v1/blocks?view=${name}`)).text).data;
    const loaded = await view('loaded');
    expect(loaded).toMatchObject({ label: '', err: null });
    expect(loaded.blocks.map((block) => block.ulid)).toEqual(REPLICA_A.slice(0, 3));
    const all = await view('global');
    expect(all.blocks.map((block) => block.ulid)).toEqual(REPLICA_A.slice(0, 6));
    expect(all.blocks[0]).toMatchObject({ minTime: 1776009601234, thanos: { labels: { cluster: 'eu', replica: 'a' } } });
    const before = ledger.entries().length;
    await bucket.delete(`${REPLICA_A[0]}/meta.json`);
    expect(await view('global')).toEqual(all);
    expect(ledger.entries()).toHaveLength(before);
  });

  test('mark', async () => {
    const { post, bucket } = await start();
    expect(json((await post('/api/v1/blocks/mark', `id=${REPLICA_A[0]}&action=DELETION&detail=by+hand`)).text)).toEqual({ status: 'success', data: null });
    expect(json((await post('/api/v1/blocks/mark', `id=${REPLICA_A[1]}&action=NO_COMPACTION`)).text).status).toBe('success');
    expect(JSON.parse(Buffer.from(await bucket.get(`${REPLICA_A[0]}/deletion-mark.json`)).toString())).toMatchObject({ id: REPLICA_A[0], version: 1, details: 'by hand' });
    expect(JSON.parse(Buffer.from(await bucket.get(`${REPLICA_A[1]}/no-compact-mark.json`)).toString())).toMatchObject({ id: REPLICA_A[1], reason: 'manual' });
  });
  test.each([
    ['', 'ID cannot be empty'],
    [`id=${REPLICA_A[0]}`, 'Action cannot be empty'],
    ['id=../../etc&action=DELETION', 'ULID "../../etc" is not valid'],
    [`id=${REPLICA_A[0]}/x&action=DELETION`, `ULID "${REPLICA_A[0]}/x" is not valid`],
    [`id=${REPLICA_A[0]}&action=EXPLODE`, 'not supported marker EXPLODE'],
  ])('mark refuses %j', async (body, error) => {
    const { post, bucket } = await start();
    const answer = await post('/api/v1/blocks/mark', body);
    expect([answer.status, JSON.parse(answer.text)]).toEqual([400, { status: 'error', errorType: 'bad_data', error }]);
    expect(bucket.keys().filter((key) => key.includes('mark'))).toEqual([]);
  });
  test('marks are refused with --disable-admin-operations, and for GET', async () => {
    const { post, get } = await start(['--disable-admin-operations']);
    expect((await post('/api/v1/blocks/mark', `id=${REPLICA_A[0]}&action=DELETION`)).text).toContain('Admin operations are disabled');
    expect((await get(`/api/v1/blocks/mark?id=${REPLICA_A[0]}&action=DELETION`)).status).toBe(405);
  });
  test('the page as JSON', async () => {
    const { get, compactor } = await start();
    await compactor.iterate(signal);
    expect(json((await get('/api/v1/compact')).text).data).toMatchObject({ phase: 'waiting', iterations: 1, groups: [{ key: '0@16129748038303570002', resolutionMs: 0, planned: [], blocks: expect.arrayContaining([expect.objectContaining({ level: 2, samples: 4329, marks: [] })]) }] });
  });
});
