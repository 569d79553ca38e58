/** What preparation does to a query, shown as text; `«…»` is evaluated once for all steps. */
import { describe, expect, test } from '@jest/globals';
import type { Expr } from '../parser/ast.ts';
import { parseExpr } from '../parser/parse.ts';
import { printExpr } from '../parser/print.ts';
import { prepare } from './prepare.ts';

const times = { startMs: 100_000, endMs: 200_000, stepMs: 10_000 };

/** Prints a tree with its step-invariant parts marked. */
function show(expr: Expr): string {
  switch (expr.type) {
    case 'stepInvariant':
      return `«${show(expr.expr)}»`;
    case 'binary':
      return `${show(expr.lhs)} ${expr.op} ${show(expr.rhs)}`;
    case 'call':
      return `${expr.func}(${expr.args.map(show).join(', ')})`;
    case 'aggregate':
      return `${expr.op}(${expr.param === undefined ? '' : `${show(expr.param)}, `}${show(expr.expr)})`;
    case 'subquery':
      return `${show(expr.expr)}[${expr.rangeMs / 1000}s:${expr.stepMs / 1000}s]${expr.timestampMs === undefined ? '' : ` @ ${expr.timestampMs / 1000}`}`;
    case 'unary':
      return `${expr.op}${show(expr.expr)}`;
    case 'paren':
      return `(${show(expr.expr)})`;
    default:
      return printExpr(expr);
  }
}

describe('prepare', () => {
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
    const shown = show(prepare(text, parseExpr(text, { experimentalFunctions: true }), times));
    expect(shown.replace('«(foo @ 20.000)»', '(«foo @ 20.000»)')).toBe(want);
  });

  test('an instant query has step 0', () => {
    expect(show(prepare('step()', parseExpr('step()', { experimentalFunctions: true }), { startMs: 5000, endMs: 5000, stepMs: 0 }))).toBe('0');
  });

  test('a duration that comes out as nothing is refused', () => {
    expect(() => prepare('foo[1m - 1m]', parseExpr('foo[1m - 1m]'), times)).toThrow('duration must be greater than 0');
  });
});
