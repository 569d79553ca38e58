import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { MemoryLedger, MemoryLimitError, createMemoryLedger, showBytes } from './memory-ledger.ts';

const MIB = 1024 * 1024;
const options = { processBytesMax: 100 * MIB, accountsMax: 4, processFlag: 'query.max-memory', queryFlag: 'query.max-memory-per-query' };

test('a query is refused past its own limit, with what was asked, the limit and the flag', () => {
  const ledger = createMemoryLedger(options);
  const account = ledger.openAccount('query 7', 10 * MIB);
  account.reserve(8 * MIB);
  expect(() => account.reserve(3 * MIB)).toThrow('reserve 3.0 MiB for query 7: query 7 holds 8.0 MiB of 10.0 MiB (raise with --query.max-memory-per-query)');
  expect(account.usedBytes).toBe(8 * MIB);
  account.reserve(2 * MIB);
  expect(ledger.usedBytes).toBe(10 * MIB);
  account.close();
  account.close();
  expect([ledger.usedBytes, ledger.peakBytes]).toEqual([0, 10 * MIB]);
});

test('all queries together are refused past the process limit', () => {
  const ledger = createMemoryLedger(options);
  const first = ledger.openAccount('query 1', 90 * MIB);
  const second = ledger.openAccount('query 2', 90 * MIB);
  first.reserve(70 * MIB);
  let thrown: unknown;
  try {
    second.reserve(31 * MIB);
  } catch (error) {
    thrown = error;
  }
  expect(thrown).toBeInstanceOf(MemoryLimitError);
  expect(thrown).toMatchObject({ code: 'ERR_MEMORY_LIMIT', scope: 'process', askedBytes: 31 * MIB, usedBytes: 70 * MIB, limitBytes: 100 * MIB, flag: 'query.max-memory' });
  expect(ledger.usedBytes).toBe(70 * MIB);
  second.reserve(30 * MIB);
  first.release(70 * MIB);
  expect(ledger.usedBytes).toBe(30 * MIB);
});

test('another thread continues an account; a dead thread leaves nothing behind', () => {
  const ledger = createMemoryLedger(options);
  const account = ledger.openAccount('query 1', 10 * MIB);
  const there = new MemoryLedger(structuredClone(ledger.share)).attachAccount(account.index, 'query 1');
  there.reserve(5 * MIB);
  expect(ledger.usedBytes).toBe(5 * MIB);
  ledger.closeAccount(account.index);
  expect(ledger.usedBytes).toBe(0);
  expect(() => ledger.attachAccount(account.index, 'query 1')).toThrow('it is not open');
});

test('accounts run out, and come back', () => {
  const ledger = createMemoryLedger(options);
  const accounts = Array.from({ length: 4 }, (_, i) => ledger.openAccount(`query ${i}`, MIB));
  expect(() => ledger.openAccount('query 5', MIB)).toThrow(MemoryLimitError);
  accounts[2]!.close();
  expect(ledger.openAccount('query 5', MIB).index).toBe(accounts[2]!.index);
});

test('misuse is named', () => {
  const account = createMemoryLedger(options).openAccount('q', MIB);
  account.reserve(10);
  expect(() => account.release(11)).toThrow('release 11 bytes of q: only 10 are reserved');
  expect(() => account.reserve(Number.NaN)).toThrow('wanted at least 0 bytes');
});

test('a thread that ended gives back what its accounts held, others keep theirs', () => {
  const ledger = createMemoryLedger(options);
  const [first, second, other] = [ledger.openAccount('q1', MIB, 7), ledger.openAccount('q2', MIB, 7), ledger.openAccount('q3', MIB, 8)];
  for (const account of [first, second, other]) account.reserve(8192);
  expect(ledger.closeAccountsOf(7)).toBe(2);
  expect(ledger.usedBytes).toBe(8192);
  expect(ledger.closeAccountsOf(7)).toBe(0);
  other.close();
  expect(ledger.usedBytes).toBe(0);
});

test('a closed account takes no charge and ignores what comes back late', () => {
  const ledger = createMemoryLedger(options);
  const account = ledger.openAccount('q', MIB);
  account.reserve(8192);
  account.close();
  expect(() => account.reserve(1)).toThrow('reserve 1 bytes for q: its account is closed');
  account.release(8192);
  expect(ledger.usedBytes).toBe(0);
});

test('the shared words are the sum of the accounts, in pages, after any reserves and releases', () => {
  fc.assert(
    fc.property(fc.array(fc.record({ who: fc.nat(2), bytes: fc.integer({ min: 0, max: 30_000 }), take: fc.boolean() })), (steps) => {
      const ledger = createMemoryLedger({ ...options, processBytesMax: 200_000 });
      const accounts = [0, 1, 2].map((i) => ledger.openAccount(`q${i}`, 100_000));
      const exact = [0, 0, 0];
      for (const { who, bytes, take } of steps) {
        try {
          if (take) {
            accounts[who]!.reserve(bytes);
            exact[who]! += bytes;
          } else {
            const back = Math.min(bytes, exact[who]!);
            accounts[who]!.release(back);
            exact[who]! -= back;
          }
        } catch (error) {
          expect(error).toBeInstanceOf(MemoryLimitError);
        }
        expect(accounts.map((account) => account.usedBytes)).toEqual(exact);
        expect(ledger.usedBytes).toBe(exact.reduce((sum, held) => sum + Math.ceil(held / 4096) * 4096, 0));
        expect(ledger.usedBytes).toBeLessThanOrEqual(ledger.limitBytes);
      }
    }),
  );
});

test('bytes for people', () => {
  expect([0, 512, 1536, 64 * MIB, 3 * 1024 ** 4].map(showBytes)).toEqual(['0 B', '512 B', '1.5 KiB', '64.0 MiB', '3.0 TiB']);
});
