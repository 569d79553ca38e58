import { existsSync } from 'node:fs';
import { MessageChannel } from 'node:worker_threads';
import { afterEach, describe, expect, test } from '@jest/globals';
import { ServiceKitError } from './errors.ts';
import { createNopLogger } from './log.ts';
import { type WorkerPool, type WorkerPoolOptions, createWorkerPool } from './worker-pool.ts';
import { serveTasks, taskErrorData } from './worker-task.ts';

const module = new URL('../testdata/echo-worker.mjs', import.meta.url);
const isBuilt = existsSync(new URL('../dist/worker-task.js', import.meta.url));
const inThreads = isBuilt ? describe : describe.skip;

type Kinds = 'shared' | 'exclusive';
let pool: WorkerPool<Kinds> | undefined;
afterEach(() => pool?.close());

function open(more: Partial<WorkerPoolOptions<Kinds>> = {}): WorkerPool<Kinds> {
  pool = createWorkerPool({ module, kinds: { shared: { workersMax: 1, jobsPerWorker: 4 }, exclusive: { workersMax: 2, jobsPerWorker: 1 } }, data: { n: 5 }, log: createNopLogger(), ...more });
  return pool;
}

/** A job that has begun, and what cancels it. */
async function begin(workers: WorkerPool<Kinds>, kind: Kinds, what: 'compute' | 'hang'): Promise<{ readonly job: Promise<unknown>; readonly controller: AbortController }> {
  const controller = new AbortController();
  let job: Promise<unknown> | undefined;
  await new Promise<void>((resolve) => {
    job = workers.run(kind, { do: what }, { signal: controller.signal, onPiece: () => resolve() });
    job.catch(() => undefined);
  });
  return { job: job!, controller };
}

inThreads('in threads (needs the built package)', () => {
  test('requests, answers, transferred buffers and data of the pool', async () => {
    const workers = open();
    expect(await workers.run('shared', { do: 'echo', value: 7 })).toEqual({ got: 7, kind: 'shared', data: { n: 5 } });
    const buffer = await workers.run('exclusive', { do: 'transfer', bytes: 1000 });
    expect((buffer as ArrayBuffer).byteLength).toBe(1000);
    expect(workers.stats()).toMatchObject({ workers: 2, running: 0, waiting: 0, started: 2 });
  });

  test('what a job throws crosses with its code and fields', async () => {
    await expect(open().run('shared', { do: 'throw' })).rejects.toMatchObject({ code: 'ERR_WORKER_TASK', message: 'too many', task: { name: 'RangeError', code: 'ERR_TOO_MANY', fields: { limit: 5 } } });
  });

  test('pieces come in order and wait for the taker; a taker that fails cancels', async () => {
    const workers = open();
    const pieces: unknown[] = [];
    let taking = 0;
    const onPiece = async (piece: unknown): Promise<void> => {
      expect(++taking).toBe(1);
      await new Promise((resolve) => setImmediate(resolve));
      pieces.push(piece);
      taking--;
    };
    expect(await workers.run('shared', { do: 'pieces', count: 20 }, { onPiece })).toBe('sent');
    expect(pieces).toEqual(Array.from({ length: 20 }, (_, i) => i));
    await expect(workers.run('shared', { do: 'pieces', count: 1e9 }, { onPiece: () => Promise.reject(new Error('socket closed')) })).rejects.toThrow('socket closed');
  });

  test('jobs wait when all slots are taken; cancelling one that waits costs no worker', async () => {
    const workers = open();
    const controllers = Array.from({ length: 4 }, () => new AbortController());
    const jobs = controllers.map((controller) => workers.run('exclusive', { do: 'wait' }, { signal: controller.signal }));
    expect(workers.stats()).toMatchObject({ workers: 2, running: 2, waiting: 2 });
    controllers[3]!.abort(new Error('enough'));
    await expect(jobs[3]).rejects.toThrow('enough');
    expect(workers.stats()).toMatchObject({ running: 2, waiting: 1 });
    for (const controller of controllers) controller.abort(new Error('enough'));
    for (const job of jobs) await expect(job).rejects.toThrow('enough');
    expect(await workers.run('exclusive', { do: 'echo', value: 1 })).toMatchObject({ got: 1 });
    expect(workers.stats().terminated).toBe(0);
  });

  test('a computing job notices by polling, and its worker lives on', async () => {
    let freed = (_elapsedMs: number): void => {};
    const isFreed = new Promise<number>((resolve) => (freed = resolve));
    const workers = open({ acknowledgeMs: 60_000, onCancelEnd: (elapsedMs) => freed(elapsedMs) });
    const { job, controller } = await begin(workers, 'exclusive', 'compute');
    controller.abort(new Error('enough'));
    await expect(job).rejects.toThrow('enough');
    expect(await isFreed).toBeGreaterThan(0);
    const other = new AbortController();
    const again = Promise.all([1, 2].map((value) => workers.run('exclusive', { do: 'echo', value }, { signal: other.signal })));
    expect(await again).toHaveLength(2);
    expect(workers.stats().terminated).toBe(0);
  });

  test('a job that does not notice takes its worker with it; jobs beside it fail by name, a new worker serves on', async () => {
    const workers = open({ acknowledgeMs: 50 });
    const beside = workers.run('shared', { do: 'wait' });
    beside.catch(() => undefined);
    const { job: hanging, controller } = await begin(workers, 'shared', 'hang');
    controller.abort(new Error('enough'));
    await expect(hanging).rejects.toThrow('enough');
    await expect(beside).rejects.toMatchObject({ code: 'ERR_WORKER_EXIT' });
    expect(await workers.run('shared', { do: 'echo', value: 1 })).toMatchObject({ got: 1 });
    expect(workers.stats()).toMatchObject({ terminated: 1, started: 2 });
  });

  test('a job that is cancelled before it begins costs no worker, however long that takes to load', async () => {
    const workers = open({ acknowledgeMs: 0 });
    const controller = new AbortController();
    const job = workers.run('exclusive', { do: 'hang' }, { signal: controller.signal });
    const beside = workers.run('exclusive', { do: 'echo', value: 1 });
    controller.abort(new Error('enough'));
    await expect(job).rejects.toThrow('enough');
    await beside;
    expect(await workers.run('exclusive', { do: 'echo', value: 2 })).toMatchObject({ got: 2 });
    expect(workers.stats()).toMatchObject({ terminated: 0 });
  });

  test('workers that are ending count: there are never more threads than the kind allows', async () => {
    const workers = open({ acknowledgeMs: 0 });
    let most = 0;
    for (let round = 0; round < 5; round++) {
      const { job, controller } = await begin(workers, 'shared', 'hang');
      controller.abort(new Error('enough'));
      await expect(job).rejects.toThrow('enough');
      // Runs once the thread before it has ended.
      const next = workers.run('shared', { do: 'echo', value: round });
      while (workers.stats().terminated <= round) {
        most = Math.max(most, workers.stats().workers);
        await new Promise((resolve) => setImmediate(resolve));
      }
      await Promise.allSettled([next]);
      most = Math.max(most, workers.stats().workers);
    }
    expect(most).toBe(1);
  });

  test('a worker that dies fails its jobs only', async () => {
    const ended: number[] = [];
    const workers = open({ onWorkerEnd: (threadId) => ended.push(threadId) });
    await expect(workers.run('exclusive', { do: 'exit' })).rejects.toThrow('its worker ended (exit code 3)');
    while (ended.length === 0) await new Promise((resolve) => setImmediate(resolve));
    expect(ended[0]).toBeGreaterThan(0);
    expect(await workers.run('exclusive', { do: 'echo', value: 1 })).toMatchObject({ got: 1 });
  });

  test('idle workers end', async () => {
    const workers = open({ kinds: { shared: { workersMax: 1, jobsPerWorker: 1, idleMs: 1 }, exclusive: { workersMax: 1, jobsPerWorker: 1 } } });
    await workers.run('shared', { do: 'echo', value: 1 });
    while (workers.stats().workers > 0) await new Promise((resolve) => setImmediate(resolve));
    expect(await workers.run('shared', { do: 'echo', value: 2 })).toMatchObject({ got: 2 });
    expect(workers.stats().started).toBe(2);
  });

  test('closing fails what runs and waits', async () => {
    const workers = open();
    const jobs = Array.from({ length: 5 }, () => workers.run('exclusive', { do: 'wait' }));
    const failures = Promise.allSettled(jobs);
    await workers.close();
    for (const failure of await failures) expect(failure).toMatchObject({ status: 'rejected', reason: { code: 'ERR_POOL_CLOSED' } });
    await expect(workers.run('shared', {})).rejects.toMatchObject({ code: 'ERR_POOL_CLOSED' });
  });

  test('a full queue refuses, an aborted signal runs nothing, a request that cannot be copied fails', async () => {
    const workers = open({ kinds: { shared: { workersMax: 1, jobsPerWorker: 1, waitingMax: 1 }, exclusive: { workersMax: 1, jobsPerWorker: 1 } } });
    const running = [workers.run('shared', { do: 'wait' }), workers.run('shared', { do: 'wait' })];
    const ended = Promise.allSettled(running);
    await expect(workers.run('shared', { do: 'wait' })).rejects.toThrow('1 jobs are waiting already, limit 1');
    await expect(workers.run('exclusive', {}, { signal: AbortSignal.abort(new Error('before')) })).rejects.toThrow('before');
    await expect(workers.run('exclusive', { f: () => 0 })).rejects.toThrow('could not be cloned');
    expect(await workers.run('exclusive', { do: 'echo', value: 1 })).toMatchObject({ got: 1 });
    await workers.close();
    await ended;
  });
});

test('the worker side over a plain channel: cancel acknowledges through the flag', async () => {
  const { port1, port2 } = new MessageChannel();
  const flags = new SharedArrayBuffer(8);
  let began = (): void => {};
  const hasBegun = new Promise<void>((resolve) => (began = resolve));
  serveTasks(
    async (_request, task) => {
      began();
      await new Promise((resolve) => task.signal.addEventListener('abort', resolve, { once: true }));
      return { value: [task.isCancelled(), task.cancelFlags[task.cancelSlot]] };
    },
    { port: port2, flags, kind: 'shared' },
  );
  const answer = new Promise((resolve) => port1.once('message', resolve));
  port1.postMessage({ type: 'run', id: 1, slot: 1, request: {} });
  await hasBegun;
  Atomics.store(new Int32Array(flags), 1, 1);
  port1.postMessage({ type: 'cancel', id: 1 });
  const message = (await answer) as { response: unknown[] };
  expect(message).toMatchObject({ type: 'done', id: 1 });
  expect(message.response).toEqual([true, 2]);
  port1.close();
});

test('errors become data', () => {
  expect(taskErrorData('text')).toMatchObject({ name: 'Error', message: 'text', code: undefined });
  expect(taskErrorData(new ServiceKitError('ERR_DNS', 'no'))).toMatchObject({ name: 'ServiceKitError', code: 'ERR_DNS', message: 'no' });
});
