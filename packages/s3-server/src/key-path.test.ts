/** Keys and their order: nothing leaves the bucket's folder, nothing meets, and listings sort by bytes. */
import { expect, test } from '@jest/globals';
import fc from 'fast-check';

import { compareKeys } from './key-order.ts';
import { decodeName, encodeSegment, keyPath } from './key-path.ts';
import { parseXml } from './xml.ts';

const segment = fc.oneof(fc.string({ unit: 'grapheme', maxLength: 20 }), fc.constantFrom('', '.', '..', '...', '%', '%2E', '%empty', 'a%o', 'b%+', 'con', 'x'.repeat(700), 'é'.repeat(300), '\u0000', '\\'))
  .map((s) => s.replaceAll('/', '').replace(/\p{Cs}/gu, ''));
const key = fc.array(segment, { minLength: 1, maxLength: 4 }).map((s) => s.join('/'));

test('every key stays under its folder with components the file system takes', () => {
  fc.assert(fc.property(key, (k) => {
    const path = keyPath('/data/bucket', k);
    expect(path.startsWith('/data/bucket/')).toBe(true);
    for (const component of path.slice('/data/bucket/'.length).split('/')) {
      expect(['', '.', '..']).not.toContain(component);
      expect(Buffer.byteLength(component)).toBeLessThan(256);
      expect(component.includes('\u0000')).toBe(false);
    }
  }));
});

test('different keys have different paths', () => {
  fc.assert(fc.property(key, key, (a, b) => {
    expect(keyPath('/b', a) === keyPath('/b', b)).toBe(a === b);
  }));
});

test('segments decode to themselves', () => {
  fc.assert(fc.property(segment, (s) => {
    const decoded = encodeSegment(s).map((c, i, all) => decodeName(i < all.length - 1 ? c.slice(0, -2) : c));
    expect(decoded.join('')).toBe(s);
  }));
});

test('keys order by UTF-8 bytes', () => {
  fc.assert(fc.property(fc.string({ unit: 'binary' }), fc.string({ unit: 'binary' }), (a, b) => {
    expect(Math.sign(compareKeys(a, b))).toBe(Math.sign(Buffer.compare(Buffer.from(a), Buffer.from(b))));
  }));
  expect(compareKeys('\u{1F600}', '\uFFFD')).toBeGreaterThan(0);
});

test('request documents: text with entities, and what is refused', () => {
  expect(parseXml('<?xml version="1.0"?>\n<Delete xmlns="x"><Object><Key>a&amp;b&#x41;</Key></Object><Quiet/></Delete>')).toEqual({
    name: 'Delete', text: '', children: [
      { name: 'Object', text: '', children: [{ name: 'Key', text: 'a&bA', children: [] }] },
      { name: 'Quiet', text: '', children: [] },
    ],
  });
  for (const bad of ['', 'text', '<a>', '<a></b>', '<a/><b/>', '<!DOCTYPE a [<!ENTITY x "y">]><a>&x;</a>', '<a><b></a></b>']) expect(parseXml(bad)).toBeUndefined();
});
