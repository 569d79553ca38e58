import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from '@jest/globals';
import { createFileDiscovery, expandGlob, readTargets } from './file-discovery.ts';
import { watchFiles } from './file-watch.ts';
import { createLogger, createNopLogger } from './log.ts';

const folder = mkdtempSync(join(tmpdir(), 'sd-'));
afterAll(() => rmSync(folder, { recursive: true }));

test('targets appear, change, survive a bad file and vanish with theirs', async () => {
  const yaml = join(folder, 'a.yml');
  const json = join(folder, 'b.yml');
  writeFileSync(yaml, '- targets: [a:1, "dns+b:2"]\n  labels: {zone: x}\n');
  writeFileSync(json, '[{"targets": ["c:3"]}]');
  const seen: string[][] = [];
  const lines: string[] = [];
  const log = createLogger({ caller: false, sink: { write: (line) => void lines.push(line), flush() {} } });
  const discovery = createFileDiscovery({ files: [join(folder, '*.yml')], log, intervalMs: 3_600_000, onTargets: (groups) => void seen.push(groups.flatMap((group) => group.targets)) });
  expect(seen).toEqual([['a:1', 'dns+b:2', 'c:3']]);
  expect([...discovery.groups()[0]!.labels]).toEqual([['zone', 'x']]);
  expect(await discovery.check()).toBe(false);
  writeFileSync(yaml, '- targets: [a:9]\n');
  expect(await discovery.check()).toBe(true);
  writeFileSync(yaml, '- target: [a:9]\n');
  await discovery.check();
  expect(lines[0]).toContain(`${yaml}:1:3: unknown key 'target' in [0], did you mean 'targets'?`);
  rmSync(json);
  writeFileSync(join(folder, 'c.yml'), '');
  await discovery.check();
  expect(seen.slice(1)).toEqual([['a:9', 'c:3'], ['a:9', 'c:3'], ['a:9']]);
  discovery.stop();
});

test('globs and plain paths', () => {
  expect(expandGlob('/does/not/exist.yml')).toEqual(['/does/not/exist.yml']);
  expect(expandGlob('/does/not/exist*')).toEqual([]);
  writeFileSync(join(folder, 'x1.json'), '');
  writeFileSync(join(folder, 'x10.json'), '');
  expect(expandGlob(join(folder, 'x?.json'))).toEqual([join(folder, 'x1.json')]);
  expect(readTargets(join(folder, 'x1.json'))).toEqual([]);
});

test('a watch calls again until the change was taken', async () => {
  const path = join(folder, 'watched');
  let calls = 0;
  const watch = watchFiles({
    paths: () => [path],
    intervalMs: 3_600_000,
    log: createNopLogger(),
    onChange: () => {
      if (calls++ === 0) throw new Error('half written');
    },
  });
  expect(await watch.check()).toBe(false);
  writeFileSync(path, 'x');
  expect([await watch.check(), await watch.check(), await watch.check()]).toEqual([true, true, false]);
  rmSync(path);
  expect(await watch.check()).toBe(true);
  expect(calls).toBe(3);
  watch.stop();
});
