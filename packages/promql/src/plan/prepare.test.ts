/** What settling its times does to a query. */
import { describe, expect, test } from '@jest/globals';
import { parseExpr } from '../parser/parse.ts';
import { showPlan } from '../testing/show-plan.ts';
import { prepare } from './prepare.ts';

const times = { startMs: 100_000, endMs: 200_000, stepMs: 10_000 };
const parse = (text: string): ReturnType<typeof parseExpr> => parseExpr(text, { experimentalFunctions: true });

describe('prepare', () => {
  test.each([
    ['foo', 'foo'],
    ['foo @ start()', 'foo @ 100.000'],
    ['rate(foo[5m] @ end())', 'rate(foo[5m] @ 200.000)'],
    ['max_over_time(foo[1m:10s] @ end())', 'max_over_time(foo[60s:10s] @ 200)'],
    ['sum((((foo))))', 'sum(foo)'],
    ['topk((2), (foo))', 'topk(2, foo)'],
    ['(foo) + ((bar))', '(foo) + ((bar))'],
    ['start() + end() + range() + step()', '100 + 200 + 100 + 10'],
    ['rate(foo[2 * step()])', 'rate(foo[20s])'],
    ['foo offset (range() / 4)', 'foo offset 25s'],
  ])('%s', (text, want) => {
    expect(showPlan(prepare(text, parse(text), times))).toBe(want);
  });

  test('an instant query has step 0', () => {
    expect(showPlan(prepare('step()', parse('step()'), { startMs: 5000, endMs: 5000, stepMs: 0 }))).toBe('0');
  });

  test('a duration that comes out as nothing is refused', () => {
    expect(() => prepare('foo[1m - 1m]', parse('foo[1m - 1m]'), times)).toThrow('duration must be greater than 0');
  });
});
