/** Which worker a task gets, what the gate counts, and what is left of a query whose worker died; over a scripted worker. */
import { afterEach, describe, expect, test } from '@jest/globals';
import { EMPTY_SERIES_REQUEST } from '@gauntlet/proto';
import { createMemoryLedger, createMetrics, createNopLogger, renderMetrics } from '@gauntlet/service-kit';
import { type QueryRunner, createQueryRunner } from './query-runner.ts';
import type { ApiRoute, QueryTask, WorkerSettings } from './query-task.ts';

const module = new URL('../testdata/scripted-worker.mjs', import.meta.url);
const never = new AbortController().signal;
const api = (name: string, route: ApiRoute = 'query'): QueryTask => ({ kind: 'api', route, name, endpoints: [], tenant: '', url: '', form: undefined, label: '' });
const store = (name: string): QueryTask => ({ kind: 'series', name, endpoints: [], tenant: '', request: EMPTY_SERIES_REQUEST });
const ignore = (): void => {};
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

let runner: QueryRunner | undefined;
afterEach(() => runner?.close());

function open(maxConcurrent = 2): { readonly runner: QueryRunner; readonly ledger: ReturnType<typeof createMemoryLedger>; page(): Promise<string> } {
  const ledger = createMemoryLedger({ processBytesMax: 1 << 30, accountsMax: 64, processFlag: 'query.max-total-memory', queryFlag: 'query.max-memory' });
  const metrics = createMetrics();
  runner = createQueryRunner({ settings: { ledger: ledger.share } as WorkerSettings, maxConcurrent, ledger, log: createNopLogger(), metrics, module });
  return { runner, ledger, page: async () => String((await renderMetrics(metrics.registry, undefined)).body) };
}

describe('workers', () => {
  test.each([
    { name: 'a query shares one', task: api('kind'), kind: 'shared' },
    { name: 'so do labels', task: api('kind', 'labels'), kind: 'shared' },
    { name: 'a StoreAPI call has one for streams', task: store('kind'), kind: 'store' },
  ])('$name', async ({ task, kind }) => {
    expect((await open().runner.run(task, ignore, never)).value).toBe(kind);
  });

  test('a query that outgrew its worker starts again in one of its own, and its pieces come once', async () => {
    const { runner: queries, page } = open();
    const pieces: unknown[] = [];
    expect((await queries.run(api('outgrow'), (piece) => void pieces.push(piece), never)).value).toBe('exclusive');
    expect(pieces).toEqual([0, 1, 2]);
    expect(await page()).toMatch(/^gauntlet_query_outgrown_total 1$/m);
  });

  test('other errors are the caller\'s', async () => {
    await expect(open().runner.run(api('nonsense'), ignore, never)).rejects.toMatchObject({ task: { code: 'ERR_BAD_DATA' } });
  });
});

describe('the gate', () => {
  test('counts evaluations: the next begins when the answer of one begins, though its reader waits', async () => {
    const { runner: queries } = open(1);
    let read = (): void => {};
    const slow = queries.run(api('answer'), () => new Promise<void>((resolve) => (read = resolve)), never);
    expect((await queries.run(api('kind'), ignore, never)).value).toBe('shared');
    const isOver = slow.then(() => true);
    while (!(await Promise.race([isOver, turn()]))) read();
  });

  test('holds queries back, and neither labels nor StoreAPI calls', async () => {
    const { runner: queries } = open(1);
    const abort = new AbortController();
    const first = queries.run(api('wait'), ignore, abort.signal);
    const second = queries.run(api('kind'), ignore, never);
    expect((await queries.run(api('kind', 'labels'), ignore, never)).value).toBe('shared');
    expect((await queries.run(store('kind'), ignore, never)).value).toBe('store');
    expect(queries.stats().running).toBe(1);
    abort.abort(new Error('enough'));
    await expect(first).rejects.toThrow('enough');
    expect((await second).value).toBe('shared');
  });
});

describe('a cancelled query', () => {
  test('frees its worker and shows how long that took', async () => {
    const { runner: queries, ledger, page } = open();
    const abort = new AbortController();
    const query = queries.run(api('wait'), ignore, abort.signal);
    while (ledger.usedBytes === 0) await turn();
    abort.abort(new Error('enough'));
    await expect(query).rejects.toThrow('enough');
    while (queries.stats().running > 0) await turn();
    expect(ledger.usedBytes).toBe(0);
    expect(await page()).toMatch(/^gauntlet_query_cancel_duration_seconds_count 1$/m);
  });

  test('that does not notice loses its worker, and the ledger gets back what it held', async () => {
    const { runner: queries, ledger } = open();
    const abort = new AbortController();
    const query = queries.run(api('hang'), ignore, abort.signal);
    while (ledger.usedBytes === 0) await turn();
    abort.abort(new Error('enough'));
    await expect(query).rejects.toThrow('enough');
    expect(ledger.usedBytes).toBe(1 << 20);
    while (queries.stats().running > 0) await turn();
    while (ledger.usedBytes > 0) await turn();
    expect(queries.stats().terminated).toBe(1);
    expect((await queries.run(api('kind'), ignore, never)).value).toBe('shared');
  });
});
