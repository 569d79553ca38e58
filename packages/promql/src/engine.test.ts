/** The engine as its callers see it: shapes of answers, error texts, remarks, limits, hints to storage, and that nothing stays allocated. */
import { describe, expect, test } from '@jest/globals';
import { createKernels } from '@gauntlet/kernels';
import { formatLabels, type Queryable, type SelectRequest } from '@gauntlet/model';
import { createEngine, type EngineOptions } from './engine.ts';
import { PromqlError } from './errors.ts';
import type { QueryControl } from './exec/query-context.ts';
import { loadSeries } from './promqltest/load-data.ts';
import { type LoadStatement, parseScript } from './promqltest/parse-script.ts';
import type { QueryResult } from './query-result.ts';
import { createMemoryQueryable } from './promqltest/memory-queryable.ts';

const kernels = createKernels();

/** Storage with the series of a `load` block: `metric{a="b"} 1 2 3x4` lines, one minute apart. */
function load(...lines: string[]): Queryable {
  const statements = parseScript(`load 1m\n${lines.map((line) => `  ${line}`).join('\n')}\n`);
  return createMemoryQueryable(loadSeries(statements as LoadStatement[]));
}

function engine(options: Partial<EngineOptions> = {}): ReturnType<typeof createEngine> {
  return createEngine({ kernels, parser: { experimentalFunctions: true, extendedRangeSelectors: true }, ...options });
}

function instant(queryable: Queryable, expr: string, minutes = 10, options: Partial<EngineOptions> = {}): Promise<QueryResult> {
  return engine(options).instant({ expr, queryable, timeMs: minutes * 60_000 });
}

/** `{labels} v@minute v@minute` per series. */
function show(result: QueryResult): string[] {
  return result.labels.map((labels, i) => {
    const points = [];
    for (let j = result.offsets[i]!; j < result.offsets[i + 1]!; j++) points.push(`${result.values[j]}@${result.timestampsMs[j]! / 60_000}`);
    return `${formatLabels(labels)} ${points.join(' ')}`;
  });
}

const data = load('m_total{i="a"} 0+60x20', 'm_total{i="b"} 0+120x20', 'n{i="a"} 5x20', 'n{i="b"} NaNx20', 'gone 1 2 stale', 'h{i="a"} {{schema:0 sum:1 count:2 buckets:[1 1]}}x20');

describe('shapes of answers', () => {
  test.each([
    { name: 'vector', expr: 'm_total', want: ['{__name__="m_total", i="a"} 600@10', '{__name__="m_total", i="b"} 1200@10'] },
    { name: 'scalar', expr: '1 + 2', want: ['{} 3@10'] },
    { name: 'scalar from a vector', expr: 'scalar(n{i="a"})', want: ['{} 5@10'] },
    { name: 'matrix', expr: 'm_total{i="a"}[2m]', want: ['{__name__="m_total", i="a"} 540@9 600@10'] },
    { name: 'matrix without stale markers', expr: 'gone[30m]', want: ['{__name__="gone"} 1@0 2@1'] },
    { name: 'subquery', expr: 'vector(1)[2m:1m]', want: ['{} 1@9 1@10'] },
    { name: 'topk: best first', expr: 'topk(2, m_total)', want: ['{__name__="m_total", i="b"} 1200@10', '{__name__="m_total", i="a"} 600@10'] },
    { name: 'sort: NaN last', expr: 'sort_desc(n or m_total)', want: ['{__name__="n", i="a"} 5@10', '{__name__="n", i="b"} NaN@10'] },
  ])('$name', async ({ expr, want, name }) => {
    const result = await instant(data, expr);
    expect(show(result)).toEqual(want);
    expect(result.type).toBe(name.startsWith('matrix') || name === 'subquery' ? 'matrix' : name.startsWith('scalar') ? 'scalar' : 'vector');
    result.dispose();
  });

  test('string', async () => {
    const result = await instant(data, '"hello"');
    expect([result.type, result.string, result.labels]).toEqual(['string', 'hello', []]);
  });

  test('range: series in label order, steps without a value left out', async () => {
    const result = await engine().range({ expr: 'gone or -m_total{i="a"}', queryable: data, startMs: 0, endMs: 150_000, stepMs: 60_000 });
    expect(result.type).toBe('matrix');
    expect(show(result)).toEqual(['{__name__="gone"} 1@0 2@1', '{i="a"} 0@0 -60@1 -120@2'].sort());
  });

  test('range of a scalar is one series without labels', async () => {
    expect(show(await engine().range({ expr: 'time()', queryable: data, startMs: 0, endMs: 120_000, stepMs: 60_000 }))).toEqual(['{} 0@0 60@1 120@2']);
  });

  test('an end before the start has no steps', async () => {
    expect((await engine().range({ expr: 'm_total', queryable: data, startMs: 60_000, endMs: 0, stepMs: 1000 })).labels).toEqual([]);
  });

  test('the columns of an answer survive later queries', async () => {
    const first = await instant(data, 'rate(m_total[5m])');
    const before = show(first);
    for (let i = 0; i < 5; i++) (await instant(data, 'sum(rate(m_total[7m])) by (i)')).dispose();
    expect(show(first)).toEqual(before);
  });
});

describe('choosing series', () => {
  const many = load(...Array.from({ length: 40 }, (_unused, i) => `v{i="${i}", g="${i % 3}"} ${i}x20`));
  const names = async (expr: string): Promise<string[]> => (await instant(many, expr)).labels.map(formatLabels).sort();

  test.each([0.1, 0.3, 0.5, 0.9])('limit_ratio(%d) and its complement part the series', async (ratio) => {
    const [taken, rest, all] = await Promise.all([names(`limit_ratio(${ratio}, v)`), names(`limit_ratio(${ratio - 1}, v)`), names('v')]);
    expect([...taken, ...rest].sort()).toEqual(all);
    expect(taken.length).toBeGreaterThan(0);
    expect(await names(`limit_ratio(${ratio + 0.05}, v)`)).toEqual(expect.arrayContaining(taken));
  });

  test.each([
    { expr: 'limitk(2, v)', count: 2 },
    { expr: 'limitk by (g) (2, v)', count: 6 },
    { expr: 'limitk(100, v)', count: 40 },
    { expr: 'limitk(0, v)', count: 0 },
    { expr: 'limit_ratio(0, v)', count: 0 },
    { expr: 'limit_ratio(1, v)', count: 40 },
    { expr: 'limit_ratio(-1, v)', count: 40 },
    { expr: 'topk(-1, v)', count: 0 },
  ])('$expr gives $count', async ({ expr, count }) => {
    expect(await names(expr)).toHaveLength(count);
  });

  test('topk of equal values keeps those that came first; the parameter may change from step to step', async () => {
    const equal = load('e{i="1"} 1x20', 'e{i="2"} 1x20', 'e{i="3"} 1x20');
    expect(show(await instant(equal, 'topk(2, e)')).sort()).toEqual(['{__name__="e", i="1"} 1@10', '{__name__="e", i="2"} 1@10']);
    const varying = await engine().range({ expr: 'topk(scalar(vector(time() / 60)), e)', queryable: equal, startMs: 0, endMs: 180_000, stepMs: 60_000 });
    expect(show(varying)).toEqual(['{__name__="e", i="1"} 1@1 1@2 1@3', '{__name__="e", i="2"} 1@2 1@3', '{__name__="e", i="3"} 1@3']);
  });
});

describe('names', () => {
  const both = load('a{x="1"} 0+1x20', 'b{x="1"} 0+1x20');
  test.each([
    { expr: 'rate({__name__=~"a|b"}[5m])' },
    { expr: '-{__name__=~"a|b"}' },
    { expr: '{__name__=~"a|b"} * 2' },
    { expr: 'abs({__name__=~"a|b"})' },
    { expr: 'label_replace({__name__=~"a|b"}, "__name__", "c", "", "")' },
  ])('$expr: equal labels at one time are refused', async ({ expr }) => {
    await expect(instant(both, expr)).rejects.toMatchObject({ code: 'ERR_EXECUTION', message: 'vector cannot contain metrics with the same labelset' });
  });

  test.each([
    { expr: 'last_over_time(a[5m])', want: ['{__name__="a", x="1"} 10@10'] },
    { expr: 'max_over_time(a[5m])', want: ['{x="1"} 10@10'] },
    { expr: 'a > 1', want: ['{__name__="a", x="1"} 10@10'] },
    { expr: 'a > bool 1', want: ['{x="1"} 1@10'] },
    { expr: 'a + on (x) b', want: ['{x="1"} 20@10'] },
    { expr: 'a == on (x) b', want: ['{x="1"} 10@10'] },
    { expr: 'a == b', want: ['{__name__="a", x="1"} 10@10'] },
    { expr: 'label_replace(rate(a[5m]), "n", "$1", "__name__", "(.*)") * 0', want: ['{x="1"} 0@10'] },
    { expr: 'sum by (__name__) (a)', want: ['{__name__="a"} 10@10'] },
    { expr: 'sum without (x) (a)', want: ['{} 10@10'] },
  ])('$expr', async ({ expr, want }) => {
    expect(show(await instant(both, expr))).toEqual(want);
  });

  test('delayed removal: functions still see the name', async () => {
    const expr = 'label_replace(rate(a[5m]), "n", "$1", "__name__", "(.*)") * 0';
    expect(show(await instant(both, expr, 10, { delayedNameRemoval: true }))).toEqual(['{n="a", x="1"} 0@10']);
  });

  test('delayed removal: what becomes equal is refused at the end', async () => {
    await expect(instant(both, 'abs({__name__=~"a|b"})', 10, { delayedNameRemoval: true })).rejects.toThrow('vector cannot contain metrics with the same labelset');
  });

  test('type and unit go with the name', async () => {
    const typed = load('a{__type__="counter", __unit__="s", x="1"} 1x20');
    expect(show(await instant(typed, 'a * 2'))).toEqual(['{x="1"} 2@10']);
  });
});

describe('error texts', () => {
  const data2 = load('l{g="1", a="x"} 1x20', 'l{g="1", a="y"} 2x20', 'r{g="1", b="p"} 3x20', 'r{g="1", b="q"} 4x20', 'one{g="1"} 5x20');
  test.each([
    {
      expr: 'one / on (g) r',
      want: 'found duplicate series for the match group {g="1"} on the right hand-side of the operation: [{__name__="r", b="p", g="1"}, {__name__="r", b="q", g="1"}];many-to-many matching not allowed: matching labels must be unique on one side',
    },
    {
      expr: 'r / on (g) group_right one',
      want: 'found duplicate series for the match group {g="1"} on the left hand-side of the operation: [{__name__="r", b="p", g="1"}, {__name__="r", b="q", g="1"}];many-to-many matching not allowed: matching labels must be unique on one side',
    },
    { expr: 'l / on (g) one', want: 'multiple matches for labels: many-to-one matching must be explicit (group_left/group_right)' },
    { expr: 'l > on (g) one', want: 'multiple matches for labels: many-to-one matching must be explicit (group_left/group_right)' },
    { expr: 'l / on (g) group_left (a) one', want: 'multiple matches for labels: grouping labels must ensure unique matches' },
    { expr: 'topk(NaN, one)', want: 'Parameter value is NaN' },
    { expr: 'topk(1e30, one)', want: 'Scalar value 1e+30 overflows int64' },
    { expr: 'limit_ratio(NaN, one)', want: 'Ratio value is NaN' },
    { expr: 'label_replace(one, "d", "", "s", "(")', want: 'invalid regular expression in label_replace(): (' },
    { expr: 'label_replace(one, "", "", "s", "")', want: 'invalid destination label name in label_replace(): ' },
    { expr: 'label_join(one, "d", "-", "")', want: 'invalid source label name in label_join(): ' },
    { expr: 'double_exponential_smoothing(one[5m], 1.5, 0.1)', want: 'invalid smoothing factor. Expected: 0 < sf < 1, got: 1.500000' },
    { expr: 'double_exponential_smoothing(one[5m], 0.5, 0)', want: 'invalid trend factor. Expected: 0 < tf < 1, got: 0.000000' },
    { expr: 'irate(one[5m] anchored)', want: 'anchored modifier can only be used with: changes, delta, increase, rate, resets - not with irate' },
    { expr: 'changes(one[5m] smoothed)', want: 'smoothed modifier can only be used with: delta, increase, rate - not with changes' },
  ])('$expr', async ({ expr, want }) => {
    const failure = await instant(data2, expr).then(
      () => undefined,
      (error: unknown) => error,
    );
    expect(failure).toBeInstanceOf(PromqlError);
    expect((failure as PromqlError).message).toBe(want);
    expect((failure as PromqlError).code).toBe('ERR_EXECUTION');
  });

  test('duplicates count only where they meet: the same query without overlap in time is answered', async () => {
    const apart = load('one{g="1"} 5x20', 'r{g="1", b="p"} 3x4 stale', 'r{g="1", b="q"} _x5 4x10');
    const result = await engine().range({ expr: 'one / on (g) r', queryable: apart, startMs: 0, endMs: 600_000, stepMs: 300_000 });
    expect(show(result)).toEqual([`{g="1"} ${5 / 3}@0 ${5 / 4}@5 ${5 / 4}@10`]);
  });

  test('a range query of a range vector', async () => {
    await expect(engine().range({ expr: 'm[5m]', queryable: data, startMs: 0, endMs: 1, stepMs: 1 })).rejects.toThrow(
      'invalid expression type "range vector" for range query, must be Scalar or instant Vector',
    );
  });

  test('a query that does not parse', async () => {
    await expect(instant(data, 'sum(')).rejects.toMatchObject({ code: 'ERR_PARSE' });
  });

  test('storage that fails is named as the cause', async () => {
    const broken = new Error('disk on fire');
    const failing = failingStorage(broken);
    await expect(instant(failing, 'm_total')).rejects.toMatchObject({ code: 'ERR_STORAGE', message: 'expanding series: disk on fire', cause: broken });
  });

});

function failingStorage(error: Error): Queryable {
  const iterator = { next: () => Promise.reject(error) };
  return { ...data, select: () => ({ [Symbol.asyncIterator]: () => iterator, warnings: () => [] }) };
}

describe('remarks', () => {
  test.each([
    { expr: 'rate(n[5m])', infos: ['PromQL info: metric might not be a counter, name does not end in _total/_sum/_count/_bucket: "n" (1:6)'], warnings: [] },
    { expr: 'rate(m_total[5m])', infos: [], warnings: [] },
    { expr: 'quantile(1.5, n)', infos: [], warnings: ['PromQL warning: quantile value should be between 0 and 1, got 1.5 (1:10)'] },
    { expr: 'quantile_over_time(-1, n[5m])', infos: [], warnings: ['PromQL warning: quantile value should be between 0 and 1, got -1 (1:20)'] },
    { expr: 'limit_ratio(1.1, n)', infos: [], warnings: ['PromQL warning: ratio value should be between -1 and 1, got 1.1, capping to 1 (1:13)'] },
    { expr: 'histogram_quantile(0.5, n)', infos: [], warnings: ['PromQL warning: bucket label "le" is missing or has a malformed value of "" (1:25)'] },
  ])('$expr', async ({ expr, infos, warnings }) => {
    const result = await instant(data, expr);
    expect({ infos: result.infos, warnings: result.warnings }).toEqual({ infos, warnings });
  });

  test('the same remark for many series and steps appears once; more than the limit are counted', async () => {
    const names = Array.from({ length: 14 }, (_unused, i) => `g${i}`);
    const many = load(...names.map((name) => `${name} 1x20`));
    const expr = names.map((name) => `count(rate(${name}[5m]))`).join(' + ');
    const result = await engine().range({ expr, queryable: many, startMs: 300_000, endMs: 900_000, stepMs: 60_000 });
    expect(result.infos).toHaveLength(11);
    expect(result.infos[10]).toBe('4 more info annotations omitted');
    const all = await engine({ annotationsMax: 0 }).range({ expr, queryable: many, startMs: 300_000, endMs: 900_000, stepMs: 60_000 });
    expect(all.infos).toHaveLength(14);
  });

  // As a live Prometheus 3.14 has it: what counts is whether the end is another time than the start, not how many steps there are.
  test.each([
    ['sort(n)', 0, 60_000, true],
    ['sort(n)', 0, 30_000, true],
    ['sort(n)', 0, 0, false],
    ['sort(n @ 0)', 0, 300_000, false],
    ['max_over_time(sort_by_label(n, "x")[1m:1m])', 60_000, 60_000, false],
    ['max_over_time(sort_desc(n)[1m:1m])', 80_000, 80_000, true],
    ['max_over_time(sort_desc(n)[1m:1m])', 60_000, 90_000, false],
    ['max_over_time(sort_desc(n)[1m:1m])', 80_000, 110_000, true],
    ['max_over_time(sort_desc(n)[1m:20s])', 60_000, 60_000, true],
    ['max_over_time(sort_desc(n)[1m:1m] @ 60)', 60_000, 90_000, false],
  ] as const)('sort in a range query: %s from %d to %d', async (expr, startMs, endMs, isWarned) => {
    const result = await engine({ parser: { experimentalFunctions: true } }).range({ expr, queryable: data, startMs, endMs, stepMs: 60_000 });
    const place = expr.startsWith('max') ? 15 : 1;
    expect(result.warnings).toEqual(isWarned ? [`PromQL warning: sort is ineffective for range queries since results are always ordered by labels (1:${place})`] : []);
  });

  // As Prometheus 3.14: equal labels that names hide until the end are let through only where nothing but one time is asked for.
  test.each([
    ['count(Q)', 0, 0, 2],
    ['count(Q)', 0, 30_000, 'error'],
    ['count(Q)', 0, 60_000, 'error'],
    ['count(Q or n)', 0, 0, 3],
    ['count(n or Q)', 0, 1, 'error'],
    ['count(Q @ 0)', 0, 300_000, 2],
    ['count(Q @ 0 or n)', 0, 30_000, 'error'],
    ['count(Q @ 0 and on() n)', 0, 0, 2],
    ['count(Q @ 0 and on() n)', 0, 30_000, 'error'],
    ['count(Q @ 0 unless on() missing)', 0, 30_000, 'error'],
    ['count(Q unless on() missing)', 0, 30_000, 'error'],
    ['count(topk(5, Q))', 0, 30_000, 'error'],
    ['count_over_time(count(Q)[1m:1m])', 60_000, 90_000, 1],
    ['count_over_time(count(Q)[1m:1m])', 80_000, 80_000, 'error'],
  ] as const)('equal labels with delayed names: %s from %d to %d', async (template, startMs, endMs, want) => {
    const expr = template.replace(/Q( @ 0)?/, 'histogram_quantiles(b$1, "q", 0.5, 0.5)');
    const buckets = load('b{le="1"} 5x20', 'b{le="+Inf"} 10x20', 'n 1x20');
    const answer = engine({ delayedNameRemoval: true, parser: { experimentalFunctions: true } }).range({ expr, queryable: buckets, startMs, endMs, stepMs: 60_000 });
    if (want === 'error') await expect(answer).rejects.toThrow('vector cannot contain metrics with the same labelset');
    else expect([...(await answer).values].every((value) => value === want)).toBe(true);
  });

  test('repairs of monotonicity add up over steps', async () => {
    const buckets = load('h_bucket{le="1"} 5x20', 'h_bucket{le="2"} 3x20', 'h_bucket{le="+Inf"} 10x20');
    const result = await engine().range({ expr: 'histogram_quantile(0.5, h_bucket)', queryable: buckets, startMs: 0, endMs: 120_000, stepMs: 60_000 });
    expect(result.infos).toEqual([
      'PromQL info: input to histogram_quantile needed to be fixed for monotonicity (see https://prometheus.io/docs/prometheus/latest/querying/functions/#histogram_quantile), from buckets 2 to 2, with a max diff of 2, over 3 samples from 1970-01-01T00:00:00Z to 1970-01-01T00:02:00Z (1:25)',
    ]);
    expect(show(result)).toEqual(['{} 1@0 1@1 1@2']);
  });

  test('warnings of storage are passed on', async () => {
    const warning: Queryable = { ...data, select: (request) => ({ ...data.select(request), [Symbol.asyncIterator]: () => data.select(request)[Symbol.asyncIterator](), warnings: () => ['store 7 is away'] }) };
    expect((await instant(warning, 'n')).warnings).toEqual(['store 7 is away']);
  });
});

describe('limits', () => {
  /** Counts what is charged, and can fail at the n-th poll. */
  function control(failAt = Infinity): QueryControl & { polls: number; bytes: number; peak: number } {
    return {
      polls: 0,
      bytes: 0,
      peak: 0,
      poll() {
        if (++this.polls >= failAt) throw new PromqlError('ERR_TIMEOUT', 'query timed out in expression evaluation');
      },
      reserve(bytes) {
        this.bytes += bytes;
        this.peak = Math.max(this.peak, this.bytes);
      },
      release(bytes) {
        this.bytes -= bytes;
      },
    };
  }

  const queries = [
    'm_total',
    'sum by (i) (rate(m_total[5m]))',
    'topk(1, n)',
    'm_total / n',
    'm_total or n',
    'max_over_time(rate(m_total[2m])[10m:1m])',
    'quantile(0.5, n)',
    'count_values("v", n)',
    'histogram_quantile(0.5, n)',
    'absent_over_time(n[1m])',
    'label_join(n, "x", "-", "i")',
    'n[5m]',
    'sum(m_total) + on () group_right n',
    'timestamp(n)',
    'scalar(sum(n))',
    'n smoothed',
    'rate(m_total[5m] smoothed)',
    'sum(avg_over_time(n[5m] @ 300))',
    'h',
    'h[5m]',
    'h - h',
    'h smoothed',
    'sum by (i) (rate(h[5m]))',
    'avg(h or n)',
    'sum_over_time(h[5m:1m])',
    'histogram_quantile(0.5, h)',
    'histogram_count(increase(h[5m] anchored))',
  ];

  test.each(queries)('%s: everything charged is given back, and so is the kernels’ memory', async (expr) => {
    const used = kernels.memory.usedBytes;
    const ledger = control();
    const result = await engine().instant({ expr, queryable: data, timeMs: 600_000, control: ledger });
    expect(kernels.memory.usedBytes).toBe(used);
    result.dispose();
    expect(ledger.bytes).toBe(0);
    expect(ledger.peak).toBeGreaterThan(0);
    expect(ledger.polls).toBeGreaterThan(0);
  });

  test('a native histogram counts for its size', async () => {
    const result = await instant(data, 'h');
    expect(result.stats).toEqual({ samples: 12, peakSamples: 12, series: 1 });
    await expect(instant(data, 'h', 10, { maxSamples: 11 })).rejects.toMatchObject({ code: 'ERR_TOO_MANY_SAMPLES' });
  });

  test.each(queries)('%s: the same after a failure at any poll', async (expr) => {
    const used = kernels.memory.usedBytes;
    for (let failAt = 1; failAt <= 12; failAt++) {
      const ledger = control(failAt);
      const failure = await engine()
        .instant({ expr, queryable: data, timeMs: 600_000, control: ledger })
        .then(
          (result) => result.dispose(),
          (error: unknown) => error,
        );
      if (ledger.polls >= failAt) expect(failure).toMatchObject({ code: 'ERR_TIMEOUT' });
      else expect(failure).toBeUndefined();
      expect(kernels.memory.usedBytes).toBe(used);
      expect(ledger.bytes).toBe(0);
    }
  });

  test('polls keep pace with samples and series', async () => {
    const series = Array.from({ length: 50 }, (_unused, i) => `many{i="${i}"} 1x1999`);
    const ledger = control();
    const run = engine().instant({ expr: 'sum(count_over_time(many[2000m]))', queryable: load(...series), timeMs: 1999 * 60_000, control: ledger });
    expect(show(await run)).toEqual(['{} 100000@1999']);
    expect(ledger.polls).toBeGreaterThanOrEqual(10);
  });

  test('an aborted signal ends the query', async () => {
    const run = engine().instant({ expr: 'm_total', queryable: data, timeMs: 0, signal: AbortSignal.abort() });
    await expect(run).rejects.toMatchObject({ code: 'ERR_CANCELED', message: 'query was canceled in expression evaluation' });
  });

  test.each([
    { expr: 'm_total', max: 2, ok: true },
    { expr: 'm_total', max: 1, ok: false },
    { expr: 'sum(m_total)', max: 1, ok: false },
    { expr: 'm_total[10m]', max: 20, ok: true },
    { expr: 'm_total[10m]', max: 19, ok: false },
  ])('$expr with at most $max samples', async ({ expr, max, ok }) => {
    const run = instant(data, expr, 10, { maxSamples: max });
    if (ok) await expect(run).resolves.toBeDefined();
    else await expect(run).rejects.toMatchObject({ code: 'ERR_TOO_MANY_SAMPLES', message: `query processing would load too many samples into memory in query execution: more than ${max} (raise with --query.max-samples), at 1:${expr.startsWith('sum(') ? 5 : 1}: ${expr.startsWith('sum(') ? 'm_total' : expr}` });
  });

  test('one long series with long windows is polled too', async () => {
    const queryable = load('long 0.5+0.25x9999');
    for (const expr of ['sum_over_time(long[9000m])', 'quantile_over_time(0.5, long[100m])']) {
      const ledger = control();
      const result = await engine().range({ expr, queryable, startMs: 0, endMs: 9999 * 60_000, stepMs: 300_000, control: ledger });
      expect(result.values).toHaveLength(2000);
      expect(ledger.polls).toBeGreaterThanOrEqual(expr.startsWith('sum') ? 5 : 15);
      result.dispose();
    }
  });

  test('kernel memory that is not enough is an error of the query, and nothing else', async () => {
    const tight = createKernels({ maxMemoryBytes: 256 * 1024 });
    const many = load(...Array.from({ length: 400 }, (_unused, i) => `many{i="${i}"} 1x20`));
    const run = engine({ kernels: tight }).range({ expr: 'sum by (i) (many)', queryable: many, startMs: 0, endMs: 1_200_000, stepMs: 10_000 });
    await expect(run).rejects.toMatchObject({ code: 'ERR_MEMORY', message: expect.stringMatching(/^evaluate query: .*262144.*, at 1:\d+: (many|sum by)/) as unknown });
    expect(tight.memory.usedBytes).toBe(0);
    expect(show(await engine({ kernels: tight }).instant({ expr: 'sum(many)', queryable: many, timeMs: 600_000 }))).toEqual(['{} 400@10']);
  });

  test('counters', async () => {
    expect((await instant(data, 'sum(m_total)')).stats).toEqual({ samples: 2, peakSamples: 2, series: 2 });
  });

  test('queries at the same time do not disturb each other', async () => {
    const one = engine();
    const expected = await Promise.all(queries.map((expr) => instant(data, expr).then(show)));
    const together = await Promise.all(queries.map((expr) => one.instant({ expr, queryable: data, timeMs: 600_000 }).then(show)));
    expect(together).toEqual(expected);
  });
});

describe('what storage is asked for', () => {
  async function requests(expr: string, range = false): Promise<string[]> {
    const seen: string[] = [];
    const recording: Queryable = {
      ...data,
      select(request: SelectRequest) {
        const { func, rangeMs, grouping, by, stepMs } = request.hints!;
        seen.push(`[${request.mint / 1000}, ${request.maxt / 1000}] ${func} range ${rangeMs / 1000} ${by ? 'by' : 'without'} (${grouping.join()}) step ${stepMs / 1000}`);
        return data.select(request);
      },
    };
    const query = { expr, queryable: recording };
    await (range ? engine().range({ ...query, startMs: 1_000_000, endMs: 1_095_000, stepMs: 10_000 }) : engine().instant({ ...query, timeMs: 1_000_000 }));
    return seen;
  }

  test.each([
    { expr: 'foo', want: ['[700.001, 1000]  range 0 without () step 0'] },
    { expr: 'foo offset 1m', want: ['[640.001, 940]  range 0 without () step 0'] },
    { expr: 'foo @ 50', want: ['[-249.999, 50]  range 0 without () step 0'] },
    { expr: 'rate(foo[2m])', want: ['[880.001, 1000] rate range 120 without () step 0'] },
    { expr: 'sum by (a) (foo)', want: ['[700.001, 1000] sum range 0 by (a) step 0'] },
    { expr: 'sum by (a) (rate(foo[2m]))', want: ['[880.001, 1000] rate range 120 without () step 0'] },
    { expr: 'max(foo) + bar', want: ['[700.001, 1000] max range 0 by () step 0', '[700.001, 1000]  range 0 without () step 0'] },
    { expr: 'max_over_time(foo[2m:30s])', want: ['[580.001, 990] max_over_time range 0 without () step 30'] },
    { expr: 'max_over_time(max_over_time(foo[1m])[1m40s:25s] @ 50 offset 7s)', want: ['[-116.999, 25] max_over_time range 60 without () step 25'] },
    { expr: 'max_over_time(max_over_time(foo[100s:30s])[50s:20s])', want: ['[550.001, 990] max_over_time range 0 without () step 30'] },
    { expr: 'rate(foo[2m] smoothed)', want: ['[580.001, 1300] rate range 120 without () step 0'] },
  ])('$expr', async ({ expr, want }) => {
    expect(await requests(expr)).toEqual(want);
  });

  test('a range query asks up to its last step', async () => {
    expect(await requests('foo', true)).toEqual(['[700.001, 1090]  range 0 without () step 10']);
  });

  test('what does not change from step to step is asked once', async () => {
    expect(await requests('foo @ 50 + foo', true)).toEqual(['[-249.999, 50]  range 0 without () step 10', '[700.001, 1090]  range 0 without () step 10']);
  });
});
