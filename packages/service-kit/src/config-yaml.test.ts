import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { inspect } from 'node:util';
import * as schema from './config-schema.ts';
import { ConfigError, type Schema, decodeYaml } from './config-yaml.ts';

const tls = schema.object({ ca_file: schema.withDefault(schema.string(), ''), insecure_skip_verify: schema.withDefault(schema.bool(), false) });
const bucket = schema.object({
  type: schema.oneOf(['S3', 'FILESYSTEM'], { ignoreCase: true }),
  config: schema.optional(
    schema.object({
      bucket: schema.string(),
      secret_key: schema.withDefault(schema.secret(), undefined),
      part_size: schema.withDefault(schema.bytes(), 67_108_864),
      timeout: schema.withDefault(schema.duration(), 120_000),
      retries: schema.withDefault(schema.int({ min: 0, max: 10 }), 3),
      ratio: schema.withDefault(schema.float(), 1),
      tls_config: schema.orEmpty({ ca_file: schema.withDefault(schema.string(), ''), insecure_skip_verify: schema.withDefault(schema.bool(), false) }),
      metadata: schema.withDefault(schema.map(schema.string()), new Map<string, string>()),
      hosts: schema.withDefault(schema.list(schema.string()), []),
    }),
  ),
  prefix: schema.withDefault(schema.string(), ''),
});

function problems(text: string, wanted: Schema<unknown> = bucket): string[] {
  try {
    decodeYaml(text, wanted, 'b.yml');
  } catch (error) {
    if (error instanceof ConfigError) return error.message.split('\n');
    throw error;
  }
  return [];
}

test('a whole configuration with defaults', () => {
  const value = decodeYaml('type: s3\nconfig:\n  bucket: 007\n  secret_key: "hush"\n  timeout: 1m30s\n  part_size: 5MiB\n  metadata: {a: 1, __proto__: x}\n  hosts: [a, "b"]\n', bucket, 'b.yml');
  expect(value.type).toBe('S3');
  expect(value.config!.bucket).toBe('007');
  expect(value.config!.timeout).toBe(90_000);
  expect(value.config!.part_size).toBe(5 * 1024 * 1024);
  expect(value.config!.tls_config).toEqual({ ca_file: '', insecure_skip_verify: false });
  expect([...value.config!.metadata]).toEqual([['a', '1'], ['__proto__', 'x']]);
  expect(value.config!.hosts).toEqual(['a', 'b']);
  expect(value.prefix).toBe('');
  expect(value.config!.secret_key!.reveal()).toBe('hush');
  expect(`${String(value.config!.secret_key)} ${JSON.stringify(value)} ${inspect(value, { depth: 9 })}`).not.toContain('hush');
});

test('JSON is read as well', () => {
  expect(decodeYaml('{"type": "FILESYSTEM", "prefix": "x"}', bucket, 'b.json').prefix).toBe('x');
});

describe('problems, with position', () => {
  test.each([
    { name: 'unknown key with a near one', text: 'type: S3\nprefx: a\n', lines: ["b.yml:2:1: unknown key 'prefx', did you mean 'prefix'?"] },
    { name: 'unknown key below', text: 'type: S3\nconfig:\n  bucket: b\n  tls_config:\n    cafile: x\n', lines: ["b.yml:5:5: unknown key 'cafile' in config.tls_config, did you mean 'ca_file'?"] },
    { name: 'unknown key, nothing near', text: 'type: S3\nzzzzzzzz: a\n', lines: ["b.yml:2:1: unknown key 'zzzzzzzz' (known: type, config, prefix)"] },
    { name: 'names of object members are no keys', text: 'type: S3\n__proto__: {}\nconstructor: 1\n', lines: ["b.yml:2:1: unknown key '__proto__' (known: type, config, prefix)", "b.yml:3:1: unknown key 'constructor' (known: type, config, prefix)"] },
    { name: 'enum', text: 'type: S4\n', lines: ["b.yml:1:7: type: wanted one of S3, FILESYSTEM, got 'S4', did you mean 'S3'?"] },
    { name: 'missing key', text: 'type: S3\nconfig:\n  retries: 1\n', lines: ["b.yml:3:3: missing 'config.bucket': wanted string"] },
    { name: 'all problems at once', text: 'type: S3\nconfig:\n  bucket: [a]\n  retries: many\n  timeout: 5\n  tls_config: {insecure_skip_verify: perhaps}\n', lines: ['b.yml:3:11: config.bucket: wanted string, got a list', "b.yml:4:12: config.retries: wanted integer, got 'many'", 'b.yml:5:12: config.timeout: not a valid duration: "5": missing unit (examples: 30s, 2h45m, 1d)', "b.yml:6:38: config.tls_config.insecure_skip_verify: wanted bool, got 'perhaps'"] },
    { name: 'a quoted number is no number', text: 'type: S3\nconfig: {bucket: b, retries: "3"}\n', lines: ['b.yml:2:30: config.retries: wanted integer, got "3"'] },
    { name: 'bounds', text: 'type: S3\nconfig: {bucket: b, retries: 11}\n', lines: ['b.yml:2:30: config.retries: wanted at most 10, got 11'] },
    { name: 'a list where a map is wanted', text: '- type: S3\n', lines: ['b.yml:1:1: wanted map, got a list'] },
    { name: 'duplicate key', text: 'type: S3\ntype: S3\n', lines: ['b.yml:2:1: read YAML: Map keys must be unique'] },
    { name: 'unknown alias', text: 'type: *x\n', lines: ["b.yml:1:7: read YAML: unknown alias '*x'"] },
    { name: 'two documents', text: 'type: S3\n---\ntype: S3\n', lines: ['b.yml:2:1: read YAML: wanted one document, got more'] },
    { name: 'empty', text: '', lines: ["b.yml:1:1: document is empty: wanted map"] },
    { name: 'key that is a map', text: 'type: S3\n? {a: b}\n: c\n', lines: ['b.yml:2:3: map: key must be text, got a map'] },
  ])('$name', ({ text, lines }) => {
    expect(problems(text)).toEqual(lines);
  });

  test('a syntax error has its line and column', () => {
    expect(problems('type: S3\nconfig:\n  bucket: "x\n')[0]).toMatch(/^b\.yml:\d+:\d+: read YAML: Missing closing "quote/);
  });

  test('a secret of the wrong kind is not shown', () => {
    expect(problems('type: S3\nconfig: {bucket: b, secret_key: [hush]}\n')).toEqual(['b.yml:2:33: config.secret_key: wanted string, got a list']);
  });

  test('more than twenty problems are counted', () => {
    const lines = problems(Array.from({ length: 30 }, (_, i) => `zzzzzz${i}q: 1`).join('\n'));
    expect(lines).toHaveLength(21);
    expect(lines.at(-1)).toBe('b.yml: 11 more problems');
  });
});

test('aliases and merge keys work; own keys win', () => {
  const hosts = schema.map(schema.object({ a: schema.int(), b: schema.withDefault(schema.int(), 0) }));
  const value = decodeYaml('x: &x {a: 1, b: 2}\ny: *x\nz: {<<: *x, a: 3}\nw:\n  <<: [{a: 9}, *x]\n', hosts, 's');
  expect([...value]).toEqual([['x', { a: 1, b: 2 }], ['y', { a: 1, b: 2 }], ['z', { a: 3, b: 2 }], ['w', { a: 9, b: 2 }]]);
  expect(problems('x: &x {a: 1}\nz: {<<: *x, c: 3}\n', hosts)).toEqual(["b.yml:2:13: unknown key 'c' in z (known: a, b)"]);
});

const nest: Schema<unknown> = { wants: 'anything', absent: () => null, decode: (node, reader) => (node.kind === 'list' ? reader.items(node).map((item) => nest.decode(item, reader)) : node.kind === 'map' ? reader.entries(node).map((e) => nest.decode(e.value, reader)) : 1) };

test('an alias bomb, an alias within itself and endless nesting are refused', () => {
  let bomb = 'a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n';
  for (let i = 1; i < 10; i++) bomb += `a${i}: &a${i} [${Array.from({ length: 10 }, () => `*a${i - 1}`).join(', ')}]\n`;
  expect(problems(bomb, nest)[0]).toMatch(/^b\.yml:\d+:\d+: document expands to more than 1000000 nodes/);
  expect(problems('a: &a [*a]\n', nest)[0]).toMatch(/nested more than 200 deep|Unresolved alias|more than 1000000 nodes/);
  expect(problems('['.repeat(100_000), nest)[0]).toMatch(/read YAML/);
  expect(problems(`${'['.repeat(300)}${']'.repeat(300)}`, nest)).toEqual(['b.yml:1:202: nested more than 200 deep']);
});

test('a deferred part is read later, with positions in the whole text', () => {
  const value = decodeYaml('type: A\nconfig:\n  x: 1\n', schema.object({ type: schema.string(), config: schema.deferred() }), 'd.yml');
  expect(value.config.decode(schema.object({ x: schema.int() }))).toEqual({ x: 1 });
  expect(() => value.config.decode(schema.object({ y: schema.int() }))).toThrow("d.yml:3:3: unknown key 'x' in config");
  const none = decodeYaml('type: A\n', schema.object({ type: schema.string(), config: schema.deferred() }), 'd.yml');
  expect(none.config.present).toBe(false);
  expect(() => none.config.decode(schema.object({ y: schema.int() }))).toThrow("d.yml:1:1: missing 'config': wanted map");
});

test('mapped checks values at their position; either chooses by kind', () => {
  const even = schema.mapped(schema.int(), (n) => {
    if (n % 2 !== 0) throw new Error(`wanted an even number, got ${n}`);
    return n / 2;
  });
  expect(decodeYaml('a: 4', schema.object({ a: even }), 's').a).toBe(2);
  expect(problems('a: 3', schema.object({ a: even }))).toEqual(['b.yml:1:4: a: wanted an even number, got 3']);
  const oneOrMany = schema.either(schema.list(schema.string()), schema.string(), (node) => (node.kind === 'list' ? 'first' : 'second'));
  expect(decodeYaml('a: x', schema.object({ a: oneOrMany }), 's').a).toBe('x');
  expect(decodeYaml('a: [x]', schema.object({ a: oneOrMany }), 's').a).toEqual(['x']);
});

test('any text gives a value or a ConfigError', () => {
  fc.assert(
    fc.property(fc.array(fc.constantFrom('type', ': ', 'S3', '\n', '  ', '- ', '&a ', '*a', '<<', '{', '}', '[', ']', '"', "'", '#', '|', '>', '!!str ', '? ', '~', '\t', 'é')), (pieces) => {
      try {
        decodeYaml(pieces.join(''), nest, 's');
      } catch (error) {
        expect(error).toBeInstanceOf(ConfigError);
      }
    }),
    { numRuns: 500 },
  );
  expect(tls.wants).toBe('map');
});
