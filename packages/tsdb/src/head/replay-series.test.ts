import { expect, test } from '@jest/globals';
import { GrowableBytes } from '@gauntlet/bytes';
import { createMemoryFileSystem } from '../testing/memory-file-system.ts';
import { beginSeriesRecord, encodeSamplesRecord, putSeries, SampleColumns } from '../wal/record.ts';
import { createWalWriter } from '../wal/wal-writer.ts';
import { Head } from './head.ts';
import { replayWal } from './replay.ts';

type Entry = readonly [ref: number, ...labels: string[]];

/** A head from a log with these records of series, then a sample of each reference, `ref` ms after the epoch. */
function replayed(...records: readonly (readonly Entry[])[]): Head {
  const fs = createMemoryFileSystem();
  fs.mkdir('wal');
  const writer = createWalWriter(fs, 'wal', 0, { compression: 'none' });
  const samples = new SampleColumns();
  for (const entries of records) {
    const out = new GrowableBytes();
    beginSeriesRecord(out);
    for (const [ref, ...labels] of entries) {
      putSeries(out, ref, labels);
      samples.push(ref, ref, 0, ref);
    }
    writer.log([out.bytes()]);
  }
  const out = new GrowableBytes();
  encodeSamplesRecord(samples, out);
  writer.log([out.bytes()]);
  writer.close();
  const head = new Head({ chunkRangeMs: 7_200_000 });
  const report = replayWal(fs, 'wal', 'wbl', head);
  expect([report.unknownRefs, report.samplesOutOfOrder, report.samples]).toEqual([0, 0, samples.count]);
  return head;
}

const cases: readonly { readonly name: string; readonly records: readonly (readonly Entry[])[]; readonly series: readonly string[] }[] = [
  { name: 'labels with a string that came with them', records: [[[1, 'a', 'x'], [2, 'a', 'y']], [[3, 'a', 'z']]], series: ['a,x', 'a,y', 'a,z'] },
  { name: 'the same labels again at once', records: [[[1, 'a', 'x'], [2, 'a', 'x']]], series: ['a,x'] },
  { name: 'the same labels again in a later record', records: [[[1, 'a', 'x'], [2, 'b', 'x']], [[3, 'b', 'x'], [4, 'a', 'x']]], series: ['a,x', 'b,x'] },
  { name: 'other labels of strings that are known', records: [[[1, 'a', 'x', 'b', 'y']], [[2, 'a', 'y', 'b', 'x'], [3, 'a', 'y'], [4, 'a', 'y', 'b', 'x']]], series: ['a,x,b,y', 'a,y,b,x', 'a,y'] },
  { name: 'the same labels again behind a series with a string that came with it', records: [[[1, 'a', 'x'], [2, 'a', 'new'], [3, 'a', 'x'], [4, 'a', 'new']]], series: ['a,x', 'a,new'] },
];

test.each(cases)('$name', ({ records, series }) => {
  const head = replayed(...records);
  const { table } = head;
  expect(Array.from({ length: table.slotCount }, (_none, slot) => table.labels(slot).join(','))).toEqual(series);
  for (const [ref, ...labels] of records.flat()) {
    expect(table.labels(head.refs.get(ref)).join(',')).toBe(labels.join(','));
    expect([...head.postings.postings(labels[0]!, labels[1]!)]).toContain(head.refs.get(ref));
  }
});
