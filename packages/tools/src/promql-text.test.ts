/** `tools promql format`, `parse` and `test`: results, marks below the place of an error, failures with file and line, exit codes. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from '@jest/globals';
import { explainPlace } from './promql-expression.ts';
import { runWith, type ToolRun } from './testing/tool-run.ts';

const dir = mkdtempSync(join(tmpdir(), 'gauntlet-promql-text-'));
afterAll(() => rmSync(dir, { recursive: true, force: true }));

/** Runs a tool with standard input, and keeps what it says to people. */
async function run(argv: readonly string[], input = ''): Promise<ToolRun & { readonly said: string }> {
  let said = '';
  const outcome = await runWith([], ['promql', ...argv], { readInput: () => Promise.resolve(input), printError: (text) => (said += text) });
  return { ...outcome, said };
}

describe('format', () => {
  test.each([
    { name: 'an argument', argv: ['sum  by(x)( rate(a[5m]) )'], input: '', out: 'sum by (x) (rate(a[5m]))\n' },
    { name: 'standard input', argv: ['-'], input: 'a+\n  b # why\n', out: 'a + b\n' },
    { name: 'one that begins with a sign', argv: ['--', '-a'], input: '', out: '-a\n' },
    { name: 'a feature', argv: ['--enable-feature=promql-experimental-functions', 'sort_by_label(a,"b")'], input: '', out: 'sort_by_label(a, "b")\n' },
    { name: 'features with commas', argv: ['--enable-feature=promql-binop-fill-modifiers,promql-extended-range-selectors', 'rate(a[5m] smoothed)+fill(1)b'], input: '', out: 'rate(a[5m] smoothed) + fill (1) b\n' },
  ])('$name', async ({ argv, input, out }) => {
    expect(await run(['format', ...argv], input)).toMatchObject({ code: 0, out, said: '' });
  });
});

describe('parse', () => {
  test('prints the tree', async () => {
    const { code, out } = await run(['parse', 'sum(x)']);
    expect(code).toBe(0);
    expect(JSON.parse(out)).toMatchObject({ type: 'aggregation', op: 'sum', expr: { type: 'vectorSelector', name: 'x' } });
  });

  test('an error has its place, and a mark below it; standard output stays empty', async () => {
    const { code, out, said, log } = await run(['parse', '-'], 'a +\n\tsum(b) by (c) d\n');
    expect([code, out]).toEqual([1, '']);
    expect(said).toBe('2:16: parse error: unexpected identifier "d"\n   sum(b) by (c) d\n                 ^\n');
    expect(log.at(-1)).toMatchObject({ level: 'error', msg: 'tools promql parse failed', err: 'parse expression: 2:16: parse error: unexpected identifier "d"' });
  });

  test('a feature that is off is an error', async () => {
    expect((await run(['parse', 'limitk(1, a)'])).said).toContain('--enable-feature=promql-experimental-functions');
  });
});

describe('marks', () => {
  const mark = (text: string, start: number, end = start): string => explainPlace(text, { message: 'm', pos: { start, end } });
  test.each([
    { name: 'one place', got: mark('a + + b', 4), want: 'm\n  a + + b\n      ^\n' },
    { name: 'a span', got: mark('abs(foo)', 4, 7), want: 'm\n  abs(foo)\n      ^~~\n' },
    { name: 'a span over lines', got: mark('(a\n  b)', 0, 7), want: 'm\n  (a\n  ^~\n' },
    { name: 'the end', got: mark('a +', 3), want: 'm\n  a +\n     ^\n' },
    { name: 'the end of a line', got: mark('ab\ncd', 2), want: 'm\n  ab\n    ^\n' },
    { name: 'a line break first', got: mark('\na', 0), want: 'm\n  \n  ^\n' },
    { name: 'wide characters before', got: mark('{"度量"} $', 7), want: 'm\n  {"度量"} $\n           ^\n' },
    { name: 'no text', got: mark('', 0), want: 'm\n' },
    { name: 'outside of the text', got: mark('a', -1), want: 'm\n' },
    { name: 'control characters do nothing', got: mark('\u001b[31m$', 5), want: 'm\n   [31m$\n       ^\n' },
  ])('$name', ({ got, want }) => expect(got).toBe(want));

  test('of a long line only a part is shown', () => {
    const text = `${'a + '.repeat(1000)}$${' + a'.repeat(1000)}`;
    const [, line, below] = mark(text, 4000).split('\n');
    expect(line).toHaveLength(2 + 1 + 60 + 60 + 1);
    expect(line![below!.indexOf('^')]).toBe('$');
  });
});

describe('test', () => {
  const file = (name: string, text: string): string => {
    writeFileSync(join(dir, name), text);
    return join(dir, name);
  };
  const GOOD = 'load 1m\n  up{job="a"} 0+1x5\n\neval instant at 5m sum(up)\n  {} 5\n';

  test('what is as expected is counted', async () => {
    const path = file('good.test', GOOD);
    expect(await run(['test', path])).toMatchObject({ code: 0, out: `${path}: 1 of 1 evaluations as expected\n` });
  });

  test.each([
    ['start timestamps count as resets', 'load 1m\n  c_total@st -30s -30s -30s\n  c_total 10 20 30\n\neval instant at 2m resets(c_total[5m])\n  {} 2\n'],
    ['names go at the end', 'load 1m\n  up{job="a"} 1x5\n\neval instant at 5m sum by (__name__) (rate(up[5m]))\n  {} 0\n'],
    ['everything is switched on', 'load 1m\n  up{job="a"} 1x5\n\neval instant at 5m max_of(1, 2) + sum(mad_over_time(up[5m * 1]))\n  {} 2\n'],
    ['the limit of samples is that of Prometheus\' own tests', 'load 1s\n  m 1x10001\n\neval range from 0 to 10001s step 1s m\n  expect fail regex: query processing would load too many samples into memory in query execution\n'],
  ])('scripts of Prometheus: %s', async (_what, script) => {
    const path = file('settings.test', script);
    expect(await run(['test', path])).toMatchObject({ code: 0, out: `${path}: 1 of 1 evaluations as expected\n` });
  });

  test('what is not has file, line, wanted and got; other files go on', async () => {
    const [bad, good] = [file('bad.test', `${GOOD}\neval instant at 1m up\n  up{job="a"} 7\n`), file('good.test', GOOD)];
    const { code, out, log } = await run(['test', bad, good]);
    expect(code).toBe(1);
    expect(out).toMatch(new RegExp(`^${bad}:7: up\n {4}.*7.*1.*\n${bad}: 1 of 2 evaluations as expected\n${good}: 1 of 1 evaluations as expected\n$`));
    expect(log.at(-1)).toMatchObject({ err: 'run 2 scripts: 1 failures' });
  });

  test('a script that cannot be read', async () => {
    const path = file('odd.test', 'load 1m\n  up 1\n\nevaluate this\n');
    const { code, out } = await run(['test', path, join(dir, 'nope.test')]);
    expect(code).toBe(1);
    expect(out).toMatch(new RegExp(`^${path}:4: .+\n${dir}/nope\\.test: .*ENOENT.*\n$`));
  });

  test('an interruption ends it between two scripts', async () => {
    expect(await runWith([], ['promql', 'test', file('good.test', GOOD)], { signal: AbortSignal.abort(new Error('interrupted')) })).toMatchObject({ code: 1, out: '' });
  });
});
