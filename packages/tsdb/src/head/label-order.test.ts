import { expect, test } from '@jest/globals';
import { compareLabels, type Labels } from '@gauntlet/model';
import fc from 'fast-check';
import { Head } from './head.ts';

test('selections of a growing head come in label order, however they are sorted', () => {
  const labels = fc.tuple(fc.stringMatching(/^[ab\u{e9}\u{ffff}\u{10000}]{1,3}$/u), fc.nat(3)).map(([name, job]): Labels => ['__name__', name, 'job', String(job)]);
  const step = fc.record({ add: fc.array(labels, { maxLength: 20 }), keep: fc.nat(3) });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 8 }), (steps) => {
      const head = new Head({ chunkRangeMs: 1000 });
      for (const { add, keep } of steps) {
        for (const one of add) head.getOrCreateSeries(one);
        const slots = head.postings.allPostings().filter((slot) => slot % 4 <= keep);
        const got = [...head.order.sort(slots, head.table)];
        expect(got).toEqual([...slots].sort((a, b) => compareLabels(head.table.labels(a), head.table.labels(b))));
      }
    }),
  );
});
