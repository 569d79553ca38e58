/** The Store contract over every implementation in this package. */
import { Server, ServerCredentials, type ServiceDefinition } from '@grpc/grpc-js';
import { afterAll, beforeAll, describe, test } from '@jest/globals';
import { openGrpcChannel } from '@gauntlet/service-kit';
import { createInfoService, createProxyStore, createStoreService, createTsdbStore, GrpcStoreClient, infoToMessage, limitSeries, type Store, type StoreInfo } from './index.ts';
import { createMemoryChunkQueryable, FIXTURE_EXTERNAL_LABELS, FIXTURE_MINT, FIXTURE_SERIES, storeCases } from './testing/index.ts';

function tsdbStore(keep: (i: number) => boolean = () => true): Store {
  return createTsdbStore({
    queryable: createMemoryChunkQueryable(FIXTURE_SERIES.filter((_, i) => keep(i))),
    externalLabels: () => FIXTURE_EXTERNAL_LABELS,
    mint: () => FIXTURE_MINT,
    storeType: 'receive',
  });
}

function proxyOver(stores: readonly Store[], override: Partial<StoreInfo> = {}): Store {
  return createProxyStore({ endpoints: () => stores.map((store, i) => ({ address: `store-${i}`, info: { ...store.info(), ...override }, store })) });
}

/** A store that knows neither sharding nor replica label removal, as old peers. */
function oldStore(store: Store): Store {
  return {
    series: (request, options) => store.series({ ...request, shardInfo: undefined, withoutReplicaLabels: [] }, options),
    labelNames: (request, options) => store.labelNames(request, options),
    labelValues: (request, options) => store.labelValues(request, options),
    info: () => ({ ...store.info(), supportsSharding: false, supportsWithoutReplicaLabels: false }),
  };
}

const implementations: [string, () => Store][] = [
  ['tsdb store', () => tsdbStore()],
  ['limited store', () => limitSeries(tsdbStore(), { seriesMax: 100, samplesMax: 100_000 })],
  ['proxy over one', () => proxyOver([tsdbStore()])],
  ['proxy over two halves', () => proxyOver([tsdbStore((i) => i % 2 === 0), tsdbStore((i) => i % 2 === 1)])],
  ['proxy over equal twins', () => proxyOver([tsdbStore(), tsdbStore()])],
  ['proxy over three that overlap', () => proxyOver([tsdbStore((i) => i % 3 !== 0), tsdbStore((i) => i % 3 !== 1), tsdbStore((i) => i % 3 !== 2)])],
  ['proxy over old stores', () => proxyOver([oldStore(tsdbStore((i) => i < 6)), oldStore(tsdbStore((i) => i > 4))], {})],
  ['proxy over a proxy', () => proxyOver([proxyOver([tsdbStore()])])],
];

describe.each(implementations)('%s', (name, create) => {
  for (const { name: caseName, run } of storeCases()) {
    if (name === 'proxy over old stores' && caseName === 'info') continue; // announces for itself what the stores behind it lack
    test(caseName, () => run(create()));
  }
});

describe('gRPC loopback', () => {
  const server = new Server();
  let client: GrpcStoreClient;
  beforeAll(async () => {
    const store = tsdbStore();
    for (const service of [createStoreService(store), createInfoService(() => infoToMessage(store.info()))]) server.addService(service.methods as ServiceDefinition, service.handlers);
    const port = await new Promise<number>((resolve, reject) =>
      server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) => (error === null ? resolve(bound) : reject(error))),
    );
    client = new GrpcStoreClient(openGrpcChannel({ address: `127.0.0.1:${port}` }));
    await client.fetchInfo();
  });
  afterAll(() => {
    client.channel.close();
    server.forceShutdown();
  });

  for (const { name, run } of storeCases()) test(name, () => run(client));
  for (const { name, run } of storeCases()) test(`behind a proxy: ${name}`, () => run(proxyOver([client])));
});
