import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from '@jest/globals';
import { commonFlags, grpcServerFlags, httpFlags, objstoreFlag } from './flag-groups.ts';
import { renderFlagsMarkdown, renderHelp } from './flag-help.ts';
import { parseFlags } from './flag-parse.ts';
import {
  type FlagTable,
  boolFlag,
  bytesFlag,
  durationFlag,
  enumFlag,
  enumsFlag,
  floatFlag,
  intFlag,
  labelsFlag,
  removedFlag,
  stringFlag,
  stringsFlag,
  timeOrDurationFlag,
  unquoteGo,
  urlFlag,
} from './flags.ts';

const folder = mkdtempSync(join(tmpdir(), 'flags-'));
afterAll(() => rmSync(folder, { recursive: true }));

const table = {
  address: stringFlag('http-address', { default: '0.0.0.0:10902', help: 'Listen address.' }),
  endpoints: stringsFlag('endpoint', { help: 'Endpoints.' }),
  replicas: stringsFlag('query.replica-label', { help: 'Replica labels.', commas: true }),
  partial: boolFlag('query.partial-response', { default: true, help: 'Partial responses.' }),
  concurrent: intFlag('query.max-concurrent', { default: 20, min: 1, help: 'Concurrency.' }),
  ratio: floatFlag('ratio', { default: 0.9, help: 'A ratio.' }),
  cache: bytesFlag('index-cache-size', { default: '250MB', help: 'Cache size.' }),
  timeoutMs: durationFlag('query.timeout', { default: '2m', help: 'Timeout.' }),
  engine: enumFlag('query.promql-engine', ['prometheus', 'thanos'], { default: 'prometheus', help: 'Engine.' }),
  connLabels: enumsFlag('query.conn-metric.label', ['external_labels', 'store_type'], { default: ['external_labels', 'store_type'], help: 'Labels.' }),
  minTime: timeOrDurationFlag('min-time', { default: '0000-01-01T00:00:00Z', help: 'Start.' }),
  labels: labelsFlag('selector-label', { help: 'Labels.' }),
  prometheus: urlFlag('prometheus.url', { default: 'http://localhost:9090', help: 'URL.' }),
  objstore: objstoreFlag(false),
  store: removedFlag('store', 'use --endpoint'),
  old: stringFlag('old', { help: 'Old.', deprecated: 'use --new' }),
  hidden: boolFlag('shy', { help: 'Hidden one.', hidden: true }),
} satisfies FlagTable;
const command = { name: 'query', help: 'A querier.', flags: table, version: 'gauntlet, version 1' };

function run(...argv: string[]): Extract<ReturnType<typeof parseFlags<typeof table>>, { kind: 'run' }> {
  const outcome = parseFlags(command, argv);
  if (outcome.kind !== 'run') throw new Error(outcome.stderr + outcome.stdout);
  return outcome;
}

test('defaults hold where nothing is given', () => {
  const { values } = run();
  expect(values.address).toBe('0.0.0.0:10902');
  expect(values.endpoints).toEqual([]);
  expect(values.partial).toBe(true);
  expect(values.concurrent).toBe(20);
  expect(values.cache).toBe(250 * 1024 * 1024);
  expect(values.timeoutMs).toBe(120_000);
  expect(values.connLabels).toEqual(['external_labels', 'store_type']);
  expect(values.minTime.at(5)).toBe(Date.parse('0000-01-01T00:00:00Z'));
  expect(values.objstore.isSet).toBe(false);
  expect(values.objstore.content()).toBe('');
});

test('both value forms, negation, repetition and commas', () => {
  const { values } = run('--http-address=a:1', '--endpoint', 'x:1', '--endpoint=y:2', '--no-query.partial-response', '--query.replica-label=a,b', '--query.replica-label', 'c', '--shy');
  expect(values).toMatchObject({ address: 'a:1', endpoints: ['x:1', 'y:2'], partial: false, replicas: ['a', 'b', 'c'], hidden: true });
});

test('values of every type', () => {
  const { values } = run('--query.max-concurrent=0x10', '--ratio=0.5', '--index-cache-size=1.5GiB', '--query.timeout=1h0m0.5s', '--query.promql-engine=thanos', '--min-time=-1d', '--selector-label=a="b\\"c"', '--prometheus.url=http://p:9090/x');
  expect(values).toMatchObject({ concurrent: 16, ratio: 0.5, cache: 1.5 * 1024 ** 3, timeoutMs: 3_600_500, engine: 'thanos', labels: [['a', 'b"c']] });
  expect(values.minTime.at(86_400_000)).toBe(0);
  expect(values.prometheus.host).toBe('p:9090');
});

describe('refusals, with exit code 1', () => {
  test.each([
    { name: 'unknown flag, near', argv: ['--http-adress=x'], text: "gauntlet: error: unknown long flag '--http-adress', did you mean '--http-address'?\n" },
    { name: 'unknown negation, near', argv: ['--no-query.partial-respons'], text: "gauntlet: error: unknown long flag '--no-query.partial-respons', did you mean '--no-query.partial-response'?\n" },
    { name: 'unknown flag, nothing near', argv: ['--zzzzzzzz'], text: "gauntlet: error: unknown long flag '--zzzzzzzz', try --help\n" },
    { name: 'object member name', argv: ['--constructor'], text: "gauntlet: error: unknown long flag '--constructor', try --help\n" },
    { name: 'negated value flag', argv: ['--no-http-address'], text: "gauntlet: error: unknown long flag '--no-http-address', did you mean '--http-address'?\n" },
    { name: 'short flag', argv: ['-x'], text: "gauntlet: error: unknown short flag '-x'\n" },
    { name: 'missing value', argv: ['--http-address'], text: "gauntlet: error: expected argument for flag '--http-address'\n" },
    { name: 'value looks like a flag', argv: ['--min-time', '-1d'], text: "gauntlet: error: expected argument for flag '--min-time', got '-1d' (write --min-time=-1d if that is the value)\n" },
    { name: 'repetition', argv: ['--http-address=a', '--http-address=b'], text: "gauntlet: error: flag 'http-address' cannot be repeated\n" },
    { name: 'positional', argv: ['what'], text: 'gauntlet: error: unexpected what\n' },
    { name: 'integer', argv: ['--query.max-concurrent=many'], text: "gauntlet: error: flag --query.max-concurrent: wanted an integer, got 'many'\n" },
    { name: 'integer bound', argv: ['--query.max-concurrent=0'], text: 'gauntlet: error: flag --query.max-concurrent: wanted at least 1, got 0\n' },
    { name: 'enum', argv: ['--query.promql-engine=thano'], text: "gauntlet: error: flag --query.promql-engine: enum value must be one of prometheus,thanos, got 'thano', did you mean 'thanos'?\n" },
    { name: 'duration', argv: ['--query.timeout=2x'], text: 'gauntlet: error: flag --query.timeout: not a valid duration: "2x" (examples: 30s, 2h45m, 1d)\n' },
    { name: 'duration without unit', argv: ['--query.timeout=2'], text: 'gauntlet: error: flag --query.timeout: not a valid duration: "2": missing unit (examples: 30s, 2h45m, 1d)\n' },
    { name: 'size', argv: ['--index-cache-size=12'], text: 'gauntlet: error: flag --index-cache-size: not a valid size: "12" (examples: 0, 512KB, 64MiB, 1.5GB)\n' },
    { name: 'label', argv: ['--selector-label=a=b'], text: 'gauntlet: error: flag --selector-label: unquote label value: invalid syntax: b (wanted "value" in quotes)\n' },
    { name: 'removed', argv: ['--store=x'], text: "gauntlet: error: flag '--store' does not exist any more: use --endpoint\n" },
    { name: 'bool value', argv: ['--query.partial-response=maybe'], text: "gauntlet: error: flag --query.partial-response: wanted true or false, got 'maybe'\n" },
    { name: 'both forms of content', argv: ['--objstore.config=a', '--objstore.config-file=b'], text: 'gauntlet: error: flag --objstore.config: both --objstore.config and --objstore.config-file are set, wanted one\n' },
  ])('$name', ({ argv, text }) => {
    expect(parseFlags(command, argv)).toEqual({ kind: 'exit', exitCode: 1, stdout: '', stderr: text });
  });

  test('a required flag', () => {
    const outcome = parseFlags({ name: 'store', help: '', flags: { objstore: objstoreFlag(true) } }, []);
    expect(outcome).toMatchObject({ kind: 'exit', exitCode: 1, stderr: 'gauntlet: error: required flag --objstore.config-file or --objstore.config not provided\n' });
  });
});

test('@file puts its lines in its place, comments and blank lines left out; -- ends it', () => {
  const path = join(folder, 'args');
  writeFileSync(path, '# endpoints\n--endpoint=a:1\n\n--endpoint\nb:2\n');
  expect(run(`@${path}`, '--endpoint=c:3').values.endpoints).toEqual(['a:1', 'b:2', 'c:3']);
  writeFileSync(join(folder, 'loop'), `@${join(folder, 'loop')}\n`);
  expect(parseFlags(command, [`@${join(folder, 'loop')}`])).toMatchObject({ exitCode: 1, stderr: expect.stringContaining('nested more than 8 deep') });
  expect(parseFlags(command, ['@/does/not/exist'])).toMatchObject({ exitCode: 1, stderr: expect.stringContaining('expand @/does/not/exist') });
  const withArguments = parseFlags({ ...command, arguments: { usage: '<file>...', min: 1, max: 9 } }, ['--', '--endpoint', '@x']);
  expect(withArguments).toMatchObject({ kind: 'run', arguments: ['--endpoint', '@x'] });
});

test('content from a file or inline, environment replaced, read anew each time', () => {
  const path = join(folder, 'bucket.yml');
  writeFileSync(path, 'type: FILESYSTEM\nkey: $(SOME_KEY)\n');
  const { objstore } = run('--objstore.config-file', path).values;
  expect(objstore.source).toBe(path);
  expect(objstore.content({ SOME_KEY: 'k' })).toBe('type: FILESYSTEM\nkey: k\n');
  expect(() => objstore.content({})).toThrow(`${path}:2:6: found reference to unset environment variable "SOME_KEY"`);
  writeFileSync(path, 'type: S3\n');
  expect(objstore.content({})).toBe('type: S3\n');
  const inline = run('--objstore.config', 'type: S3').values.objstore;
  expect(inline.source).toBe('--objstore.config');
  expect(() => run('--objstore.config-file=/does/not/exist').values.objstore.content()).toThrow('load file /does/not/exist for --objstore.config: ENOENT');
});

test('deprecated flags warn, secrets are not shown', () => {
  const { warnings, shown } = run('--old=x', '--objstore.config=secret');
  expect(warnings).toEqual(['flag --old is deprecated: use --new']);
  expect(shown.get('objstore.config')).toBe('<REDACTED>');
  expect(shown.get('query.timeout')).toBe('2m');
  expect(shown.has('store')).toBe(false);
});

test('help and version', () => {
  expect(parseFlags(command, ['--version'])).toEqual({ kind: 'exit', exitCode: 0, stdout: 'gauntlet, version 1\n', stderr: '' });
  const help = parseFlags(command, ['--http-address=x', '-h']);
  expect(help).toMatchObject({ kind: 'exit', exitCode: 0, stdout: renderHelp(command) });
  const page = renderHelp({ name: 'sidecar', help: 'Sidecar for Prometheus server.', flags: { ...commonFlags, ...httpFlags, ...grpcServerFlags } });
  expect(page).toContain('usage: gauntlet sidecar [<flags>]\n\nSidecar for Prometheus server.\n\n\nFlags:\n  -h, --[no-]help                Show context-sensitive help (also try\n');
  expect(page).toContain('      --http-address="0.0.0.0:10902"\n                                 Listen host:port for HTTP endpoints.\n');
  expect(page).toContain('      --http-grace-period=2m     Time');
  expect(page).toContain('      --grpc-server-tls-ciphers=GRPC-SERVER-TLS-CIPHERS ...\n');
  expect(page).toContain('      --tracing.config-file=<file-path>\n');
  expect(page).not.toContain('debug.name');
  expect(page.split('\n').every((line) => line.length <= 80)).toBe(true);
  const markdown = renderFlagsMarkdown(table);
  expect(markdown).toContain('| `--query.timeout` | `2m` | Timeout. |');
  expect(markdown).toContain('`--objstore.config-file` or `--objstore.config`');
  expect(markdown).not.toContain('shy');
});

test('Go string literals', () => {
  expect(unquoteGo('"a\\tb\\u00e9\\x41\\101"')).toBe('a\tbéAA');
  expect(unquoteGo('"\\xc3\\xa9"')).toBe('é');
  expect(unquoteGo('`a"b`')).toBe('a"b');
  for (const bad of ['', '"', 'a', '"a', '"a"b"', '"\\z"', "'a'", '"\\ud800"']) expect(() => unquoteGo(bad)).toThrow('invalid syntax');
});

test('a name declared twice is our own mistake', () => {
  expect(() => parseFlags({ name: 'x', help: '', flags: { a: stringFlag('a', { help: '' }), b: boolFlag('a', { help: '' }) } }, [])).toThrow('--a: the name is taken');
});

describe('letters', () => {
  const lettered = {
    output: stringFlag('output', { short: 'o', default: '', help: 'Output.' }),
    repair: boolFlag('repair', { short: 'r', help: 'Repair.' }),
    issues: stringsFlag('issues', { short: 'i', help: 'Issues.' }),
  };
  test.each<{ argv: string[]; values: object }>([
    { argv: ['-o', 'json'], values: { output: 'json', repair: false, issues: [] } },
    { argv: ['-ojson'], values: { output: 'json', repair: false, issues: [] } },
    { argv: ['-r', '--output=wide'], values: { output: 'wide', repair: true, issues: [] } },
    { argv: ['-ri', 'a', '-ib'], values: { output: '', repair: true, issues: ['a', 'b'] } },
    { argv: ['-o', '-'], values: { output: '-', repair: false, issues: [] } },
    { argv: ['-o', ''], values: { output: '', repair: false, issues: [] } },
  ])('$argv', ({ argv, values }) => expect(parseFlags({ name: '', help: '', flags: lettered }, argv)).toMatchObject({ kind: 'run', values }));

  test.each<{ argv: string[]; text: string }>([
    { argv: ['-o'], text: "expected argument for flag '-o'" },
    { argv: ['-o', '-r'], text: "expected argument for flag '-o', got '-r' (write --output=-r if that is the value)" },
    { argv: ['-x'], text: "unknown short flag '-x'" },
    { argv: ['-rx'], text: "unknown short flag '-x'" },
    { argv: ['-r', '-r'], text: "flag 'repair' cannot be repeated" },
  ])('$argv is refused', ({ argv, text }) => expect(parseFlags({ name: '', help: '', flags: lettered }, argv)).toMatchObject({ kind: 'exit', exitCode: 1, stderr: `gauntlet: error: ${text}\n` }));

  test('in help and documentation', () => {
    expect(renderHelp({ name: 'ls', help: 'Lists.', flags: lettered })).toContain('  -o, --output=""');
    expect(renderFlagsMarkdown(lettered)).toContain('| `-r`, `--[no-]repair` |');
  });

  test('a letter is taken once', () => {
    const twice = { a: stringFlag('a', { short: 'x', help: '' }), b: stringFlag('b', { short: 'x', help: '' }) };
    expect(() => parseFlags({ name: '', help: '', flags: twice }, [])).toThrow('declare flag --b: -x is taken or not one letter');
  });

  test('a repeatable flag can be required', () => {
    expect(parseFlags({ name: '', help: '', flags: { ids: stringsFlag('id', { required: true, help: '' }) } }, [])).toMatchObject({ stderr: 'gauntlet: error: required flag --id not provided\n' });
  });
});
