import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { RunPool } from './run-pool.ts';

test('runs of any length keep what was written, however many follow', () => {
  const length = fc.oneof({ weight: 20, arbitrary: fc.integer({ min: 0, max: 300 }) }, { weight: 2, arbitrary: fc.integer({ min: 60_000, max: 70_000 }) }, { weight: 1, arbitrary: fc.constantFrom(65_535, 65_536, 65_537, 131_073) });
  fc.assert(
    fc.property(fc.array(length, { maxLength: 40 }), (lengths) => {
      const pool = new RunPool((size) => new Uint32Array(size));
      const positions = lengths.map((run, i) => {
        const position = pool.reserve(run);
        pool.page(position)?.fill(i + 1, pool.offset(position), pool.offset(position) + run);
        return position;
      });
      for (const [i, run] of lengths.entries()) {
        if (run === 0) continue;
        const from = pool.offset(positions[i]!);
        const own = pool.page(positions[i]!).subarray(from, from + run);
        expect([own.length, own[0], own[run - 1], own.indexOf(i + 1), own.findIndex((value) => value !== i + 1)]).toEqual([run, i + 1, i + 1, 0, -1]);
      }
    }),
    { numRuns: 60 },
  );
});

test('a run that fits into what is left of a page goes there; one that does not begins the next', () => {
  const pool = new RunPool((size) => new Uint8Array(size));
  expect([pool.reserve(65_530), pool.reserve(6), pool.reserve(1), pool.reserve(65_536), pool.reserve(1)]).toEqual([0, 65_530, 65_536, 131_072, 196_608]);
});
