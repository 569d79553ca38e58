/** `tools promql explain`: plans as text and JSON, figures over blocks, refused flags. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { evaluateQuery } from './promql-evaluate.ts';
import { writeRawBlock } from './testing/raw-block.ts';
import { runWith, type ToolRun } from './testing/tool-run.ts';

const blocks = mkdtempSync(join(tmpdir(), 'gauntlet-promql-explain-'));
afterAll(() => rmSync(blocks, { recursive: true, force: true }));
beforeAll(() => {
  writeRawBlock(blocks, '01M7YH8MWRAHCY0QHCESGFVHVY', 0, 7_200_000, [{ labels: ['__name__', 'up', 'job', 'x'], chunks: [[3_600_000, 3_660_000, 1]] }]);
});

const explain = (...argv: string[]): Promise<ToolRun> => runWith([], ['promql', 'explain', ...argv], { evaluateQuery });

describe('promql explain', () => {
  test('a plan as text', async () => {
    expect((await explain('sum(up) + sum(up)')).out.split('\n')).toEqual([
      'rules: aggregate-into-scan, share-subexpressions, select-hints, project-labels',
      '[vectorBinary] + - one-to-one, ignoring: [], group: []',
      '├─ [shared] #1  — computed once for 2 places',
      '│  └─ [aggregate] sum by ([])  — takes the scan',
      '│     └─ [vectorSelector] {[__name__="up"]} 0 mod 1  — hints: sum; needs __name__',
      '└─ [shared] #1  — shown above',
      '',
    ]);
  });

  test('a plan as JSON, of a range', async () => {
    const { out } = await explain('-o', 'json', '--start=0', '--end=3600', '--step=1m', 'rate(up[5m])');
    expect(JSON.parse(out)).toEqual({ rules: ['select-hints'], root: { name: '[matrixSelector] rate({[__name__="up"]}[5m0s] 0 mod 1)', notes: ['hints: rate 5m'], children: [] } });
  });

  test('figures over blocks', async () => {
    const { code, out } = await explain('--analyze', '--time=3660', `--block-dir=${blocks}`, 'sum(up)');
    expect(code).toBe(0);
    expect(out).toMatch(/^rules: .*\n\[aggregate\] sum by \(\[\]\) {2}— takes the scan\n│ {4}[\d.]+ ms, samples in 1, out 1 series, 1 samples, peak \d+ bytes\n└─ \[vectorSelector\] .*\n {7} ?[\d.]+ ms, read 1 series, samples in \d, out 1 series, 1 samples, peak \d+ bytes\n$/);
    const figures = JSON.parse((await explain('--analyze', '-o', 'json', '--time=3660', `--block-dir=${blocks}`, 'sum(up)')).out) as { root: { figures: unknown } };
    expect(figures.root.figures).toMatchObject({ series: 1, samplesIn: 1, samplesOut: 1, totalSamples: 1 });
  });

  test.each([
    [['up', `--block-dir=${blocks}`], 'explain: blocks are read with --analyze only'],
    [['up', '--analyze'], 'explain: --analyze wants one of --block-dir and --objstore.config-file'],
    [['up', '--time=1', '--step=1m'], 'explain: --time goes without --start, --end and --step'],
    [['up', '--start=5', '--end=1'], 'explain: --start is not before --end'],
    [['sum('], 'parse expression: 1:5: parse error: unclosed left parenthesis'],
  ])('%j is refused', async (argv, message) => {
    const { code, log } = await explain(...argv);
    expect(code).toBe(1);
    expect(String(log.at(-1)!['err'])).toBe(message);
  });
});
