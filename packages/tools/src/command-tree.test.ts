/** Which tool a command line means, and what is said when it means none. */
import { describe, expect, test } from '@jest/globals';
import { chooseTool, MISSING_TOOLS } from './command-tree.ts';
import { TOOLS } from './main.ts';

describe('a tool', () => {
  test.each<{ argv: string; words: string; rest: string }>([
    { argv: 'bucket ls', words: 'bucket ls', rest: '' },
    { argv: 'bucket ls --output=wide -x', words: 'bucket ls', rest: '--output=wide -x' },
    { argv: '--log.level debug bucket mark --id=x', words: 'bucket mark', rest: '--log.level debug --id=x' },
    { argv: 'bucket --objstore.config-file=f verify -r', words: 'bucket verify', rest: '--objstore.config-file=f -r' },
    { argv: 'bucket inspect --help', words: 'bucket inspect', rest: '--help' },
    { argv: 'rules-check --rules=a', words: 'rules-check', rest: '--rules=a' },
    { argv: 'promql query --url http://x instant up', words: 'promql query instant', rest: '--url http://x up' },
  ])('$argv', ({ argv, words, rest }) => {
    const choice = chooseTool(TOOLS, argv.split(' '));
    if (choice.kind !== 'tool') throw new Error(JSON.stringify(choice));
    expect([choice.tool.words.join(' '), choice.argv.join(' ')]).toEqual([words, rest]);
  });
});

describe('no tool', () => {
  test.each<{ argv: string[]; text: string }>([
    { argv: [], text: "must select a subcommand of 'tools': bucket, rules-check, promql, tsdb (try --help)" },
    { argv: ['bucket'], text: "must select a subcommand of 'tools bucket': verify, ls, inspect, mark (try --help)" },
    { argv: ['promql', 'query', 'up'], text: 'expected command but got "up" (try --help)' },
    { argv: ['bucket', '--x=1'], text: "must select a subcommand of 'tools bucket': verify, ls, inspect, mark (try --help)" },
    { argv: ['buckt'], text: 'expected command but got "buckt", did you mean "bucket"? (try --help)' },
    { argv: ['bucket', 'lss'], text: 'expected command but got "lss", did you mean "ls"? (try --help)' },
    { argv: ['bucket', '__proto__'], text: 'expected command but got "__proto__" (try --help)' },
    { argv: ['rule-check'], text: 'expected command but got "rule-check", did you mean "rules-check"? (try --help)' },
  ])('$argv', ({ argv, text }) => expect(chooseTool(TOOLS, argv)).toEqual({ kind: 'exit', exitCode: 1, stdout: '', stderr: `gauntlet: error: ${text}\n` }));

  test.each(MISSING_TOOLS.map((words) => words.join(' ')))('%s of Thanos', (words) => {
    expect(chooseTool(TOOLS, words.split(' '))).toMatchObject({
      exitCode: 1,
      stderr: `gauntlet: error: tools ${words} is not in this version; there are tools bucket verify, tools bucket ls, tools bucket inspect, tools bucket mark\n`,
    });
  });

  test.each([[['--help']], [['bucket', '-h']]])('%j lists what there is', (argv) => {
    const choice = chooseTool(TOOLS, argv);
    expect(choice).toMatchObject({ kind: 'exit', exitCode: 0, stderr: '' });
    expect(choice.kind === 'exit' && choice.stdout).toMatch(/usage: gauntlet tools.*tools bucket ls.*Not in this version: tools bucket web/s);
  });
});

test('every tool has help that names its flags', () => {
  for (const tool of TOOLS) {
    const help = tool.parse(['--help'], {});
    expect(help.kind === 'exit' && help.stdout).toContain(`usage: gauntlet tools ${tool.words.join(' ')} [<flags>]`);
  }
});
