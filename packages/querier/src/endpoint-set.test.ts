/** The endpoint set over a scripted world: who answers Info and with what, DNS, and a clock that is moved by hand. */
import { describe, expect, test } from '@jest/globals';
import { type LogFields, type Logger, createMetrics, createNopLogger, renderMetrics } from '@gauntlet/service-kit';
import { type StoreInfo, infoToMessage } from '@gauntlet/storeapi';
import type { EndpointSpec } from './endpoint-config.ts';
import { EndpointSet } from './endpoint-set.ts';
import type { EndpointTarget } from './store-clients.ts';

const tls = { enabled: false, skipVerify: false, certFile: '', keyFile: '', caFile: '', serverName: '', minVersion: '' };
const spec = (address: string, more: Partial<EndpointSpec> = {}): EndpointSpec => ({ address, isStrict: false, isGroup: false, tls, ...more });
const sidecar = (replica: string, more: Partial<StoreInfo> = {}): StoreInfo => ({
  labelSets: [['replica', replica]],
  mint: 1000,
  maxt: 2000,
  storeType: 'sidecar',
  supportsSharding: true,
  supportsWithoutReplicaLabels: true,
  tsdbInfos: [],
  ...more,
});

class World {
  nowMs = 1_000_000;
  specs: EndpointSpec[] = [];
  /** Who answers, by address or name of the group; the others refuse. */
  readonly up = new Map<string, StoreInfo>();
  /** Who answers with rules and without a Store API. */
  readonly rulers = new Set<string>();
  readonly dns = new Map<string, readonly string[]>();
  readonly asked: string[] = [];
  readonly closed: string[] = [];
  readonly targets = new Map<string, EndpointTarget>();
  readonly log: { readonly level: string; readonly message: string; readonly fields: LogFields | undefined }[] = [];
  resolutions = 0;
  readonly metrics = createMetrics();
  readonly set: EndpointSet;

  constructor() {
    const line = (level: string) => (message: string, fields?: LogFields): void => void this.log.push({ level, message, fields });
    const log: Logger = { ...createNopLogger(), debug: line('debug'), info: line('info'), warn: line('warn'), error: line('error'), enabled: () => true, child: () => log };
    this.set = new EndpointSet({
      specs: () => this.specs,
      clients: {
        get: (target) => ({
          fetchInfo: async () => {
            this.asked.push(target.address);
            this.targets.set(target.address, target);
            if (this.rulers.has(target.address)) return { ...infoToMessage(sidecar('x', { storeType: 'rule' })), store: undefined, rules: {} };
            const info = this.up.get(target.address);
            if (info === undefined) throw new Error('connection refused');
            return infoToMessage(info);
          },
        }),
        close: (address) => void this.closed.push(address),
        closeAll: () => {},
      },
      resolver: {
        resolve: async (addresses) => {
          this.resolutions++;
          return addresses.filter((address) => !this.dns.has(address)).map((address) => new Error(`lookup ${address}: no such host`));
        },
        addressesOf: (address) => this.dns.get(address) ?? [],
      },
      infoTimeoutMs: 5000,
      unhealthyTimeoutMs: 300_000,
      dnsIntervalMs: 30_000,
      clock: () => this.nowMs,
      log,
      metrics: this.metrics,
      connMetricLabels: ['external_labels', 'store_type'],
    });
  }

  async round(passMs = 5000): Promise<readonly string[]> {
    this.nowMs += passMs;
    await this.set.update();
    return this.queried();
  }

  queried(): readonly string[] {
    return this.set.snapshot().filter(({ unavailable }) => unavailable === undefined).map(({ target }) => target.address);
  }

  warnings(): readonly string[] {
    return this.log.filter(({ level }) => level === 'warn').map(({ message }) => message);
  }

  async page(): Promise<string> {
    return String((await renderMetrics(this.metrics.registry, undefined)).body);
  }
}

describe('an endpoint', () => {
  test('joins with its first good Info, is missed while it is down, is forgotten after the unhealthy timeout, comes back', async () => {
    const world = new World();
    world.specs = [spec('a:1')];
    expect(await world.round()).toEqual([]);
    expect(world.set.status()).toMatchObject([{ name: 'a:1', componentType: 'unknown', lastCheckMs: 0, lastError: 'connection refused', labelSets: [] }]);

    world.up.set('a:1', sidecar('a'));
    expect(await world.round()).toEqual(['a:1']);
    const goodMs = world.nowMs;
    expect(world.set.snapshot()[0]!.info).toMatchObject({ labelSets: [['replica', 'a']], mint: 1000, maxt: 2000, storeType: 'sidecar' });
    expect(world.set.status()).toMatchObject([{ componentType: 'sidecar', lastCheckMs: goodMs, lastError: null, labelSets: [['replica', 'a']], mint: 1000, maxt: 2000 }]);
    expect(await world.page()).toContain('thanos_store_nodes_grpc_connections{external_labels="{replica=\\"a\\"}",store_type="sidecar"} 1');

    world.up.delete('a:1');
    expect(await world.round()).toEqual([]);
    expect(world.set.status()).toMatchObject([{ lastCheckMs: goodMs, lastError: 'connection refused', labelSets: [['replica', 'a']] }]);
    // It is not asked, but queries that it could have answered must know that it is missing.
    expect(world.set.snapshot()).toMatchObject([{ target: { address: 'a:1' }, info: { labelSets: [['replica', 'a']] }, unavailable: 'connection refused' }]);
    expect(await world.page()).not.toContain('thanos_store_nodes_grpc_connections{');

    await world.round(294_000);
    expect(world.set.status()[0]!.labelSets).toEqual([['replica', 'a']]);
    await world.round(1000);
    expect(world.set.status()).toMatchObject([{ lastCheckMs: 0, labelSets: [] }]);
    expect(world.closed).toContain('a:1');
    expect(world.set.snapshot()).toEqual([]);

    world.up.set('a:1', sidecar('a2'));
    expect(await world.round()).toEqual(['a:1']);
    expect(world.set.snapshot()[0]!.info.labelSets).toEqual([['replica', 'a2']]);
  });

  test('is removed when it is no longer configured', async () => {
    const world = new World();
    world.specs = [spec('a:1'), spec('b:2')];
    for (const address of ['a:1', 'b:2']) world.up.set(address, sidecar(address));
    expect(await world.round()).toEqual(['a:1', 'b:2']);
    world.specs = [spec('b:2')];
    expect(await world.round()).toEqual(['b:2']);
    expect(world.closed).toEqual(['a:1']);
    expect(world.set.status().map(({ name }) => name)).toEqual(['b:2']);
  });

  test('without a Store API is shown and not queried', async () => {
    const world = new World();
    world.specs = [spec('a:1')];
    const message = { ...infoToMessage(sidecar('a', { storeType: 'rule' })), store: undefined };
    const set = new EndpointSet({
      specs: () => world.specs,
      clients: { get: () => ({ fetchInfo: async () => message }), close: () => {}, closeAll: () => {} },
      resolver: { resolve: async () => [], addressesOf: () => [] },
      infoTimeoutMs: 1,
      unhealthyTimeoutMs: 1,
      dnsIntervalMs: 1,
      clock: () => 5,
      log: createNopLogger(),
      metrics: createMetrics(),
      connMetricLabels: [],
    });
    await set.update();
    expect(set.snapshot()).toEqual([]);
    expect(set.status()).toMatchObject([{ name: 'a:1', componentType: 'rule', lastError: null, labelSets: [['replica', 'a']] }]);
  });

  test('that announced rules is asked for them, also without a Store API, and missed while it is down', async () => {
    const world = new World();
    world.specs = [spec('ruler:1'), spec('sidecar:1'), spec('strict:1', { isStrict: true })];
    const rules = (): unknown => world.set.rulesSnapshot().map(({ target, unavailable }) => [target.address, unavailable]);
    world.up.set('sidecar:1', sidecar('a'));
    expect(rules()).toEqual([]);
    for (const address of ['ruler:1', 'strict:1']) world.rulers.add(address);
    await world.round();
    expect(rules()).toEqual([['ruler:1', undefined], ['strict:1', undefined]]);
    expect(world.queried()).toEqual(['sidecar:1']);
    world.rulers.clear();
    await world.round();
    // A strict endpoint is asked in any case.
    expect(rules()).toEqual([['ruler:1', 'connection refused'], ['strict:1', undefined]]);
    await world.round(300_000);
    expect(rules()).toEqual([['strict:1', undefined]]);
    world.rulers.add('ruler:1');
    await world.round();
    expect(rules()).toEqual([['ruler:1', undefined], ['strict:1', undefined]]);
  });

  test('what it announces is taken anew at each round', async () => {
    const world = new World();
    world.specs = [spec('a:1')];
    world.up.set('a:1', sidecar('a'));
    await world.round();
    world.up.set('a:1', sidecar('a', { maxt: 9000 }));
    await world.round();
    expect(world.set.snapshot()[0]!.info.maxt).toBe(9000);
  });
});

test('a strict endpoint is queried from the start and while it is down, with what it last announced', async () => {
  const world = new World();
  world.specs = [spec('a:1', { isStrict: true })];
  expect(await world.round()).toEqual(['a:1']);
  expect(world.set.snapshot()[0]!.info).toMatchObject({ labelSets: [] });
  world.up.set('a:1', sidecar('a'));
  await world.round();
  world.up.delete('a:1');
  expect(await world.round(3_600_000)).toEqual(['a:1']);
  expect(world.set.snapshot()[0]!.info.labelSets).toEqual([['replica', 'a']]);
});

describe('names', () => {
  test('each address behind a DNS name is an endpoint; resolved again after the interval; a failing lookup keeps what is known', async () => {
    const world = new World();
    world.specs = [spec('dns+stores:1')];
    world.dns.set('dns+stores:1', ['10.0.0.1:1', '10.0.0.2:1']);
    for (const address of ['10.0.0.1:1', '10.0.0.2:1', '10.0.0.3:1']) world.up.set(address, sidecar(address));
    expect(await world.round()).toEqual(['10.0.0.1:1', '10.0.0.2:1']);
    await world.round(5000);
    expect(world.resolutions).toBe(1);
    world.dns.set('dns+stores:1', ['10.0.0.2:1', '10.0.0.3:1']);
    expect(await world.round(30_000)).toEqual(['10.0.0.2:1', '10.0.0.3:1']);
    expect(world.resolutions).toBe(2);
  });

  test('a name that does not resolve is an error in the log', async () => {
    const world = new World();
    world.specs = [spec('dns+nowhere:1')];
    expect(await world.round()).toEqual([]);
    expect(world.log).toContainEqual(expect.objectContaining({ level: 'error', fields: { err: expect.objectContaining({ message: 'lookup dns+nowhere:1: no such host' }) } }));
  });

  test('a group is one endpoint over all its addresses, and follows them', async () => {
    const world = new World();
    world.specs = [spec('dns+group:1', { isGroup: true })];
    world.dns.set('dns+group:1', ['10.0.0.2:1', '10.0.0.1:1']);
    world.up.set('dns+group:1', sidecar('g'));
    expect(await world.round()).toEqual(['dns+group:1']);
    expect(world.targets.get('dns+group:1')!.members).toEqual(['10.0.0.1:1', '10.0.0.2:1']);
    world.dns.set('dns+group:1', ['10.0.0.3:1']);
    await world.round(30_000);
    expect(world.targets.get('dns+group:1')!.members).toEqual(['10.0.0.3:1']);
    expect(world.asked).toEqual(['dns+group:1', 'dns+group:1']);
  });

  test('an address given twice is asked once and counted', async () => {
    const world = new World();
    world.specs = [spec('a:1'), spec('a:1', { isStrict: true })];
    world.up.set('a:1', sidecar('a'));
    expect(await world.round()).toEqual(['a:1']);
    expect(world.asked).toEqual(['a:1']);
    expect(await world.page()).toContain('thanos_query_duplicated_endpoint_addresses_total 1\n');
  });
});

describe('two endpoints with the same external labels', () => {
  test('are warned of once, and again after they differed', async () => {
    const world = new World();
    world.specs = [spec('a:1'), spec('b:2')];
    world.up.set('a:1', sidecar('x')).set('b:2', sidecar('x'));
    expect(await world.round()).toEqual(['a:1', 'b:2']);
    await world.round();
    expect(world.warnings()).toEqual(['found duplicate sidecar endpoints: different Prometheus servers must have different external labels']);
    expect(world.log.find(({ level }) => level === 'warn')!.fields).toEqual({ addresses: 'a:1,b:2', extLset: '{replica="x"}' });
    world.up.set('b:2', sidecar('y'));
    await world.round();
    world.up.set('b:2', sidecar('x'));
    await world.round();
    expect(world.warnings()).toHaveLength(2);
  });

  test.each([
    { name: 'store gateways', info: sidecar('x', { storeType: 'store' }) },
    { name: 'nothing announced', info: sidecar('x', { labelSets: [] }) },
  ])('are fine: $name', async ({ info }) => {
    const world = new World();
    world.specs = [spec('a:1'), spec('b:2')];
    world.up.set('a:1', info).set('b:2', info);
    await world.round();
    expect(world.warnings()).toEqual([]);
  });
});

test('rounds asked for at the same time are one', async () => {
  const world = new World();
  world.specs = [spec('a:1')];
  world.up.set('a:1', sidecar('a'));
  await Promise.all([world.set.update(), world.set.update(), world.set.update()]);
  expect(world.asked).toEqual(['a:1']);
});

test('a failing endpoint is logged when it begins to fail, not every round', async () => {
  const world = new World();
  world.specs = [spec('a:1')];
  await world.round();
  await world.round();
  await world.round();
  expect(world.warnings()).toEqual(['update of endpoint failed']);
});
