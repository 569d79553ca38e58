import { describe, expect, test } from '@jest/globals';
import { createMatcher, getLabel, type Labels, labelsFromPairs, type MatchType } from '@gauntlet/model';
import fc from 'fast-check';
import { Head } from '../head/head.ts';
import { matchPostings } from './match-postings.ts';

function headOf(all: readonly Labels[]): Head {
  const head = new Head({ chunkRangeMs: 7_200_000 });
  for (const labels of all) head.getOrCreateSeries(labels);
  return head;
}

/** `{a="1",b!~"x.*"}` as `[type, name, value]` triples. */
type Triple = [MatchType, string, string];

function matched(head: Head, triples: readonly Triple[]): Labels[] {
  return [...matchPostings(head.postings, triples.map(([type, name, value]) => createMatcher(type, name, value)))].map((slot) => head.table.labels(slot));
}

describe('cases', () => {
  const all = ['n=1', 'n=1,i=a', 'n=1,i=b', 'n=1,i=\n', 'n=2', 'n=2.5'].map((text) => labelsFromPairs(text.split(',').map((pair) => pair.split('=') as [string, string])));
  const head = headOf(all);
  const cases: { matchers: Triple[]; series: number[] }[] = [
    { matchers: [], series: [0, 1, 2, 3, 4, 5] },
    { matchers: [['=', 'n', '1']], series: [0, 1, 2, 3] },
    { matchers: [['=', 'n', '1'], ['=', 'i', 'a']], series: [1] },
    { matchers: [['=', 'n', '1'], ['=', 'i', 'missing']], series: [] },
    { matchers: [['=', 'missing', '']], series: [0, 1, 2, 3, 4, 5] },
    { matchers: [['!=', 'n', '1']], series: [4, 5] },
    { matchers: [['!=', 'i', '']], series: [1, 2, 3] },
    { matchers: [['!=', 'missing', '']], series: [] },
    { matchers: [['=', 'n', '1'], ['!=', 'i', 'a']], series: [0, 2, 3] },
    { matchers: [['=', 'n', '1'], ['=', 'i', '']], series: [0] },
    { matchers: [['=~', 'n', '^1$']], series: [0, 1, 2, 3] },
    { matchers: [['=', 'n', '1'], ['=~', 'i', 'a|b']], series: [1, 2] },
    { matchers: [['=', 'n', '1'], ['=~', 'i', 'a|']], series: [0, 1] },
    { matchers: [['=~', 'i', '']], series: [0, 4, 5] },
    { matchers: [['!~', 'i', '']], series: [1, 2, 3] },
    { matchers: [['=', 'n', '1'], ['=~', 'i', '.*']], series: [0, 1, 2, 3] },
    { matchers: [['=', 'n', '1'], ['=~', 'i', '.+']], series: [1, 2, 3] },
    { matchers: [['=', 'n', '1'], ['!~', 'i', '.*']], series: [] },
    { matchers: [['=', 'n', '1'], ['!~', 'i', '.+']], series: [0] },
    { matchers: [['=', 'n', '1'], ['!~', 'i', 'a|b']], series: [0, 3] },
    { matchers: [['=', 'n', '1'], ['!=', 'i', 'b'], ['=~', 'i', '(b|a).*']], series: [1] },
    { matchers: [['=', 'n', '1'], ['=~', 'i', 'a?']], series: [0, 1] },
    { matchers: [['!=', 'i', ''], ['=~', 'i', 'a?']], series: [1] },
    { matchers: [['=~', 'n', '1|2']], series: [0, 1, 2, 3, 4] },
    { matchers: [['=~', 'n', '2.*']], series: [4, 5] },
    { matchers: [['=', 'missing', 'x'], ['!=', 'n', '1']], series: [] },
  ];
  test.each(cases)('$matchers', ({ matchers, series }) => {
    expect(matched(head, matchers)).toEqual(series.map((i) => all[i]));
  });
});

test('agrees with trying every series', () => {
  const value = fc.constantFrom('', 'a', 'b', 'ab', 'c');
  const series = fc.uniqueArray(fc.tuple(value, value, value), { maxLength: 30, selector: (values) => values.join(',') }).map((rows) => rows.filter((row) => row.some((v) => v !== '')));
  const triple = fc.tuple(fc.constantFrom<MatchType>('=', '!=', '=~', '!~'), fc.constantFrom('x', 'y', 'z', 'none'), fc.constantFrom('', 'a', 'b', 'a|b', 'a|', '.*', '.+', 'a.*', 'a?', '[bc]', 'nope'));
  fc.assert(
    fc.property(series, fc.array(triple, { maxLength: 4 }), (rows, triples) => {
      const all = rows.map(([x, y, z]) => labelsFromPairs([['x', x], ['y', y], ['z', z]]));
      const head = headOf(all);
      const matchers = triples.map(([type, name, text]) => createMatcher(type, name, text));
      expect(matched(head, triples)).toEqual(all.filter((labels) => matchers.every((matcher) => matcher.matches(getLabel(labels, matcher.name)))));
    }),
    { numRuns: 400 },
  );
});
