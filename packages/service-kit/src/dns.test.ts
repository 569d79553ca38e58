import { describe, expect, test } from '@jest/globals';
import { type DnsLookups, createDnsLookups, createDnsProvider, isDynamicAddress, joinHostPort, resolveDns, searchNames, splitDnsPrefix, splitHostPort } from './dns.ts';
import { createNopLogger } from './log.ts';
import { renderMetrics } from './metrics-exposition.ts';
import { createMetrics } from './metrics.ts';

const notFound = (): Error => Object.assign(new Error('queryA ENOTFOUND'), { code: 'ENOTFOUND' });
const refused = (): Error => Object.assign(new Error('queryA ECONNREFUSED'), { code: 'ECONNREFUSED' });

function zone(hosts: Record<string, string[]>, services: Record<string, { name: string; port: number }[]> = {}): DnsLookups & { broken: boolean } {
  const lookups = {
    broken: false,
    async addresses(host: string, family: 0 | 4 | 6) {
      if (lookups.broken) throw refused();
      const found = hosts[host]?.filter((ip) => family === 0 || (family === 6) === ip.includes(':'));
      if (found === undefined || found.length === 0) throw notFound();
      return found;
    },
    async services(name: string) {
      if (lookups.broken) throw refused();
      const found = services[name];
      if (found === undefined) throw notFound();
      return found;
    },
  };
  return lookups;
}

describe('one lookup', () => {
  const lookups = zone({ 'a.test': ['10.0.0.1', 'fd00::1'], 's1.test': ['10.0.0.2'], 's2.test': ['10.0.0.3', '10.0.0.4'] }, { '_grpc._tcp.x': [{ name: 's1.test.', port: 10_901 }, { name: 's2.test', port: 10_902 }] });
  test.each([
    ['dns', 'a.test:80', ['10.0.0.1:80', '[fd00::1]:80']],
    ['dns', 'http://a.test:80', ['http://10.0.0.1:80', 'http://[fd00::1]:80']],
    ['dnsdualstack', 'a.test:80', ['[fd00::1]:80', '10.0.0.1:80']],
    ['dnssrv', '_grpc._tcp.x', ['10.0.0.2:10901', '10.0.0.3:10902', '10.0.0.4:10902']],
    ['dnssrv', '_grpc._tcp.x:9', ['10.0.0.2:9', '10.0.0.3:9', '10.0.0.4:9']],
    ['dnssrvnoa', '_grpc._tcp.x', ['s1.test:10901', 's2.test:10902']],
    ['dns', 'none.test:80', []],
    ['dnssrv', 'none.test', []],
  ])('%s+%s', async (type, name, found) => {
    expect(await resolveDns(type, name, lookups, createNopLogger())).toEqual(found);
  });

  test.each([
    ['dns', 'a.test', 'missing port in address given for dns lookup: a.test'],
    ['dnsdualstack', 'a.test', 'missing port in address given for dnsdualstack lookup: a.test'],
    ['dnsmx', 'a.test', 'invalid lookup scheme "dnsmx" in dnsmx+a.test, wanted one of dns, dnssrv, dnssrvnoa, dnsdualstack'],
  ])('refuses %s+%s', async (type, name, message) => {
    await expect(resolveDns(type, name, lookups, createNopLogger())).rejects.toThrow(message);
  });
});

test('a failed lookup keeps the last good addresses, a vanished name has none, and both are counted', async () => {
  const hosts: Record<string, string[]> = { 'a.test': ['10.0.0.1'], 'b.test': ['10.0.0.2'] };
  const lookups = zone(hosts);
  const metrics = createMetrics();
  const provider = createDnsProvider({ log: createNopLogger(), metrics: metrics.withPrefix('thanos_query_endpoints_'), lookups });
  const names = ['static:1', 'dns+a.test:2', 'dns+b.test:2', 'static:1'];
  expect(await provider.resolve(names)).toEqual([]);
  expect(provider.addresses()).toEqual(['static:1', '10.0.0.1:2', '10.0.0.2:2']);
  lookups.broken = true;
  const errors = await provider.resolve(names);
  expect(errors.map((error) => error.message)).toEqual(['look up addresses of a.test: queryA ECONNREFUSED', 'look up addresses of b.test: queryA ECONNREFUSED']);
  expect(provider.addressesOf('dns+a.test:2')).toEqual(['10.0.0.1:2']);
  lookups.broken = false;
  delete hosts['a.test'];
  await provider.resolve(names);
  expect(provider.addresses()).toEqual(['static:1', '10.0.0.2:2']);
  await provider.resolve(['static:1']);
  expect(provider.addressesOf('dns+b.test:2')).toEqual([]);
  const { body } = await renderMetrics(metrics.registry, '');
  expect(body).toContain('thanos_query_endpoints_dns_lookups_total 6');
  expect(body).toContain('thanos_query_endpoints_dns_failures_total 2');
  expect(body).toContain('thanos_query_endpoints_dns_provider_results{addr="static:1"} 1');
});

test('prefixes, hosts and ports', () => {
  expect(splitDnsPrefix('dnssrv+_x')).toEqual({ type: 'dnssrv', name: '_x' });
  expect([isDynamicAddress('a:1'), isDynamicAddress('dns+a:1')]).toEqual([false, true]);
  expect([splitHostPort('a:1'), splitHostPort('[::1]:2'), splitHostPort('::1'), splitHostPort('a')]).toEqual([
    { host: 'a', port: '1' },
    { host: '::1', port: '2' },
    { host: '::1', port: '' },
    { host: 'a', port: '' },
  ]);
  expect([joinHostPort('::1', 2), joinHostPort('a', '1')]).toEqual(['[::1]:2', 'a:1']);
});

test('SRV names are searched as resolv.conf says', async () => {
  const conf = '# made by the cluster\nnameserver 10.0.0.10\nsearch ns.svc.cluster.local. svc.cluster.local\noptions ndots:5 timeout:1\n';
  expect(searchNames('_grpc._tcp.x', conf)).toEqual(['_grpc._tcp.x.ns.svc.cluster.local', '_grpc._tcp.x.svc.cluster.local', '_grpc._tcp.x']);
  expect(searchNames('a.b', '')).toEqual(['a.b']);
  expect(searchNames('a.b.', conf)).toEqual(['a.b']);
  const asked: string[] = [];
  const lookups = createDnsLookups({ resolveSrv: async (name) => (asked.push(name), Promise.reject(notFound())) }, '/does/not/exist');
  await expect(lookups.services('_x._tcp.y')).rejects.toThrow('ENOTFOUND');
  expect(asked).toEqual(['_x._tcp.y']);
  expect(await createDnsLookups().addresses('127.0.0.1', 0)).toEqual(['127.0.0.1']);
});
