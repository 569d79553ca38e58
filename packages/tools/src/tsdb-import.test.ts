/** `tools tsdb create-blocks-from openmetrics`: blocks as promtool 3.14 makes them, in any number of passes; files in pieces; refusals. */
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createNodeFileSystem, createNopLogger } from '@gauntlet/service-kit';
import { afterAll, beforeEach, describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { failureOf, runTsdb } from './testing/tsdb-run.ts';
import { importOpenMetrics } from './tsdb-import.ts';
import { readOpenMetrics } from './tsdb-openmetrics-file.ts';

const here = import.meta.dirname;
const recorded = join(here, '../testdata/tsdb/import');
const golden = join(process.env['GAUNTLET_SHARED'] ?? join(here, '../../../../shared'), 'golden/tsdb/openmetrics-import');
const root = mkdtempSync(join(tmpdir(), 'gauntlet-tsdb-import-'));
afterAll(() => rmSync(root, { recursive: true, force: true }));

let out: string;
beforeEach(() => {
  out = join(mkdtempSync(join(root, 'case-')), 'blocks');
});

const blocksIn = (dir: string): string[] => {
  try {
    return readdirSync(dir).filter((name) => /^[0-9A-Z]{26}$/.test(name)).sort();
  } catch {
    return [];
  }
};

/** Files of the blocks, with their ids taken out. */
const contents = (dir: string): Record<string, string>[] =>
  blocksIn(dir).map((id) => ({
    meta: readFileSync(join(dir, id, 'meta.json'), 'utf8').replaceAll(id, 'ID'),
    index: readFileSync(join(dir, id, 'index'), 'hex'),
    chunks: readFileSync(join(dir, id, 'chunks', '000001'), 'hex'),
    tombstones: readFileSync(join(dir, id, 'tombstones'), 'hex'),
  }));

describe('blocks', () => {
  test('byte for byte, and the table printed', async () => {
    const run = await runTsdb(['create-blocks-from', 'openmetrics', '--label=cluster=eu', '--label=zone=1', join(recorded, 'input.om'), out]);
    expect(run.code).toBe(0);
    expect(contents(out)).toEqual(contents(recorded));
    expect(readdirSync(out).sort()).toEqual(blocksIn(out));
    const withoutIds = (text: string): string => text.replaceAll(/[0-9A-Z]{26}/g, 'ID');
    expect(withoutIds(run.out)).toBe(withoutIds(readFileSync(join(recorded, 'printed.txt'), 'utf8')));
  });

  test('in as many passes as there are blocks', () => {
    const job = { kind: 'import', file: join(recorded, 'input.om'), outDir: out, workDir: join(out, 'work'), labels: [['cluster', 'eu'], ['zone', '1']], blockDurationMaxMs: 0, isReadable: true, isQuiet: true, samplesPerPass: 1 } as const;
    let random = 0;
    const labels = new Set<string>();
    importOpenMetrics(job, { print: () => {}, log: createNopLogger(), progress: (label) => labels.add(label), poll: () => {}, clock: () => (random += 5), random: () => 0.5 });
    expect(contents(out)).toEqual(contents(recorded));
    expect(labels.size).toBe(5);
  });

  const isGoldenThere = blocksIn(golden).length > 0;
  (isGoldenThere ? test : test.skip)('of the recorded file (skipped without the folder)', async () => {
    expect((await runTsdb(['create-blocks-from', 'openmetrics', '-q', join(golden, 'input.om'), out])).out).toBe('');
    expect(contents(out)).toEqual(contents(golden));
  });

  test('longer ranges', async () => {
    await runTsdb(['create-blocks-from', 'openmetrics', '--max-block-duration=20h', join(recorded, 'input.om'), out]);
    const metas = blocksIn(out).map((id) => JSON.parse(readFileSync(join(out, id, 'meta.json'), 'utf8')) as { minTime: number; maxTime: number; stats: { numSamples: number } });
    expect(metas.map(({ minTime, maxTime, stats }) => [minTime, maxTime, stats.numSamples])).toEqual([[1772409599999, 1772409600000, 1], [1772409600000, 1772424001002, 12]]);
  });

  test('a dump comes back as the same blocks', async () => {
    await runTsdb(['create-blocks-from', 'openmetrics', join(recorded, 'input.om'), out]);
    const dump = await runTsdb(['dump-openmetrics', '--match={__name__!="utf8.name"}', out], { tmpDir: root });
    const file = join(root, 'dumped.om');
    writeFileSync(file, dump.out);
    const again = join(out, 'again');
    expect((await runTsdb(['create-blocks-from', 'openmetrics', file, again])).code).toBe(0);
    expect((await runTsdb(['dump-openmetrics', again], { tmpDir: root })).out).toBe(dump.out);
  });

  test('nothing but the end is no block', async () => {
    const file = join(root, 'empty.om');
    writeFileSync(file, '# EOF\n');
    expect(await runTsdb(['create-blocks-from', 'openmetrics', file, out])).toMatchObject({ code: 0, out: '' });
    expect(readdirSync(out)).toEqual([]);
  });
});

describe('what is refused leaves nothing', () => {
  const at = (text: string): string => `${text}# EOF\n`;
  test.each<{ name: string; text: string; error: string }>([
    { name: 'no timestamp', text: at('a 1 1\na{b="c"} 2\n'), error: 'read FILE: line 2: expected timestamp for series a{b="c"}, got none' },
    { name: 'no end', text: 'a 1 1\n', error: 'read FILE: line 2: data does not end with # EOF' },
    { name: 'an empty file', text: '', error: 'read FILE: line 1: data does not end with # EOF' },
    { name: 'something behind the end', text: at('a 1 1\n# EOF\na 2 2\n'), error: 'read FILE: line 2: unexpected data after # EOF' },
    { name: 'no OpenMetrics', text: at('a  1 1\n'), error: 'read FILE: line 1: expected value after metric, got " " while parsing: "a  "' },
    { name: 'a number', text: at('# TYPE a gauge\na x 1\n'), error: 'read FILE: line 2: strconv.ParseFloat: parsing "x": invalid syntax while parsing: "a x"' },
    { name: 'samples out of order', text: at('a 1 2\na 1 1\n'), error: 'import FILE: append to series ["__name__","a"]: out of order sample: timestamp 1000 is before the last one of the series' },
    { name: 'two values at one time', text: at('a 1 2\na 2 2\n'), error: 'import FILE: append to series ["__name__","a"]: duplicate sample for timestamp 2000 with another value' },
    { name: 'a label twice', text: at('a{b="1",b="2"} 1 2\n'), error: 'import FILE: series __name__="a", b="1", b="2": make labels: label "b" given twice, as "1" and "2"' },
  ])('$name', async ({ text, error }) => {
    const file = join(root, 'refused.om');
    writeFileSync(file, text);
    expect(failureOf(await runTsdb(['create-blocks-from', 'openmetrics', file, out]))).toBe(error.replaceAll('FILE', file));
    expect(readdirSync(out)).toEqual([]);
  });

  test('no file', async () => expect(failureOf(await runTsdb(['create-blocks-from', 'openmetrics', join(root, 'none'), out]))).toBe(`open ${join(root, 'none')}: there is no such file`));
  test('a folder', async () => expect(failureOf(await runTsdb(['create-blocks-from', 'openmetrics', root, out]))).toBe(`open ${root}: it is a folder`));
  test('a label without value', async () => expect((await runTsdb(['create-blocks-from', 'openmetrics', '--label=x', root, out])).code).toBe(1));

  test('an interruption', async () => {
    let polls = 0;
    const poll = (): void => {
      if (++polls === 3) throw new Error('interrupted');
    };
    expect(failureOf(await runTsdb(['create-blocks-from', 'openmetrics', join(recorded, 'input.om'), out], { poll }))).toBe('interrupted');
    expect(readdirSync(out)).toEqual([]);
  });
});

test('what a later pass refuses leaves nothing of those before', () => {
  const file = join(root, 'late.om');
  writeFileSync(file, 'a 1 0\na 2 7200\na 3 14400\na 4 14399.5\na 5 14400\na 6 14400\n# EOF\n');
  const workDir = join(out, 'work');
  const job = { kind: 'import', file, outDir: out, workDir, labels: [], blockDurationMaxMs: 0, isReadable: false, isQuiet: true, samplesPerPass: 1 } as const;
  const passes = new Set<string>();
  const deps = { print: () => {}, log: createNopLogger(), progress: (label: string) => passes.add(label), poll: () => {}, clock: Date.now, random: Math.random };
  expect(() => importOpenMetrics(job, deps)).toThrow(`import ${file}: append to series ["__name__","a"]: duplicate sample for timestamp 14400000 with another value`);
  // The first reading, and two of the three passes to their end.
  expect(passes.size).toBe(3);
  expect(blocksIn(out)).toEqual([]);
  expect(readdirSync(out)).toEqual(['work']);
});

describe('a file in pieces', () => {
  const fs = createNodeFileSystem();
  interface Sample {
    readonly labels: string;
    readonly timeMs: number;
    readonly value: number;
  }
  const read = (path: string, pieceBytes: number): Sample[] => {
    const samples: Sample[] = [];
    const labelsOf: string[] = [];
    const file = fs.open(path, 'read');
    let doneBefore = 0;
    try {
      const sink = {
        sample(series: number, isNew: boolean, labels: () => [string, string][], timeMs: number, value: number): void {
          if (isNew) labelsOf[series] = JSON.stringify(labels());
          samples.push({ labels: labelsOf[series]!, timeMs, value });
        },
        piece(doneBytes: number): void {
          expect(doneBytes).toBeGreaterThan(doneBefore);
          doneBefore = doneBytes;
        },
      };
      readOpenMetrics(file, 'FILE', sink, pieceBytes);
      expect(doneBefore).toBe(file.size());
    } finally {
      file.close();
    }
    return samples;
  };

  test('of any size has the same samples', () => {
    const path = join(recorded, 'input.om');
    const whole = read(path, 1 << 20);
    expect(whole).toHaveLength(13);
    for (let pieceBytes = 1; pieceBytes < 400; pieceBytes++) expect(read(path, pieceBytes)).toEqual(whole);
  });

  test('whatever its lines are', () => {
    const value = fc.string({ unit: fc.constantFrom('a', '\\n', '\\"', '\\\\', ' ', '#', 'ü', '}', ','), maxLength: 6 });
    const line = fc.oneof(
      fc.tuple(fc.constantFrom('a', 'b_bucket'), value, fc.integer({ min: -5, max: 5 }), fc.integer({ min: 0, max: 9 })).map(([name, text, number, time]) => `${name}{le="1",v="${text}"} ${number} ${time}\n`),
      fc.constantFrom('# TYPE a gauge\n', '# TYPE b histogram\n', '# HELP a "it" is\n', '# TYPE b gauge\n'),
    );
    const path = join(root, 'random.om');
    fc.assert(
      fc.property(fc.array(line, { maxLength: 30 }), fc.integer({ min: 1, max: 200 }), (lines, pieceBytes) => {
        writeFileSync(path, `${lines.join('')}# EOF\n`);
        expect(read(path, pieceBytes)).toEqual(read(path, 1 << 20));
      }),
      { numRuns: 200 },
    );
  });

  test('counts lines from the beginning of the file', () => {
    const path = join(root, 'lines.om');
    writeFileSync(path, `# TYPE a gauge\n${'a 1 1\n'.repeat(50)}a{ 1 1\n# EOF\n`);
    for (const pieceBytes of [7, 20, 100, 1000]) expect(() => read(path, pieceBytes)).toThrow('read FILE: line 52: ');
  });

  test('a line has a longest length', () => {
    const path = join(root, 'long.om');
    writeFileSync(path, `a{b="${'x'.repeat(66 << 20)}"} 1 1\n# EOF\n`);
    expect(() => read(path, 1 << 20)).toThrow(`read FILE: line 1 is longer than ${64 << 20} bytes`);
  });
});
