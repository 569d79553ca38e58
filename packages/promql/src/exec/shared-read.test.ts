/** Reads that several selectors share: how often storage is asked, what each selector gets, and what happens when one of them ends early. */
import { describe, expect, test } from '@jest/globals';
import { createKernels } from '@gauntlet/kernels';
import { formatMatcher, type Queryable, type SelectRequest } from '@gauntlet/model';
import { createEngine } from '../engine.ts';
import { loadSeries } from '../promqltest/load-data.ts';
import { createMemoryQueryable } from '../promqltest/memory-queryable.ts';
import { parseScript } from '../promqltest/parse-script.ts';

const loads = parseScript(`load 20s
  x{job="a",i="1"} 1x60
  x{job="a",i="2"} 2x60
  x{job="b",i="1"} 4x60
  y{job="a",i="1"} 1x60
  y{job="b",i="1"} 1x60
`).filter((statement) => statement.kind === 'load');
const engine = createEngine({ kernels: createKernels({ backend: 'js' }) });

interface Storage {
  readonly queryable: Queryable;
  /** Matchers of each read. */
  readonly reads: string[];
  readonly requests: SelectRequest[];
}

function storage(warning?: string): Storage {
  const memory = createMemoryQueryable(loadSeries(loads), { batchSeries: 1 });
  const reads: string[] = [];
  const requests: SelectRequest[] = [];
  const queryable: Queryable = {
    ...memory,
    select(request) {
      reads.push(request.matchers.map(formatMatcher).join());
      requests.push(request);
      const set = memory.select(request);
      return { [Symbol.asyncIterator]: () => set[Symbol.asyncIterator](), warnings: () => (warning === undefined ? [] : [warning]) };
    },
  };
  return { queryable, reads, requests };
}

describe('reads of storage', () => {
  test.each([
    ['sum(x{job="a"}) / sum(x)', ['__name__="x"'], [3 / 7]],
    ['sum(x) + avg(x) + sum(x{i="1"}) + sum(x{i="2"})', ['__name__="x"'], [7 + 7 / 3 + 5 + 2]],
    ['sum(x{job="a"}) + sum(x{job="b"})', ['job="a",__name__="x"', 'job="b",__name__="x"'], [7]],
    ['sum(x) + sum(x)', ['__name__="x"'], [14]],
    ['sum(x) - sum(x offset 1m)', ['__name__="x"', '__name__="x"'], [0]],
    ['sum(rate(x[5m])) + sum(increase(x{job="a"}[5m]))', ['__name__="x"'], [0]],
    ['sum(x * on (job, i) y) + sum(x)', ['__name__="x"', '__name__="y"'], [12]],
    // The parameter is read first: the other would come too late.
    ['sum(topk(scalar(y{job="a"}), y))', ['__name__="y"', 'job="a",__name__="y"'], [1]],
  ])('%s', async (expr, reads, values) => {
    const { queryable, ...seen } = storage();
    const result = await engine.instant({ expr, queryable, timeMs: 600_000 });
    expect(seen.reads.toSorted()).toEqual(reads);
    expect([...result.values]).toEqual(values);
  });

  test('hints say what holds for all', async () => {
    const { queryable, requests } = storage();
    await engine.instant({ expr: 'sum by (job) (x{i="1"}) / avg by (i) (x)', queryable, timeMs: 600_000 });
    expect(requests.map((request) => request.hints)).toEqual([{ stepMs: 0, func: '', rangeMs: 0, grouping: [], by: false, projection: undefined }]);
  });

  test('a warning of storage is in the answer', async () => {
    const { queryable } = storage('a store is away');
    expect((await engine.instant({ expr: 'sum(x) / avg(x)', queryable, timeMs: 600_000 })).warnings).toEqual(['a store is away']);
  });

  test('one side that fails does not keep the other from its end', async () => {
    const { queryable } = storage();
    // `rate` of two names that become one identity fails on the left while the right reads on.
    const expr = 'sum(last_over_time({job="a"}[5m])) + sum(rate({job="a"}[5m]))';
    await expect(engine.instant({ expr, queryable, timeMs: 600_000 })).rejects.toThrow('vector cannot contain metrics with the same labelset');
    await expect(engine.instant({ expr: 'sum(rate({job="a"}[5m])) + sum(increase({job="a"}[5m]))', queryable, timeMs: 600_000 })).rejects.toThrow('vector cannot contain metrics with the same labelset');
  });

  test('storage that fails fails for all', async () => {
    const queryable: Queryable = {
      ...createMemoryQueryable([]),
      select: () => ({
        [Symbol.asyncIterator]: () => ({ next: () => Promise.reject(new Error('disk on fire')) }),
        warnings: () => [],
      }),
    };
    await expect(engine.instant({ expr: 'sum(x) / avg(x)', queryable, timeMs: 0 })).rejects.toThrow('expanding series: disk on fire');
  });

  test('no memory stays charged, whichever side ends early', async () => {
    for (const expr of ['sum(x) / avg(x)', 'sum(rate({job="a"}[5m])) + sum(increase({job="a"}[5m]))', 'abs(x + y) * abs(x + y)', 'max_over_time(sum(x)[5m:1m]) + max_over_time(sum(x)[5m:1m])']) {
      let charged = 0;
      const control = { poll: () => undefined, reserve: (bytes: number) => void (charged += bytes), release: (bytes: number) => void (charged -= bytes) };
      const { queryable } = storage();
      await engine.range({ expr, queryable, startMs: 0, endMs: 600_000, stepMs: 60_000, control, counts: true, analyze: true }).then(
        (result) => result.dispose(),
        () => undefined,
      );
      expect([expr, charged]).toEqual([expr, 0]);
    }
  });
});
