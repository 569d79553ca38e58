import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createMetrics, createNopLogger, DEFAULT_HTTP_CLIENT, type DnsLookups } from '@gauntlet/service-kit';
import { expect, test } from '@jest/globals';
import { createEndpointDiscovery, type EndpointDiscovery } from './endpoint-discovery.ts';
import type { HttpEndpointsConfig } from './http-endpoints.ts';

const config = (more: Partial<HttpEndpointsConfig>): HttpEndpointsConfig => ({ client: DEFAULT_HTTP_CLIENT, scheme: 'http', pathPrefix: '', addresses: [], files: [], ...more });

async function withDiscovery(configs: readonly HttpEndpointsConfig[], lookups: DnsLookups, use: (changes: (readonly (readonly string[])[])[], discovery: EndpointDiscovery) => Promise<void> | void, intervalMs = 60_000): Promise<void> {
  const changes: (readonly (readonly string[])[])[] = [];
  const discovery = createEndpointDiscovery(configs, intervalMs, { log: createNopLogger(), metrics: createMetrics().withPrefix('thanos_rule_query_apis_'), onChange: (endpoints) => void changes.push(endpoints), lookups });
  await discovery.start();
  try {
    await use(changes, discovery);
  } finally {
    discovery.stop();
  }
}

const lookups: DnsLookups = {
  addresses: async (host) => (host === 'two' ? ['10.0.0.1', '::1'] : host === 'node' ? ['10.0.0.9'] : []),
  services: async () => [{ name: 'node.', port: 9091 }],
};

test('plain, DNS and SRV addresses become URLs, entry by entry', async () => {
  const configs = [config({ addresses: ['a:1', 'dns+two:9090'], pathPrefix: '/p' }), config({ scheme: 'https', addresses: ['dnssrv+_http._tcp.x'] }), config({ addresses: ['dns+gone:1'] })];
  await withDiscovery(configs, lookups, (changes) => expect(changes).toEqual([[['http://a:1/p', 'http://10.0.0.1:9090/p', 'http://[::1]:9090/p'], ['https://10.0.0.9:9091'], []]]));
});

test('a change of DNS is told, no change is not', async () => {
  let found = ['10.0.0.1'];
  let rounds = 0;
  const moving: DnsLookups = { addresses: async () => (rounds++, found), services: async () => [] };
  await withDiscovery([config({ addresses: ['dns+x:1'] })], moving, async (changes) => {
    while (rounds < 4) await new Promise((resolve) => setTimeout(resolve, 5));
    expect(changes).toHaveLength(1);
    found = ['10.0.0.2'];
    while (changes.length < 2) await new Promise((resolve) => setTimeout(resolve, 5));
    expect(changes[1]).toEqual([['http://10.0.0.2:1']]);
  }, 5);
});

test('target files: read at the start, and again when they change', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'gauntlet-sd-'));
  const file = join(dir, 'targets.yml');
  writeFileSync(file, '- targets: [a:1, dns+two:2]\n');
  try {
    await withDiscovery([config({ addresses: ['s:1'], files: [{ paths: [file], refreshMs: 10 }] })], lookups, async (changes) => {
      expect(changes).toEqual([[['http://s:1', 'http://a:1', 'http://10.0.0.1:2', 'http://[::1]:2']]]);
      writeFileSync(file, '- targets: [b:1]\n');
      while (changes.length < 2) await new Promise((resolve) => setTimeout(resolve, 5));
      expect(changes.at(-1)).toEqual([['http://s:1', 'http://b:1']]);
    });
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
});
