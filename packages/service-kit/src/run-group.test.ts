import { EventEmitter, once } from 'node:events';
import { expect, test } from '@jest/globals';
import { createNopLogger } from './log.ts';
import { type RunPart, createRunGroup } from './run-group.ts';

function recording(name: string, events: string[], more: Partial<RunPart> = {}): RunPart {
  return { name, start: () => void events.push(`start ${name}`), stop: (reason) => void events.push(`stop ${name}: ${reason}`), ...more };
}

test('parts start in order and stop in reverse at a signal', async () => {
  const events: string[] = [];
  const signals = new EventEmitter();
  let reloads = 0;
  const group = createRunGroup({ log: createNopLogger(), signals, onReload: () => reloads++ });
  group.add(recording('a', events));
  group.add(recording('b', events, { run: (signal) => once(signal, 'abort').then(() => void events.push('b ended')) }));
  group.add(
    recording('c', events, {
      run: async () => {
        signals.emit('SIGHUP');
        signals.emit('SIGTERM');
      },
    }),
  );
  await group.run();
  expect(events).toEqual(['start a', 'start b', 'start c', 'b ended', 'stop c: terminated', 'stop b: terminated', 'stop a: terminated']);
  expect(reloads).toBe(1);
  expect(signals.listenerCount('SIGTERM') + signals.listenerCount('SIGINT') + signals.listenerCount('SIGHUP')).toBe(0);
});

test('a part that cannot start stops those before it, and its error is thrown', async () => {
  const events: string[] = [];
  const group = createRunGroup({ log: createNopLogger(), signals: undefined });
  group.add(recording('a', events));
  group.add(recording('b', events, { start: () => Promise.reject(new Error('port in use')) }));
  group.add(recording('c', events));
  await expect(group.run()).rejects.toThrow('port in use');
  expect(events).toEqual(['start a', 'stop a: port in use']);
});

test('the end of one part ends all; its error is thrown', async () => {
  const events: string[] = [];
  const group = createRunGroup({ log: createNopLogger(), signals: undefined });
  group.add(recording('a', events, { run: (signal) => once(signal, 'abort').then(() => undefined) }));
  group.add(recording('b', events, { run: () => Promise.reject(new Error('lost the WAL')) }));
  await expect(group.run()).rejects.toThrow('lost the WAL');
  expect(events).toEqual(['start a', 'start b', 'stop b: b ended', 'stop a: b ended']);
});

test('abort before start runs nothing', async () => {
  const events: string[] = [];
  const group = createRunGroup({ log: createNopLogger(), signals: undefined });
  group.add(recording('a', events));
  await group.run(AbortSignal.abort());
  expect(events).toEqual([]);
});

test('a part that does not stop is left after the grace period, or at once when asked again', async () => {
  const never = (): Promise<void> => new Promise(() => undefined);
  const late = createRunGroup({ log: createNopLogger(), signals: undefined, gracePeriodMs: 5 });
  late.add({ name: 'slow', stop: never, run: () => Promise.resolve() });
  await expect(late.run()).rejects.toThrow('stop slow: not finished within the grace period of 5 ms');

  const signals = new EventEmitter();
  const events: string[] = [];
  const again = createRunGroup({ log: createNopLogger(), signals, gracePeriodMs: 3_600_000 });
  again.add(recording('first', events));
  again.add({
    name: 'slow',
    stop: () => {
      signals.emit('SIGINT');
      return never();
    },
    run: async () => void signals.emit('SIGINT'),
  });
  await expect(again.run()).rejects.toThrow('stop slow: not finished, and asked again to stop');
  expect(events).toEqual(['start first', 'stop first: interrupt']);
});
