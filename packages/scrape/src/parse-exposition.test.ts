import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { compareUtf8 } from '@gauntlet/bytes';
import fc from 'fast-check';
import { ScrapeError } from './errors.ts';
import { formatOpenMetricsFloat, parseFloatText, parseShortDecimal } from './parse-float.ts';
import { ExpositionParser } from './parse-exposition.ts';

type ExpositionFormat = 'text' | 'openmetrics';
interface Entry {
  readonly k: string;
  readonly l?: readonly (readonly [string, string])[];
  readonly v?: string;
  readonly t?: number;
  readonly m?: string;
  readonly x?: string;
}
interface Case {
  readonly f: ExpositionFormat;
  readonly b: string;
  readonly e: readonly Entry[];
  readonly err?: string;
}
const golden = JSON.parse(readFileSync(join(import.meta.dirname, '../testdata/expositions.json'), 'utf8')) as readonly Case[];
const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text);

function readAll(bytes: Uint8Array, format: ExpositionFormat): { entries: Entry[]; error: ScrapeError | undefined } {
  const parser = new ExpositionParser(bytes, format);
  const entries: Entry[] = [];
  try {
    for (let kind = parser.next(); kind !== 'end'; kind = parser.next()) {
      if (kind === 'series') {
        const l = parser.labels().sort((a, b) => compareUtf8(a[0], b[0]));
        entries.push({ k: kind, l, v: String(parser.value), ...(parser.hasTimestamp ? { t: parser.timestampMs } : {}) });
      } else entries.push({ k: kind, m: parser.family, x: parser.text });
    }
    return { entries, error: undefined };
  } catch (error) {
    if (!(error instanceof ScrapeError)) throw error;
    return { entries, error };
  }
}

/** Go's spelling of a value → ours. Blanks before a metric name, which Prometheus takes for a part of the name, are not one to us, nor to the format. */
function sameValue(entry: Entry): Entry {
  const v = entry.v === undefined ? undefined : String(Number(entry.v.replace('Inf', 'Infinity').replace('+Infinity', 'Infinity')));
  return { k: entry.k, ...(entry.l === undefined ? {} : { l: entry.l.map(([name, value]) => [name, name === '__name__' ? value.replace(/^[ \t]+/, '') : value] as const) }), ...(v === undefined ? {} : { v }), ...(entry.t === undefined ? {} : { t: entry.t }), ...(entry.m === undefined ? {} : { m: entry.m, x: entry.x ?? '' }) };
}

describe('as Prometheus', () => {
  test.each<ExpositionFormat>(['text', 'openmetrics'])('%s: entries, and whether there is an error', (format) => {
    const cases = golden.filter((c) => c.f === format);
    expect(cases.length).toBeGreaterThan(400);
    const differences = cases.flatMap((c) => {
      const { entries, error } = readAll(utf8(c.b), format);
      // Timestamps past the safe integers are refused here. What comes before an error does not matter: the scrape fails as a whole.
      const fails = c.err !== undefined || c.e.some((entry) => Math.abs(entry.t ?? 0) > Number.MAX_SAFE_INTEGER);
      const wanted = { body: c.b, fails, entries: fails ? [] : c.e.map(sameValue) };
      const got = { body: c.b, fails: error !== undefined, entries: error === undefined ? entries : [] };
      return JSON.stringify(wanted) === JSON.stringify(got) ? [] : [{ ...got, wanted, message: error?.message, theirs: c.err }];
    });
    expect(differences).toEqual([]);
  });
});

describe('errors', () => {
  test.each<[ExpositionFormat, string, string]>([
    ['text', 'a 1\nb x\n', 'line 2: strconv.ParseFloat: parsing "x": invalid syntax while parsing: "b x"'],
    ['text', 'a 1e999\n', 'line 1: strconv.ParseFloat: parsing "1e999": value out of range while parsing: "a 1e999"'],
    ['text', 'a\n', 'line 1: expected value after metric, got "\\n" while parsing: "a\\n"'],
    ['text', 'a 1\n\n\n1b 2\n', 'line 4: expected a valid start token, got "1" while parsing: "1"'],
    ['text', 'a{b} 1\n', 'line 1: expected equal, got "}" while parsing: "a{b}"'],
    ['text', 'a{b=c} 1\n', 'line 1: expected label value, got "c" while parsing: "a{b=c"'],
    ['text', 'a{1="c"} 1\n', 'line 1: expected label name, got "1" while parsing: "a{1"'],
    ['text', '# TYPE a nope\n', 'line 1: invalid metric type "nope"'],
    ['text', 'a 1 2 3\n', 'line 1: expected next entry after timestamp, got "3" while parsing: "a 1 2 3"'],
    ['text', '{b="c"} 1\n', 'line 1: metric name not set while parsing: "{b=\\"c\\"}"'],
    ['openmetrics', 'a 1\n', 'line 2: data does not end with # EOF'],
    ['openmetrics', '# EOF\nx', 'line 1: unexpected data after # EOF'],
    ['openmetrics', '# UNIT a s\n# EOF\n', 'line 1: unit "s" not a suffix of metric "a"'],
    ['openmetrics', 'a{b="c" d="e"} 1\n# EOF\n', 'line 1: expected comma or brace close, got " " while parsing: "a{b=\\"c\\" "'],
  ])('%s %j', (format, body, message) => {
    expect(readAll(utf8(body), format).error?.message).toBe(message);
  });

  test('bytes that are not UTF-8', () => {
    const body = utf8('a{b="c"} 1\n');
    body[5] = 0xff;
    expect(readAll(body, 'text').error?.message).toContain('line 1: invalid UTF-8 label value');
  });

  test('cut anywhere, and with any byte changed, it reads or refuses', () => {
    const body = utf8('# HELP a h\n# TYPE a histogram\na_bucket{le="1",x="\\n"} 1 2 # {t="x"} 0.5 1\n{"q.x",y="z"} +Inf\n# EOF\n');
    for (const format of ['text', 'openmetrics'] as const) {
      for (let length = 0; length <= body.length; length++) readAll(body.subarray(0, length), format);
      for (let at = 0; at < body.length; at++) {
        for (const byte of [0, 0x0a, 0x20, 0x22, 0x23, 0x5c, 0x7b, 0x7d, 0xff]) {
          const changed = body.slice();
          changed[at] = byte;
          const { entries, error } = readAll(changed, format);
          expect(entries.length > 0 || error !== undefined || format === 'text').toBe(true);
        }
      }
    }
  });
});

describe('the expected series', () => {
  const read = (body: string, expected: string, format: ExpositionFormat = 'text'): unknown => {
    const parser = new ExpositionParser(utf8(body), format);
    parser.expected = utf8(expected);
    parser.next();
    return [parser.isExpected, new TextDecoder().decode(utf8(body).subarray(parser.seriesStart, parser.seriesEnd)), parser.value];
  };
  test.each<[string, string, boolean, string, number]>([
    ['a{b="c"} 1\n', 'a{b="c"}', true, 'a{b="c"}', 1],
    ['ab 1\n', 'a', false, 'ab', 1],
    ['a{b="c"} 1\n', 'a', false, 'a{b="c"}', 1],
    ['a {b="c"} 1\n', 'a', false, 'a {b="c"}', 1],
    ['a 2\n', 'a', true, 'a', 2],
    ['a\t2 7\n', 'a', true, 'a', 2],
    ['b 2\n', 'a', false, 'b', 2],
    ['a 2', 'a 2 and more', false, 'a', 2],
  ])('%j expecting %j', (body, expected, isExpected, text, value) => {
    expect(read(body, expected)).toEqual([isExpected, text, value]);
  });
});

describe('OpenMetrics exemplars', () => {
  const read = (line: string): unknown[] => {
    const parser = new ExpositionParser(utf8(`${line}\n# EOF\n`), 'openmetrics');
    parser.next();
    const exemplars = parser.exemplars();
    // Asking changes nothing.
    expect([parser.exemplars(), parser.next()]).toEqual([exemplars, 'end']);
    return [parser.value, ...exemplars];
  };
  test.each<[string, string, unknown]>([
    ['labels, value and time in seconds', 'a_total{x="y"} 3 # {trace_id="q\\"1",b="\\n"} 0.5 1763712000.5', [3, { labels: [['trace_id', 'q"1'], ['b', '\n']], value: 0.5, timeMs: 1_763_712_000_500 }]],
    ['after a timestamp, without its own', 'a_total 3 17 # {t="u"} -1e3', [3, { labels: [['t', 'u']], value: -1000, timeMs: undefined }]],
    ['no labels', 'a_total 3 # {} 1', [3, { labels: [], value: 1, timeMs: undefined }]],
    ['none', 'a_total 3 17', [3]],
  ])('%s', (_, line, wanted) => {
    expect(read(line)).toEqual(wanted);
  });
});

describe('OpenMetrics start timestamps', () => {
  const body = [
    '# TYPE a counter',
    'a_total{x="1"} 5',
    'a_created{x="1"} 1763712000.25',
    'a_total{x="2"} 6',
    'a_total{x="3"} 7',
    'a_created{x="3"} 1763712001',
    '# TYPE h histogram',
    'h_bucket{r="/",le="1"} 1',
    'h_bucket{le="+Inf",r="/"} 2',
    'h_count{r="/"} 2',
    'h_sum{r="/"} 3',
    'h_created{r="/"} 1763712002',
    '# TYPE s summary',
    's{quantile="0.5"} 1',
    's_count 2',
    's_created 1763712003',
    '# TYPE g_created gauge',
    'g_created 17',
    '# EOF',
    '',
  ].join('\n');
  const read = (createdAsStart: boolean): [string, number][] => {
    const parser = new ExpositionParser(utf8(body), 'openmetrics', { createdAsStart });
    const found: [string, number][] = [];
    for (let kind = parser.next(); kind !== 'end'; kind = parser.next()) {
      if (kind === 'series') found.push([new TextDecoder().decode(parser.seriesBytes.subarray(parser.seriesStart, parser.seriesEnd)), parser.startMs()]);
    }
    return found;
  };
  test('go with the series they speak of', () => {
    expect(read(true)).toEqual([
      ['a_total{x="1"}', 1_763_712_000_250],
      ['a_total{x="2"}', 0],
      ['a_total{x="3"}', 1_763_712_001_000],
      ['h_bucket{r="/",le="1"}', 1_763_712_002_000],
      ['h_bucket{le="+Inf",r="/"}', 1_763_712_002_000],
      ['h_count{r="/"}', 1_763_712_002_000],
      ['h_sum{r="/"}', 1_763_712_002_000],
      ['s{quantile="0.5"}', 1_763_712_003_000],
      ['s_count', 1_763_712_003_000],
      ['g_created', 0],
    ]);
  });
  test('are series where nobody asks', () => {
    const all = read(false);
    expect(all.filter(([text]) => text.includes('_created')).map(([text]) => text)).toEqual(['a_created{x="1"}', 'a_created{x="3"}', 'h_created{r="/"}', 's_created', 'g_created']);
    expect(all.every(([, startMs]) => startMs === 0)).toBe(true);
  });
});

describe('round trip', () => {
  const name = fc.stringMatching(/^[a-zA-Z_:][a-zA-Z0-9_:]{0,8}$/);
  const label = fc.stringMatching(/^[a-zA-Z_][a-zA-Z0-9_]{0,8}$/).filter((text) => text !== 'le' && text !== 'quantile');
  const sample = fc.record({
    name,
    labels: fc.uniqueArray(fc.tuple(label, fc.string({ unit: 'grapheme', maxLength: 8 })), { selector: (pair) => pair[0], maxLength: 4 }),
    value: fc.double({ noNaN: true }),
    timestampMs: fc.option(fc.integer({ min: 0, max: 4e12 }), { nil: undefined }),
  });
  test('what is written is read', () => {
    fc.assert(
      fc.property(fc.array(sample), (samples) => {
        const escape = (text: string): string => text.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n');
        const lines = samples.map(({ name, labels, value, timestampMs }) => `${name}{${labels.map(([key, text]) => `${key}="${escape(text)}"`).join(',')}} ${String(value).replace('Infinity', 'Inf')}${timestampMs === undefined ? '' : ` ${timestampMs}`}\n`);
        const parser = new ExpositionParser(utf8(lines.join('')), 'text');
        for (const { name, labels, value, timestampMs } of samples) {
          expect(parser.next()).toBe('series');
          expect(parser.labels()).toEqual([['__name__', name], ...labels]);
          expect(parser.value).toBe(value + 0);
          expect(parser.hasTimestamp ? parser.timestampMs : undefined).toBe(timestampMs);
        }
        expect(parser.next()).toBe('end');
      }),
    );
  });
});

describe('numbers', () => {
  test.each<[number, string]>([
    [1, '1.0'],
    [0, '0.0'],
    [-0, '0.0'],
    [-1, '-1.0'],
    [0.5, '0.5'],
    [123456, '123456.0'],
    [1e6, '1e+06'],
    [1234567, '1.234567e+06'],
    [123456789.5, '1.234567895e+08'],
    [1e-4, '0.0001'],
    [1e-5, '1e-05'],
    [Number.POSITIVE_INFINITY, '+Inf'],
    [Number.NEGATIVE_INFINITY, '-Inf'],
    [Number.NaN, 'NaN'],
  ])('%d is %s', (value, text) => {
    expect(formatOpenMetricsFloat(value)).toBe(text);
  });
  test.each(['', '+', '.', '1p3', '0x1', '1_0', '1e', 'infinit', '+nan', '1e999', ' 1'])('%j is no number', (text) => {
    expect(parseFloatText(text)).toBeUndefined();
  });
  test('short decimals are what Number reads, others are left to it', () => {
    const read = (text: string): number => parseShortDecimal(utf8(text), 0, text.length);
    expect([read('0'), read('-12'), read('.5'), read('5.'), read('123456789012345'), read('0.1')]).toEqual([0, -12, 0.5, 5, 123_456_789_012_345, 0.1]);
    for (const text of ['', '-', '.', '-.', '+1', '1.5.1', '1e3', '1234567890123456', '123456789.1234567', '1a']) expect(read(text)).toBeNaN();
    fc.assert(
      fc.property(fc.integer({ min: -999_999_999_999_999, max: 999_999_999_999_999 }), fc.nat({ max: 15 }), (digits, places) => {
        const padded = String(Math.abs(digits)).padStart(places + 1, '0');
        const text = (digits < 0 ? '-' : '') + (places === 0 ? padded : `${padded.slice(0, -places)}.${padded.slice(-places)}`);
        if (padded.length <= 15) expect(read(text)).toBe(Number(text));
        else expect(read(text)).toBeNaN();
      }),
    );
  });
});
