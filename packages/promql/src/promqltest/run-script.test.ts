/** The script runner itself: what it reads, what it loads, and that it notices every kind of wrong answer. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { createMatcher, isStaleNaN, type Labels, labelsFromPairs, type Queryable, wordsOf } from '@gauntlet/model';
import { PromqlError } from '../errors.ts';
import { almostEqual, type ScriptResult } from './compare-result.ts';
import { loadSeries } from './load-data.ts';
import { type EvalStatement, type LoadStatement, parseScript } from './parse-script.ts';
import { parseSeries, parseValues } from './parse-series.ts';
import { runScript, type ScriptEngine } from './run-script.ts';

const metric = (text: string): Labels => parseSeries(text).labels;

describe('series notation', () => {
  const show = (text: string): string =>
    parseValues(text)
      .map((value) => (value.kind === 'float' ? String(value.value) : value.kind === 'histogram' ? `h${value.histogram.positiveBuckets.join('/')}` : value.kind))
      .join(' ');
  test.each([
    ['1 2.5 -3 .5 1e3', '1 2.5 -3 0.5 1000'],
    ['NaN Inf -inf +Inf', 'NaN Infinity -Infinity Infinity'],
    ['_ _x2 stale', 'omitted omitted omitted stale'],
    ['7x2', '7 7 7'],
    ['1+2x3', '1 3 5 7'],
    ['1-2x2 5', '1 -1 -3 5'],
    ['-1.5-0.5x1', '-1.5 -2'],
    ['0+0.1x3', '0 0.1 0.2 0.30000000000000004'],
    ['1m', '60'],
    ['{{sum:1 count:2}}x1 {{}}+{{schema:0 buckets:[1 2]}}x2', 'h h h h1/2 h2/4'],
    ['1{{}}', 'refused'],
    ['1+2', 'refused'],
    ['1x', 'refused'],
    ['abc', 'refused'],
    ['0x1F', 'refused'],
    ['1x10000000', 'refused'],
  ])('%s', (text, shown) => {
    let got = 'refused';
    try {
      got = show(text);
    } catch (error) {
      expect(error).toBeInstanceOf(PromqlError);
      expect((error as PromqlError).code).toBe('ERR_SCRIPT');
    }
    expect(got).toBe(shown);
  });

  test.each([
    ['up 1', ['__name__', 'up']],
    ['a:b{y="1",x="2",} 1', ['__name__', 'a:b', 'x', '2', 'y', '1']],
    ['{"my metric", "l 1"="v"} 1', ['__name__', 'my metric', 'l 1', 'v']],
    ['{} 1', []],
  ])('%s', (text, labels) => {
    expect(parseSeries(text)).toEqual({ labels, values: [{ kind: 'float', value: 1 }] });
  });

  test.each([['1 2'], ['a{b} 1'], ['a{b="c" d="e"} 1'], ['a{b=c} 1'], ['a{b="c" 1']])('refuses %s', (text) => {
    expect(() => parseSeries(text)).toThrow(PromqlError);
  });

  test('histograms keep whether a hint was written', () => {
    const [plain, hinted] = parseValues('{{count:1 buckets:[1]}} {{counter_reset_hint:gauge}}');
    expect(plain).toMatchObject({ hasResetHint: false, histogram: { count: 1, resetHint: 0 } });
    expect(hinted).toMatchObject({ hasResetHint: true, histogram: { resetHint: 3 } });
  });

  test.each([['{{sum:1 sum:2}}'], ['{{nope:1}}'], ['{{schema:1.5}}'], ['{{}}+{{schema:-53}}x1']])('refuses %s', (text) => {
    expect(() => parseValues(text)).toThrow(PromqlError);
  });
});

describe('scripts', () => {
  test('statements with their lines', () => {
    const script = `
# comment
load 30s
  a 1 2
  b@st -10s -20s
  b 1 _

clear
eval instant at 1m30s sum(a)
  expect no_info
  expect warn msg: careful (1:1)
  {} 3

eval range from 0 to 1m step 30s a
  expect info
  {x="y"} 1 _ 2

eval_fail instant at 0 nope(
  expected_fail_regexp ^1:

eval instant at 0 "x"
  expect string "a\\nb"

eval instant at 1m a[1m]
  expect range vector from 30s to 1m step 30s
  a 1 2

eval instant at 0 1
  -1e3
`;
    const statements = parseScript(script);
    expect(statements.map(({ kind, line }) => `${kind}:${line}`)).toEqual(['load:3', 'clear:8', 'eval:9', 'eval:14', 'eval:18', 'eval:21', 'eval:24', 'eval:28']);
    const [load, , instant, range, fails, string, vector, scalar] = statements as [LoadStatement, unknown, ...EvalStatement[]];
    expect(load.series[1]!.startOffsetsMs).toEqual([-10_000, -20_000]);
    expect(instant).toMatchObject({ expr: 'sum(a)', startMs: 90_000, noInfo: true, warn: [{ match: 'msg', text: 'careful (1:1)' }] });
    expect(range).toMatchObject({ isRange: true, endMs: 60_000, stepMs: 30_000, info: [{ match: 'any' }] });
    expect(fails!.fail).toEqual({ match: 'regex', text: '^1:' });
    expect(string!.expectedString).toBe('a\nb');
    expect(vector!.rangeVector).toEqual({ startMs: 30_000, endMs: 60_000, stepMs: 30_000 });
    expect(scalar!.scalar).toBe(-1000);
  });

  test.each([
    ['nonsense', 'line 1: a statement begins with clear, load or eval: nonsense'],
    ['load x', 'line 1: not a valid duration string: "x"'],
    ['eval instant sum(a)', 'line 1: expected: eval instant at'],
    ['eval range from 1m to 0 step 1s a', 'line 1: the end is before the start'],
    ['eval instant at 0 a\n  a 1 2', 'line 2: an instant query answers with one value per series'],
    ['eval instant at 0 a\n  expect maybe', 'line 2: expectation is not understood: expect maybe'],
    ['eval instant at 0 a\n  expect fail\n  expect fail', 'line 3: more than one failure is expected'],
    ['eval instant at 0 a\n  expect warn\n  expect no_warn', 'line 3: annotations are both expected and forbidden'],
    ['eval range from 0 to 1m step 1m a\n  expect ordered', 'line 2: the answer of a range query has no order of its own'],
    ['load 1m\n  a@st -1m\n  b 1', 'line 3: the @st line before is about another series'],
    ['load 1m\n  a@st -1m\n  a 1 2', 'line 3: the @st line before has 1 values, the sample line 2'],
    ['load 1m\n  a@st -1m', 'line 2: an @st line has no sample line'],
    ['load 1m\n  a 1 abc', 'line 2: value is not understood: abc'],
  ])('%j is refused', (script, message) => {
    expect(() => parseScript(script)).toThrow(message);
  });
});

describe('loading', () => {
  test('series are merged over loads, sorted, and keep stale markers', async () => {
    const loads = parseScript('load 10s\n  b 1 stale 3\n  a _ 5\n\nload 30s\n  b _ 9') as LoadStatement[];
    const series = loadSeries(loads);
    expect(series.map(({ labels }) => labels[1])).toEqual(['a', 'b']);
    expect([...series[1]!.timestampsMs]).toEqual([0, 10_000, 20_000, 30_000]);
    expect(isStaleNaN(wordsOf(series[1]!.values), 1)).toBe(true);
    expect(isStaleNaN(wordsOf(series[1]!.values), 2)).toBe(false);
  });

  test('classic histograms become native ones with load_with_nhcb', () => {
    const [load] = parseScript('load_with_nhcb 1m\n  h_bucket{le="1"} 1 2\n  h_sum 3 4\n  h_bucket{le="x"} 1\n  other 1') as LoadStatement[];
    const native = loadSeries([load!]).find(({ labels }) => labels[1] === 'h')!;
    expect(native.labels).toEqual(['__name__', 'h']);
    expect([...native.timestampsMs]).toEqual([0, 60_000]);
    expect(native.histograms).toMatchObject([
      { schema: -53, count: 1, sum: 3, resetHint: 0, customValues: Float64Array.of(1), positiveBuckets: Float64Array.of(1) },
      { schema: -53, count: 2, sum: 4, resetHint: 2, customValues: Float64Array.of(1), positiveBuckets: Float64Array.of(2) },
    ]);
  });
});

test('almostEqual', () => {
  expect(almostEqual(1, 1 + 1e-7)).toBe(true);
  expect(almostEqual(1, 1 + 1e-5)).toBe(false);
  expect(almostEqual(Number.NaN, Number.NaN)).toBe(true);
  expect(almostEqual(Number.NaN, 1)).toBe(false);
  expect(almostEqual(0, 1e-300)).toBe(false);
  expect(almostEqual(Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY)).toBe(false);
  expect(almostEqual(Number.MAX_VALUE, Number.MAX_VALUE * (1 - 1e-9))).toBe(true);
});

/** An engine for one kind of query, a metric name: the newest sample of the last five minutes. `behave` may spoil the answer. */
function lookupEngine(behave: (result: ScriptResult) => ScriptResult = (result) => result): ScriptEngine {
  async function range(queryable: Queryable, expr: string, startMs: number, endMs: number, stepMs: number): Promise<ScriptResult> {
    const [name, pinned] = expr.split(' @ ') as [string, string?];
    if (name.startsWith('(')) throw new PromqlError('ERR_EXECUTION', 'no parentheses, please');
    const labels: Labels[] = [];
    const offsets = [0];
    const times: number[] = [];
    const values: number[] = [];
    const matchers = [createMatcher('=', '__name__', name)];
    for await (const batch of queryable.select({ matchers, mint: Number.MIN_SAFE_INTEGER, maxt: Number.MAX_SAFE_INTEGER })) {
      batch.labels.forEach((one, i) => {
        for (let time = startMs; time <= endMs; time += stepMs) {
          const at = pinned === undefined ? time : Number(pinned) * 1000;
          let found = Number.NaN;
          for (let j = batch.offsets[i]!; j < batch.offsets[i + 1]!; j++) {
            if (batch.timestampsMs[j]! <= at && batch.timestampsMs[j]! > at - 300_000) found = batch.values[j]!;
          }
          if (!Number.isNaN(found)) {
            times.push(time);
            values.push(found);
          }
        }
        if (times.length > offsets.at(-1)!) {
          labels.push(one);
          offsets.push(times.length);
        }
      });
    }
    return { type: 'matrix', labels, offsets, timestampsMs: Float64Array.from(times), values: Float64Array.from(values), warnings: [], infos: [] };
  }
  return {
    range: async (...args) => behave(await range(...args)),
    instant: async (queryable, expr, timeMs) => behave({ ...(await range(queryable, expr, timeMs, timeMs, 1)), type: 'vector' }),
  };
}

const DATA = 'load 1m\n  a{x="1"} 1 2 3\n  a{x="2"} _ 20 30\n\n';

describe('running', () => {
  const problems = async (script: string, engine: ScriptEngine = lookupEngine()): Promise<(string | undefined)[]> =>
    (await runScript(DATA + script, engine)).map(({ problem }) => problem);

  test('right answers pass', async () => {
    const script = `
eval instant at 1m a
  a{x="2"} 20
  a{x="1"} 2

eval range from 0 to 2m step 1m a
  a{x="1"} 1+1x2
  a{x="2"} _ 20 30

eval instant at 0 (a)
  expect fail msg: no parentheses, please

clear
eval instant at 0 a
`;
    expect(await problems(script)).toEqual([undefined, undefined, undefined, undefined]);
  });

  test.each([
    ['eval instant at 1m a\n  a{x="1"} 2', 'series is not expected: {__name__="a", x="2"} 20'],
    ['eval instant at 1m a\n  a{x="1"} 2\n  a{x="2"} 20\n  b 1', 'series is missing: {__name__="b"}'],
    ['eval instant at 1m a\n  a{x="1"} 2.1\n  a{x="2"} 20', '{__name__="a", x="1"}: expected 2.1, got 2'],
    ['eval instant at 1m a\n  a{x="1"} stale\n  a{x="2"} 20', 'expected a stale marker, got 2'],
    ['eval instant at 1m a\n  a{x="1"} {{}}\n  a{x="2"} 20', 'expected {{}}, got 2'],
    ['eval instant at 1m a\n  expect ordered\n  a{x="2"} 20\n  a{x="1"} 2', 'is at position 1, expected at 2'],
    ['eval instant at 1m a\n  5', 'expected scalar 5, got vector'],
    ['eval instant at 1m a\n  expect fail', 'an error is expected, got an answer'],
    ['eval instant at 1m a\n  expect warn\n  a{x="1"} 2', 'warning is missing: any'],
    ['eval instant at 1m (a)\n  a 1', 'error: no parentheses, please'],
    ['eval instant at 1m (a)\n  expect fail msg: another', 'another error is expected: no parentheses, please'],
    ['eval range from 0 to 2m step 1m a\n  a{x="1"} 1 2 3\n  a{x="2"} 20 30', 'expected a point at 0 ms, got 20 at 60000 ms'],
    ['eval range from 0 to 1m step 1m a\n  a{x="1"} 1 2 3\n  a{x="2"} _ 20', 'expected 3 points, the query has fewer steps'],
    ['eval range from 0 to 2m step 1m a\n  a{x="1"} 1 2\n  a{x="2"} _ 20 30', 'point is not expected: 3 at 120000 ms'],
    ['eval range from 0 to 2m step 1m a\n  a{x="1"} 1 2 4\n  a{x="2"} _ 20 30', 'at 120000 ms expected 4, got 3'],
  ])('%j is noticed', async (script, problem) => {
    expect((await problems(script)).join()).toContain(problem);
  });

  const right = 'eval instant at 1m a\n  a{x="2"} 20\n  a{x="1"} 2';
  test('annotations', async () => {
    const noisy = lookupEngine((result) => ({ ...result, warnings: ['w (1:1)'], infos: ['i (1:1)'] }));
    expect(await problems(right, noisy)).toEqual([undefined]);
    expect(await problems(right.replace('\n', '\n  expect warn msg: w (1:1)\n  expect info regex: ^i\n'), noisy)).toEqual([undefined]);
    expect(await problems(right.replace('\n', '\n  expect no_warn\n'), noisy)).toEqual(['warning is not expected: w (1:1)']);
    expect(await problems(right.replace('\n', '\n  expect info msg: other\n'), noisy)).toEqual(['info is missing: other; got: i (1:1)']);
  });

  test('an answer that is wrong only for pinned selectors', async () => {
    const engine = lookupEngine();
    const forgetful: ScriptEngine = { ...engine, instant: (queryable, expr, timeMs) => engine.instant(queryable, expr.split(' @ ')[0]!, timeMs) };
    expect((await problems(right, forgetful)).join()).toMatch(/in a @ 60\.000 at -600000 ms$/);
  });

  test('an answer that is wrong only in range queries', async () => {
    const engine = lookupEngine();
    const shifted: ScriptEngine = { ...engine, range: (queryable, expr, start, end, step) => engine.range(queryable, expr.replace('a', 'b'), start, end, step) };
    expect((await problems(right, shifted)).join()).toMatch(/^as a range query: series is missing/);
    const unsorted = lookupEngine((result) => ({ ...result, labels: result.labels.toReversed() }));
    expect((await problems('eval range from 0 to 2m step 1m a\n  a{x="2"} 1', unsorted)).join()).toMatch(/series are not sorted by labels: \{__name__="a", x="1"\} comes after \{__name__="a", x="2"\}/);
  });
});

test('labels of a metric', () => {
  expect(metric('a{b="c"} 1')).toEqual(labelsFromPairs([['__name__', 'a'], ['b', 'c']]));
});

const scripts = join(process.env['GAUNTLET_SHARED'] ?? join(import.meta.dirname, '../../../../../shared'), 'conformance/promqltest');
(existsSync(scripts) ? describe : describe.skip)('the conformance scripts (skipped without the shared data)', () => {
  test('every file can be read, and holds the evaluations its index names', () => {
    const index = JSON.parse(readFileSync(join(scripts, 'cases.json'), 'utf8')) as { cases: { file: string; line: number; expr: string; results: number | 'scalar' }[] };
    const read: string[] = [];
    for (const file of readdirSync(scripts).filter((name) => name.endsWith('.test'))) {
      for (const statement of parseScript(readFileSync(join(scripts, file), 'utf8'))) {
        if (statement.kind === 'eval') read.push(`${file}:${statement.line} ${statement.expr} ${statement.scalar === undefined ? statement.series.length : 'scalar'}`);
      }
    }
    expect(read.sort()).toEqual(index.cases.map(({ file, line, expr, results }) => `${file}:${line} ${expr} ${results}`).sort());
  });
});
