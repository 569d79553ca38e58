/**
 * Tables over everything there is several of (functions, aggregators, operators, words, places for modifiers), each accepted as it should be and
 * refused with Prometheus' words at its place; and laws over random, mutated and hostile texts. Single cases are in parse.test.ts.
 * GAUNTLET_FUZZ_RUNS sets how many random texts (2000), GAUNTLET_SEED where random queries begin.
 */
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { PromqlError } from '../errors.ts';
import { FUNCTION_SIGNATURES } from '../functions/signatures.ts';
import { randomFrom, randomQuery } from '../testing/random-query.ts';
import { exprToJson } from './ast-to-json.ts';
import type { ValueType } from './ast.ts';
import { describeType, valueType } from './check-types.ts';
import type { ParserOptions } from './options.ts';
import { parseExpr } from './parse.ts';
import { prettifyExpr } from './prettify.ts';
import { printExpr } from './print.ts';

const EVERYTHING: ParserOptions = { experimentalFunctions: true, xFunctions: true, extendedRangeSelectors: true, binopFillModifiers: true };
const RUNS = Number(process.env['GAUNTLET_FUZZ_RUNS'] ?? 2000);
const FIRST_SEED = Number(process.env['GAUNTLET_SEED'] ?? 1);

/** `accepted`, or the error's text; the error must be a parse error whose place lies in the query. */
function outcome(query: string, options: ParserOptions = EVERYTHING): string {
  try {
    parseExpr(query, options);
    return 'accepted';
  } catch (error) {
    // No `expect` here: it takes longer than the parser, and this runs for thousands of texts.
    const { code, message, pos } = error as PromqlError;
    const hasPlace = (query === '' ? /^unknown position: parse error: / : /^\d+:\d+: parse error: /).test(message);
    if (!(error instanceof PromqlError) || code !== 'ERR_PARSE' || !hasPlace || pos === undefined || pos.start < 0 || pos.start > query.length) {
      throw new Error(`parse ${JSON.stringify(query)}: no proper error`, { cause: error });
    }
    return message;
  }
}

/** An expression of each type. */
const SAMPLE_OF: Readonly<Record<Exclude<ValueType, 'none'>, string>> = { scalar: '1', vector: 'v', matrix: 'v[5m]', string: '"s"' };
const TYPES = Object.keys(SAMPLE_OF) as (keyof typeof SAMPLE_OF)[];

test.each(TYPES)('an expression of type %s', (type) => expect(valueType(parseExpr(SAMPLE_OF[type]))).toBe(type));

describe('every function', () => {
  // `info` has rules of its own for what its second argument may be; parse.test.ts has them.
  const signatures = [...FUNCTION_SIGNATURES.values()].filter(({ name }) => name !== 'info');
  const callOf = (name: string, args: readonly string[]): string => `${name}(${args.join(', ')})`;

  test.each(signatures.map((signature) => [signature.name, signature] as const))('%s', (name, { argTypes, variadic, returnType, needs }) => {
    const least = variadic === 0 ? argTypes.length : argTypes.length - 1;
    const most = variadic < 0 ? Number.POSITIVE_INFINITY : argTypes.length - (variadic === 0 ? 0 : 1) + variadic;
    const args = (count: number): string[] => Array.from({ length: count }, (_none, i) => SAMPLE_OF[(argTypes[i] ?? argTypes.at(-1)!) as keyof typeof SAMPLE_OF]);
    for (const count of new Set([least, Math.min(most, least + 1), Math.min(most, least + 3)])) {
      const query = callOf(name, args(count));
      expect([query, outcome(query)]).toEqual([query, 'accepted']);
      expect(valueType(parseExpr(query, EVERYTHING))).toBe(returnType);
    }
    if (least > 0) expect(outcome(callOf(name, args(least - 1)))).toBe(`1:1: parse error: expected ${variadic === 0 ? '' : 'at least '}${least} argument(s) in call to "${name}", got ${least - 1}`);
    if (Number.isFinite(most)) expect(outcome(callOf(name, [...args(most), '1']))).toBe(`1:1: parse error: expected ${variadic === 0 ? '' : 'at most '}${most} argument(s) in call to "${name}", got ${most + 1}`);
    for (let i = 0; i < least; i++) {
      for (const type of TYPES) {
        if (type === argTypes[i]) continue;
        const wrong = args(least).with(i, SAMPLE_OF[type]);
        const column = callOf(name, wrong.slice(0, i + 1)).length - SAMPLE_OF[type].length;
        expect(outcome(callOf(name, wrong))).toBe(`1:${column}: parse error: expected type ${describeType(argTypes[i]!)} in call to function "${name}", got ${describeType(type)}`);
      }
    }
    const isOff = { experimentalFunctions: `function "${name}" is not enabled`, xFunctions: `unknown function with name "${name}"` };
    expect(outcome(callOf(name, args(least)), {})).toBe(needs === undefined ? 'accepted' : `1:1: parse error: ${isOff[needs]}`);
    // Function names are as they are written; only keywords may be written in capitals.
    expect(outcome(callOf(name.toUpperCase(), args(least)))).toBe(`1:1: parse error: unknown function with name "${name.toUpperCase()}"`);
  });
});

describe('every aggregator', () => {
  const PARAMETER: ReadonlyMap<string, 'scalar' | 'string'> = new Map([...['topk', 'bottomk', 'limitk', 'limit_ratio', 'quantile'].map((op) => [op, 'scalar'] as const), ['count_values', 'string']]);
  test.each(['avg', 'bottomk', 'count', 'count_values', 'group', 'limit_ratio', 'limitk', 'max', 'min', 'quantile', 'stddev', 'stdvar', 'sum', 'topk'])('%s', (op) => {
    const parameter = PARAMETER.get(op);
    const args = parameter === undefined ? 'v' : `${SAMPLE_OF[parameter]}, v`;
    for (const query of [`${op}(${args})`, `${op.toUpperCase()}(${args})`, `${op} by (a, b) (${args})`, `${op} (${args}) without ("a b",)`, `${op} by () (${args})`]) expect([query, outcome(query)]).toEqual([query, 'accepted']);
    const wanted = parameter === undefined ? 1 : 2;
    expect(outcome(`${op}()`)).toBe('1:1: parse error: no arguments for aggregate expression provided');
    expect(outcome(`${op}(${args}, v)`)).toBe(`1:1: parse error: wrong number of arguments for aggregate expression provided, expected ${wanted}, got ${wanted + 1}`);
    for (const type of ['scalar', 'matrix', 'string'] as const) {
      const head = `${op}(${parameter === undefined ? '' : `${SAMPLE_OF[parameter]}, `}`;
      expect(outcome(`${head}${SAMPLE_OF[type]})`)).toBe(`1:${head.length + 1}: parse error: expected type instant vector in aggregation expression, got ${describeType(type)}`);
    }
    if (parameter !== undefined) expect(outcome(`${op}(v, v)`)).toBe(`1:${op.length + 2}: parse error: expected type ${parameter} in aggregation parameter, got instant vector`);
    const isExperimental = op.startsWith('limit');
    expect(outcome(`${op}(${args})`, {})).toBe(isExperimental ? `1:1: parse error: ${op}() is experimental and must be enabled with --enable-feature=promql-experimental-functions` : 'accepted');
    // As the name of a metric it is no aggregation.
    expect(valueType(parseExpr(`${op} + ${op}{a="b"}`, EVERYTHING))).toBe('vector');
  });
});

describe('every binary operator', () => {
  const ARITHMETIC = ['+', '-', '*', '/', '%', '^', 'atan2'];
  const COMPARISON = ['==', '!=', '<', '<=', '>', '>='];
  const SET = ['and', 'or', 'unless'];
  const place = 'a '.length + 1;

  test.each([...ARITHMETIC, ...COMPARISON, ...SET, 'ATAN2', 'AND'])('%s between vectors', (op) => {
    for (const query of [`a ${op} b`, `a ${op} on () b`, `a ${op} ignoring (x, y,) b`]) expect([query, outcome(query)]).toEqual([query, 'accepted']);
  });
  test.each(ARITHMETIC)('%s', (op) => {
    for (const query of [`1 ${op} 1`, `a ${op} 1`, `1 ${op} a`, `a ${op} on (x) group_left (y) b`, `a ${op} ignoring (x) group_right b`, `a ${op} fill (0) b`]) expect([query, outcome(query)]).toEqual([query, 'accepted']);
    expect(outcome(`a ${op} bool b`)).toBe(`1:${place}: parse error: bool modifier can only be used on comparison operators`);
    expect(outcome(`a ${op} on (x) group_left (x) b`)).toBe(`1:${place}: parse error: label "x" must not occur in ON and GROUP clause at once`);
  });
  test.each(COMPARISON)('%s', (op) => {
    for (const query of [`1 ${op} bool 1`, `a ${op} 1`, `a ${op} bool b`, `a ${op} bool on (x) group_left b`]) expect([query, outcome(query)]).toEqual([query, 'accepted']);
    expect(outcome(`1 ${op} 1`)).toBe('1:3: parse error: comparisons between scalars must use BOOL modifier');
  });
  test.each(SET)('%s', (op) => {
    for (const query of [`1 ${op} 1`, `a ${op} 1`, `1 ${op} a`]) expect(outcome(query)).toMatch(new RegExp(`^1:\\d+: parse error: set operator "${op}" not allowed in binary scalar expression$`));
    for (const side of ['left', 'right']) expect(outcome(`a ${op} on (x) group_${side} b`)).toBe(`1:1: parse error: no grouping allowed for "${op}" operation`);
    expect(outcome(`a ${op} fill (0) b`)).toMatch(/filling in missing series not allowed for set operators$/);
  });
  test.each([...ARITHMETIC, ...COMPARISON])('%s takes scalars and vectors only', (op) => {
    for (const [operand, column] of [['"s"', 1], ['v[5m]', 1]] as const) {
      expect(outcome(`${operand} ${op} a`)).toBe(`1:${column}: parse error: binary expression must contain only scalar and instant vector types`);
      expect(outcome(`a ${op} ${operand}`)).toBe(`1:${4 + op.length}: parse error: binary expression must contain only scalar and instant vector types`);
    }
    expect(outcome(`a ${op} on (x) 1`)).toBe('1:1: parse error: vector matching only allowed between instant vectors');
  });
});

describe('words', () => {
  test.each('and or unless by offset start end step range anchored smoothed fill fill_left fill_right min_of max_of sum topk count_values Sum'.split(' '))('%s is a metric, a label and a grouping label', (word) => {
    for (const query of [word, `${word}{${word}="x"}`, `sum by (${word}) (${word})`, `a + on (${word}) group_left (${word}_) b`, `rate(${word}[5m])`]) expect([query, outcome(query)]).toEqual([query, 'accepted']);
  });
  test('without is a metric, but no label in a list; atan2 is a label, but no metric', () => {
    expect([outcome('without{a="b"}'), outcome('sum(without)'), outcome('v{atan2="x"}'), outcome('sum by (atan2) (v)')]).toEqual(Array(4).fill('accepted'));
    expect(outcome('sum by (without) (v)')).toBe('1:9: parse error: unexpected <without> in grouping opts, expected label');
    expect(outcome('atan2')).toBe('1:1: parse error: unexpected <op:atan2>');
  });
  test.each('bool on ignoring group_left group_right'.split(' '))('%s is a label and no metric', (word) => {
    expect(outcome(`v{${word}="x"}`)).toBe('accepted');
    expect(outcome(`sum by (${word}) (v)`)).toBe('accepted');
    expect(outcome(word)).toBe(`1:1: parse error: unexpected <${word}>`);
  });
  test.each(['Inf', 'inf', 'INF', 'NaN', 'nan', '+Inf', '-inf'])('%s is a number', (word) => expect(valueType(parseExpr(word))).toBe('scalar'));
});

describe('places of modifiers', () => {
  const MODIFIERS = ['offset 5m', 'offset -5m', 'offset 1.5', 'offset (1m + 30s)', '@ 10', '@ -1.5', '@ 1e3', '@ start()', '@ end()'];
  test.each(MODIFIERS)('%s', (modifier) => {
    for (const target of ['v', 'v{a="b"}', 'v[5m]', '{a="b"}', 'sum(v)[5m:1m]', '(v)[5m:]']) expect([target, outcome(`${target} ${modifier}`)]).toEqual([target, 'accepted']);
    const kind = modifier.startsWith('@') ? '@' : 'offset';
    for (const target of ['1', '"s"', '(v)', 'sum(v)', 'abs(v)', '(v + v)']) {
      expect([target, outcome(`${target} ${modifier}`)]).toEqual([target, `1:1: parse error: ${kind} modifier must be preceded by an instant vector selector or range vector selector or a subquery`]);
    }
    const twice = kind === '@' ? '@ <timestamp>' : 'offset';
    expect(outcome(`v ${modifier} ${modifier}`)).toBe(`1:1: parse error: ${twice} may not be set multiple times`);
  });
  test('both together, in either order, once each', () => {
    for (const offset of MODIFIERS.slice(0, 4)) for (const at of MODIFIERS.slice(4)) expect([outcome(`v ${offset} ${at}`), outcome(`v[5m] ${at} ${offset}`)]).toEqual(['accepted', 'accepted']);
  });
  test('ranges', () => {
    for (const target of ['1', '"s"', '(v)', 'sum(v)', 'v[5m]', '-v']) expect([target, outcome(`${target}[5m]`)]).not.toEqual([target, 'accepted']);
    for (const [target, type] of [['1', 'scalar'], ['"s"', 'string'], ['v[5m]', 'matrix']] as const) expect(outcome(`${target}[5m:]`)).toBe(`1:1: parse error: subquery is only allowed on instant vector, got ${type} instead`);
  });
});

describe('durations', () => {
  test.each([['1y', 31_536_000_000], ['1w', 604_800_000], ['1d', 86_400_000], ['1h', 3_600_000], ['1m', 60_000], ['1s', 1000], ['1ms', 1], ['1y2w3d4h5m6s7ms', 33_019_506_007], ['300', 300_000], ['0x10', 16_000], ['1_0', 10_000], ['.5', 500], ['1e2', 100_000], ['0.0019', 1]])('[%s] is %d ms', (text, rangeMs) => {
    expect(parseExpr(`v[${text}]`)).toMatchObject({ type: 'matrixSelector', rangeMs });
  });
  test.each(['1m1h', '1s1s', '1.5h', '1H', '5mm', '1ms1s', '1_m', '1x'])('[%s] is refused', (text) => expect(outcome(`v[${text}]`)).not.toBe('accepted'));
  test.each(['0', '0s', '-1m', '- 1m', '0m'])('[%s] is no range', (text) => expect(outcome(`v[${text}]`)).toBe('1:3: parse error: duration must be greater than 0'));
});

describe('strings', () => {
  test.each([['"a"', 'a'], ["'a'", 'a'], ['`a\\n`', 'a\\n'], ['`a\nb`', 'a\nb'], ['"\\a\\b\\f\\n\\r\\t\\v\\\\\\""', '\u0007\b\f\n\r\t\v\\"'], ["'\\''", "'"], ['"\\101\\x41\\u0041\\U00000041"', 'AAAA'], ['"é\\U0001F600"', 'é😀'], ['"#"', '#'], ['""', '']])('%s', (literal, value) => {
    expect(parseExpr(literal)).toMatchObject({ type: 'string', value });
  });
  test.each(['"\\\'"', "'\\\"'", '"\\u12"', '"\\U00110000"', '"\\uDFFF"', '"\\8"', '"\\x1"', '"a', "'a", '`a', '"a\\', '"\n"'])('%j is refused', (literal) => expect(outcome(literal)).not.toBe('accepted'));
});

describe('the place of an error counts lines and bytes', () => {
  test.each([['$', '1:1'], ['a +\n$', '2:1'], ['a\n\n  + $', '3:5'], ['# é\n$', '2:1'], ['"é" + $', '1:8'], ['"😀" + $', '1:10'], ['a\r\n+ $', '2:3'], ['`\n\n` + $', '3:5']])('%j at %s', (query, place) => {
    expect(outcome(query)).toBe(`${place}: parse error: unexpected character: '$'`);
  });
});

/**
 * The tree as text; matchers sorted, as they are when printed. A plus before an operand is left out, which changes no value: `Inf ^ 2` is printed as
 * Prometheus prints it, `+Inf ^ 2`, and there the sign is the power's.
 */
function treeText(query: string, options: ParserOptions): string {
  return JSON.stringify(exprToJson(parseExpr(query, options)), (key, value: unknown) => {
    if (key === 'matchers') return (value as readonly object[]).map((matcher) => JSON.stringify(matcher)).sort();
    let node = value as { readonly type?: string; readonly op?: string; readonly expr?: unknown } | null;
    while (node?.type === 'unaryExpr' && node.op === '+') node = node.expr as typeof node;
    return node;
  });
}

/** Accepted: both texts of the tree must give the same tree again. Refused: `outcome` checks the error. */
function checkRoundTrip(query: string, options: ParserOptions = EVERYTHING): void {
  if (outcome(query, options) !== 'accepted') return;
  const tree = parseExpr(query, options);
  const wanted = treeText(query, options);
  const texts = [printExpr(tree), prettifyExpr(tree)];
  for (const text of texts) {
    if (treeText(text, options) !== wanted) throw new Error(`${JSON.stringify(query)} is printed as ${JSON.stringify(text)}, another tree`);
    // That plus is printed before the one of the number.
    const again = printExpr(parseExpr(text, options)).replaceAll('++Inf', '+Inf');
    if (again !== texts[0]) throw new Error(`${JSON.stringify(query)} is printed as ${JSON.stringify(texts[0])}, then as ${JSON.stringify(again)}`);
  }
}

describe('laws', () => {
  test('random queries are accepted, and printed so that they give the same tree', () => {
    for (let seed = FIRST_SEED; seed < FIRST_SEED + RUNS; seed++) {
      const query = randomQuery(randomFrom(seed));
      if (outcome(query, {}) !== 'accepted') throw new Error(`seed ${seed}: ${query}: ${outcome(query, {})}`);
      checkRoundTrip(query, {});
    }
  });

  test('random bytes, as UTF-8 and one character each, are accepted or refused', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 80 }), (bytes) => {
        checkRoundTrip(new TextDecoder().decode(bytes));
        checkRoundTrip(String.fromCharCode(...bytes));
      }),
      { numRuns: RUNS },
    );
  });

  test('lone surrogates and other code units are accepted or refused', () => {
    fc.assert(fc.property(fc.uint16Array({ maxLength: 40 }), fc.constantFrom('', '"', '{"', '#', 'a{b="'), (units, head) => checkRoundTrip(head + String.fromCharCode(...units))), { numRuns: RUNS });
  });

  test('mutated queries are accepted or refused', () => {
    const POOL = ['(', ')', '[', ']', '{', '}', ',', ':', '+', '-', '*', '/', '^', '@', '"', "'", '`', '\\', '#', '\n', '=', '!', '~', '<', '>', '.', '0', '9', 'a', 'e', '_', ' ', '\u0000', 'é', '😀', '5m', ' by ', ' offset ', 'bool ', 'start()', 'on(a)', 'group_left', '=~', '</', 'sum', 'rate', '1e', '0x', '\\x'];
    for (let seed = FIRST_SEED; seed < FIRST_SEED + RUNS; seed++) {
      const random = randomFrom(seed);
      const below = (limit: number): number => Math.floor(random() * limit);
      let query = randomQuery(random);
      for (let edits = 1 + below(4); edits > 0; edits--) {
        const [from, length] = [below(query.length + 1), below(6)];
        const piece = [POOL[below(POOL.length)]!, '', query.slice(from, from + below(12)), query.slice(below(query.length + 1))][below(4)]!;
        query = query.slice(0, from) + piece + query.slice(from + length);
      }
      checkRoundTrip(query);
    }
  });
});

describe('10,000 levels end in an error', () => {
  const N = 10_000;
  test.each([
    ['operands in parentheses', `${'1 + ('.repeat(N)}1${')'.repeat(N)}`],
    ['signs between', '1 + -'.repeat(N) + '1'],
    ['offsets in parentheses', `v offset ${'('.repeat(N)}1${')'.repeat(N)}`],
    ['duration functions', `v[${'min_of(1, '.repeat(N)}1${')'.repeat(N)}]`],
    ['comparisons', 'a == '.repeat(N) + 'a'],
    ['aggregations', 'sum('.repeat(N)],
  ])('%s', (_name, query) => expect(outcome(query)).toMatch(/: parse error: expression is nested deeper than 1000 levels$/));

  test('hundreds are fine', () => {
    for (const [open, inner, close] of [['sum(', 'v', ')'], ['sum by (a) (', 'v', ')'], ['abs(', 'v', ')'], ['clamp_max(', 'v', ', 1)'], ['(', 'v', ')'], ['max_over_time(', 'v', '[5m:1m])']] as const) {
      const query = open.repeat(250) + inner + close.repeat(250);
      expect([open, outcome(query)]).toEqual([open, 'accepted']);
    }
  });

  test('what does not nest may be long', () => {
    for (const query of [`v{${'a="b",'.repeat(N)}}`, `sum by (${'a,'.repeat(N)}) (v)`, `"${'x'.repeat(N * 10)}"`, `v # ${'x'.repeat(N * 10)}`, `label_join(v, "a", "b"${', "c"'.repeat(N)})`]) expect(outcome(query)).toBe('accepted');
  });
});
