/** `tools tsdb bench write`: what it writes is there, what it prints has promtool's stages; foreign folders are left alone. */
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from '@jest/globals';
import { failureOf, runTsdb } from './testing/tsdb-run.ts';

const root = mkdtempSync(join(tmpdir(), 'gauntlet-tsdb-bench-'));
afterAll(() => rmSync(root, { recursive: true, force: true }));

test('stages, rate and samples', async () => {
  const out = join(root, 'out');
  // Twice: the second run removes what the first left.
  for (const metrics of [30, 20]) {
    const run = await runTsdb(['bench', 'write', `--out=${out}`, `--metrics=${metrics}`, '--scrapes=150']);
    expect(run.code).toBe(0);
    expect(run.out.replaceAll(/(duration=|sec: |second: )\S+/g, '$1X')).toBe(
      `>> start stage=readData\n>> completed stage=readData duration=X\n>> start stage=ingestScrapes\ningestion completed\n>> completed stage=ingestScrapes duration=X\n > total samples: ${metrics * 200}\n > samples/sec: X\n > samples/CPU second: X\n>> start stage=stopStorage\n>> completed stage=stopStorage duration=X\n`,
    );
  }
  const { out: dump } = await runTsdb(['dump', join(out, 'storage')], { tmpDir: root });
  const lines = dump.split('\n').slice(0, -1);
  expect(lines).toHaveLength(20 * 200);
  expect(lines[0]).toBe('{__name__="http_requests_0_total", cluster="eu-1", instance="10.0.0.0:8080", job="api", namespace="team-0", pod="api-0-7d9c5b4f8"} 1.23457789e+08 30000');
});

test('series of a file', async () => {
  const file = join(root, 'series.json');
  writeFileSync(file, '{"__name__":"a","job":"x"}\n{"job":"x","__name__":"a"}\n{"__name__":"b","instance":"h:9090"}\n{"__name__":"c"}\n');
  const out = join(root, 'of-file');
  await runTsdb(['bench', 'write', `--out=${out}`, '--metrics=2', '--scrapes=1', file]);
  expect((await runTsdb(['dump', '--format=seriesjson', join(out, 'storage')], { tmpDir: root })).out).toBe('{"__name__":"a","job":"x"}\n{"__name__":"b","instance":"h:9090"}\n');
});

test('what is refused', async () => {
  const foreign = join(root, 'foreign');
  mkdirSync(foreign);
  writeFileSync(join(foreign, 'precious'), '');
  expect(failureOf(await runTsdb(['bench', 'write', `--out=${foreign}`]))).toBe(`empty ${foreign}: it holds precious, which no benchmark wrote; choose another --out`);
  expect(readdirSync(foreign)).toEqual(['precious']);
  const file = join(root, 'wrong.json');
  writeFileSync(file, '{"a":"b"}\nc\n');
  expect(failureOf(await runTsdb(['bench', 'write', `--out=${join(root, 'x')}`, file]))).toBe(`read series of ${file}: line 2: "c" is no label, wanted {"name":"value",…}`);
});
