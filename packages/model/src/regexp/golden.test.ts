/** Every recorded answer of Go's regexp, by every path that could give it: plan, automaton, search. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { compileAnchored, compileSearch } from './compile-regexp.ts';
import { LazyDfa } from './lazy-dfa.ts';
import { parseRe2 } from './parse-re2.ts';
import { compileProgram } from './program.ts';

interface Case {
  readonly p: string;
  readonly e?: string;
  readonly se?: string;
  readonly m?: readonly number[];
  readonly g?: readonly (readonly number[])[];
}
const golden = JSON.parse(readFileSync(join(import.meta.dirname, '../../testdata/regexp.json'), 'utf8')) as { readonly values: readonly string[]; readonly cases: readonly Case[] };

function errorOf(run: () => unknown): string | undefined {
  try {
    run();
    return undefined;
  } catch (error) {
    return (error as Error).message;
  }
}

/** The cases in which `actual` differs from Go's answer, so that a failure shows all of them at once. */
function differences<T>(wanted: (c: Case) => T, actual: (c: Case) => T, only: (c: Case) => boolean = () => true): unknown[] {
  const out: unknown[] = [];
  for (const c of golden.cases.filter(only)) {
    const want = wanted(c);
    const got = actual(c);
    if (JSON.stringify(want) !== JSON.stringify(got)) out.push({ pattern: c.p, want, got });
  }
  return out;
}

const matching = (matches: (text: string) => boolean): number[] => golden.values.flatMap((value, i) => (matches(value) ? [i] : []));

describe('as Go', () => {
  test('there are cases', () => {
    expect(golden.cases.length).toBeGreaterThan(1500);
    expect(golden.cases.filter((c) => c.e !== undefined).length).toBeGreaterThan(300);
  });
  test('errors of a pattern', () => {
    expect(differences((c) => c.e, (c) => errorOf(() => compileAnchored(c.p)))).toEqual([]);
  });
  test('errors of an anchored pattern', () => {
    expect(differences((c) => c.se, (c) => errorOf(() => compileSearch(c.p)))).toEqual([]);
  });
  test('matches', () => {
    expect(differences((c) => c.m ?? [], (c) => matching(compileAnchored(c.p).matches), (c) => c.e === undefined)).toEqual([]);
  });
  test('matches by the automaton alone', () => {
    const byDfa = (c: Case): number[] => {
      const dfa = new LazyDfa(compileProgram(parseRe2(c.p, true).root));
      return matching((text) => dfa.matches(text, 0, text.length));
    };
    expect(differences((c) => c.m ?? [], byDfa, (c) => c.e === undefined)).toEqual([]);
  });
  test('matches by search', () => {
    expect(differences((c) => c.m ?? [], (c) => matching(compileSearch(c.p).matches), (c) => c.se === undefined)).toEqual([]);
  });
  test('groups', () => {
    const groups = (c: Case): number[][] => {
      const regexp = compileSearch(c.p);
      return golden.values.flatMap((value) => {
        const slots = regexp.match(value);
        return slots === undefined ? [] : [[...slots]];
      });
    };
    expect(differences((c) => c.g as unknown, groups, (c) => c.g !== undefined)).toEqual([]);
  });
  test('listed matches are those that match', () => {
    const listed = (c: Case): number[] => {
      const { setMatches } = compileAnchored(c.p);
      return setMatches === undefined ? [...(c.m ?? [])] : matching((text) => setMatches.includes(text));
    };
    expect(differences((c) => c.m ?? [], listed, (c) => c.e === undefined)).toEqual([]);
  });
});
