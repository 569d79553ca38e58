/** The main thread's end of the thread of the rules, over threads that misbehave. */
import { MIN_TIME_MS } from '@gauntlet/model';
import { DEFAULT_HTTP_CLIENT } from '@gauntlet/service-kit';
import { streamPieces } from '@gauntlet/storeapi';
import { expect, test } from '@jest/globals';
import type { RulesSettings } from './rules-protocol.ts';
import { createRulesThread, type RulesThread } from './rules-thread.ts';

const SETTINGS: RulesSettings = {
  dataDir: '/data', externalLabels: [], database: { blockRangeMs: 1, retentionMs: 0, walCompression: 'none', hasLock: true, keepsUntilHandedOver: false }, ackLogPath: undefined, ruleFiles: [], parser: {},
  manager: { defaultIntervalMs: 1, queryOffsetMs: 0, resendDelayMs: 0, forOutageToleranceMs: 0, forGracePeriodMs: 0, concurrency: 1 },
  query: { clients: [DEFAULT_HTTP_CLIENT], method: 'POST', onlyPrometheusParams: false },
  alerts: { alertmanagers: [], queryUrl: '', queryTemplate: '', dropLabels: [], relabel: [] },
  limits: { seriesMax: 0, samplesMax: 0 }, log: { level: 'error', format: 'logfmt', name: '' },
};
const READY = `port.postMessage({ type: 'ready', facts: { mint: 7 } });`;

function threadOf(code: string): RulesThread {
  const head = `import { parentPort as port, workerData } from 'node:worker_threads'; const { calls, flags } = workerData;`;
  return createRulesThread(SETTINGS, new URL(`data:text/javascript,${encodeURIComponent(`${head}\n${code}`)}`));
}
const METRICS = { kind: 'metrics' } as const;
const transport = (signal = new AbortController().signal) => ({ onPiece: () => {}, signal });

test.each([
  { name: 'throws', code: `throw new Error('no such disk');`, message: /thread of the rules \(\/data\): ended with no such disk/ },
  { name: 'ends', code: `process.exit(3);`, message: /ended with code 3/ },
  { name: 'says what it cannot do', code: `port.postMessage({ type: 'failed', error: { name: 'E', message: 'the database is locked', code: 'ERR_DB_LOCKED', fields: {} } });`, message: /^the database is locked$/ },
])('a thread that $name does not start', async ({ code, message }) => {
  await expect(threadOf(code).start()).rejects.toMatchObject({ name: 'RulerError', code: 'ERR_RULES_THREAD', message: expect.stringMatching(message) });
});

test('a thread that dies fails everything under way, and the process with it', async () => {
  const thread = threadOf(`${READY} port.on('message', () => process.exit(1)); calls.on('message', () => {});`);
  expect(thread.facts()).toEqual({ mint: MIN_TIME_MS });
  await thread.start();
  expect(thread.facts()).toEqual({ mint: 7 });
  const running = thread.run(new AbortController().signal);
  const call = thread.call(METRICS, transport());
  const reload = thread.reload();
  for (const outcome of [running, reload]) await expect(outcome).rejects.toThrow('ended with code 1');
  await expect(call).rejects.toMatchObject({ code: 'ERR_WORKER_EXIT' });
  await expect(thread.reload()).rejects.toThrow('reload: the thread of the rules is not running');
  await thread.stop();
});

test('calls are cancelled, failed and answered one by one; their slots are used again', async () => {
  // Call 1 waits for its cancellation, call 2 fails, later ones are answered with their slot.
  const thread = threadOf(`${READY}
    const slots = new Int32Array(flags);
    calls.on('message', (m) => {
      if (m.type === 'cancel') calls.postMessage({ type: 'failed', id: m.id, error: { name: 'E', message: 'flag ' + slots[first], fields: {} } });
      else if (m.type === 'run') {
        if (m.request.kind === 'rules') { first = m.slot; return; }
        if (m.request.kind === 'page') calls.postMessage({ type: 'failed', id: m.id, error: { name: 'E', message: 'no page', code: 'ERR_X', fields: {} } });
        else calls.postMessage({ type: 'done', id: m.id, response: m.slot });
      }
    });
    let first = 0;
    port.on('message', (m) => { port.postMessage({ type: 'answer', id: m.id, value: undefined }); if (m.body.kind === 'stop') process.exit(0); });`);
  await thread.start();
  const stop = new AbortController();
  const cancelled = thread.call({ kind: 'rules', type: 0 }, transport(stop.signal));
  stop.abort(new Error('the reader left'));
  await expect(cancelled).rejects.toThrow('the reader left');
  await expect(thread.call({ kind: 'page', page: 'rules', prefix: '', url: '' }, transport())).rejects.toMatchObject({ name: 'WorkerTaskError', task: { code: 'ERR_X' } });
  const seen = new Set<unknown>();
  for (let i = 0; i < 2000; i++) seen.add(await thread.call(METRICS, transport()));
  expect(seen.size).toBe(1);
  await expect(thread.call(METRICS, transport(AbortSignal.abort(new Error('too late'))))).rejects.toThrow('too late');
  await thread.stop();
});

test('pieces wait for their reader; who leaves cancels', async () => {
  const thread = threadOf(`${READY}
    let taken = 0; let cancelled = false;
    calls.on('message', (m) => {
      if (m.type === 'taken') calls.postMessage({ type: 'piece', id: m.id, piece: ++taken, value: taken });
      else if (m.type === 'cancel') { cancelled = true; calls.postMessage({ type: 'failed', id: m.id, error: { name: 'E', message: 'cancelled', fields: {} } }); }
      else if (m.request.kind === 'metrics') calls.postMessage({ type: 'done', id: m.id, response: [taken, cancelled] });
      else calls.postMessage({ type: 'piece', id: m.id, piece: 0, value: 0 });
    });
    port.on('message', (m) => { port.postMessage({ type: 'answer', id: m.id, value: undefined }); process.exit(0); });`);
  await thread.start();
  const got: unknown[] = [];
  for await (const piece of streamPieces((to) => thread.call({ kind: 'rules', type: 0 }, to))) {
    got.push(piece);
    if (got.length === 3) break;
  }
  expect(got).toEqual([0, 1, 2]);
  const [taken, isCancelled] = (await thread.call(METRICS, transport())) as [number, boolean];
  expect(taken).toBeLessThanOrEqual(3);
  expect(isCancelled).toBe(true);
  await thread.stop();
});
