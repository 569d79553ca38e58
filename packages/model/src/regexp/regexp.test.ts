import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { RE2JS } from 're2js';
import { compileAnchored, compileSearch } from './compile-regexp.ts';
import { LazyDfa } from './lazy-dfa.ts';
import { parseRe2 } from './parse-re2.ts';
import { planRegexp } from './plan-regexp.ts';
import { compileProgram } from './program.ts';

const atom = fc.constantFrom('a', 'b', 'c', '.', '.*', '.+', '[ab]', '[^a]', '\\w', '\\d', '\\b', '\\B', '^', '$', '-', 'foo', '(?i:ab)', '\u{1f600}', 'ü', '\\pL', '(?m:^)', '(?m:$)', '\\n', '');
const pattern = fc.letrec<{ node: string }>((tie) => ({
  node: fc.oneof(
    { maxDepth: 4, withCrossShrink: true },
    atom,
    fc.tuple(tie('node'), tie('node')).map(([a, b]) => a + b),
    tie('node').map((a) => `(${a})`),
    fc.tuple(tie('node'), tie('node')).map(([a, b]) => `(?:${a}|${b})`),
    fc.tuple(tie('node'), fc.constantFrom('*', '+', '?', '*?', '+?', '??', '{2}', '{0,2}', '{1,}?')).map(([a, op]) => `(?:${a})${op}`),
  ),
})).node;
const text = fc.string({ unit: fc.constantFrom('a', 'b', 'c', 'A', 'B', '-', '\n', 'foo', '1', '_', '\u{1f600}', 'ü', ' '), maxLength: 8 });

/** Not every run can be long; GAUNTLET_FUZZ_RUNS raises the count. */
const numRuns = Number(process.env['GAUNTLET_FUZZ_RUNS'] ?? 2000);

describe('against re2js', () => {
  test('whether it matches, and the groups', () => {
    fc.assert(
      fc.property(pattern, fc.array(text, { minLength: 1, maxLength: 4 }), (source, texts) => {
        const oracle = RE2JS.compile(`^(?s:${source})$`);
        const anchored = compileAnchored(source);
        const search = compileSearch(source);
        for (const input of texts) {
          const matcher = oracle.matcher(input);
          const found = matcher.find();
          expect({ source, input, matches: anchored.matches(input) }).toEqual({ source, input, matches: found });
          const slots = search.match(input);
          const wanted = found ? search.groupNames.flatMap((_, group) => [matcher.start(group), matcher.end(group)]) : undefined;
          expect({ source, input, slots: slots === undefined ? undefined : [...slots] }).toEqual({ source, input, slots: wanted });
        }
      }),
      { numRuns },
    );
  });

  test('what is refused', () => {
    // re2js refuses `[[:]`, which Go takes as the class of [ and :.
    const scrap = fc.string({ unit: fc.constantFrom('a', '(', ')', '[', ']', '{', '}', '*', '+', '?', '|', '\\', '^', '-', '1', ',', ':', 'P', '<', '>', 'Q', 'E', 'x'), maxLength: 7 }).filter((source) => !source.includes('[:'));
    fc.assert(
      fc.property(scrap, (source) => {
        const accepts = (compile: () => unknown): boolean => {
          try {
            compile();
            return true;
          } catch {
            return false;
          }
        };
        expect([source, accepts(() => compileAnchored(source))]).toEqual([source, accepts(() => RE2JS.compile(source))]);
      }),
      { numRuns },
    );
  });
});

describe('plan', () => {
  const gaps = (prefix: string, suffix: string, middles: string[], counts: number[]): unknown => ({ prefix, suffix, middles, gaps: counts });
  test.each<[string, readonly string[] | undefined, unknown, string]>([
    ['a|b|a', ['a', 'b'], undefined, ''],
    ['foo[ab]', ['fooa', 'foob'], undefined, 'foo'],
    ['^foo$|^bar$', ['foo', 'bar'], undefined, ''],
    ['(foo|)x?', ['foo', 'foox', '', 'x'], undefined, ''],
    ['a{2}', ['aa'], undefined, ''],
    ['(?i)ab', ['AB', 'Ab', 'aB', 'ab'], undefined, ''],
    ['[a-z][a-z]', undefined, undefined, ''],
    ['.*', undefined, gaps('', '', [], [0]), ''],
    ['a.+b', undefined, gaps('a', 'b', [], [1]), 'a'],
    ['.*a.*bc.+', undefined, gaps('', '', ['a', 'bc'], [0, 0, 1]), ''],
    ['.*.+', undefined, gaps('', '', [], [1]), ''],
    ['(?-s:.*)x', undefined, undefined, ''],
    ['10\\.[0-9]+:1', undefined, undefined, '10.'],
    ['a\\bb', undefined, undefined, 'a'],
  ])('%s', (source, setMatches, gapPlan, prefix) => {
    const plan = planRegexp(parseRe2(source, true).root);
    expect([plan.setMatches, plan.gaps, plan.prefix]).toEqual([setMatches, gapPlan, plan.setMatches === undefined ? prefix : plan.prefix]);
  });

  test('long lists of alternatives stay a set, long products do not', () => {
    const names = Array.from({ length: 500 }, (_, i) => `node-${i}`);
    expect(compileAnchored(names.join('|')).setMatches).toEqual(names);
    expect(compileAnchored('[0-9][0-9][0-9]').setMatches).toBeUndefined();
  });
});

describe('time is linear', () => {
  // Counted in states and steps rather than seconds: a backtracking matcher would not come back from these.
  test.each(['(a+)+b', '(a|aa)+b', '(a|a)*b', '(.*)*(.*)*(.*)*x', '((a?){50}){20}b', '(?:a?){500}a{500}b', '(a*)*(a*)*\\bb'])('%s', (source) => {
    const input = 'a'.repeat(2000);
    expect(compileAnchored(source).matches(input)).toBe(false);
    expect(compileSearch(source).match(`${input}c`)).toBeUndefined();
  });

  test('a table that is full is begun again', () => {
    // The n-th code point from the end: 2^n states.
    const dfa = new LazyDfa(compileProgram(parseRe2('(?:a|b)*a(?:a|b){16}', true).root));
    const inputs = fc.sample(fc.string({ unit: fc.constantFrom('a', 'b'), minLength: 1000, maxLength: 1000 }), { numRuns: 60, seed: 1 });
    for (const input of inputs) expect(dfa.matches(input, 0, input.length)).toBe(input.at(-17) === 'a');
  });
});

describe('limits', () => {
  test('depth', () => {
    const deep = (depth: number): string => '('.repeat(depth) + 'a' + ')'.repeat(depth);
    expect(compileAnchored(deep(900)).matches('a')).toBe(true);
    expect(() => compileAnchored(deep(1001))).toThrow('error parsing regexp: expression nests too deeply: `((((');
    expect(() => compileAnchored('('.repeat(200_000))).toThrow('missing closing )');
  });
  test('size', () => {
    expect(() => compileAnchored(`(${'a'.repeat(4000)}){1000}`)).toThrow('error parsing regexp: expression too large');
  });
  test('lone surrogates are not text', () => {
    expect(() => compileAnchored('a\ud800')).toThrow('error parsing regexp: invalid UTF-8');
  });
});

describe('replacement', () => {
  test.each<[string, string, string, string]>([
    ['(.)(.*)', '$2$1', 'abc', 'bca'],
    ['(?P<head>.)(.*)', '${head}x-$headx', 'abc', 'ax-'],
    ['(a)|(b)', '<$1|$2>', 'b', '<|b>'],
    ['.*', '$$-$-${-$0', 'a', '$-$-${-a'],
    ['(.*)', '$01$9${1}', 'a', 'a'],
    ['x', 'y', 'a', 'a'],
    ['(?P<n>a)|(?P<n>b)', '[$n]', 'b', '[b]'],
    ['(\u{1f600})(.)', '$2$1', '\u{1f600}x', 'x\u{1f600}'],
  ])('%s → %s', (source, replacement, input, wanted) => {
    const regexp = compileSearch(source);
    expect(regexp.replace(input, regexp.template(replacement))).toBe(wanted);
  });
});
