import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { createGate } from './gate.ts';
import { renderMetrics } from './metrics-exposition.ts';
import { createMetrics } from './metrics.ts';

test('lets through at most max, in the order of arrival', async () => {
  const gate = createGate({ max: 2 });
  const order: number[] = [];
  const releases = [await gate.acquire(), await gate.acquire()];
  const later = [1, 2, 3].map(async (n) => {
    const release = await gate.acquire();
    order.push(n);
    return release;
  });
  expect([gate.inFlight, gate.waiting]).toEqual([2, 3]);
  releases[0]!();
  releases[0]!();
  (await later[0]!)();
  (await later[1]!)();
  (await later[2]!)();
  releases[1]!();
  expect(order).toEqual([1, 2, 3]);
  expect([gate.inFlight, gate.waiting]).toEqual([0, 0]);
});

test('a waiting caller can give up; the others keep their order', async () => {
  const gate = createGate({ max: 1 });
  const release = await gate.acquire();
  const controller = new AbortController();
  const gone = gate.acquire(controller.signal);
  const stays = gate.acquire();
  controller.abort(new Error('gone'));
  await expect(gone).rejects.toThrow('gone');
  await expect(gate.acquire(controller.signal)).rejects.toThrow('gone');
  release();
  (await stays)();
  expect(gate.inFlight).toBe(0);
});

test('work that fails gives its slot back', async () => {
  const gate = createGate({ max: 1 });
  await expect(gate.run(() => Promise.reject(new Error('no')))).rejects.toThrow('no');
  expect(await gate.run(() => Promise.resolve(5))).toBe(5);
  expect(() => createGate({ max: 0 })).toThrow('wanted at least 1 slot, got 0');
});

test('measures under the names of Thanos', async () => {
  const metrics = createMetrics();
  const gate = createGate({ max: 3, metrics: metrics.withPrefix('thanos_query_concurrent_'), operation: 'queries' });
  const release = await gate.acquire();
  const { body } = await renderMetrics(metrics.registry, '');
  expect(body).toContain('thanos_query_concurrent_gate_queries_max 3');
  expect(body).toContain('thanos_query_concurrent_gate_queries_in_flight 1');
  expect(body).toContain('thanos_query_concurrent_gate_queries_total 1');
  expect(body).toContain('thanos_query_concurrent_gate_queries_duration_seconds_count 1');
  release();
});

test('never more than max at once, whatever the order of acquire, release and abort', async () => {
  await fc.assert(
    fc.asyncProperty(fc.integer({ min: 1, max: 4 }), fc.array(fc.constantFrom('acquire', 'release', 'abort'), { maxLength: 60 }), async (max, steps) => {
      const gate = createGate({ max });
      const held: (() => void)[] = [];
      const pending: AbortController[] = [];
      const all: Promise<void>[] = [];
      for (const step of steps) {
        if (step === 'acquire') {
          const controller = new AbortController();
          pending.push(controller);
          all.push(gate.acquire(controller.signal).then((release) => void held.push(release), () => undefined));
        } else if (step === 'release') held.shift()?.();
        else pending.shift()?.abort();
        await Promise.resolve();
        await Promise.resolve();
        expect(gate.inFlight).toBeLessThanOrEqual(max);
      }
      for (const controller of pending) controller.abort();
      await Promise.all(all);
      for (const release of held) release();
      expect(gate.inFlight).toBe(0);
    }),
    { numRuns: 100 },
  );
});
