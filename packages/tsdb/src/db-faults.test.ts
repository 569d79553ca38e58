/**
 * A medium that fails and a process that goes on: nothing acknowledged is lost, then or after a restart; nothing that was refused is there;
 * and when the medium works again the database does. Every 31st operation; GAUNTLET_FUZZ_RUNS set: every one.
 */
import { describe, expect, test } from '@jest/globals';
import { expectKept, expectWorks, openLife, operationsToHit, playLife, wholeLife } from './testing/acknowledged-life.ts';
import { createMemoryFileSystem, type MemoryFileSystem } from './testing/memory-file-system.ts';

const STRIDE = 31;
const life = wholeLife();
const whole = createMemoryFileSystem();
const played = playLife(whole, life, { goesOn: true });
const operations = whole.operations();
played.db!.close();

/** Lives on with a fault: the database that is still open, then one that opens what a kill leaves, have all that was acknowledged. */
async function expectSurvived(fs: MemoryFileSystem, onFailure?: () => void): Promise<number> {
  const { ledger, db } = playLife(fs, life, { goesOn: true, ...(onFailure && { onFailure }) });
  const killed = fs.afterKill();
  if (db !== undefined) {
    await expectKept(db, ledger);
    fs.makeRoom();
    await expectWorks(db, ledger);
    db.close();
    expect(fs.openHandles()).toBe(0);
  }
  const again = openLife(killed);
  await expectKept(again, ledger);
  await expectWorks(again, ledger);
  again.close();
  expect(killed.openHandles()).toBe(0);
  return ledger.failures;
}

describe('one operation fails', () => {
  test.each([
    { name: 'before it is done, a write by half', code: 'ENOSPC', moment: 'before' },
    { name: 'after it was done', code: 'EIO', moment: 'after' },
  ] as const)('$name', async ({ code, moment }) => {
    for (const n of operationsToHit(moment === 'before' ? 0 : 5, operations, STRIDE)) {
      const fs = createMemoryFileSystem();
      fs.failAt(n, code, moment);
      try {
        await expectSurvived(fs);
      } catch (error) {
        throw new Error(`operation ${n}: ${(error as Error).message}`, { cause: error });
      }
    }
  });
});

test('the disk is full for a while: refused batches leave no trace, later ones are taken', async () => {
  for (const [i, n] of operationsToHit(3, operations, 2 * STRIDE).entries()) {
    const fs = createMemoryFileSystem();
    fs.fullFrom(n);
    // Room again after some failures: one now, many then.
    let left = [1, 3, 8, 1000][i % 4]!;
    let failures;
    try {
      failures = await expectSurvived(fs, () => {
        if (--left === 0) fs.makeRoom();
      });
    } catch (error) {
      throw new Error(`full from operation ${n}, room after ${[1, 3, 8, 1000][i % 4]} failures: ${(error as Error).message}`, { cause: error });
    }
    expect(failures).toBeGreaterThan(0);
  }
});

test('a read that fails refuses the start and changes nothing; the next start finds all', async () => {
  const fs = createMemoryFileSystem();
  const { ledger } = playLife(fs, life);
  const killed = fs.afterKill();
  const whole = killed.afterKill();
  openLife(whole).close();
  const reads = whole.reads();
  expect(reads).toBeGreaterThan(20);
  for (let n = 0; n < reads; n++) {
    const disk = killed.afterKill();
    disk.failReadAt(n, 'EIO');
    expect(() => openLife(disk)).toThrow(/^EIO/);
    expect(disk.openHandles()).toBe(0);
    if (n % 5 !== 0) continue;
    const db = openLife(disk);
    await expectKept(db, ledger);
    db.close();
  }
});
