/**
 * Data directories recorded from Prometheus 3.14, replayed to the bit: the one in testdata/, and all of the golden data folder where it is
 * there (GAUNTLET_SHARED).
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from '@jest/globals';
import { createKernels } from '@gauntlet/kernels';
import { createMatcher } from '@gauntlet/model';
import { createDb, type Db, type DbOptions } from '../db.ts';
import { createMemoryFileSystem, type MemoryFileSystem } from '../testing/memory-file-system.ts';
import { dumpAll, lines, type SampleLine, seenSeries, type SeenSeries, sorted } from '../testing/recorded-samples.ts';

const here = dirname(fileURLToPath(import.meta.url));
const shared = process.env['GAUNTLET_SHARED'] ?? resolve(here, '../../../../../shared');
const kernels = createKernels();

interface RecordedAnswers {
  readonly exemplars: readonly {
    readonly seriesLabels: Readonly<Record<string, string>>;
    readonly exemplars: readonly { readonly labels: Readonly<Record<string, string>>; readonly value: string; readonly timestamp: number }[];
  }[];
}

const roots = [
  { name: 'testdata', root: join(here, '../../testdata/wal'), isThere: true },
  { name: 'golden data (skipped without the folder)', root: join(shared, 'golden/wal'), isThere: existsSync(join(shared, 'golden/wal')) },
];
for (const { name, root, isThere } of roots) (isThere ? describe : describe.skip)(`${name}: recorded data directories`, () => describeLogs(root));

function describeLogs(walRoot: string): void {
  const sets = ['snappy', 'zstd', 'uncompressed', 'checkpoint', 'start-timestamps'].filter((set) => existsSync(join(walRoot, set)));
  test('there are logs', () => expect(sets.length).toBeGreaterThan(0));
  if (sets.length === 0) return;

  const loadData = (set: string): MemoryFileSystem => {
    const fs = createMemoryFileSystem();
    // `data/` as a name is ignored by git, hence another one in testdata.
    const from = ['data', 'storage'].map((name) => join(walRoot, set, name)).find(existsSync)!;
    for (const entry of readdirSync(from, { recursive: true, withFileTypes: true })) {
      if (!entry.isFile()) continue;
      const path = join(entry.parentPath, entry.name);
      fs.seed(`data${path.slice(from.length)}`, readFileSync(path));
    }
    return fs;
  };
  const open = (fs: MemoryFileSystem, options: DbOptions = {}): Db => createDb({ fs, dir: 'data', kernels, clock: Date, random: Math.random }, options);
  const recorded = (set: string): SeenSeries[] => lines<SampleLine>(join(walRoot, set, 'restarted.samples.jsonl')).map(seenSeries);

  /** Without hints, which depend on where chunks were cut. */
  const comparable = (dump: readonly SeenSeries[]): SeenSeries[] =>
    sorted(dump.map((series) => ({ ...series, histograms: series.histograms.map(([time, sample]): [number, unknown] => [time, typeof sample === 'object' ? { ...sample, hint: 0 } : sample]) })));

  test.each(sets)('%s: samples after replay, to the bit', async (set) => {
    const db = open(loadData(set));
    expect(db.replay).toMatchObject({ repair: undefined, unknownRefs: 0 });
    expect(db.replay.outOfOrder).toMatchObject({ repair: undefined, unknownRefs: 0, samples: set === 'checkpoint' ? 0 : 81 });
    expect(db.damagedBlocks()).toEqual([]);
    const want = recorded(set);
    expect(want.length).toBeGreaterThan(3);
    expect(comparable(await dumpAll(db.queryable))).toEqual(comparable(want));
    db.close();
  });

  test.each(sets)('%s: the same after a restart, after blocks are cut, and after another restart', async (set) => {
    const fs = loadData(set);
    let db = open(fs);
    const want = comparable(await dumpAll(db.queryable));
    db.close();
    db = open(fs);
    expect(comparable(await dumpAll(db.queryable))).toEqual(want);
    db.compactHead({ force: true });
    expect(comparable(await dumpAll(db.queryable))).toEqual(want);
    db.close();
    db = open(fs);
    expect(db.stats().headSeries).toBe(0);
    expect(comparable(await dumpAll(db.queryable))).toEqual(want);
    db.close();
  });

  test('exemplars that are not kept are counted', () => {
    const db = open(loadData('snappy'));
    expect([...db.replay.skippedRecords.keys()]).toEqual(['exemplars']);
    db.close();
  });

  const withAnswers = sets.filter((set) => existsSync(join(walRoot, set, 'restarted.api.json')));
  (withAnswers.length === 0 ? test.skip : test)('exemplars are as the API gives them (skipped without the recorded answers), after a restart too', () => {
    for (const set of withAnswers) {
      const { exemplars } = JSON.parse(readFileSync(join(walRoot, set, 'restarted.api.json'), 'utf8')) as RecordedAnswers;
      const pairs = (labels: Readonly<Record<string, string>>): string[] => Object.entries(labels).flat();
      const want = exemplars.map((series) => ({
        labels: pairs(series.seriesLabels),
        exemplars: series.exemplars.map(({ labels, value, timestamp }) => ({ labels: pairs(labels), value: Number(value), timeMs: timestamp * 1000 })),
      }));
      const fs = loadData(set);
      for (let start = 0; start < 2; start++) {
        const db = open(fs, { exemplars: 100 });
        expect(db.replay.skippedRecords.size).toBe(0);
        expect(db.exemplars([[createMatcher('=~', '__name__', '.+')]], 0, 2 ** 52)).toEqual(want);
        expect(db.exemplars([[createMatcher('=', '__name__', 'g')]], 0, 2 ** 52)).toEqual([]);
        // In the checkpoint set the series has gone into blocks.
        if (set !== 'checkpoint') expect(db.metadata(['__name__', 'g', 'utf8 näme', '😀'])).toEqual({ type: 'gauge', unit: 'bytes', help: 'A gauge.' });
        db.close();
      }
    }
  });
}
