import { DEFAULT_HTTP_CLIENT } from '@gauntlet/service-kit';
import { describe, expect, test } from '@jest/globals';
import { parseAlertmanagersConfig, parseAlertRelabel } from './alertmanager-config.ts';
import { endpointsOfAddress } from './http-endpoints.ts';
import { parseQueryConfig } from './query-config.ts';

describe('an address of a flag', () => {
  const query = (address: string) => endpointsOfAddress(address, 'query', { needsScheme: false });
  const alertmanager = (address: string) => endpointsOfAddress(address, 'alertmanagers.url', { needsScheme: true, dnsPort: 9093 });

  test.each([
    ['querier:9090', { scheme: 'http', addresses: ['querier:9090'], pathPrefix: '' }],
    ['http://querier:9090/prefix/', { scheme: 'http', addresses: ['querier:9090'], pathPrefix: '/prefix' }],
    ['https://querier', { scheme: 'https', addresses: ['querier'] }],
    ['dnssrv+_http._tcp.querier', { scheme: 'http', addresses: ['dnssrv+_http._tcp.querier'] }],
    ['http://dns+querier:9090', { addresses: ['dns+querier:9090'] }],
    ['dns+http://querier:9090/p', { addresses: ['dns+querier:9090'], pathPrefix: '/p' }],
    ['[::1]:9090', { addresses: ['[::1]:9090'] }],
  ])('--query=%s', (address, wanted) => expect(query(address)).toMatchObject(wanted));

  test.each([
    ['http://am', ['am']],
    ['dns+http://am', ['dns+am:9093']],
    ['dns+http://am:80/x', ['dns+am:80']],
    ['dnssrv+https://_web._tcp.am', ['dnssrv+_web._tcp.am']],
  ])('--alertmanagers.url=%s', (address, addresses) => expect(alertmanager(address).addresses).toEqual(addresses));

  test('user and password become credentials', () => {
    expect(query('http://me:se%40cret@querier:9090').client).toEqual({ ...DEFAULT_HTTP_CLIENT, credentials: { kind: 'basic', username: 'me', password: 'se@cret' } });
  });

  test.each([
    ['', 'the address is empty'],
    ['ftp://x', 'scheme ftp is not supported'],
    ['dns+http://dns+x:1', 'the DNS prefix is given twice'],
    ['http:///path', 'wanted an address'],
  ])('--query=%s is refused', (address, message) => expect(() => query(address)).toThrow(message));

  test('an Alertmanager needs a scheme, and the message keeps the password', () => {
    expect(() => alertmanager('am:9093')).toThrow('--alertmanagers.url=am:9093: the scheme is missing');
    expect(() => alertmanager('gopher://u:hunter2@am')).toThrow('gopher://<secret>@am');
  });
});

describe('query.config', () => {
  test('everything', () => {
    const text = `
- http_config:
    basic_auth: {username: u, password: p}
    tls_config: {ca_file: /ca, insecure_skip_verify: true}
  static_configs: [dns+a:1, b:2]
  file_sd_configs: [{files: [x*.yml], refresh_interval: 30s}]
  scheme: https
  path_prefix: /p/
- static_configs: [c:3]
- {}
`;
    expect(parseQueryConfig(text, 'q.yml')).toEqual([
      {
        client: { ...DEFAULT_HTTP_CLIENT, credentials: { kind: 'basic', username: 'u', password: 'p' }, tls: { caFile: '/ca', certFile: '', keyFile: '', serverName: '', skipVerify: true } },
        scheme: 'https',
        pathPrefix: '/p',
        addresses: ['dns+a:1', 'b:2'],
        files: [{ paths: ['x*.yml'], refreshMs: 30_000 }],
      },
      { client: DEFAULT_HTTP_CLIENT, scheme: 'http', pathPrefix: '', addresses: ['c:3'], files: [] },
    ]);
  });

  test.each([
    ['- static_config: [a]', "q.yml:1:3: unknown key 'static_config'"],
    ['- static_configs: [a]\n  scheme: gopher', 'q.yml:2:11: '],
    ['- grpc_config: {endpoint_addresses: [a:1]}', 'q.yml: entry 1: grpc_config is not there yet'],
    ['- http_config: {proxy_url: "http://x"}', 'q.yml:1:16: [0].http_config: proxy_url is not supported yet'],
    ['- http_config: {bearer_token: a, bearer_token_file: b}', 'at most one of basic_auth, bearer_token and bearer_token_file'],
    ['__proto__: 1', 'q.yml:1:1: '],
  ])('%j is refused', (text, message) => expect(() => parseQueryConfig(text, 'q.yml')).toThrow(message));
});

describe('alertmanagers.config', () => {
  test('timeout and version', () => {
    const text = 'alertmanagers:\n- {static_configs: [a:1]}\n- {static_configs: [b:2], timeout: 3s, api_version: v1, path_prefix: am}\n';
    expect(parseAlertmanagersConfig(text, 'a.yml')).toMatchObject([
      { timeoutMs: 10_000, api: 'v2', endpoints: { addresses: ['a:1'] } },
      { timeoutMs: 3000, api: 'v1', endpoints: { addresses: ['b:2'], pathPrefix: '/am' } },
    ]);
  });

  test.each([
    ['alertmanagers:\n- api_version: v3', 'a.yml:2:16: '],
    ['alertmanager: []', "a.yml:1:1: unknown key 'alertmanager'"],
  ])('%j is refused', (text, message) => expect(() => parseAlertmanagersConfig(text, 'a.yml')).toThrow(message));

  test('relabelling is checked where it stands', () => {
    expect(parseAlertRelabel('- {action: labeldrop, regex: replica}', 'r.yml')).toMatchObject([{ action: 'labeldrop', regex: 'replica' }]);
    expect(parseAlertRelabel('', 'r.yml')).toEqual([]);
    expect(() => parseAlertRelabel('- action: keep\n- regex: "("', 'r.yml')).toThrow('r.yml:2:3: ');
  });
});
