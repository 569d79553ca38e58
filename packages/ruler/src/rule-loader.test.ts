import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { expandRulePattern } from './rule-globs.ts';
import { createRuleLoader } from './rule-loader.ts';

let dir = '';
beforeEach(() => void (dir = mkdtempSync(join(tmpdir(), 'gauntlet-rules-'))));
afterEach(() => rmSync(dir, { recursive: true, force: true }));
const write = (name: string, text: string): void => writeFileSync(join(dir, name), text);
const rules = (group: string, expr = 'up'): string => `groups:\n- name: ${group}\n  rules:\n  - record: r\n    expr: ${expr}\n`;

describe('patterns', () => {
  beforeEach(() => {
    mkdirSync(join(dir, 'a'));
    mkdirSync(join(dir, 'b'));
    for (const name of ['a/x.yml', 'a/y.yaml', 'b/x.yml', 'b/[1].yml', 'b/z.yml']) write(name, '');
  });

  test.each([
    ['a/x.yml', ['a/x.yml']],
    ['a/none.yml', []],
    ['a/*.yml', ['a/x.yml']],
    ['*/x.yml', ['a/x.yml', 'b/x.yml']],
    ['*/*', ['a/x.yml', 'a/y.yaml', 'b/[1].yml', 'b/x.yml', 'b/z.yml']],
    ['b/[x-z].yml', ['b/x.yml', 'b/z.yml']],
    ['b/[^x].yml', ['b/z.yml']],
    ['b/\\[1\\].yml', ['b/[1].yml']],
    ['b/?.yml', ['b/x.yml', 'b/z.yml']],
    ['none/*', []],
  ])('%s', (pattern, wanted) => expect(expandRulePattern(`${dir}/${pattern}`)).toEqual(wanted.map((name) => `${dir}/${name}`)));

  test.each(['a[', 'a[]', '*\\', '[z-a]'])('%s is malformed', (pattern) => expect(() => expandRulePattern(pattern)).toThrow(`--rule-file=${pattern}: syntax error in pattern`));
});

describe('loading', () => {
  const names = (load: ReturnType<ReturnType<typeof createRuleLoader>['load']>) => load.groups.map(({ name }) => name);

  test('a broken file leaves the others alone and keeps the groups it had', () => {
    const loader = createRuleLoader([`${dir}/*.yml`, `${dir}/a.yml`]);
    write('a.yml', rules('a1'));
    write('b.yml', rules('b1'));
    const first = loader.load();
    expect([names(first), first.files, first.problems]).toEqual([['a1', 'b1'], [`${dir}/a.yml`, `${dir}/b.yml`], []]);

    write('a.yml', rules('a2', 'sum('));
    write('b.yml', rules('b2'));
    write('c.yml', rules('c1', ')'));
    const second = loader.load();
    expect(names(second)).toEqual(['a1', 'b2']);
    expect(second.kept).toEqual([`${dir}/a.yml`]);
    expect(second.problems).toHaveLength(2);
    expect(second.problems[0]).toMatch(new RegExp(`^${dir}/a.yml:5:\\d+: group "a2", rule "r": `));

    write('a.yml', rules('a3'));
    rmSync(join(dir, 'b.yml'));
    rmSync(join(dir, 'c.yml'));
    const third = loader.load();
    expect([names(third), third.problems, third.kept]).toEqual([['a3'], [], []]);
  });

  test('what cannot be read is a problem, what is not there a warning', () => {
    mkdirSync(join(dir, 'rules'));
    const load = createRuleLoader([`${dir}/rules/`, `${dir}/missing.yml`, '[']).load();
    expect(load.problems).toEqual([expect.stringContaining('syntax error in pattern'), `${dir}/rules/: it is a folder, wanted files: ${dir}/rules/*.yaml`]);
    expect(load.warnings).toEqual([`--rule-file=${dir}/missing.yml: no such file`]);
  });
});
