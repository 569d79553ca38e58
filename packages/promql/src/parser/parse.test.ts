/** What parses and to which tree, what is refused with which words at which place, and that no text crashes or hangs the parser. */
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { PromqlError } from '../errors.ts';
import type { Expr } from './ast.ts';
import type { ParserOptions } from './options.ts';
import { parseExpr, parseMetricSelector } from './parse.ts';
import { printExpr } from './print.ts';

const EVERYTHING: ParserOptions = { experimentalFunctions: true, extendedRangeSelectors: true, binopFillModifiers: true };

function messageOf(run: () => unknown): string {
  try {
    run();
  } catch (error) {
    expect(error).toBeInstanceOf(PromqlError);
    expect((error as PromqlError).code).toBe('ERR_PARSE');
    return (error as PromqlError).message;
  }
  return 'accepted';
}

/** A tree as one line: operators fully parenthesised, signs kept apart from numbers. */
function shape(expr: Expr): string {
  switch (expr.type) {
    case 'binary':
      return `(${shape(expr.lhs)} ${expr.op} ${shape(expr.rhs)})`;
    case 'unary':
      return `${expr.op}[${shape(expr.expr)}]`;
    case 'paren':
      return shape(expr.expr);
    default:
      return printExpr(expr);
  }
}

describe('precedence and association', () => {
  const cases: readonly (readonly [string, string])[] = [
    ['1 + 2 * 3', '(1 + (2 * 3))'],
    ['1 * 2 + 3', '((1 * 2) + 3)'],
    ['8 - 4 - 2', '((8 - 4) - 2)'],
    ['8 / 4 % 3 atan2 2', '(((8 / 4) % 3) atan2 2)'],
    ['2 ^ 3 ^ 2', '(2 ^ (3 ^ 2))'],
    ['-2 ^ 2', '-[(2 ^ 2)]'],
    ['2 ^ -1 * 3', '((2 ^ -1) * 3)'],
    ['-1 * 2', '(-1 * 2)'],
    ['1 - -1', '(1 - -1)'],
    ['- - a', '-[-[a]]'],
    ['-a * b', '(-[a] * b)'],
    ['a or b and c unless d', '(a or ((b and c) unless d))'],
    ['a and b == c + d * e ^ f', '(a and (b == (c + (d * (e ^ f)))))'],
    ['1 < bool 2 < bool 3', '((1 < 2) < 3)'],
    ['a </ 3 >/ 4', '((a </ 3) >/ 4)'],
    ['a ^ b offset 5m', '(a ^ b offset 5m)'],
    ['a offset 5m ^ 2', '(a offset 5m ^ 2)'],
    ['a offset -2 ^ 2', '(a offset -2s ^ 2)'],
    ['a offset step() * 2', '(a offset step() * 2)'],
    ['a offset -(5m) + 1', '(a offset -(5m) + 1)'],
    ['a offset (5m) * 2', 'a offset (5m) * 2'],
  ];
  test.each(cases)('%s', (query, tree) => {
    expect(shape(parseExpr(query, EVERYTHING))).toBe(tree);
  });
});

describe('canonical text', () => {
  const cases: readonly (readonly [string, string])[] = [
    ['up', 'up'],
    ['job:up:sum', 'job:up:sum'],
    [':a', ':a'],
    ["up{b='1', a=~`x\\d`,}", 'up{a=~"x\\\\d",b="1"}'],
    ['{"my.metric", "my label"!="x"}', '{"my label"!="x",__name__="my.metric"}'],
    ['{__name__="up"}', '{__name__="up"}'],
    ['up{ # comment\n}', 'up'],
    ['SUM BY (job,) (up)', 'sum by (job) (up)'],
    ['sum(up) without ("a.b", by)', 'sum without ("a.b", by) (up)'],
    ['sum by () (up)', 'sum(up)'],
    ['sum without () (up)', 'sum without () (up)'],
    ['topk by (a) (3, up)', 'topk by (a) (3, up)'],
    ['count_values("v", up)', 'count_values("v", up)'],
    ['sum + by + offset + fill + start', 'sum + by + offset + fill + start'],
    ['a + on (x, y) group_left (z) b', 'a + on (x, y) group_left (z) b'],
    ['a * ignoring () group_right b', 'a * ignoring () group_right () b'],
    ['a == bool ignoring (x) b', 'a == bool ignoring (x) b'],
    ['a + fill (-1) b', 'a + fill (-1) b'],
    ['a + on (x) fill_right (2) fill_left (1m) b', 'a + on (x) fill_left (60) fill_right (2) b'],
    ['rate(x[5m])', 'rate(x[5m])'],
    ['x[300]', 'x[5m]'],
    ['x[1.5]', 'x[1s500ms]'],
    ['x[1d]', 'x[1d]'],
    ['x[36h]', 'x[1d12h]'],
    ['x[14d]', 'x[2w]'],
    ['x[5m] offset 1h @ 10', 'x[5m] @ 10.000 offset 1h'],
    ['x @ -1.5 offset -5m', 'x @ -1.500 offset -5m'],
    ['x @ end() offset 1m', 'x @ end() offset 1m'],
    ['x[5m] anchored', 'x[5m] anchored'],
    ['x smoothed offset 1m', 'x smoothed offset 1m'],
    ['x[5m + step()]', 'x[5m + step()]'],
    ['x[(5m + 1m) * 2 ^ 2]', 'x[(5m + 1m) * 2 ^ 2]'],
    ['x[min_of(5m, range()):max_of(1s, step())]', 'x[min_of(5m, range()):max_of(1s, step())]'],
    ['x offset (-(1m))', 'x offset (-(1m))'],
    ['rate(x[5m])[1h:]', 'rate(x[5m])[1h:]'],
    ['(a + b)[1h:1m] @ start() offset 1m', '(a + b)[1h:1m] @ start() offset 1m'],
    ['0x1F + 010 + 08 + 1_000 + .5 + 5. + 1e3', '31 + 8 + 8 + 1000 + 0.5 + 5 + 1000'],
    ['Inf + -inf + NaN', '+Inf + -Inf + NaN'],
    ['5m + 1h30m', '5m + 1h30m'],
    ['1e21', '1000000000000000000000'],
    ['1e-7', '0.0000001'],
    ['"a\\x41\\101\\u00e9\\n\'"', '"aAAé\\n\'"'],
    ["'a\"b'", '"a\\"b"'],
    ['"\\xff"', '"\\xff"'],
    ['`raw\\n`', '"raw\\\\n"'],
  ];
  test.each(cases)('%s', (query, text) => {
    const printed = printExpr(parseExpr(query, EVERYTHING));
    expect(printed).toBe(text);
    expect(printExpr(parseExpr(printed, EVERYTHING))).toBe(text);
  });
});

describe('nodes', () => {
  test('a selector carries name, matchers, offset, @ and position', () => {
    const query = 'foo{a="b"} offset 1m @ 2';
    const expr = parseExpr(`  ${query} + 1`);
    if (expr.type !== 'binary' || expr.lhs.type !== 'vectorSelector') throw new Error('not a selector');
    const { lhs } = expr;
    expect(lhs.matchers.map(({ name, type, value }) => `${name}${type}${value}`)).toEqual(['a=b', '__name__=foo']);
    expect(lhs).toMatchObject({ name: 'foo', originalOffsetMs: 60_000, offsetMs: 60_000, timestampMs: 2000, startOrEnd: undefined });
    expect(`  ${query} + 1`.slice(lhs.pos.start, lhs.pos.end)).toBe(query);
    expect(expr.matching).toBeUndefined();
  });

  test('duration expressions stay unresolved', () => {
    const expr = parseExpr('x[2 * step()] offset (1m)');
    expect(expr).toMatchObject({ type: 'matrixSelector', rangeMs: 0, rangeExpr: { op: '*' }, vector: { originalOffsetMs: 0, offsetExpr: { op: '+', wrapped: true } } });
  });

  test('set operators match many to many; others one to one', () => {
    expect(parseExpr('a and b')).toMatchObject({ matching: { card: 'many-to-many', on: false } });
    expect(parseExpr('a + b')).toMatchObject({ matching: { card: 'one-to-one' } });
  });

  test('an aggregation ends at its closing parenthesis', () => {
    const query = 'abs( sum(x) )';
    const expr = parseExpr(query);
    if (expr.type !== 'call') throw new Error('not a call');
    expect(query.slice(expr.args[0]!.pos.start, expr.args[0]!.pos.end)).toBe('sum(x)');
  });

  test('positions count UTF-16 units, messages count bytes', () => {
    const query = '{"é𐄑"} + $';
    expect(messageOf(() => parseExpr(query))).toBe("1:14: parse error: unexpected character: '$'");
    const expr = parseExpr('{"é𐄑"} + a');
    expect(expr.type === 'binary' ? expr.rhs.pos : undefined).toEqual({ start: 10, end: 11 });
  });
});

describe('refused', () => {
  const cases: readonly (readonly [string, string])[] = [
    ['', 'unknown position: parse error: no expression found in input'],
    ['# nothing', '1:1: parse error: no expression found in input'],
    ['1 +', '1:4: parse error: unexpected end of input'],
    ['1 2', '1:3: parse error: unexpected number "2"'],
    ['a b', '1:3: parse error: unexpected identifier "b"'],
    ['a\n  + )', "2:6: parse error: unexpected right parenthesis ')'"],
    ['(1', '1:3: parse error: unclosed left parenthesis'],
    ['x[5m', '1:5: parse error: unclosed left bracket'],
    ['x[', '1:3: parse error: unexpected end of input in duration expression'],
    ['x]', "1:2: parse error: unexpected right bracket ']'"],
    ['x[5m[', "1:5: parse error: unexpected left bracket '['"],
    ['*a', '1:1: parse error: unexpected <op:*>'],
    ['a > /b', '1:5: parse error: unexpected <op:/>'],
    ['a =~ b', "1:3: parse error: unexpected character after '=': '~'"],
    ['a = b', '1:3: parse error: unexpected "="'],
    ['a ! b', "1:3: parse error: unexpected character after '!': ' '"],
    ['é', "1:1: parse error: unexpected character: 'é'"],
    ['\u0007', "1:1: parse error: unexpected character: '\\a'"],
    ['"abc', '1:1: parse error: unterminated quoted string'],
    ['"a\nb"', '1:1: parse error: unterminated quoted string'],
    ['`abc', '1:1: parse error: unterminated raw string'],
    ['"\\q"', "1:1: parse error: unknown escape sequence U+0071 'q'"],
    ['"\\xg0"', "1:1: parse error: illegal character U+0067 'g' in escape sequence"],
    ['"\\ud800"', '1:1: parse error: escape sequence is an invalid Unicode code point'],
    ['"\\400"', '1:1: parse error: escape sequence is an invalid Unicode code point'],
    ['"\\', '1:1: parse error: escape sequence not terminated'],
    ['1__0', '1:1: parse error: bad number or duration syntax: "1__"'],
    ['1_', '1:1: parse error: bad number or duration syntax: "1_"'],
    ['2.5.', '1:1: parse error: bad number or duration syntax: "2.5."'],
    ['5mm', '1:1: parse error: bad number or duration syntax: "5mm"'],
    ['1e999', '1:1: parse error: error parsing number: strconv.ParseFloat: parsing "1e999": value out of range'],
    ['x{', '1:3: parse error: unexpected end of input inside braces'],
    ['x{a}', '1:4: parse error: unexpected "}" in label matching, expected label matching operator'],
    ['x{a=}', '1:5: parse error: unexpected "}" in label matching, expected string'],
    ['x{a="b" c="d"}', '1:9: parse error: unexpected identifier "c" in label matching, expected "," or "}"'],
    ['x{,}', '1:3: parse error: unexpected "," in label matching, expected identifier or "}"'],
    ['x{a:b="c"}', "1:4: parse error: unexpected character inside braces: ':'"],
    ['x{{}}', "1:3: parse error: unexpected left brace '{'"],
    ['x{a!b}', "1:4: parse error: unexpected character after '!' inside braces: 'b'"],
    ['{}', '1:1: parse error: vector selector must contain at least one non-empty matcher'],
    ['{a=~".*"}', '1:1: parse error: vector selector must contain at least one non-empty matcher'],
    ['x{__name__="y"}', '1:1: parse error: metric name must not be set twice: "x" or "y"'],
    ['sum', 'accepted'],
    ['sum(', '1:5: parse error: unclosed left parenthesis'],
    ['sum()', '1:1: parse error: no arguments for aggregate expression provided'],
    ['sum(a, b)', '1:1: parse error: wrong number of arguments for aggregate expression provided, expected 1, got 2'],
    ['topk(a)', '1:1: parse error: wrong number of arguments for aggregate expression provided, expected 2, got 1'],
    ['sum(a b)', '1:7: parse error: unexpected identifier "b" in aggregation'],
    ['sum by (a) b', '1:12: parse error: unexpected identifier "b" in aggregation'],
    ['sum by a (b)', '1:8: parse error: unexpected identifier "a" in grouping opts, expected "("'],
    ['sum by (a b) (c)', '1:11: parse error: unexpected identifier "b" in grouping opts, expected "," or ")"'],
    ['sum by (1) (c)', '1:9: parse error: unexpected number "1" in grouping opts, expected label'],
    ['sum by ("") (c)', '1:9: parse error: invalid label name for grouping: ""'],
    ['sum("a")', '1:5: parse error: expected type instant vector in aggregation expression, got string'],
    ['sum(x[5m])', '1:5: parse error: expected type instant vector in aggregation expression, got range vector'],
    ['topk("a", b)', '1:6: parse error: expected type scalar in aggregation parameter, got string'],
    ['count_values(1, b)', '1:14: parse error: expected type string in aggregation parameter, got scalar'],
    ['nope(a)', '1:1: parse error: unknown function with name "nope"'],
    ['Rate(a[5m])', '1:1: parse error: unknown function with name "Rate"'],
    ['abs()', '1:1: parse error: expected 1 argument(s) in call to "abs", got 0'],
    ['label_join(a, "b")', '1:1: parse error: expected at least 3 argument(s) in call to "label_join", got 2'],
    ['round(a, 1, 2)', '1:1: parse error: expected at most 2 argument(s) in call to "round", got 3'],
    ['abs(1)', '1:5: parse error: expected type instant vector in call to function "abs", got scalar'],
    ['abs(a,)', '1:6: parse error: trailing commas not allowed in function call args'],
    ['abs(,)', '1:5: parse error: unexpected ","'],
    ['info(a, b)', '1:9: parse error: expected label selectors only, got vector selector instead'],
    ['info(a, abs(b))', '1:9: parse error: expected label selectors only'],
    ['info(a, 1)', '1:1: parse error: expected type instant vector in call to function "info", got scalar'],
    ['1 == 1', '1:3: parse error: comparisons between scalars must use BOOL modifier'],
    ['a + bool b', '1:3: parse error: bool modifier can only be used on comparison operators'],
    ['a + "b"', '1:5: parse error: binary expression must contain only scalar and instant vector types'],
    ['x[5m] + a', '1:1: parse error: binary expression must contain only scalar and instant vector types'],
    ['1 and a', '1:1: parse error: set operator "and" not allowed in binary scalar expression'],
    ['a + on (x) 1', '1:1: parse error: vector matching only allowed between instant vectors'],
    ['a + fill (1) 1', '1:1: parse error: filling in missing series only allowed between instant vectors'],
    ['a or fill (1) b', '1:1: parse error: filling in missing series not allowed for set operators'],
    ['a and on (x) group_left b', '1:1: parse error: no grouping allowed for "and" operation'],
    ['a + on (x) group_left (x) b', '1:3: parse error: label "x" must not occur in ON and GROUP clause at once'],
    ['a + group_left b', '1:5: parse error: unexpected <group_left>'],
    ['a + on (x) group_left ] b', "1:23: parse error: unexpected right bracket ']'"],
    ['a + on (x) group_left * b', '1:23: parse error: unexpected <op:*> in grouping opts, expected "("'],
    ['-"a"', '1:1: parse error: unary expression only allowed on expressions of type scalar or instant vector, got "string"'],
    ['x[0]', '1:3: parse error: duration must be greater than 0'],
    ['x[-5m]', '1:3: parse error: duration must be greater than 0'],
    ['x[5m / 0]', '1:6: parse error: division by zero'],
    ['x[5m % 0]', '1:6: parse error: modulo by zero'],
    ['x[1e30]', '1:3: parse error: duration out of range'],
    ['x[foo]', "1:3: parse error: unexpected character in duration expression: 'f'"],
    ['x[5m foo]', "1:6: parse error: unexpected character: 'f', expected ':'"],
    ['x[5m 5m]', '1:6: parse error: unexpected duration "5m" in subquery or range, expected ":" or "]"'],
    ['x[]', '1:3: parse error: unexpected "]" in subquery or range selector, expected number, duration, step(), or range()'],
    ['x[5m:-]', '1:7: parse error: unexpected "]" in subquery selector, expected number, duration, step(), range(), or "]"'],
    ['x[5m:1m:]', "1:8: parse error: unexpected colon ':'"],
    ['x[5m:1m 1m]', '1:9: parse error: unexpected duration "1m" in subquery selector, expected "]"'],
    ['1[5m]', '1:2: parse error: ranges only allowed for vector selectors'],
    ['(x)[5m]', '1:4: parse error: ranges only allowed for vector selectors'],
    ['x offset 1m [5m]', '1:13: parse error: no offset modifiers allowed before range'],
    ['x @ 1 [5m]', '1:7: parse error: no @ modifiers allowed before range'],
    ['1[5m:]', '1:1: parse error: subquery is only allowed on instant vector, got scalar instead'],
    ['x offset', '1:9: parse error: unexpected end of input in offset, expected number, duration, step(), or range()'],
    ['1 offset 1m', '1:1: parse error: offset modifier must be preceded by an instant vector selector or range vector selector or a subquery'],
    ['x offset 1m offset 1m', '1:1: parse error: offset may not be set multiple times'],
    ['x @', '1:4: parse error: unexpected end of input in @, expected timestamp'],
    ['x @ start', '1:10: parse error: unexpected end of input in @, expected timestamp'],
    ['x @ 1 @ 2', '1:1: parse error: @ <timestamp> may not be set multiple times'],
    ['x @ Inf', '1:1: parse error: timestamp out of bounds for @ modifier: +Inf'],
    ['1 @ 1', '1:1: parse error: @ modifier must be preceded by an instant vector selector or range vector selector or a subquery'],
    ['x[5m] anchored smoothed', '1:1: parse error: anchored and smoothed modifiers cannot be used together'],
    ['x[5m:] anchored', '1:1: parse error: anchored modifier is not supported for subqueries'],
    ['abs(a) smoothed', '1:1: parse error: smoothed modifier not implemented'],
    ['a + fill (b) c', '1:11: parse error: unexpected identifier "b"'],
    ['aaaaaaaaaaaaaaa(b) "0123456789abc"', '1:1: parse error: unknown function with name "aaaaaaaaaaaaaaa"'],
    ['a "0123456789abc"', '1:3: parse error: unexpected string "\\"012345678"...'],
  ];
  test.each(cases)('%s', (query, message) => {
    expect(messageOf(() => parseExpr(query, EVERYTHING))).toBe(message);
  });
});

describe('features that are off', () => {
  const cases: readonly (readonly [string, ParserOptions, string])[] = [
    ['info(a)', {}, '1:1: parse error: function "info" is not enabled'],
    ['limitk(1, a)', {}, '1:1: parse error: limitk() is experimental and must be enabled with --enable-feature=promql-experimental-functions'],
    ['x[5m] anchored', {}, '1:1: parse error: anchored modifier is experimental and not enabled'],
    ['x smoothed', {}, '1:1: parse error: smoothed modifier is experimental and not enabled'],
    ['a + fill (1) b', {}, '1:1: parse error: binop fill modifiers are experimental and not enabled'],
    ['x[5m * 2]', { durationExpressions: false }, '1:3: parse error: experimental duration expression is not enabled'],
    ['x[5m * 2]', {}, 'accepted'],
    ['x[300]', { durationExpressions: false }, 'accepted'],
  ];
  test.each(cases)('%s %j', (query, options, message) => {
    expect(messageOf(() => parseExpr(query, options))).toBe(message);
  });
});

describe('series selectors', () => {
  const show = (text: string): string[] => parseMetricSelector(text).map(({ name, type, value }) => `${name}${type}${value}`);
  test('accepts names, matchers, and matchers of nothing', () => {
    expect(show('up')).toEqual(['__name__=up']);
    expect(show('up{a!~"b"}')).toEqual(['a!~b', '__name__=up']);
    expect(show('{"x y"}')).toEqual(['__name__=x y']);
    expect(show('{}')).toEqual([]);
    expect(show('{a=""}')).toEqual(['a=']);
  });
  test.each([
    ['', 'unknown position: parse error: unexpected end of input'],
    ['up + 1', '1:4: parse error: unexpected <op:+>'],
    ['up[5m]', '1:3: parse error: unexpected "["'],
    ['rate(up)', '1:5: parse error: unexpected "("'],
    ['1', '1:1: parse error: unexpected number "1"'],
    ['{a="b"', '1:7: parse error: unexpected end of input inside braces'],
  ])('refuses %s', (text, message) => {
    expect(messageOf(() => parseMetricSelector(text))).toBe(message);
  });
});

describe('hostile texts', () => {
  test.each([
    ['parentheses', '('.repeat(10_000)],
    ['closed parentheses', `${'('.repeat(10_000)}a${')'.repeat(10_000)}`],
    ['signs', `${'-'.repeat(10_000)}a`],
    ['powers', 'a ^ '.repeat(10_000) + 'a'],
    ['sums', 'a + '.repeat(10_000) + 'a'],
    ['subqueries', `a${'[5m:1m]'.repeat(10_000)}`],
    ['calls', 'abs('.repeat(10_000)],
    ['duration powers', `a[${'1 ^ '.repeat(10_000)}1]`],
    ['durations', `a[${'('.repeat(10_000)}1`],
    ['duration signs', `a[${'-'.repeat(10_000)}1]`],
  ])('10,000 nested %s give an error', (_name, query) => {
    expect(messageOf(() => parseExpr(query))).toMatch(/nested deeper than 1000 levels|only allowed/);
  });

  test('500 operands in a row are fine', () => {
    expect(messageOf(() => parseExpr(`${'a or '.repeat(499)}a`))).toBe('accepted');
  });

  const fragments = ['sum', 'rate', 'by', 'on', '(', ')', '[', ']', '{', '}', ',', '5m', '1', 'x', '"s"', '=', '=~', '+', '-', '^', 'offset', '@', 'start', ':', ' ', '#', '\n', '\\', '.'];
  const text = fc.oneof(
    fc.string({ unit: 'binary', maxLength: 60 }),
    fc.array(fc.constantFrom(...fragments), { maxLength: 40 }).map((parts) => parts.join('')),
    fc.array(fc.constantFrom(...fragments), { maxLength: 40 }).map((parts) => parts.join(' ')),
  );
  test('random texts are accepted or refused with ERR_PARSE, and what is accepted prints to the same tree', () => {
    fc.assert(
      fc.property(text, (query) => {
        let expr: Expr;
        try {
          expr = parseExpr(query, EVERYTHING);
        } catch (error) {
          expect(error).toBeInstanceOf(PromqlError);
          return;
        }
        const printed = printExpr(expr);
        expect(printExpr(parseExpr(printed, EVERYTHING))).toBe(printed);
      }),
      { numRuns: Number(process.env['GAUNTLET_FUZZ_RUNS'] ?? 2000) },
    );
  });
});
