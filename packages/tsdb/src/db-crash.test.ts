/**
 * Kill the process or cut the power at every single operation of the file system: whatever was acknowledged is there afterwards, exactly once;
 * and what was durable once stays so. Every 29th operation; GAUNTLET_FUZZ_RUNS set: every one.
 */
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { expectKept, expectWorks, type LifeStep, LIFE_RETENTION_MS, openLife, operationsToHit, playLife, readLife, wholeLife } from './testing/acknowledged-life.ts';
import { createMemoryFileSystem } from './testing/memory-file-system.ts';

const STRIDE = 29;

/** Numbers in [0, 1). */
function seeded(seed: number): () => number {
  let state = seed;
  return () => (state = (Math.imul(state, 1103515245) + 12345) >>> 0) / 4294967296;
}

const life = wholeLife();
const whole = createMemoryFileSystem();
playLife(whole, life);
const operations = whole.operations();

describe('at every operation', () => {
  test('the life has every kind of operation, cuts blocks, writes checkpoints, deletes blocks and is long enough to be worth it', async () => {
    const fs = createMemoryFileSystem();
    const deleted: number[] = [];
    const { ledger } = playLife(fs, life);
    for (const kind of ['create', 'write', 'fsync', 'fsync-dir', 'rename', 'remove', 'mkdir']) expect([kind, fs.kinds().get(kind)! > 3]).toEqual([kind, true]);
    expect(ledger.failures).toBe(0);
    expect(operations).toBeGreaterThan(300);
    expect([...fs.snapshot().keys()].some((path) => path.includes('/checkpoint.'))).toBe(true);
    const db = openLife(fs.afterKill());
    expect(db.blocks().length).toBeGreaterThanOrEqual(4);
    expect(db.blocks().some(({ meta }) => meta.compaction.level > 1)).toBe(true);
    expect([...ledger.deleted.values()].map((times) => times.size > 0)).toEqual([true, true]);
    expect(db.blocks().some(({ meta }) => meta.compaction.hints?.length === 1)).toBe(true);
    await expectKept(db, ledger);
    const all = await readLife(db);
    for (const [series, samples] of ledger.acknowledged) for (const time of samples.keys()) if (all.get(series)?.has(time) !== true) deleted.push(time);
    expect(deleted.length).toBeGreaterThan(0);
    db.close();
  });

  test('killed: all that was acknowledged is there, once', async () => {
    for (const n of operationsToHit(0, operations, STRIDE)) {
      const fs = createMemoryFileSystem();
      fs.stopAt(n);
      const { ledger } = playLife(fs, life);
      const db = openLife(fs.afterKill());
      await expectKept(db, ledger);
      await expectWorks(db, ledger);
      db.close();
    }
  });

  test('power lost: it opens without a hand, shows nothing that was not given, and what was durable before still is', async () => {
    const random = seeded(7);
    let durable = new Map<string, Map<number, string>>();
    for (const n of operationsToHit(0, operations, STRIDE)) {
      const fs = createMemoryFileSystem();
      fs.stopAt(n);
      const { ledger } = playLife(fs, life);
      let synced: typeof durable | undefined;
      for (const disk of [fs.afterPowerLoss(), fs.afterPowerLoss(random)]) {
        const db = openLife(disk);
        const found = await readLife(db);
        const goneBeforeMs = Math.max(...db.blocks().map(({ meta }) => meta.maxTime)) - LIFE_RETENTION_MS;
        const wrong: string[] = [];
        for (const [series, samples] of found) {
          for (const [time, value] of samples) if (ledger.attempted.get(series)?.get(time)?.has(value) !== true) wrong.push(`operation ${n}, series ${series} at ${time}: ${value} was not given`);
        }
        for (const [series, samples] of synced ?? durable) {
          for (const [time, value] of samples) {
            if (found.get(series)?.get(time) !== value && !(time < goneBeforeMs) && ledger.deleted.get(series)?.has(time) !== true) wrong.push(`operation ${n}, series ${series} at ${time}: ${value} was durable`);
          }
        }
        expect(wrong.slice(0, 5)).toEqual([]);
        synced ??= found;
        await expectWorks(db, ledger);
        db.close();
      }
      durable = synced!;
    }
    expect(durable.size).toBeGreaterThan(10);
  });
});

test('random lives, killed at random, twice', async () => {
  const series = fc.uniqueArray(fc.constantFrom(0, 1, 2, 50, 51, 100, 101, 200), { minLength: 1 });
  const lateMs = fc.option(fc.constantFrom(5, 55, 455, 1205), { nil: undefined, freq: 3 });
  const step: fc.Arbitrary<LifeStep> = fc.oneof(
    { weight: 12, arbitrary: fc.record({ do: fc.constant('append' as const), series, advanceMs: fc.constantFrom(1, 10, 50, 300, 900, 2500), lateMs }).map(({ lateMs: late, ...rest }) => (late === undefined ? rest : { ...rest, lateMs: late })) },
    { weight: 2, arbitrary: fc.record({ do: fc.constant('compact' as const), force: fc.boolean() }) },
    { weight: 1, arbitrary: fc.constant<LifeStep>({ do: 'merge' }) },
    { weight: 1, arbitrary: fc.constant<LifeStep>({ do: 'reopen' }) },
  );
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 60 }), fc.nat(300), fc.nat(60), async (steps, first, second) => {
      const fs = createMemoryFileSystem();
      fs.stopAt(first);
      const { ledger } = playLife(fs, steps);
      const again = fs.afterKill();
      again.stopAt(second);
      try {
        const db = openLife(again);
        db.compactHead({ force: true });
        db.close();
      } catch (error) {
        expect((error as Error).message).toMatch(/^ESTOPPED/);
      }
      const db = openLife(again.afterKill());
      await expectKept(db, ledger);
      db.close();
    }),
    { numRuns: Number(process.env['GAUNTLET_FUZZ_RUNS'] ?? 30) },
  );
});
