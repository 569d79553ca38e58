/** A store over a runner that stands for the threads: the Store contract, errors, and readers that go away. */
import { WorkerTaskError } from '@gauntlet/service-kit/worker';
import { describe, expect, test } from '@jest/globals';
import { createTsdbStore, createWorkerStore, packFrames, sendFrames, type Store, StoreError, type WorkerStoreDeps } from './index.ts';
import { createMemoryChunkQueryable, FIXTURE_EXTERNAL_LABELS, FIXTURE_MINT, FIXTURE_SERIES, seriesOf, storeCases } from './testing/index.ts';

const local = createTsdbStore({ queryable: createMemoryChunkQueryable(FIXTURE_SERIES), externalLabels: () => FIXTURE_EXTERNAL_LABELS, mint: () => FIXTURE_MINT, storeType: 'receive' });

/** As a worker would run it, errors included. */
const run: WorkerStoreDeps['run'] = async (call, { onPiece, signal }) => {
  try {
    switch (call.kind) {
      case 'series':
        return await sendFrames(local.series(call.request, { signal }), async (piece) => onPiece(structuredClone(piece)));
      case 'labelNames':
        return await local.labelNames(call.request, { signal });
      case 'labelValues':
        return await local.labelValues(call.request, { signal });
    }
  } catch (error) {
    const { name, message, code } = error as StoreError;
    throw new WorkerTaskError({ name, message, code, stack: undefined, fields: {} });
  }
};

function storeWith(override: Partial<WorkerStoreDeps> = {}): Store {
  return createWorkerStore({ run, info: () => local.info(), ...override });
}

describe('the Store contract', () => {
  for (const { name, run: runCase } of storeCases()) test(name, () => runCase(storeWith()));
});

describe('series', () => {
  const frame = (n: number): Uint8Array => new Uint8Array([n]);

  async function numbers(store: Store, max: number): Promise<number[]> {
    const out: number[] = [];
    for await (const bytes of store.series(seriesOf(['a=b']))) {
      out.push(bytes[0]!);
      if (out.length === max) break;
    }
    return out;
  }

  test('a reader that stops cancels the call, and waits until it has ended', async () => {
    let reason: unknown;
    let isOver = false;
    const store = storeWith({
      async run(_, { onPiece, signal }) {
        await Promise.race([onPiece(packFrames([frame(1), frame(2)])), new Promise((resolve) => signal.addEventListener('abort', resolve))]);
        await onPiece(packFrames([frame(3)]));
        reason = signal.reason;
        isOver = true;
        throw signal.reason;
      },
    });
    expect(await numbers(store, 3)).toEqual([1, 2, 3]);
    expect(isOver).toBe(true);
    expect(reason).toMatchObject({ name: 'AbortError' });
  });

  test('a piece counts as taken when its last frame was', async () => {
    let taken = 0;
    const store = storeWith({
      async run(_, { onPiece }) {
        await onPiece(packFrames([frame(1), frame(2)]));
        taken++;
      },
    });
    const frames = store.series(seriesOf(['a=b']))[Symbol.asyncIterator]();
    expect((await frames.next()).value).toEqual(frame(1));
    expect((await frames.next()).value).toEqual(frame(2));
    expect(taken).toBe(0);
    expect((await frames.next()).done).toBe(true);
    expect(taken).toBe(1);
  });

  test('what came before an error is read first', async () => {
    const store = storeWith({
      async run(_, { onPiece }) {
        void onPiece(packFrames([frame(1)]));
        throw new WorkerTaskError({ name: 'StoreError', message: 'gone', code: 'ERR_STORE_UNAVAILABLE', stack: undefined, fields: {} });
      },
    });
    const frames = store.series(seriesOf(['a=b']))[Symbol.asyncIterator]();
    expect((await frames.next()).value).toEqual(frame(1));
    await expect(frames.next()).rejects.toMatchObject({ name: 'StoreError', code: 'ERR_STORE_UNAVAILABLE', message: 'gone' });
  });

  test('the signal of the call ends it', async () => {
    const abort = new AbortController();
    const store = storeWith({ run: (_, { signal }) => new Promise((__, reject) => signal.addEventListener('abort', () => reject(signal.reason as Error))) });
    const first = store.series(seriesOf(['a=b']), { signal: abort.signal })[Symbol.asyncIterator]().next();
    abort.abort();
    await expect(first).rejects.toMatchObject({ name: 'AbortError' });
  });
});

test('errors without a code of ours stay what they are', async () => {
  const store = storeWith({ run: () => Promise.reject(new WorkerTaskError({ name: 'TypeError', message: 'odd', code: undefined, stack: undefined, fields: {} })) });
  const thrown: unknown = await store.labelNames({ ...seriesOf([]), start: 0, end: 1 } as never).catch((error: unknown) => error);
  expect(thrown).toBeInstanceOf(WorkerTaskError);
  expect(thrown).not.toBeInstanceOf(StoreError);
});
