/** The texts and trees other tools see: `format_query`, `parse_query`, and durations after resolving. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { isWellFormed } from '@gauntlet/model';
import { PromqlError } from '../errors.ts';
import { exprToJson } from './ast-to-json.ts';
import { formatDecimal, formatGeneral } from './format-number.ts';
import { parseExpr } from './parse.ts';
import { prettifyExpr } from './prettify.ts';
import { printExpr } from './print.ts';
import { describeRune, quoteRune, quoteString, unquoteLiteral } from './quote.ts';
import { resolveDurations } from './resolve-durations.ts';

const LONG = 'a_rather_long_metric_name_total{first="a rather long value xy",second="another rather long value"}';

describe('prettifyExpr', () => {
  test.each([
    ['sum  by(x)( rate(a[5m]) )', 'sum by (x) (rate(a[5m]))'],
    [`sum by (x) (${LONG} * 2)`, `sum by (x) (\n    ${LONG}\n  *\n    2\n)`],
    [`topk(5, rate(${LONG}[5m]))`, `topk(\n  5,\n  rate(\n    ${LONG}[5m]\n  )\n)`],
    [`-abs(${LONG}) > bool 1`, `  -abs(\n    ${LONG}\n  )\n> bool\n  1`],
    [`(${LONG} + x)[5m:]`, `(\n    ${LONG}\n  +\n    x\n)[5m:]`],
  ])('%s', (query, text) => {
    expect(prettifyExpr(parseExpr(query))).toBe(text);
  });
});

test('a deep query is laid out without printing every level anew', () => {
  const depth = 900;
  const text = prettifyExpr(parseExpr(`${'('.repeat(depth)}"${'x'.repeat(100_000)}"${')'.repeat(depth)}`));
  expect(text.split('\n').length).toBe(2 * depth + 1);
});

describe('recorded answers of Prometheus', () => {
  interface Exchange {
    readonly file: string;
    readonly query: string;
    readonly status: number;
    readonly text: string;
  }
  const exchanges: readonly Exchange[] = JSON.parse(readFileSync(join(import.meta.dirname, '../../testdata/parse-query.json'), 'utf8')) as Exchange[];

  test.each(exchanges.map((exchange) => [exchange.query, exchange] as const))('%s', (query, { file, status, text }) => {
    let answer: string;
    try {
      const expr = parseExpr(query, { experimentalFunctions: true });
      const data = file.startsWith('format') ? prettifyExpr(expr) : exprToJson(expr);
      answer = JSON.stringify({ status: 'success', data });
    } catch (error) {
      expect(error).toBeInstanceOf(PromqlError);
      answer = JSON.stringify({ status: 'error', errorType: 'bad_data', error: `invalid parameter "query": ${(error as PromqlError).message}` });
    }
    expect(answer.replaceAll('<', '\\u003c').replaceAll('>', '\\u003e').replaceAll('&', '\\u0026')).toBe(text);
    expect(answer.includes('"status":"success"')).toBe(status === 200);
  });
});

describe('numbers', () => {
  test.each([
    [0, '0', '0'],
    [-0, '-0', '-0'],
    [1.5, '1.5', '1.5'],
    [1e20, '100000000000000000000', '100000000000000000000'],
    [1e21, '1000000000000000000000', '1e+21'],
    [-1.25e22, '-12500000000000000000000', '-1.25e+22'],
    [1e-5, '0.00001', '1e-05'],
    [1.5e-7, '0.00000015', '1.5e-07'],
    [Number.POSITIVE_INFINITY, '+Inf', '+Inf'],
    [Number.NEGATIVE_INFINITY, '-Inf', '-Inf'],
    [Number.NaN, 'NaN', 'NaN'],
  ])('%p', (value, decimal, general) => {
    expect(formatDecimal(value)).toBe(decimal);
    expect(formatGeneral(value)).toBe(general);
  });
});

describe('quoting', () => {
  test.each([
    ['plain', '"plain"'],
    ['a"b\\c', '"a\\"b\\\\c"'],
    ['\n\t\x00\x7f', '"\\n\\t\\x00\\x7f"'],
    ['é𐄑', '"é𐄑"'],
    ['\u00a0\u200b\u{e0001}', '"\\u00a0\\u200b\\U000e0001"'],
  ])('%j', (text, quoted) => {
    expect(quoteString(text)).toBe(quoted);
    expect(unquoteLiteral(quoted)).toBe(text);
  });
  test('bytes that are no UTF-8 survive', () => {
    expect(quoteString(unquoteLiteral('"\\xff\\303\\xa9"'))).toBe('"\\xffé"');
    expect(isWellFormed(unquoteLiteral('"\\xff"'))).toBe(false);
  });
  test('runes', () => {
    expect(quoteRune("'")).toBe("'\\''");
    expect(quoteRune('')).toBe("'\ufffd'");
    expect(describeRune('a')).toBe("U+0061 'a'");
    expect(describeRune('\n')).toBe('U+000A');
  });
});

describe('resolveDurations', () => {
  const resolved = (query: string, stepMs = 15_000, rangeMs = 3_600_000): string =>
    printExpr(resolveDurations(parseExpr(query), { text: query, stepMs, rangeMs }));
  test.each([
    ['x[2 * step()]', 'x[30s]'],
    ['x[range() / 2]', 'x[30m]'],
    ['x offset (1m - 2m)', 'x offset -1m'],
    ['sum(rate(x[min_of(1m, step())]) + y offset -step())', 'sum(rate(x[15s]) + y offset -15s)'],
    ['max_over_time(x[10m:max_of(1s, step() ^ 2 % 100)] offset (5))', 'max_over_time(x[10m:25s] offset 5s)'],
  ])('%s', (query, text) => {
    expect(resolved(query)).toBe(text);
  });
  test('a tree without duration expressions is returned as it is', () => {
    const expr = parseExpr('sum(rate(x[5m])) / -y + label_replace(z, "a", "b", "c", "d")');
    expect(resolveDurations(expr, { text: '', stepMs: 0, rangeMs: 0 })).toBe(expr);
  });
  test.each([
    ['x[1m - 1h]', '2:9: duration must be greater than 0'],
    ['x[step()]', '2:8: duration must be greater than 0'],
    ['x[5m / step()]', '2:13: division by zero'],
    ['x[5m % step()]', '2:13: modulo by zero'],
    ['x[10 ^ 400]', '2:10: duration is NaN or infinite'],
    ['x offset (10 ^ 30)', '10:17: duration is out of range'],
  ])('%s is refused', (query, message) => {
    expect(() => resolved(query, 0)).toThrow(message);
  });
});

const conformance = join(process.env['GAUNTLET_SHARED'] ?? join(import.meta.dirname, '../../../../../shared'), 'conformance/promqltest/cases.json');
const describeShared = existsSync(conformance) ? describe : describe.skip;

describeShared('every query of the conformance scripts (skipped without the shared data)', () => {
  interface Case {
    readonly file: string;
    readonly line: number;
    readonly expr: string;
    readonly expect?: { readonly fail?: readonly { readonly match: string; readonly text?: string }[] };
  }
  test('parses, or fails with the expected text; prints to itself', () => {
    const { cases } = JSON.parse(readFileSync(conformance, 'utf8')) as { cases: readonly Case[] };
    const options = { experimentalFunctions: true, extendedRangeSelectors: true, binopFillModifiers: true };
    const problems: string[] = [];
    for (const { file, line, expr, expect: wanted } of cases) {
      try {
        const printed = printExpr(parseExpr(expr, options));
        if (printExpr(parseExpr(printed, options)) !== printed) problems.push(`${file}:${line} prints as ${printed}`);
      } catch (error) {
        const { message } = error as Error;
        const fits = wanted?.fail?.some(({ match, text = '' }) => (match === 'msg' ? message === text : match === 'any' || new RegExp(text).test(message))) ?? false;
        if (!fits) problems.push(`${file}:${line} ${message}`);
      }
    }
    expect(problems).toEqual([]);
    expect(cases.length).toBeGreaterThan(2000);
  });
});
