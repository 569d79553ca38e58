import { describe, expect, test } from '@jest/globals';
import { ModelError } from './errors.ts';
import { createMatcher, formatMatcher, matchesAll, type MatchType } from './matcher.ts';

describe('matchers', () => {
  test.each<[MatchType, string, string[], string[]]>([
    ['=', 'a', ['a'], ['', 'b', 'aa']],
    ['=', '', [''], ['b']],
    ['!=', 'a', ['', 'b'], ['a']],
    ['=~', 'a|b', ['a', 'b'], ['', 'ab', 'c']],
    ['=~', '', [''], ['a']],
    ['=~', '.*', ['', 'a', 'x\ny'], []],
    ['=~', '.+', ['a', 'x\ny'], ['']],
    ['!~', 'a.*', ['', 'b'], ['a', 'ab']],
    ['!~', '', ['a'], ['']],
  ])('%s %j', (type, value, accepted, refused) => {
    const matcher = createMatcher(type, 'l', value);
    for (const text of accepted) expect([text, matcher.matches(text)]).toEqual([text, true]);
    for (const text of refused) expect([text, matcher.matches(text)]).toEqual([text, false]);
  });

  test('a bad pattern is an error with the text of Go', () => {
    expect(() => createMatcher('=~', 'l', 'a(b')).toThrow(new ModelError('ERR_MATCHER_REGEX', 'error parsing regexp: missing closing ): `a(b`'));
    expect(() => createMatcher('!~', 'l', '(?=a)')).toThrow(expect.objectContaining({ code: 'ERR_MATCHER_REGEX', message: 'error parsing regexp: invalid or unsupported Perl syntax: `(?=`' }));
  });

  test('text', () => {
    expect(formatMatcher(createMatcher('=', 'job', 'a"b'))).toBe('job="a\\"b"');
    expect(formatMatcher(createMatcher('!~', 'a.b', 'x.*'))).toBe('"a.b"!~"x.*"');
  });

  test('sets and prefixes are offered for look-ups', () => {
    expect(createMatcher('=~', 'l', 'a|b|a').setMatches).toEqual(['a', 'b']);
    expect(createMatcher('=~', 'l', 'node-[0-9]+').prefix).toBe('node-');
    expect(createMatcher('=', 'l', 'a').setMatches).toBeUndefined();
  });

  test('all', () => {
    const matchers = [createMatcher('=', 'a', '1'), createMatcher('!=', 'b', '2')];
    expect(matchesAll(matchers, (name) => (name === 'a' ? '1' : ''))).toBe(true);
    expect(matchesAll(matchers, () => '2')).toBe(false);
  });
});
