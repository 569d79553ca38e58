/** `tools rules-check`: counts, problems with their places, exit codes. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from '@jest/globals';
import { runWith, type ToolRun } from './testing/tool-run.ts';

const dir = mkdtempSync(join(tmpdir(), 'gauntlet-rules-check-'));
afterAll(() => rmSync(dir, { recursive: true, force: true }));
const file = (name: string, text: string): string => {
  writeFileSync(join(dir, name), text);
  return join(dir, name);
};
const check = (...patterns: string[]): Promise<ToolRun> => runWith([], ['rules-check', ...patterns.map((pattern) => `--rules=${pattern}`)]);

const GOOD = `groups:
  - name: g
    partial_response_strategy: abort
    rules:
      - record: job:up:sum
        expr: sum by (job) (up)
      - alert: Down
        expr: up == 0
        for: 5m
        labels: { severity: page }
`;
const good = file('good.yml', GOOD);
const bad = file('bad.yml', GOOD.replace('sum by (job) (up)', 'sum by (job (up)').replace('for: 5m', 'fro: 5m'));

test('a good file', async () => {
  const run = await check(good);
  expect([run.code, run.out]).toEqual([0, `${good}: 2 rules\n`]);
  expect(run.log).toContainEqual(expect.objectContaining({ msg: 'checked', result: 'SUCCESS', 'rules found': 2 }));
});

test('a bad file: every problem with file, line and column', async () => {
  const run = await check(bad);
  expect(run.code).toBe(1);
  const lines = run.out.trimEnd().split('\n');
  expect(lines).toHaveLength(2);
  expect(lines[0]).toMatch(new RegExp(`^${bad}:6:\\d+: group "g", rule "job:up:sum": `));
  expect(lines[1]).toMatch(new RegExp(`^${bad}:9:9: group "g", rule "Down": .*fro.*for`));
  expect(run.log.at(-1)).toMatchObject({ level: 'error', msg: 'tools rules-check failed', err: 'check rule files: 2 problems' });
});

test('globs, several patterns, and one bad file among good ones', async () => {
  const run = await check(join(dir, '*.yml'), good);
  expect(run.code).toBe(1);
  expect(run.out).toContain(`${good}: 2 rules\n`);
  expect(run.out.split(`${good}: 2 rules\n`)).toHaveLength(3);
});

test.each<{ name: string; pattern: string; text: RegExp }>([
  { name: 'no match', pattern: 'nope-*.yml', text: /nope-\*\.yml: matching file not found\n$/ },
  { name: 'no such file', pattern: 'nope.yml', text: /nope\.yml: .*ENOENT.*\n$/s },
  { name: 'a folder', pattern: 'folder', text: /folder: .*EISDIR.*\n$/s },
])('$name', async ({ pattern, text }) => {
  mkdirSync(join(dir, 'folder'), { recursive: true });
  const run = await check(join(dir, pattern));
  expect(run.code).toBe(1);
  expect(run.out).toMatch(text);
});

test('an empty file has no rules', async () => {
  expect(await check(file('empty.yaml', ''))).toMatchObject({ code: 0, out: `${join(dir, 'empty.yaml')}: 0 rules\n` });
});
