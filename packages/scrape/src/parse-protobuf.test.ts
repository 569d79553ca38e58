import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { describe, expect, test } from '@jest/globals';
import { compareUtf8 } from '@gauntlet/bytes';
import { formatGoFloat, fromIntegerHistogram, RESET_HINTS } from '@gauntlet/model';
import fc from 'fast-check';
import { ScrapeError } from './errors.ts';
import type { ReadOptions } from './exposition.ts';
import { ProtobufParser } from './parse-protobuf.ts';
import { encodeMetricFamilies, type Family } from './testing/encode-metric-families.ts';

type Pairs = readonly (readonly [string, string])[];
interface Entry {
  readonly k: string;
  readonly l?: Pairs;
  readonly v?: string;
  /** Schema, zero threshold, zero count, count, sum, spans and buckets of both signs. */
  readonly h?: readonly unknown[];
  readonly g?: boolean;
  readonly f?: boolean;
  readonly t?: number;
  readonly m?: string;
  readonly x?: string;
  readonly s?: number;
  readonly ex?: readonly { readonly l: Pairs; readonly v: string; readonly t?: number }[];
}
interface Case {
  readonly b: string;
  readonly ignore?: boolean;
  readonly classic?: boolean;
  readonly e: readonly Entry[];
  readonly err?: string;
}

const testdata = (name: string): Buffer => readFileSync(join(import.meta.dirname, '../testdata', name));
const golden = JSON.parse(testdata('expositions-protobuf.json').toString()) as readonly Case[];
const sorted = (pairs: Pairs): Pairs => [...pairs].sort((a, b) => compareUtf8(a[0], b[0]));

function readAll(bytes: Uint8Array, options: ReadOptions = {}): { entries: Entry[]; texts: string[]; error: ScrapeError | undefined } {
  const parser = new ProtobufParser(bytes, options);
  const entries: Entry[] = [];
  const texts: string[] = [];
  try {
    for (let kind = parser.next(); kind !== 'end'; kind = parser.next()) {
      if (kind !== 'series' && kind !== 'histogram') {
        entries.push({ k: kind, m: parser.family, ...(parser.text === '' ? {} : { x: parser.text }) });
        continue;
      }
      texts.push(Buffer.from(parser.seriesBytes.subarray(parser.seriesStart, parser.seriesEnd)).toString('latin1'));
      const ex = parser.exemplars().map(({ labels, value, timeMs }) => ({ l: sorted(labels), v: formatGoFloat(value), ...(timeMs === undefined ? {} : { t: timeMs }) }));
      entries.push({
        k: kind,
        l: sorted(parser.labels()),
        ...(kind === 'series' ? { v: formatGoFloat(parser.value) } : histogramEntry(parser)),
        ...(parser.hasTimestamp ? { t: parser.timestampMs } : {}),
        ...(parser.startMs() === 0 ? {} : { s: parser.startMs() }),
        ...(ex.length === 0 ? {} : { ex }),
      });
    }
    return { entries, texts, error: undefined };
  } catch (error) {
    if (!(error instanceof ScrapeError)) throw error;
    return { entries, texts, error };
  }
}

function histogramEntry(parser: ProtobufParser): Partial<Entry> {
  const given = parser.histogram();
  const isFloat = !('positiveDeltas' in given);
  const h = isFloat ? given : fromIntegerHistogram(given);
  const spans = (list: typeof h.positiveSpans): number[] => list.flatMap(({ offset, length }) => [offset, length]);
  const numbers = (list: Float64Array): string[] => Array.from(list, formatGoFloat);
  const flat = [h.schema, ...[h.zeroThreshold, h.zeroCount, h.count, h.sum].map(formatGoFloat), spans(h.positiveSpans), numbers(h.positiveBuckets), spans(h.negativeSpans), numbers(h.negativeBuckets)];
  return { h: flat, ...(h.resetHint === RESET_HINTS.gauge ? { g: true } : {}), ...(isFloat ? { f: true } : {}) };
}

/** Fields in one order; numbers by value, as Go writes exponents elsewhere. */
function canonical(entries: readonly Entry[]): string {
  return JSON.stringify(entries.map(({ k, l, v, h, g, f, t, m, x, s, ex }) => [k, l && sorted(l), v && Number(v.replace('Inf', 'Infinity')), h && h.map((part) => (typeof part === 'string' ? Number(part.replace('Inf', 'Infinity')) : part)), g, f, t, m, x, s, ex?.map((e) => [sorted(e.l), Number(e.v), e.t])]));
}

/**
 * Without exemplars of native histograms, which Prometheus forgets from the second metric of a family on, and those whose labels are not UTF-8, which
 * it keeps.
 */
function withoutSome(entries: readonly Entry[]): Entry[] {
  return entries.map(({ ex, ...entry }) => {
    const kept = ex?.filter(({ l }) => !l.some((pair) => pair.join('').includes('\ufffd'))) ?? [];
    return { ...entry, ...(kept.length === 0 || entry.k === 'histogram' ? {} : { ex: kept }) };
  });
}

describe('as Prometheus 3.14', () => {
  test('entries, and whether there is an error', () => {
    const differences = golden.flatMap((c) => {
      const { entries, error } = readAll(Buffer.from(c.b, 'base64'), { ignoreNative: c.ignore === true, alwaysClassic: c.classic === true });
      const fails = c.err !== undefined;
      if (fails && error !== undefined) return [];
      // Labels that are not UTF-8 are refused there too, when they are looked at.
      if (error?.message.endsWith('is not valid UTF-8') === true) return [];
      if (!fails && error === undefined && canonical(withoutSome(entries)) === canonical(withoutSome(c.e))) return [];
      return [{ body: Buffer.from(c.b, 'base64').toString('latin1'), error: error?.message, theirs: c.err, entries: canonical(entries), wanted: canonical(c.e) }];
    });
    expect(differences).toEqual([]);
  });

  test('its own metrics', () => {
    const body = gunzipSync(testdata('prometheus-3.14-metrics.pb.gz'));
    const wanted = JSON.parse(gunzipSync(testdata('prometheus-3.14-metrics.entries.json.gz')).toString()) as Entry[];
    const { entries, error } = readAll(body, { alwaysClassic: true });
    expect(error).toBeUndefined();
    expect(entries.filter(({ k }) => k === 'histogram')).toHaveLength(16);
    expect(canonical(entries)).toBe(canonical(wanted));
  });
});

const TIME = 1_763_712_000_123;
const exemplar = (id: string, value: number, timeMs?: number) => ({ labels: { trace_id: id }, value, ...(timeMs === undefined ? {} : { timeMs }) });
const native = { count: 12, sum: 18.5, schema: 3, zeroThreshold: 1e-3, zeroCount: 2, positive: { spans: [[-3, 2], [4, 3]] as const, deltas: [1, 2, -1, -1, 2] }, negative: { spans: [[0, 1]] as const, deltas: [2] } };
const one = (histogram: NonNullable<Family['metrics'][number]['histogram']>): Uint8Array => encodeMetricFamilies([{ name: 'n', type: 'histogram', metrics: [{ histogram }] }]);

describe('exemplars', () => {
  test('of native histograms: those with a time, of every metric of a family; else those of the classic buckets', () => {
    const bytes = encodeMetricFamilies([
      {
        name: 'n',
        type: 'histogram',
        metrics: [
          { labels: { m: '1' }, histogram: { ...native, exemplars: [exemplar('b', 2, TIME + 1), exemplar('none', 1), exemplar('a', 1, TIME)] } },
          { labels: { m: '2' }, histogram: { ...native, exemplars: [exemplar('c', 3, TIME)] } },
          { labels: { m: '3' }, histogram: { ...native, buckets: [{ bound: 1, count: 1, exemplar: exemplar('d', 0.5, TIME) }, { bound: 2, count: 2, exemplar: exemplar('e', 1.5) }] } },
        ],
      },
    ]);
    const { entries } = readAll(bytes);
    const ids = entries.filter(({ k }) => k === 'histogram').map(({ ex }) => (ex ?? []).map(({ l, t }) => `${l[0]![1]}@${t}`));
    expect(ids).toEqual([[`b@${TIME + 1}`, `a@${TIME}`], [`c@${TIME}`], [`d@${TIME}`]]);
  });

  test('with labels that are not UTF-8 are passed over, the sample stays', () => {
    const bytes = encodeMetricFamilies([{ name: 'a', type: 'counter', metrics: [{ value: 5, exemplar: exemplar('zz', 1, TIME) }] }]);
    const at = Buffer.from(bytes).indexOf('zz');
    bytes[at] = 0xff;
    expect(readAll(bytes).entries.at(-1)).toEqual({ k: 'series', l: [['__name__', 'a']], v: '5' });
  });
});

describe('series texts', () => {
  const families: Family[] = [
    { name: 'c', type: 'counter', metrics: [{ labels: { a: 'b', c: 'd' }, value: 1 }, { labels: { a: 'bc', d: '' }, value: 1 }, { labels: { ab: '', c: 'd' }, value: 2 }] },
    { name: 'h', type: 'histogram', metrics: [{ histogram: { ...native, buckets: [{ bound: 0.5, count: 3 }, { bound: 0.25, count: 1 }] } }] },
    { name: 'h_count', type: 'gauge', metrics: [{ value: 1 }] },
    { name: 's', type: 'summary', metrics: [{ summary: { count: 1, sum: 1, quantiles: [[0.5, 1], [0.9, 2]] } }] },
  ];

  test('differ from each other, stay the same from scrape to scrape, and are ASCII', () => {
    const { texts } = readAll(encodeMetricFamilies(families), { alwaysClassic: true });
    expect(texts).toHaveLength(3 + 6 + 1 + 4);
    expect(new Set(texts).size).toBe(texts.length);
    expect(readAll(encodeMetricFamilies(families), { alwaysClassic: true }).texts).toEqual(texts);
    expect(texts.every((text) => /^[\0-\x7f]*$/.test(text))).toBe(true);
  });

  test('an expected one is recognised, another one is not', () => {
    const bytes = encodeMetricFamilies(families);
    const expected = readAll(bytes).texts.map((text) => Buffer.from(text, 'latin1'));
    const parser = new ProtobufParser(bytes);
    let index = 0;
    for (parser.expected = expected[0]; ; parser.expected = index === 4 ? expected[0] : expected[index]) {
      const kind = parser.next();
      if (kind === 'end') break;
      if (kind === 'series' || kind === 'histogram') expect([index, parser.isExpected]).toEqual([index, index++ !== 4]);
    }
    expect(index).toBe(expected.length);
  });
});

describe('what is refused, and where it is', () => {
  test.each([
    ['spans for more buckets than there are', one({ ...native, positive: { spans: [[0, 3]], deltas: [1, 1] } }), 'metric family 1 "n": histogram: positive side: spans require 3 buckets, have 2'],
    ['spans of a negative distance', one({ ...native, negative: { spans: [[5, 1], [-2, 1]], deltas: [1, 1] } }), 'metric family 1 "n": histogram: negative side: span number 2 has the offset -2, which must not be negative'],
    ['buckets far beyond all numbers', one({ ...native, positive: { spans: [[2 ** 30, 1]], deltas: [1] } }), 'metric family 1 "n": histogram: positive side: span number 1 lies beyond bucket 1073741824'],
    ['spans of four thousand million buckets', one({ ...native, positive: { spans: [[0, 2 ** 32 - 1]], deltas: [1] } }), 'metric family 1 "n": histogram: positive side: span number 1 lies beyond bucket 1073741824'],
    ['counts that are not exact', one({ ...native, count: 2 ** 53 }), 'metric family 1 "n": histogram: counts beyond 2^53 are not taken'],
    ['a type that is none', encodeMetricFamilies([{ name: 'x', type: 6, metrics: [{ value: 1 }] }]), 'metric family 1 "x": unknown metric type 6'],
    ['no name', encodeMetricFamilies([{ name: 'x', type: 'gauge', metrics: [] }, { name: '', type: 'gauge', metrics: [{}] }]), 'metric family 2: invalid metric name: ""'],
    ['a length beyond the end', Uint8Array.of(0xff, 0x01, 0x0a), 'metric family 1: read protobuf: message ends inside a field at offset 2 of 3'],
    ['a known field of another wire type', Uint8Array.of(2, (1 << 3) | 0, 1), 'metric family 1: read protobuf: field 1 has wire type 0 at offset 2'],
  ])('%s', (_, bytes, message) => {
    const { error } = readAll(bytes);
    expect([error?.code, error?.message]).toEqual(['ERR_SCRAPE_PARSE', message]);
  });
});

test('an exposition cut anywhere but between families is refused, and never read as something else', () => {
  const families: Family[] = [
    { name: 'a', help: 'h', type: 'counter', metrics: [{ labels: { x: 'y' }, value: 3, exemplar: exemplar('t', 1, TIME) }] },
    { name: 'n', unit: 'seconds', type: 'histogram', metrics: [{ histogram: native, timestampMs: TIME }] },
  ];
  const whole = encodeMetricFamilies(families);
  const first = encodeMetricFamilies(families.slice(0, 1));
  for (let bytes = 1; bytes < whole.length; bytes++) {
    const { error, entries } = readAll(whole.slice(0, bytes));
    if (bytes === first.length) expect([error, entries]).toEqual([undefined, readAll(first).entries]);
    else expect([bytes, error?.code]).toEqual([bytes, 'ERR_SCRAPE_PARSE']);
  }
});

test('any bytes are read or refused', () => {
  const seedBody = Buffer.from(golden[27]!.b, 'base64');
  const bytes = fc.oneof(
    fc.uint8Array({ maxLength: 200 }),
    fc.array(fc.tuple(fc.nat(seedBody.length - 1), fc.nat(255)), { maxLength: 6 }).map((changes) => {
      const changed = Uint8Array.from(seedBody);
      for (const [at, byte] of changes) changed[at] = byte;
      return changed;
    }),
  );
  fc.assert(
    fc.property(bytes, fc.boolean(), fc.boolean(), (body, ignoreNative, alwaysClassic) => {
      const { error } = readAll(body, { ignoreNative, alwaysClassic });
      expect(error === undefined || error.code === 'ERR_SCRAPE_PARSE').toBe(true);
    }),
    { numRuns: 400 },
  );
});
