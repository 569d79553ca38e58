/** Control-plane messages: round trips, unknown fields, packed and unpacked numbers, truncation. */
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { hintsAny, requestHints } from './hint-messages.ts';
import { infoResponse } from './info-messages.ts';
import { field, mapField, message } from './message-codec.ts';
import { EMPTY_LABEL_NAMES_REQUEST, EMPTY_SERIES_REQUEST, labelMatcher, labelValuesRequest, type SeriesRequest, seriesRequest } from './store-messages.ts';
import { MAX_TIME_MS, MIN_TIME_MS } from './wire-reader.ts';

const REQUEST: SeriesRequest = {
  ...EMPTY_SERIES_REQUEST,
  minTime: MIN_TIME_MS,
  maxTime: MAX_TIME_MS,
  matchers: [
    { type: 0, name: '__name__', value: 'up' },
    { type: 3, name: 'jöb', value: '' },
  ],
  maxResolutionWindow: 300000,
  aggregates: [1, 2],
  partialResponseStrategy: 1,
  skipChunks: true,
  hints: hintsAny('SeriesRequestHints', requestHints.encode({ blockMatchers: [{ type: 0, name: '__block_id', value: 'x' }], enableQueryStats: true })),
  queryHints: {
    stepMs: 15000,
    func: { name: 'rate' },
    grouping: { by: true, labels: ['job'] },
    range: { millis: 300000 },
    projectionLabels: ['job'],
    projectionInclude: true,
    seriesHashLabelName: '__h__',
  },
  shardInfo: { shardIndex: 0, totalShards: 2, by: true, labels: ['pod'] },
  withoutReplicaLabels: ['replica'],
  limit: 7,
  responseBatchSize: 64,
};

describe('SeriesRequest', () => {
  test('round trip of every field', () => {
    expect(seriesRequest.decode(seriesRequest.encode(REQUEST))).toEqual(REQUEST);
    expect(seriesRequest.encode(EMPTY_SERIES_REQUEST).length).toBe(0);
  });

  test('every truncation either fails or lacks something', () => {
    const bytes = seriesRequest.encode(REQUEST);
    let refused = 0;
    for (let end = 0; end < bytes.length; end++) {
      try {
        expect(seriesRequest.decode(bytes.subarray(0, end))).not.toEqual(REQUEST);
      } catch (error) {
        expect((error as { code: string }).code).toBe('ERR_PROTO_TRUNCATED');
        refused++;
      }
    }
    expect(refused).toBeGreaterThan(bytes.length / 2);
  });

  test('unpacked enums and unknown fields', () => {
    // aggregates 1 and 2 unpacked, then field 100 as varint, bytes, fixed64, fixed32.
    const bytes = Uint8Array.of(0x28, 1, 0x28, 2, 0xa0, 6, 5, 0xa2, 6, 1, 9, 0xa1, 6, 0, 0, 0, 0, 0, 0, 0, 0, 0xa5, 6, 0, 0, 0, 0);
    expect(seriesRequest.decode(bytes)).toEqual({ ...EMPTY_SERIES_REQUEST, aggregates: [1, 2] });
  });

  test('a known field with another wire type is refused', () => {
    expect(() => seriesRequest.decode(Uint8Array.of(0x0a, 0))).toThrow(/field minTime 1 has wire type 2/);
  });
});

test('label values request shifts by one against label names', () => {
  const bytes = labelValuesRequest.encode({ ...EMPTY_LABEL_NAMES_REQUEST, label: 'job', start: 1, end: 2, limit: 3 });
  expect([...bytes]).toEqual([0x0a, 3, 0x6a, 0x6f, 0x62, 0x20, 1, 0x28, 2, 0x48, 3]);
});

test('an empty sub-message is there, an absent one is not', () => {
  const info = infoResponse.decode(Uint8Array.of(0x22, 0, 0x4a, 0));
  expect(info.rules).toEqual({});
  expect(info.status).toEqual({});
  expect(info.targets).toBeUndefined();
  expect([...infoResponse.encode(info)]).toEqual([0x22, 0, 0x4a, 0]);
});

test('maps', () => {
  const codec = message<{ counts: Map<string, number>; matchers: Map<string, { type: number; name: string; value: string }> }>({
    counts: mapField(1, 'int64'),
    matchers: mapField(2, labelMatcher),
  });
  const value = { counts: new Map([['__proto__', 1], ['', 0]]), matchers: new Map([['a', { type: 2, name: 'n', value: 'v' }]]) };
  expect(codec.decode(codec.encode(value))).toEqual(value);
});

test('scalars round trip', () => {
  const codec = message<{ s: string; b: boolean; i: number; d: number; y: Uint8Array; z: number }>({
    s: field(1, 'string'),
    b: field(2, 'bool'),
    i: field(3, 'int32'),
    d: field(200, 'double'),
    y: field(5, 'bytes'),
    z: field(6, 'sint32'),
  });
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme' }), fc.boolean(), fc.integer(), fc.double({ noNaN: true }), fc.uint8Array(), fc.integer(), (s, b, i, d, y, z) => {
      const value = { s, b, i, d, y, z };
      expect(codec.decode(codec.encode(value))).toEqual(value);
    }),
  );
});
