import { describe, expect, test } from '@jest/globals';
import { dispatch, helpText } from './command-line.ts';
import { COMPONENTS } from './components.ts';

describe('the first word', () => {
  test.each(['sidecar', 'store', 'store-gateway', 'query', 'querier', 'standalone', 'demo', 'healthcheck'])('%s runs, with the rest as its arguments', (name) => {
    expect(dispatch([name, '--x=1', 'y'])).toMatchObject({ kind: 'run', argv: ['--x=1', 'y'] });
  });

  test('flags before the component go to the component, as kingpin allows', () => {
    expect(dispatch(['--log.level=debug', 'query', '--x=1'])).toMatchObject({ kind: 'run', argv: ['--log.level=debug', '--x=1'] });
  });

  test('words of tools go to tools', () => {
    expect(dispatch(['tools', 'bucket', 'ls', '-o', 'wide'])).toMatchObject({ kind: 'run', argv: ['bucket', 'ls', '-o', 'wide'] });
    expect(dispatch(['--log.level=debug', 'tools', 'rules-check'])).toMatchObject({ kind: 'run', argv: ['--log.level=debug', 'rules-check'] });
  });

  test('help names every component and says which are not there', () => {
    const outcome = dispatch(['--help']);
    expect(outcome).toMatchObject({ kind: 'exit', exitCode: 0, stdout: helpText() });
    for (const { name } of COMPONENTS) expect(helpText()).toContain(`  ${name}`);
  });

  test('version', () => expect(dispatch(['--version'])).toMatchObject({ exitCode: 0, stdout: expect.stringMatching(/^gauntlet, version \d+\.\d+\.\d+ \(node /) }));

  test.each([
    [['qeury'], 'gauntlet: error: expected command but got "qeury", did you mean "query"? (try --help)\n'],
    [['__proto__'], 'gauntlet: error: expected command but got "__proto__" (try --help)\n'],
    [['receive'], `gauntlet: error: receive is not in this version; there are ${COMPONENTS.filter(({ load }) => load !== undefined).map(({ name }) => name).join(', ')}\n`],
    [['--frobnicate'], 'gauntlet: error: command not specified, try --help\n'],
  ])('%j is refused', (argv, stderr) => expect(dispatch(argv)).toEqual({ kind: 'exit', exitCode: 1, stdout: '', stderr }));

  test('nothing shows help and fails', () => expect(dispatch([])).toMatchObject({ exitCode: 1, stderr: helpText() }));
});
