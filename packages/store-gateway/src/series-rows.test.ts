/** Rows of a block's series: the same labels in the same order as storeapi's SeriesRewriter gives them. */
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { compareLabels, type Labels, labelsFromPairs } from '@gauntlet/model';
import { createSeriesFrame, decodeSeriesFrame, EMPTY_SERIES_REQUEST, frameLabels, SeriesFrameEncoder } from '@gauntlet/proto';
import { SeriesRewriter } from '@gauntlet/storeapi';
import { createSeriesEntry } from '@gauntlet/tsdb';
import { RowsBuilder, type SeriesRows } from './series-rows.ts';

const EMPTY = new Uint8Array(0);

/** Series `i` of the input has one chunk with reference i. */
function rowsOf(input: readonly Labels[], external: Labels, withoutReplicaLabels: readonly string[]): { readonly batches: readonly SeriesRows[]; readonly rows: readonly (readonly [Labels, number])[] } {
  const builder = new RowsBuilder(external, { ...EMPTY_SERIES_REQUEST, withoutReplicaLabels: [...withoutReplicaLabels] });
  const batches: SeriesRows[] = [];
  const entry = createSeriesEntry();
  input.forEach((labels, i) => {
    [entry.refs[0], entry.mint[0], entry.maxt[0]] = [i, i, i];
    const ready = builder.add(labels, entry, 0, 1);
    if (ready !== undefined) batches.push(ready);
  });
  const last = builder.finish();
  if (last !== undefined) batches.push(last);
  return { batches, rows: batches.flatMap((rows) => [...rows.order.subarray(0, rows.count)].map((row) => [labelsOf(rows, row), rows.refs[rows.chunkOffsets[row]!]!] as const)) };
}

function labelsOf(rows: SeriesRows, row: number): Labels {
  const encoder = new SeriesFrameEncoder();
  encoder.beginSeries(rows.labelBytes.subarray(rows.labelStart(row), rows.labelEnds[row]));
  const frame = createSeriesFrame();
  decodeSeriesFrame(encoder.endSeries()!, frame);
  // The ranges say the same as the bytes.
  const start = rows.labelStart(row);
  const first = frame.seriesStart[0]!;
  expect([...rows.labelRanges.subarray(4 * rows.labelOffsets[row]!, 4 * rows.labelOffsets[row + 1]!)].map((value, i) => (i % 2 === 0 ? value - start : value))).toEqual([...frame.labelRanges.subarray(0, 4 * frame.labelCount)].map((value, i) => (i % 2 === 0 ? value - first : value)));
  return frameLabels(frame, 0);
}

function rewritten(input: readonly Labels[], external: Labels, withoutReplicaLabels: readonly string[]): Labels[] {
  const rewriter = new SeriesRewriter({ externalLabels: external, withoutLabels: withoutReplicaLabels, shard: undefined, batchSize: 1, limit: 0 });
  for (const labels of input) rewriter.add(labels, EMPTY);
  return rewriter.finish().map((bytes) => {
    const frame = createSeriesFrame();
    decodeSeriesFrame(bytes, frame);
    return frameLabels(frame, 0);
  });
}

const label = fc.tuple(fc.constantFrom('__name__', 'a', 'b', 'replica', 'ä', 'z'), fc.constantFrom('1', '2', 'é', '😀'));
const labels = fc.uniqueArray(label, { selector: ([name]) => name, minLength: 1, maxLength: 5 }).map((pairs) => labelsFromPairs(pairs));

describe('rows of series', () => {
  test('labels and order are those of the rewriter', () => {
    fc.assert(
      fc.property(
        fc.uniqueArray(labels, { comparator: (a, b) => compareLabels(a, b) === 0, maxLength: 40 }),
        fc.constantFrom<[Labels, string[]]>([[], []], [['replica', 'r0'], []], [['m', 'x', 'replica', 'r0'], ['replica']], [[], ['a']]),
        (unsorted, [external, without]) => {
          const input = unsorted.toSorted(compareLabels).filter((one) => one.some((name, i) => i % 2 === 0 && !without.includes(name)));
          const { rows } = rowsOf(input, external, without);
          expect(rows.map(([own]) => own)).toEqual(rewritten(input, external, without));
          expect(rows.map(([, ref]) => ref).toSorted((a, b) => a - b)).toEqual(input.map((_labels, i) => i));
        },
      ),
      { numRuns: 300 },
    );
  });

  test('thousands of series of one metric are one batch, of many metrics several', () => {
    const of = (count: number, name: (i: number) => string): Labels[] => Array.from({ length: count }, (_none, i): Labels => ['__name__', name(i), 'pod', `p${String(i).padStart(5, '0')}`, ...(i % 3 === 0 ? ['zone', 'z'] : [])]);
    const single = rowsOf(of(5000, () => 'one'), ['replica', 'r0'], []);
    expect([single.batches.length, single.rows.length]).toEqual([1, 5000]);
    expect(single.rows[4999]![0]).toEqual(['__name__', 'one', 'pod', 'p04999', 'replica', 'r0']);
    const many = rowsOf(of(5000, (i) => `m${String(i >> 4).padStart(4, '0')}`), ['replica', 'r0'], []);
    expect(many.batches.map(({ count }) => count).slice(0, 3)).toEqual([512, 512, 512]);
    expect(many.rows.map(([, ref]) => ref)).toEqual(Array.from({ length: 5000 }, (_none, i) => i));
  });

  test('a late series without labels is refused', () => {
    expect(() => rowsOf([['a', '1'], ['replica', 'r']], [], ['replica'])).toThrow('remove labels replica: series {replica="r"} has no other');
  });
});
