import { describe, expect, test } from '@jest/globals';
import { utf8Encode, wordsToHex } from '@gauntlet/bytes';
import fc from 'fast-check';
import { quoteGo } from './go-quote.ts';
import { hashForLabels, hashLabels, hashWithoutLabels, stableHashLabels } from './label-hash.ts';
import { isValidLabelName, isValidMetricName } from './label-names.ts';
import { compareLabels, extendLabels, formatLabels, getLabel, hasLabel, type Labels, labelsEqual, labelsFromMap, labelsFromPairs, labelsToObject, onlyLabels, withLabel, withoutLabels } from './labels.ts';
import { LabelsBuilder } from './labels-builder.ts';

const nameArb = fc.oneof(fc.constantFrom('a', 'b', 'job', '__name__', 'constructor', '__proto__', '\ufffd', '\u{1f600}'), fc.string({ unit: 'grapheme', minLength: 1, maxLength: 4 }));
const labelsArb = fc.dictionary(nameArb, fc.string({ unit: 'grapheme', maxLength: 5 }), { noNullPrototype: false }).map((map) => labelsFromMap(map));

describe('making labels', () => {
  test.each<[string, [string, string][], Labels]>([
    ['sorts by name', [['job', 'node'], ['__name__', 'up'], ['a', '1']], ['__name__', 'up', 'a', '1', 'job', 'node']],
    ['drops empty values', [['b', ''], ['a', '1']], ['a', '1']],
    ['orders by bytes, not UTF-16 units', [['\u{1f600}', '1'], ['\uffee', '2']], ['\uffee', '2', '\u{1f600}', '1']],
    ['takes names of object members', [['constructor', '1'], ['__proto__', '2']], ['__proto__', '2', 'constructor', '1']],
  ])('%s', (_, pairs, wanted) => {
    expect(labelsFromPairs(pairs)).toEqual(wanted);
    expect(labelsFromMap(new Map(pairs))).toEqual(wanted);
  });

  test('refuses a name given twice, and an empty name', () => {
    expect(() => labelsFromPairs([['a', '1'], ['a', '2']])).toThrow('make labels: label "a" given twice, as "1" and "2"');
    expect(() => labelsFromPairs([['', '1']])).toThrow('make labels: empty label name for value "1"');
  });

  test('an object of labels has no inherited members', () => {
    const object = labelsToObject(['__proto__', 'x', 'a', '1']);
    expect(Object.entries(object)).toEqual([['__proto__', 'x'], ['a', '1']]);
    expect('constructor' in object).toBe(false);
  });
});

describe('reading and changing', () => {
  const up: Labels = ['__name__', 'up', 'instance', 'a:1', 'job', 'node'];
  test('get, has', () => {
    expect([getLabel(up, 'job'), getLabel(up, 'node'), hasLabel(up, 'job'), hasLabel(up, 'up')]).toEqual(['node', '', true, false]);
  });
  test('without and only return the argument when nothing changes', () => {
    expect(withoutLabels(up, new Set(['x']))).toBe(up);
    expect(withoutLabels(up, new Set(['instance', 'up']))).toEqual(['__name__', 'up', 'job', 'node']);
    expect(onlyLabels(up, new Set(['job', 'x']))).toEqual(['job', 'node']);
  });
  test('extension wins', () => {
    expect(extendLabels(up, ['cluster', 'c', 'job', 'other'])).toEqual(['__name__', 'up', 'cluster', 'c', 'instance', 'a:1', 'job', 'other']);
  });
  test('withLabel sets, replaces, removes', () => {
    expect(withLabel(['a', '1'], 'b', '2')).toEqual(['a', '1', 'b', '2']);
    expect(withLabel(['a', '1'], 'a', '2')).toEqual(['a', '2']);
    expect(withLabel(['a', '1', 'b', '2'], 'a', '')).toEqual(['b', '2']);
  });
  test('extending equals merging two maps', () => {
    fc.assert(
      fc.property(labelsArb, labelsArb, (a, b) => {
        const map = new Map<string, string>();
        for (const labels of [a, b]) for (let i = 0; i < labels.length; i += 2) map.set(labels[i]!, labels[i + 1]!);
        expect(extendLabels(a, b)).toEqual(labelsFromMap(map));
      }),
    );
  });
  test('the builder equals a map', () => {
    fc.assert(
      fc.property(labelsArb, fc.array(fc.tuple(nameArb, fc.constantFrom('', 'x', 'y'))), (start, changes) => {
        const builder = new LabelsBuilder(start);
        const map = new Map<string, string>(Object.entries(labelsToObject(start)));
        for (const [name, value] of changes) {
          builder.set(name, value);
          map.set(name, value);
          expect(builder.get(name)).toBe(value);
        }
        expect(builder.labels()).toEqual(labelsFromMap(map));
      }),
    );
  });
});

describe('order', () => {
  test.each<[string, Labels, Labels, number]>([
    ['equal', ['a', '1'], ['a', '1'], 0],
    ['prefix first', ['a', '1'], ['a', '1', 'b', '2'], -1],
    ['by value', ['a', '1', 'b', '2'], ['a', '2'], -1],
    ['by name', ['a', '1'], ['b', '0'], -1],
    ['bytes', ['a', '\uffee'], ['a', '\u{1f600}'], -1],
  ])('%s', (_, a, b, sign) => {
    expect(Math.sign(compareLabels(a, b))).toBe(sign);
    expect(Math.sign(compareLabels(b, a)) + 0).toBe(0 - sign);
    expect(labelsEqual(a, b)).toBe(sign === 0);
  });
  test('agrees with comparing bytes separated by a low byte', () => {
    const key = (labels: Labels): Uint8Array => utf8Encode(labels.map((text) => `${text}\0`).join(''));
    fc.assert(
      fc.property(labelsArb, labelsArb, (a, b) => {
        expect(Math.sign(compareLabels(a, b))).toBe(Math.sign(Buffer.compare(key(a), key(b))));
      }),
    );
  });
});

describe('text', () => {
  test.each<[Labels, string]>([
    [[], '{}'],
    [['__name__', 'up', 'a', 'x"y\\z\n'], '{__name__="up", a="x\\"y\\\\z\\n"}'],
    [['a.b', '1', 'ü', '\u00a0\u{1f600}\x07\x01\u200b'], '{"a.b"="1", "ü"="\\u00a0\u{1f600}\\a\\x01\\u200b"}'],
  ])('%j', (labels, text) => {
    expect(formatLabels(labels)).toBe(text);
  });
  test('quoting', () => {
    expect(quoteGo('\u{10ffff}\x7f\b')).toBe('"\\U0010ffff\\x7f\\b"');
  });
});

describe('names', () => {
  test.each<[string, boolean, boolean, boolean]>([
    ['a_b1', true, true, true],
    ['a:b', false, true, true],
    ['1a', false, false, true],
    ['a.b', false, false, true],
    ['', false, false, false],
    ['\ud800', false, false, false],
  ])('%j', (name, legacyLabel, legacyMetric, utf8) => {
    expect([isValidLabelName(name, 'legacy'), isValidMetricName(name, 'legacy'), isValidLabelName(name), isValidMetricName(name)]).toEqual([legacyLabel, legacyMetric, utf8, utf8]);
  });
});

describe('hashes', () => {
  // The shard hashes are those of Thanos' own tests for this series.
  const nginx: Labels = ['container', 'nginx', 'node', 'node-1', 'pod', 'nginx'];
  test('sharding', () => {
    expect(wordsToHex(hashForLabels(nginx, new Set(['node', 'pod'])))).toBe('e705b759f68fcc1b');
    expect(wordsToHex(hashWithoutLabels(nginx, new Set(['node']), false))).toBe('bbc56b62a16800dc');
    expect(wordsToHex(stableHashLabels(nginx))).toBe('64ddca79b9966db4');
    expect(wordsToHex(stableHashLabels([]))).toBe('ef46db3751d8e999');
  });
  test('without drops the metric name on request', () => {
    const named: Labels = ['__name__', 'up', ...nginx];
    expect(hashWithoutLabels(named, new Set(), true)).toEqual(stableHashLabels(nginx));
    expect(hashWithoutLabels(named, new Set(), false)).toEqual(stableHashLabels(named));
  });
  // Computed with Prometheus' labels package.
  test.each<[Labels, string]>([
    [nginx, 'e3caa69d30b0a1cf'],
    [['a', 'x'.repeat(254), 'b', 'y'.repeat(255), 'c', 'ü'.repeat(300)], 'a534bfdbc96c33a9'],
    [[], 'ef46db3751d8e999'],
  ])('packed form %#', (labels, hex) => {
    expect(wordsToHex(hashLabels(labels))).toBe(hex);
  });
});
