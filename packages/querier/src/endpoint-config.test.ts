import { describe, expect, test } from '@jest/globals';
import { parseFlags } from '@gauntlet/service-kit';
import { endpointsOfFlags, parseEndpointConfig } from './endpoint-config.ts';
import { querierFlags } from './flags.ts';

const parse = (text: string): ReturnType<typeof parseEndpointConfig> => parseEndpointConfig(text, 'endpoints.yml');

describe('--endpoint.sd-config', () => {
  test('addresses, groups, strict ones; TLS from the default or the endpoint', () => {
    const specs = parse(`
default_client_config:
  tls_config: { enabled: true, ca_file: ca.pem }
  server_name: thanos
endpoints:
  - address: a:1
  - address: dns+b:2
    group: true
    strict: true
  - address: c:3
    strict: true
    client_config:
      tls_config: { enabled: false }
`);
    expect(specs.map(({ address, isStrict, isGroup, tls }) => [address, isStrict, isGroup, tls.enabled, tls.caFile, tls.serverName])).toEqual([
      ['a:1', false, false, true, 'ca.pem', 'thanos'],
      ['dns+b:2', true, true, true, 'ca.pem', 'thanos'],
      ['c:3', true, false, false, '', ''],
    ]);
  });

  test.each(['', '  \n', 'endpoints: []\n'])('nothing is no endpoint: %j', (text) => {
    expect(parse(text)).toEqual([]);
  });

  test.each([
    { name: 'unknown key', text: 'endpoints:\n  - adress: a:1\n', error: /endpoints\.yml:2:5:.*adress.*address/ },
    { name: 'unknown top-level key', text: 'endpoint:\n  - address: a:1\n', error: /endpoints\.yml:1:1:.*endpoint/ },
    { name: 'no address', text: 'endpoints:\n  - strict: true\n', error: /endpoints\.yml:2:5:.*address/ },
    { name: 'wrong type', text: 'endpoints:\n  - address: a:1\n    strict: perhaps\n', error: /endpoints\.yml:3:13:/ },
    { name: 'not YAML', text: 'endpoints: [\n', error: /endpoints\.yml:\d+:\d+:/ },
    { name: 'unknown compression', text: 'default_client_config:\n  compression: zstd\n', error: /endpoints\.yml:2:16:.*none/ },
    { name: 'strict with DNS', text: 'endpoints:\n  - address: dns+a:1\n    strict: true\n', error: /dns\+a:1 is a dynamically specified endpoint/ },
  ])('refused: $name', ({ text, error }) => {
    expect(() => parse(text)).toThrow(error);
  });
});

describe('flags', () => {
  const endpoints = (argv: readonly string[]): ReturnType<typeof endpointsOfFlags> => {
    const outcome = parseFlags({ name: 'query', help: '', flags: querierFlags }, argv);
    if (outcome.kind !== 'run') throw new Error(outcome.stderr);
    return endpointsOfFlags(outcome.values);
  };

  test('the four kinds, with the TLS of the client flags', () => {
    const specs = endpoints(['--endpoint=a:1', '--endpoint-strict=b:2', '--endpoint-group=dns+c:3', '--endpoint-group-strict=dns+d:4', '--grpc-client-tls-secure', '--grpc-client-server-name=thanos']);
    expect(specs.map(({ address, isStrict, isGroup }) => [address, isStrict, isGroup])).toEqual([
      ['a:1', false, false],
      ['b:2', true, false],
      ['dns+c:3', false, true],
      ['dns+d:4', true, true],
    ]);
    for (const { tls } of specs) expect(tls).toMatchObject({ enabled: true, serverName: 'thanos' });
  });

  test('a strict endpoint has no DNS prefix', () => {
    expect(() => endpoints(['--endpoint-strict=dnssrv+_grpc._tcp.a'])).toThrow('dnssrv+_grpc._tcp.a is a dynamically specified endpoint i.e. it uses SD and that is not permitted under strict mode');
  });
});
