/** Frames that a store lends: sent from where they lie, and overwritten by the store as soon as it may. */
import { Server, ServerCredentials, type ServiceDefinition } from '@grpc/grpc-js';
import { afterEach, describe, expect, test } from '@jest/globals';
import { createGrpcServer, createMetrics, createNopLogger, GRPC_HEADER_BYTES, openGrpcChannel } from '@gauntlet/service-kit';
import { createStoreService, GrpcStoreClient, type Store, StoreError } from './index.ts';
import { seriesOf } from './testing/index.ts';

const closers: (() => void | Promise<void>)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0)) await close();
});

/** Through the server of the services, and through one that knows nothing of framed messages. */
const SERVERS: Readonly<Record<string, (store: Store) => Promise<number>>> = {
  async 'our server'(store) {
    const server = createGrpcServer({ address: '127.0.0.1:0', gracePeriodMs: 0, component: 'store', log: createNopLogger(), metrics: createMetrics() });
    const service = createStoreService(store);
    server.addService(service.methods, service.handlers);
    await server.start();
    closers.push(() => server.stop());
    return server.port;
  },
  async 'a plain one'(store) {
    const server = new Server();
    const service = createStoreService(store);
    server.addService(service.methods as ServiceDefinition, service.handlers);
    closers.push(() => server.forceShutdown());
    return new Promise((resolve, reject) => server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, port) => (error === null ? resolve(port) : reject(error))));
  },
};

const refuse = async (): Promise<never> => {
  throw new StoreError('ERR_STORE_NOT_FOUND', 'not here');
};

/** Lends pieces of frames out of one and the same memory; `sent` notes what the sender said. */
function lender(sizes: readonly (readonly number[])[], sent: boolean[]): Store {
  const total = Math.max(...sizes.map((piece) => piece.reduce((sum, bytes) => sum + bytes + GRPC_HEADER_BYTES, 0)));
  const memory = new Uint8Array(total);
  return {
    series: () => {
      throw new Error('not lent');
    },
    async *lendSeries(_request, options, sender) {
      for (const [number, piece] of sizes.entries()) {
        let at = 0;
        for (const [i, bytes] of piece.entries()) {
          const frame = memory.subarray(at + GRPC_HEADER_BYTES, at + GRPC_HEADER_BYTES + bytes);
          frame.fill(1 + ((number * 7 + i) % 200));
          at += bytes + GRPC_HEADER_BYTES;
          yield frame;
        }
        sent.push(await sender.sent());
        if (options.signal?.aborted === true) return;
        memory.fill(0xee);
      }
    },
    labelNames: refuse,
    labelValues: refuse,
    info: () => ({ labelSets: [], mint: 0, maxt: 1, storeType: 'store', supportsSharding: true, supportsWithoutReplicaLabels: true, tsdbInfos: [] }),
  };
}

describe.each(Object.entries(SERVERS))('%s', (_name, serve) => {
  async function clientOf(store: Store): Promise<GrpcStoreClient> {
    const client = new GrpcStoreClient(openGrpcChannel({ address: `127.0.0.1:${await serve(store)}` }));
    closers.push(() => client.channel.close());
    return client;
  }

  test('frames of all sizes arrive as they were lent', async () => {
    const sizes = Array.from({ length: 30 }, (_none, piece) => Array.from({ length: 1 + (piece % 5) }, (_unused, i) => (piece * 7919 + i * 104_729) % 300_000));
    const sent: boolean[] = [];
    const client = await clientOf(lender(sizes, sent));
    const got: [number, number | undefined, boolean][] = [];
    for await (const frame of client.series(seriesOf(['a=b']))) got.push([frame.length, frame[0], frame.every((byte) => byte === frame[0])]);
    expect(got).toEqual(sizes.flatMap((piece, number) => piece.map((bytes, i) => [bytes, bytes === 0 ? undefined : 1 + ((number * 7 + i) % 200), true])));
    expect(sent).toEqual(sizes.map(() => true));
  });

  test('a reader that goes away frees the store, which is told that its memory is not free', async () => {
    const sent: boolean[] = [];
    let ended = (): void => {};
    const isOver = new Promise<void>((resolve) => (ended = resolve));
    const store = lender(Array.from({ length: 100 }, () => [4 << 20, 4 << 20]), sent);
    const client = await clientOf({
      ...store,
      async *lendSeries(request, options, sender) {
        try {
          yield* store.lendSeries!(request, options, sender);
        } finally {
          ended();
        }
      },
    });
    for await (const frame of client.series(seriesOf(['a=b']))) {
      expect(frame.length).toBe(4 << 20);
      break;
    }
    await isOver;
    expect(sent.length).toBeLessThan(100);
  });
});
