/** Exemplars and metadata: the ring against a naive one, refusals, and their way through log and checkpoint. */
import fc from 'fast-check';
import { describe, expect, test } from '@jest/globals';
import { createKernels } from '@gauntlet/kernels';
import { createMatcher, type Labels } from '@gauntlet/model';
import { createDb, type Db, type DbOptions } from '../db.ts';
import type { FileSystem } from '../file-system.ts';
import { createMemoryFileSystem } from '../testing/memory-file-system.ts';
import { type Exemplar, ExemplarBuffer } from './exemplar-buffer.ts';

const kernels = createKernels();
const all = [[createMatcher('=~', 's', '.*')]];

function open(fs: FileSystem, options: DbOptions = {}): Db {
  return createDb({ fs, dir: 'data', kernels, clock: { now: () => 1_700_000_000_000 }, random: Math.random }, { exemplars: 100, ...options });
}

const exemplar = (timeMs: number, value: number, trace = 'a'): Exemplar => ({ labels: ['trace', trace], value, timeMs });

describe('the ring', () => {
  const series = (s: number): Labels => ['s', String(s)];

  test.each([
    { name: 'first', given: [], next: exemplar(5, 1), verdict: 'taken' },
    { name: 'the same again', given: [exemplar(5, 1)], next: exemplar(5, 1), verdict: 'duplicate' },
    { name: 'same time, higher value', given: [exemplar(5, 1)], next: exemplar(5, 2), verdict: 'taken' },
    { name: 'same time, lower value', given: [exemplar(5, 1)], next: exemplar(5, 0.5), verdict: 'out of order' },
    { name: 'older than the window', given: [exemplar(50, 1)], next: exemplar(40, 1), verdict: 'out of order' },
    { name: 'late, within the window', given: [exemplar(50, 1)], next: exemplar(41, 1), verdict: 'taken' },
    { name: 'late, and one is there', given: [exemplar(41, 1), exemplar(50, 1)], next: exemplar(41, 7), verdict: 'duplicate' },
    { name: 'too long', given: [], next: exemplar(5, 1, 'x'.repeat(124)), verdict: 'too long' },
    { name: 'just not too long', given: [], next: exemplar(5, 1, '😀'.repeat(123)), verdict: 'taken' },
  ])('$name', ({ given, next, verdict }) => {
    const buffer = new ExemplarBuffer(10, 10);
    for (const one of given) buffer.add(series(1), one);
    expect(buffer.add(series(1), next)).toBe(verdict);
    expect(new ExemplarBuffer(0, 10).add(series(1), next)).toBe('disabled');
  });

  test('keeps the newest given, in order of time, as a naive one', () => {
    const step = fc.record({ s: fc.nat(3), timeMs: fc.nat(40), value: fc.nat(2), trace: fc.constantFrom('a', 'b') });
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 6 }), fc.array(step, { maxLength: 60 }), fc.nat(40), fc.nat(40), (size, steps, mint, width) => {
        const buffer = new ExemplarBuffer(size, 15);
        let ring: { s: number; one: Exemplar }[] = [];
        for (const { s, timeMs, value, trace } of steps) {
          const one = exemplar(timeMs, value, trace);
          if (buffer.add(series(s), one) === 'taken') ring = [...ring, { s, one }].slice(-size);
        }
        const maxt = mint + width;
        const want = [0, 1, 2, 3]
          .map((s) => ({ labels: series(s), exemplars: ring.filter((entry) => entry.s === s && entry.one.timeMs >= mint && entry.one.timeMs <= maxt).map(({ one }) => one) }))
          .filter(({ exemplars }) => exemplars.length > 0);
        for (const { exemplars } of want) exemplars.sort((a, b) => a.timeMs - b.timeMs);
        expect(buffer.select(all, mint, maxt)).toEqual(want);
        expect(buffer.count).toBe(ring.length);
      }),
    );
  });
});

describe('through the log', () => {
  const labels: Labels = ['__name__', 'a', 's', '1'];

  test('exemplars and metadata survive a restart, and a checkpoint what is still needed of them', () => {
    const fs = createMemoryFileSystem();
    const options = { blockRangeMs: 1000, walSegmentBytes: 32768 };
    let db = open(fs, options);
    for (let i = 0; i < 60; i++) {
      const appender = db.appender();
      const ref = appender.append(0, labels, i * 200, i);
      if (i < 4) {
        const gone = appender.append(0, ['__name__', 'gone', 's', '2'], i * 200, 1);
        appender.setMetadata(gone, [], { type: 'gauge', unit: '', help: 'gone' });
      }
      appender.setMetadata(ref, [], { type: 'counter', unit: 'bytes', help: `after ${Math.floor(i / 20)}` });
      expect(appender.appendExemplar(ref, [], exemplar(i * 200, i))).toBe(true);
      // Older than the one before it in the batch: dropped at commit.
      appender.appendExemplar(0, labels, exemplar(i * 200 - 1, i));
      appender.commit();
      if (i % 10 === 9) {
        db.close();
        db = open(fs, options);
        db.compactHead();
      }
    }
    expect(fs.list('data/wal').some((name) => name.startsWith('checkpoint'))).toBe(true);
    db.close();
    db = open(fs, options);
    const [found] = db.exemplars(all, 0, 1e15);
    expect(found!.labels).toEqual(labels);
    const times = found!.exemplars.map(({ timeMs }) => timeMs);
    expect(times.at(-1)).toBe(59 * 200);
    expect(times[0]).toBeLessThanOrEqual(db.stats().headMinTimeMs);
    expect(times).toEqual(Array.from(times, (_, i) => times[0]! + i * 200));
    expect(db.metadata(labels)).toEqual({ type: 'counter', unit: 'bytes', help: 'after 2' });
    expect(db.metadata(['__name__', 'gone', 's', '2'])).toBeUndefined();
    db.close();
  });

  test('refused: no such series, labels too long', () => {
    const db = open(createMemoryFileSystem());
    const appender = db.appender();
    expect(() => appender.appendExemplar(7, labels, exemplar(1, 1))).toThrow(expect.objectContaining({ code: 'ERR_SERIES_UNKNOWN', message: expect.stringMatching(/no such series, reference 7/) }));
    expect(() => appender.setMetadata(0, labels, { type: 'gauge', unit: '', help: '' })).toThrow(expect.objectContaining({ code: 'ERR_SERIES_UNKNOWN' }));
    const ref = appender.append(0, labels, 1, 1);
    expect(() => appender.appendExemplar(ref, [], exemplar(1, 1, 'x'.repeat(200)))).toThrow(expect.objectContaining({ code: 'ERR_EXEMPLAR', message: expect.stringMatching(/more than 128 characters/) }));
    expect(appender.appendExemplar(ref, [], exemplar(1, 1))).toBe(true);
    appender.rollback();
    expect(db.exemplars(all, 0, 1e15)).toEqual([]);
    db.close();
  });
});
