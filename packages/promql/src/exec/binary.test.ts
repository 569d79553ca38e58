/** The two sides of a binary operator run at the same time; what is seen of them does not depend on which is first. */
import { expect, test } from '@jest/globals';
import { createKernels } from '@gauntlet/kernels';
import { labelsFromPairs, type Queryable } from '@gauntlet/model';
import { createEngine } from '../engine.ts';
import { createMemoryQueryable } from '../promqltest/memory-queryable.ts';

const timestampsMs = Float64Array.from({ length: 40 }, (_none, i) => i * 15_000);
const memory = createMemoryQueryable(['x', 'y'].map((name) => ({ labels: labelsFromPairs([['__name__', name], ['i', '1']]), timestampsMs, values: timestampsMs })));

/** Storage that answers for one metric after everything else has been answered. */
function lateFor(late: string): Queryable {
  return {
    ...memory,
    select(request) {
      const set = memory.select(request);
      return {
        async *[Symbol.asyncIterator]() {
          if (request.matchers.some((matcher) => matcher.value === late)) for (let turn = 0; turn < 1000; turn++) await Promise.resolve();
          yield* set;
        },
        warnings: () => set.warnings(),
      };
    },
  };
}

test.each(['x', 'y'])('remarks come in the order of the query when %s is late', async (late) => {
  const engine = createEngine({ kernels: createKernels({ backend: 'js' }) });
  const result = await engine.instant({ expr: 'rate(x[5m]) + on (i) quantile by (i) (2, rate(y[5m]))', queryable: lateFor(late), timeMs: 600_000 });
  expect([...result.infos, ...result.warnings]).toEqual([
    'PromQL info: metric might not be a counter, name does not end in _total/_sum/_count/_bucket: "x" (1:6)',
    'PromQL info: metric might not be a counter, name does not end in _total/_sum/_count/_bucket: "y" (1:47)',
    'PromQL warning: quantile value should be between 0 and 1, got 2 (1:39)',
  ]);
});

test.each(['x', 'y'])('a remark made on both sides is at the later place when %s is late', async (late) => {
  const engine = createEngine({ kernels: createKernels({ backend: 'js' }) });
  const result = await engine.instant({ expr: 'quantile(2, x) + quantile(2, y)', queryable: lateFor(late), timeMs: 600_000 });
  expect(result.warnings).toEqual(['PromQL warning: quantile value should be between 0 and 1, got 2 (1:27)']);
});

test('of what is computed once remarks are at the later place too', async () => {
  for (const rulesOff of [[], ['share-subexpressions'] as const]) {
    const engine = createEngine({ kernels: createKernels({ backend: 'js' }), rulesOff });
    const result = await engine.instant({ expr: 'abs(rate(x[5m])) + (abs( rate(x[5m]) ))', queryable: memory, timeMs: 600_000 });
    expect(result.infos).toEqual(['PromQL info: metric might not be a counter, name does not end in _total/_sum/_count/_bucket: "x" (1:31)']);
  }
});
