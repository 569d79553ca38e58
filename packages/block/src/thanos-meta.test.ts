/** meta.json: byte-equal to what Thanos wrote, and every way of being wrong. */
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';

import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';

import { encodeGoJson } from './go-json.ts';
import { TESTDATA, goldenBlocks, goldenFolder } from './testing/golden.ts';
import { createThanosSection, fileBytes, formatThanosMeta, groupKey, parseThanosMeta, uploadTimeMs } from './thanos-meta.ts';

const read = (name: string): Buffer => readFileSync(join(TESTDATA, name));
const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString('utf8');
const FILES = ['block/01M7YH8PRB5EGPCY8YH5HQN37B/meta.json', 'meta/downsampled.json', 'meta/uploaded.json'];

describe('recorded files', () => {
  test.each(FILES)('%s is written back byte for byte', (name) => {
    expect(text(formatThanosMeta(parseThanosMeta(read(name), name)))).toBe(text(read(name)));
  });
  const golden = goldenBlocks().filter(({ path }) => existsSync(join(path, 'meta.json')) && readFileSync(join(path, 'meta.json'), 'utf8').includes('"upload_time"'));
  (goldenFolder() === undefined ? test.skip : test)(`all ${golden.length} of the large set (skipped where it is absent)`, () => {
    expect(golden.length).toBeGreaterThan(50);
    for (const { path, id } of golden) expect(text(formatThanosMeta(parseThanosMeta(readFileSync(join(path, 'meta.json')), id)))).toBe(readFileSync(join(path, 'meta.json'), 'utf8'));
    const extra = join(goldenFolder()!, 'index-header/extra-meta');
    for (const name of readdirSync(extra)) expect(text(formatThanosMeta(parseThanosMeta(readFileSync(join(extra, name)), name)))).toBe(readFileSync(join(extra, name), 'utf8'));
  });
  test('what they say', () => {
    const meta = parseThanosMeta(read('meta/downsampled.json'), 'x');
    expect(meta).toMatchObject({ ulid: '01M7YH98VGHEHQ13HA6X82MWEN', compaction: { level: 4 }, thanos: { labels: ['cluster', 'eu', 'replica', 'a'], resolutionMs: 300_000, source: 'compactor', seriesMaxBytes: 240, chunkMaxBytes: 23_988 } });
    expect(uploadTimeMs(meta)).toBeGreaterThan(Date.parse('2026-01-01'));
    expect(fileBytes(meta, 'index')).toBeGreaterThan(0);
    expect(fileBytes(meta, 'meta.json')).toBeUndefined();
    expect(groupKey(meta)).toBe('300000@["cluster","eu","replica","a"]');
  });
});

const minimal = (more: string, version = 1): Buffer => Buffer.from(`{"ulid":"01M7YH98VGHEHQ13HA6X82MWEN","minTime":1,"maxTime":2,"version":${version}${more}}`);

describe('reading', () => {
  test('a file of Prometheus alone has an empty section', () => {
    const meta = parseThanosMeta(minimal(',"stats":{"numSamples":3},"compaction":{"level":1}'), 'x');
    expect(meta.thanos).toEqual(createThanosSection({}));
    expect(uploadTimeMs(meta)).toBeUndefined();
    expect(text(formatThanosMeta(meta))).toContain('"thanos": {\n\t\t"labels": {},\n\t\t"downsample": {\n\t\t\t"resolution": 0\n\t\t},\n\t\t"source": "",\n\t\t"index_stats": {},\n\t\t"upload_time": "0001-01-01T00:00:00Z"\n\t}\n}\n');
  });
  test('unknown keys, null members and unknown sources are taken', () => {
    const meta = parseThanosMeta(minimal(',"future":1,"thanos":{"version":1,"labels":null,"source":"tomorrow","files":null,"new":{}}'), 'x');
    expect(meta.thanos).toEqual(createThanosSection({ source: 'tomorrow', hasVersion: true }));
  });
  test('rewrites and extensions are carried over', () => {
    const section = ',"thanos":{"rewrites":[{"sources":["01M7YH98VGHEHQ13HA6X82MWEN"]}],"extensions":{"b":[1,null,true],"a":"<&>"}}';
    const once = formatThanosMeta(parseThanosMeta(minimal(section), 'x'));
    expect(text(formatThanosMeta(parseThanosMeta(once, 'x')))).toBe(text(once));
    expect(text(once)).toContain('"a": "\\u003c\\u0026\\u003e"');
  });
  test.each([
    ['an empty file', Buffer.alloc(0), 'ERR_META_CORRUPT', 'not JSON'],
    ['a cut-off file', read('meta/cut-off.json'), 'ERR_META_CORRUPT', 'not JSON'],
    ['a list', Buffer.from('[]'), 'ERR_META_CORRUPT', 'not a JSON object'],
    ['no version', Buffer.from('{}'), 'ERR_META_VERSION', 'unexpected meta file version 0'],
    ['version 2', minimal('', 2), 'ERR_META_VERSION', 'unexpected meta file version 2'],
    ['section version 2', minimal(',"thanos":{"version":2}'), 'ERR_META_VERSION', 'unexpected meta file Thanos section version 2'],
    ['no ULID', Buffer.from('{"version":1,"ulid":"x"}'), 'ERR_META_CORRUPT', 'want a ULID'],
    ['a section that is a list', minimal(',"thanos":[]'), 'ERR_META_CORRUPT', 'thanos is not an object'],
    ['labels that are numbers', minimal(',"thanos":{"labels":{"a":1}}'), 'ERR_META_CORRUPT', 'thanos.labels is {"a":1}, want a map of strings'],
    ['a resolution that is text', minimal(',"thanos":{"downsample":{"resolution":"5m"}}'), 'ERR_META_CORRUPT', 'thanos.downsample.resolution is "5m", want an integer'],
    ['bytes that are not UTF-8', Buffer.from([0x7b, 0xff, 0x7d]), 'ERR_META_CORRUPT', 'not JSON'],
  ])('%s is refused', (_name, bytes, code, message) => {
    expect(() => parseThanosMeta(bytes, 'block-x')).toThrow(expect.objectContaining({ code, message: expect.stringContaining(message) }));
    expect(() => parseThanosMeta(bytes, 'block-x')).toThrow('block-x');
  });
  test('cut off anywhere: refused, never half a meta', () => {
    const whole = read('meta/uploaded.json');
    for (let end = 0; end < whole.length - 2; end++) expect(() => parseThanosMeta(whole.subarray(0, end), 'x')).toThrow(expect.objectContaining({ code: 'ERR_META_CORRUPT' }));
  });
});

describe('writing', () => {
  const base = parseThanosMeta(minimal(''), 'x');
  test('labels are sorted by bytes, names of object properties and numbers included', () => {
    const meta = { ...base, thanos: createThanosSection({ labels: ['10', 'x', '9', 'y', '__proto__', 'z', '\uFFFD', '1', '\u{1F600}', '2'] }) };
    expect(text(formatThanosMeta(meta))).toContain('"labels": {\n\t\t\t"10": "x",\n\t\t\t"9": "y",\n\t\t\t"__proto__": "z",\n\t\t\t"\uFFFD": "1",\n\t\t\t"\u{1F600}": "2"\n\t\t}');
    expect(parseThanosMeta(formatThanosMeta(meta), 'x')).toEqual(meta);
  });
  test('any section comes back', () => {
    const section = fc.record({
      labels: fc.dictionary(fc.string({ minLength: 1, unit: 'grapheme' }), fc.string({ minLength: 1, unit: 'grapheme' })),
      resolutionMs: fc.constantFrom(0, 300_000), source: fc.constantFrom('', 'sidecar', 'x"<\n'), segmentFiles: fc.array(fc.string({ unit: 'grapheme' })),
      files: fc.array(fc.record({ relPath: fc.string({ unit: 'grapheme' }), sizeBytes: fc.integer({ min: 1 }), hash: fc.record({ func: fc.constant('SHA256' as const), value: fc.string({ unit: 'grapheme' }) }) }, { requiredKeys: ['relPath'] })),
      seriesMaxBytes: fc.nat(), chunkMaxBytes: fc.nat(), uploadTime: fc.constantFrom('0001-01-01T00:00:00Z', '2026-01-01T00:00:00.123456789Z'), hasVersion: fc.boolean(),
    });
    fc.assert(fc.property(section, ({ labels, ...rest }) => {
      const sorted = Object.entries(labels).sort((a, b) => Buffer.compare(Buffer.from(a[0]), Buffer.from(b[0]))).flat();
      const meta = { ...base, thanos: createThanosSection({ ...rest, labels: sorted }) };
      expect(parseThanosMeta(formatThanosMeta(meta), 'x')).toEqual(meta);
    }));
  });
});

test('JSON as Go writes it', () => {
  expect(encodeGoJson({ a: [], b: {}, c: [1, 'x<>&\u2028\n\u0001'], d: undefined, e: null }, '')).toBe('{"a":[],"b":{},"c":[1,"x\\u003c\\u003e\\u0026\\u2028\\n\\u0001"],"e":null}');
  expect(encodeGoJson({ a: [], b: new Map([['2', 1], ['1', 2]]) }, '\t')).toBe('{\n\t"a": [],\n\t"b": {\n\t\t"2": 1,\n\t\t"1": 2\n\t}\n}');
});
