import { describe, expect, test } from '@jest/globals';
import { AGGREGATE, createSeriesFrame, decodeSeriesFrame, framePartData, SeriesFrameEncoder } from '@gauntlet/proto';
import { AGGREGATE_CHUNK_ENCODING, encodeChunk } from './encode-chunk.ts';

/** count and max are there, the others absent. */
const aggregate = Uint8Array.of(3, 1, 10, 11, 12, 0, 0, 2, 1, 20, 21, 0);

function encode(encoding: number, payload: Uint8Array, aggregates: readonly number[]): [number, number, number[]][] {
  const encoder = new SeriesFrameEncoder();
  encoder.beginSeries(new Uint8Array(0));
  encodeChunk(encoder, 1, 2, encoding, payload, aggregates);
  const frame = createSeriesFrame();
  decodeSeriesFrame(encoder.endSeries()!, frame);
  expect([frame.chunkCount, frame.chunkMint[0], frame.chunkMaxt[0]]).toEqual([1, 1, 2]);
  return Array.from({ length: frame.partCount }, (_, p) => [frame.partAggregate[p]!, frame.partEncoding[p]!, [...framePartData(frame, p)]]);
}

describe('encodeChunk', () => {
  test.each([1, 2, 3, 4])('encoding %d passes as it is', (encoding) => expect(encode(encoding, Uint8Array.of(1, 2), [])).toEqual([[AGGREGATE.raw, encoding, [1, 2]]]));

  test.each<{ name: string; aggregates: number[]; parts: [number, number, number[]][] }>([
    { name: 'none', aggregates: [], parts: [] },
    { name: 'raw is none', aggregates: [AGGREGATE.raw], parts: [] },
    { name: 'one', aggregates: [AGGREGATE.count], parts: [[AGGREGATE.count, 1, [10, 11, 12]]] },
    { name: 'two, in their order whatever the request\'s', aggregates: [AGGREGATE.max, AGGREGATE.count], parts: [[AGGREGATE.count, 1, [10, 11, 12]], [AGGREGATE.max, 1, [20, 21]]] },
  ])('aggregates: $name', ({ aggregates, parts }) => expect(encode(AGGREGATE_CHUNK_ENCODING, aggregate, aggregates)).toEqual(parts));

  test.each([
    [AGGREGATE.sum, 'aggregate sum does not exist'],
    [AGGREGATE.counter, 'aggregate counter does not exist'],
  ])('an absent aggregate is an error (%d)', (wanted, text) => expect(() => encode(AGGREGATE_CHUNK_ENCODING, aggregate, [wanted])).toThrow(text));

  test('an unknown encoding is an error', () => expect(() => encode(9, aggregate, [])).toThrow('unsupported chunk encoding 9'));

  test('cut off anywhere before the aggregate\'s end: an error, never other bytes', () => {
    for (let length = 0; length < 10; length++) expect(() => encode(AGGREGATE_CHUNK_ENCODING, aggregate.slice(0, length), [AGGREGATE.max])).toThrow(/read aggregate chunk/);
  });
});
