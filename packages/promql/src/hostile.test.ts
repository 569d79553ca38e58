/**
 * Queries that ask for more than there is, one by one under a small budget: each ends at its own limit with an error that names limit, flag and place, gives
 * everything back, and the engine answers the next query. Series are made as they are read, so that five million of them cost nothing.
 */
import { createKernels } from '@gauntlet/kernels';
import type { Labels, Queryable, SeriesBatch } from '@gauntlet/model';
import { describe, expect, test } from '@jest/globals';
import { createEngine } from './engine.ts';
import { PromqlError } from './errors.ts';
import type { QueryControl } from './exec/query-context.ts';

const MIB = 1 << 20;
const BUDGET = 8 * MIB;
const SERIES = 5_000_000;
const TIME_MS = 1_000_000;

/** A budget that remembers. */
class Budget implements QueryControl {
  used = 0;
  peak = 0;
  polls = 0;
  poll(): void {
    this.polls++;
  }
  reserve(bytes: number): void {
    if (!(bytes >= 0)) throw new Error(`charged ${bytes} bytes`);
    if (this.used + bytes > BUDGET) throw new Error(`reserve ${bytes} B: the query holds ${this.used} of ${BUDGET} B (raise with --query.max-memory)`);
    this.used += bytes;
    if (this.used > this.peak) this.peak = this.used;
  }
  release(bytes: number): void {
    this.used -= bytes;
  }
}

/** `count` series with two samples each, made batch by batch. @param read counts how many were asked for */
function endless(labelsOf: (i: number) => Labels, count = SERIES, read: { series: number } = { series: 0 }): Queryable {
  async function* batches(): AsyncGenerator<SeriesBatch, void> {
    for (let from = 0; from < count; from += 256) {
      const size = Math.min(256, count - from);
      read.series += size;
      const at = Float64Array.from({ length: 2 * size }, (_none, i) => TIME_MS - (i % 2 === 0 ? 15_000 : 0));
      yield {
        labels: Array.from({ length: size }, (_none, i) => labelsOf(from + i)),
        offsets: Int32Array.from({ length: size + 1 }, (_none, i) => 2 * i),
        timestampsMs: at,
        values: Float64Array.from({ length: 2 * size }, (_none, i) => from + Math.floor(i / 2)),
      };
    }
  }
  return {
    select() {
      const all = batches();
      return { [Symbol.asyncIterator]: () => all, warnings: () => [] };
    },
    labelNames: () => Promise.resolve({ values: [], warnings: [] }),
    labelValues: () => Promise.resolve({ values: [], warnings: [] }),
  };
}

const digits = (i: number): string => String(i).padStart(8, '0');
const distinct = (i: number): Labels => ['__name__', 'm', 'id', digits(i), 'job', 'x'];
const buckets = (i: number): Labels => ['__name__', 'b', 'le', String(SERIES - i)];
const names = (i: number): Labels => ['__name__', `m${digits(i)}`, 'id', digits(i)];

const kernels = createKernels({ backend: 'js', maxMemoryBytes: BUDGET * 2 });
const engine = createEngine({ kernels, parser: { experimentalFunctions: true, binopFillModifiers: true } });

const nested = (depth: number, outer: (inner: string) => string, inner: string): string => (depth === 0 ? inner : outer(nested(depth - 1, outer, inner)));

interface Row {
  readonly name: string;
  readonly expr: string;
  /** Default: five million series of one metric. */
  readonly queryable?: Queryable;
  /** Over ten steps instead of at one time. */
  readonly isRange?: boolean;
  /** What the error says the place is. */
  readonly at: RegExp;
}

const ROWS: readonly Row[] = [
  { name: 'five million groups', expr: 'count by (id) (m)', at: /at 1:1[46]?: / },
  { name: 'five million groups over steps', expr: 'stddev by (id) (m)', isRange: true, at: /at 1:17: m$/ },
  { name: 'groups by everything else', expr: 'sum without (job) (m)', at: /at 1:20: m$/ },
  { name: 'count_values over distinct values', expr: 'count_values("v", m)', at: /at 1:19: m$/ },
  { name: 'an answer of five million series', expr: 'm', at: /at 1:1: m$/ },
  { name: 'raw samples of five million series', expr: 'm[5m]', at: /at 1:1: m\[5m\]$/ },
  { name: 'topk of as many as there are', expr: 'topk(1e9, m)', at: /at 1:11: m$/ },
  { name: 'quantile over many', expr: 'quantile(0.5, m)', at: /at 1:15: m$/ },
  { name: 'limit_ratio', expr: 'limit_ratio(0.9, m)', at: /at 1:18: m$/ },
  { name: 'limitk', expr: 'limitk(1e9, m)', at: /at 1:13: m$/ },
  { name: 'a subquery of a year in milliseconds', expr: '1 +\n  max_over_time(m[1y:1ms])', at: /at 2:3: max_over_time\(m\[1y:1ms\]\)$/ },
  { name: 'a whole subquery of many steps', expr: 'm[30d:1s]', at: /at 1:1: m/ },
  { name: 'a subquery over a number', expr: 'max_over_time(vector(1)[3y:1s])', at: /at 1:1: max_over_time/ },
  { name: 'matching millions', expr: 'm + on (id) m', at: /at 1:1[: ]/ },
  { name: 'many to one', expr: 'm * on () group_left () vector(2)', at: /at 1:1: m$/ },
  { name: 'filling', expr: 'm + fill (0) m', at: /at 1:1[: ]/ },
  { name: 'and', expr: 'm and m', at: /at 1:1: m/ },
  { name: 'or', expr: 'm or m', at: /at 1:1: m/ },
  { name: 'labels that double again and again', expr: nested(40, (inner) => `label_join(${inner}, "a", "", "a", "a")`, 'label_replace(m, "a", "xxxxxxxxxxxxxxxx", "", "")'), queryable: endless(distinct, 10), at: /at 1:\d+: label_join\(.{89}…$/ },
  { name: 'a replacement of many copies', expr: `label_replace(m, "x", "${'$1'.repeat(2000)}", "id", "(.*)")`, queryable: endless(distinct, 5000), at: /at 1:1: label_replace/ },
  { name: 'one histogram of five million buckets', expr: 'histogram_quantile(0.9, b)', queryable: endless(buckets), at: /at 1:25: b$/ },
  { name: 'five million metrics, each remarked upon', expr: 'rate({id=~".+"}[5m])', queryable: endless(names), at: /at 1:1: rate/ },
  { name: 'sort', expr: 'sort(m)', at: /at 1:6: m$/ },
  { name: 'sort_by_label', expr: 'sort_by_label(m, "id")', at: /at 1:15: m$/ },
  { name: 'info over millions', expr: 'info(m)', at: /at 1:6: m$/ },
];

async function run({ expr, queryable = endless(distinct), isRange }: Row, control: QueryControl): Promise<{ dispose(): void }> {
  const query = { expr, queryable, control };
  return isRange === true ? engine.range({ ...query, startMs: TIME_MS, endMs: TIME_MS + 90_000, stepMs: 10_000 }) : engine.instant({ ...query, timeMs: TIME_MS });
}

describe('queries past their budget', () => {
  test.each(ROWS.map((row) => [row.name, row] as const))('%s', async (_name, row) => {
    const budget = new Budget();
    const error = await run(row, budget).then(
      () => undefined,
      (thrown: unknown) => thrown,
    );
    expect(error).toBeInstanceOf(PromqlError);
    expect(error).toMatchObject({ code: 'ERR_MEMORY', message: expect.stringMatching(/of 8388608 B \(raise with --query\.max-memory\), at \d+:\d+: /) as unknown });
    expect((error as PromqlError).message).toMatch(row.at);
    // Nothing is left: the next query has the whole budget.
    expect([budget.used, kernels.memory.usedBytes]).toEqual([0, 0]);
    const small = await engine.instant({ expr: 'count(m)', queryable: endless(distinct, 1000), timeMs: TIME_MS, control: budget });
    expect([...small.values]).toEqual([1000]);
    small.dispose();
    expect(budget.used).toBe(0);
  });
});

describe('queries that only look dangerous', () => {
  const SOME = 50_000;
  test.each([
    ['memory follows the result of sum', 'sum(m)', [(SOME * (SOME - 1)) / 2]],
    ['and of a deep tower of sums', nested(300, (inner) => `sum(${inner})`, 'm'), [(SOME * (SOME - 1)) / 2]],
    ['topk keeps k, also when every series is larger than those before', 'topk(2, m)', [SOME - 1, SOME - 2]],
  ])('%s', async (_name, expr, values) => {
    const budget = new Budget();
    const result = await engine.instant({ expr, queryable: endless(distinct, SOME), timeMs: TIME_MS, control: budget });
    expect([...result.values]).toEqual(values);
    expect(budget.peak).toBeLessThan(MIB);
    expect(budget.polls).toBeGreaterThan(SOME / 1000);
    result.dispose();
    expect(budget.used).toBe(0);
  });

  test('a limit ends reading', async () => {
    const read = { series: 0 };
    await expect(run({ name: '', expr: 'count by (id) (m)', queryable: endless(distinct, SERIES, read), at: /./ }, new Budget())).rejects.toThrow(PromqlError);
    expect(read.series).toBeLessThan(SERIES / 20);
  });

  test('without a budget, what no column can hold is an error of the query', async () => {
    await expect(engine.instant({ expr: 'max_over_time(vector(1)[100y:1ms])', queryable: endless(distinct, 1), timeMs: TIME_MS })).rejects.toMatchObject({
      code: 'ERR_MEMORY',
      message: expect.stringMatching(/^evaluate query: .*, at 1:\d+: /) as unknown,
    });
  });
});

describe('the sample limit', () => {
  test.each([
    ['m', 'at 1:1: m'],
    ['sum(m)', 'at 1:5: m'],
    ['1 + sum by (id) (rate(m[5m]))', 'at 1:18: rate(m[5m])'],
    ['max_over_time(\n  m[5m:15s])', 'at 2:3: m'],
  ])('%s', async (expr, place) => {
    const limited = createEngine({ kernels, maxSamples: 100 });
    await expect(limited.instant({ expr, queryable: endless(distinct, 1000), timeMs: TIME_MS })).rejects.toMatchObject({
      code: 'ERR_TOO_MANY_SAMPLES',
      message: `query processing would load too many samples into memory in query execution: more than 100 (raise with --query.max-samples), ${place}`,
    });
  });
});

describe('the series limit', () => {
  test.each([
    ['m', 'at 1:1: m'],
    ['count(m) + sum by (id) (rate(m[5m]))', 'at 1:7: m'],
    ['absent(label_replace(m, "a", "b", "c", "d"))', 'at 1:22: m'],
  ])('%s', async (expr, place) => {
    const limited = createEngine({ kernels, maxSeries: 999 });
    const query = { expr, timeMs: TIME_MS };
    await expect(limited.instant({ ...query, queryable: endless(distinct, 1000) })).rejects.toMatchObject({
      code: 'ERR_TOO_MANY_SERIES',
      message: `query would read too many series from storage: more than 999 (raise with --query.max-series), ${place}`,
    });
    (await createEngine({ kernels, maxSeries: 2000 }).instant({ ...query, queryable: endless(distinct, 1000) })).dispose();
  });
});
