/** Series frames beyond the recordings: sizes, order, odd shapes, and every truncation. */
import { compareUtf8 } from '@gauntlet/bytes';
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { compareFrameLabels, createSeriesFrame, frameLabels, framePartData, type SeriesFrame } from './series-frame.ts';
import { decodeSeriesFrame } from './series-frame-decode.ts';
import { encodeLabelFields, encodeWarningFrame, SeriesFrameEncoder } from './series-frame-encode.ts';

function frameOf(labels: readonly string[], chunks: readonly number[] = [3]): Uint8Array {
  const encoder = new SeriesFrameEncoder();
  encoder.beginSeries(encodeLabelFields(labels));
  for (const [i, bytes] of chunks.entries()) encoder.addChunk(i * 10, i * 10 + 9, 1, new Uint8Array(bytes).fill(i), i, i);
  return encoder.endSeries()!;
}

function decoded(bytes: Uint8Array): SeriesFrame {
  const frame = createSeriesFrame();
  decodeSeriesFrame(bytes, frame);
  return frame;
}

describe('encoder', () => {
  test('any number of series, labels, chunks and bytes', () => {
    const frame = createSeriesFrame();
    for (const size of [0, 1, 100, 127, 128, 16200, 16384, 70000, 2097152, 2200000]) {
      decodeSeriesFrame(frameOf(['a', 'é\u{10000}', 'b', ''], [size, 1]), frame);
      expect(frameLabels(frame, 0)).toEqual(['a', 'é\u{10000}', 'b', '']);
      expect(framePartData(frame, 0).length).toBe(size);
      expect([frame.chunkCount, frame.chunkMaxt[1], frame.partHashLo[1]]).toEqual([2, 19, 1]);
    }
    decodeSeriesFrame(frameOf(Array.from({ length: 600 }, (_, i) => String(i)), Array.from({ length: 1000 }, () => 2)), frame);
    expect([frame.labelCount, frame.chunkCount, frame.partCount, frame.partOffsets[1000]]).toEqual([300, 1000, 1000, 1000]);
    expect(frameLabels(frame, 0)[599]).toBe('599');
  });

  test('cuts batches by count and by bytes', () => {
    const encoder = new SeriesFrameEncoder({ batchSize: 10, frameBytesTarget: 3000 });
    const counts: number[] = [];
    const names: string[] = [];
    const take = (bytes: Uint8Array | undefined): void => {
      if (bytes === undefined) return;
      const frame = decoded(bytes);
      counts.push(frame.seriesCount);
      for (let s = 0; s < frame.seriesCount; s++) names.push(frameLabels(frame, s)[1]!);
    };
    for (let i = 0; i < 25; i++) {
      encoder.beginSeries(encodeLabelFields(['n', String(i)]));
      encoder.addChunk(0, 1, 1, new Uint8Array(i < 20 ? 10 : 1000));
      expect(encoder.seriesBytes).toBeGreaterThan(10);
      take(encoder.endSeries());
    }
    take(encoder.flush());
    expect(encoder.flush()).toBeUndefined();
    expect(counts).toEqual([10, 10, 3, 2]);
    expect(names).toEqual(Array.from({ length: 25 }, (_, i) => String(i)));
  });

  test('more series than the tables begin with', () => {
    const encoder = new SeriesFrameEncoder({ batchSize: 1000 });
    for (let i = 0; i < 999; i++) {
      encoder.beginSeries(encodeLabelFields(['n', String(i), 'x', 'y']));
      encoder.addChunk(i, i, 4, Uint8Array.of(i & 255));
      encoder.endSeries();
    }
    const frame = decoded(encoder.flush()!);
    expect([frame.seriesCount, frame.labelCount, frame.chunkCount]).toEqual([999, 1998, 999]);
    for (let s = 0; s < 999; s++) {
      expect(frameLabels(frame, s)[1]).toBe(String(s));
      expect([frame.chunkMint[s], frame.partEncoding[s], framePartData(frame, s)[0]]).toEqual([s, 4, s & 255]);
    }
  });
});

describe('decoder', () => {
  test('every truncation is refused, and leaves no series', () => {
    const bytes = frameOf(['__name__', 'up', 'job', 'node'], [20, 30]);
    const frame = createSeriesFrame();
    for (let end = 1; end < bytes.length; end++) {
      expect(() => decodeSeriesFrame(bytes.slice(0, end), frame)).toThrow(expect.objectContaining({ code: 'ERR_PROTO_TRUNCATED' }));
      expect(frame.seriesCount).toBe(0);
    }
    decodeSeriesFrame(bytes.slice(0, 0), frame);
    expect([frame.seriesCount, frame.warning, frame.hints]).toEqual([0, undefined, undefined]);
  });

  test('flipped bits never do worse than an error', () => {
    const bytes = frameOf(['__name__', 'up', 'job', 'node'], [20, 30]);
    const frame = createSeriesFrame();
    for (let bit = 0; bit < bytes.length * 8; bit++) {
      const damaged = bytes.slice();
      damaged[bit >> 3]! ^= 1 << (bit & 7);
      try {
        decodeSeriesFrame(damaged, frame);
        for (let s = 0; s < frame.seriesCount; s++) frameLabels(frame, s);
        for (let p = 0; p < frame.partCount; p++) expect(framePartData(frame, p).length).toBe(frame.partBytes[p]);
      } catch (error) {
        expect((error as { code: string }).code).toMatch(/^ERR_PROTO_/);
      }
    }
  });

  test('unknown fields, and labels behind chunks', () => {
    // Series { unknown 9, label a=1, chunk, label b=2 }, then unknown 15 of the response.
    const bytes = Uint8Array.of(0x0a, 20, 0x48, 5, 0x0a, 6, 0x0a, 1, 97, 0x12, 1, 49, 0x12, 0, 0x0a, 6, 0x0a, 1, 98, 0x12, 1, 50, 0x78, 1);
    const frame = decoded(bytes);
    expect(frameLabels(frame, 0)).toEqual(['a', '1', 'b', '2']);
    expect([frame.chunkCount, frame.partCount, frame.labelsEnd[0]]).toEqual([1, 0, -1]);
  });

  test('a warning clears the series of the frame before', () => {
    const frame = decoded(frameOf(['a', 'b']));
    decodeSeriesFrame(encodeWarningFrame('stóre down'), frame);
    expect([frame.seriesCount, frame.warning]).toEqual([0, 'stóre down']);
  });

  test('wrong wire types are named', () => {
    expect(() => decoded(Uint8Array.of(0x08, 1))).toThrow(/series response field 1 has wire type 0/);
    expect(() => decoded(Uint8Array.of(0x0a, 2, 0x08, 1))).toThrow(/series field 1 has wire type 0/);
    expect(() => decoded(Uint8Array.of(0x0a, 4, 0x12, 2, 0x0a, 0))).toThrow(/aggregate chunk field 1 has wire type 2/);
  });
});

test('labels order as names and values in byte order', () => {
  const word = fc.string({ unit: fc.constantFrom('a', 'b', 'é', '\uffff', '\u{10000}', ''), maxLength: 3 });
  const labels = fc.uniqueArray(fc.tuple(word, word), { selector: (pair) => pair[0], maxLength: 4 }).map((pairs) =>
    pairs.toSorted((a, b) => compareUtf8(a[0], b[0])).flat(),
  );
  fc.assert(
    fc.property(labels, labels, (a, b) => {
      let wanted = 0;
      for (let i = 0; wanted === 0 && i < Math.min(a.length, b.length); i++) wanted = compareUtf8(a[i]!, b[i]!);
      if (wanted === 0) wanted = a.length - b.length;
      expect(Math.sign(compareFrameLabels(decoded(frameOf(a)), 0, decoded(frameOf(b)), 0))).toBe(Math.sign(wanted));
    }),
  );
});
