import { describe, expect, test } from '@jest/globals';
import { MemoryLimitError, createMemoryLedger } from '@gauntlet/service-kit';
import { SHARED_BYTES_MAX, SHARED_MS_MAX } from './query-task.ts';
import { OutgrownError, TaskControl } from './task-control.ts';

const MIB = 1 << 20;

function open(kind: string, budgetBytes = 512 * MIB): { readonly control: TaskControl; readonly usedBytes: () => number; pass(ms: number): void; cancel(): void } {
  let nowMs = 0;
  let isCancelled = false;
  const ledger = createMemoryLedger({ processBytesMax: 1024 * MIB, accountsMax: 1, processFlag: 'query.max-total-memory', queryFlag: 'query.max-memory' });
  const account = ledger.openAccount('query 1', budgetBytes);
  const task = {
    kind,
    throwIfCancelled() {
      if (isCancelled) throw new Error('cancelled');
    },
  };
  return {
    control: new TaskControl(task, account, () => nowMs),
    usedBytes: () => account.usedBytes,
    pass(ms) {
      nowMs += ms;
    },
    cancel() {
      isCancelled = true;
    },
  };
}

/** Polls every few ms, as a query that computes does. */
function work({ control, pass }: ReturnType<typeof open>, ms: number): void {
  for (let done = 0; done < ms; done += 5) {
    pass(5);
    control.poll();
  }
}

describe('a query in a shared worker', () => {
  test('outgrows it by work', () => {
    const query = open('shared');
    work(query, SHARED_MS_MAX - 10);
    expect(() => work(query, 20)).toThrow(OutgrownError);
    expect(query.control.outgrown).toMatchObject({ code: 'ERR_QUERY_OUTGROWN' });
  });

  test('does not outgrow it by waiting for stores', () => {
    const query = open('shared');
    for (let wait = 0; wait < 20; wait++) {
      query.pass(60_000);
      query.control.poll();
    }
    expect(query.control.outgrown).toBeUndefined();
  });

  test('outgrows it by memory, and is not charged for what it did not get', () => {
    const { control, usedBytes } = open('shared');
    control.reserve(SHARED_BYTES_MAX);
    expect(() => control.reserve(1)).toThrow(OutgrownError);
    expect(usedBytes()).toBe(SHARED_BYTES_MAX);
  });

  test('stays where its answer began', () => {
    const query = open('shared');
    query.control.settle();
    work(query, 3 * SHARED_MS_MAX);
    query.control.reserve(2 * SHARED_BYTES_MAX);
    expect(query.control.outgrown).toBeUndefined();
  });
});

test('in a worker of its own only the budget counts', () => {
  const query = open('exclusive', 100 * MIB);
  work(query, 10 * SHARED_MS_MAX);
  query.control.reserve(90 * MIB);
  expect(() => query.control.reserve(20 * MIB)).toThrow(MemoryLimitError);
  expect(() => query.control.reserve(20 * MIB)).toThrow(/--query\.max-memory/);
  query.control.release(90 * MIB);
  expect(query.usedBytes()).toBe(0);
});

test.each(['shared', 'exclusive'])('cancellation is seen at the next poll (%s)', (kind) => {
  const query = open(kind);
  query.control.poll();
  query.cancel();
  expect(() => query.control.poll()).toThrow('cancelled');
});
