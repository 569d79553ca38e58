/**
 * Stores over a folder of blocks in one process: each serves all the samples under an external label of its own, `copy="0"`, `copy="1"` …
 * Arguments: folder, number of stores. Prints their addresses, separated by spaces, on one line.
 */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { createKernels } from '@gauntlet/kernels';
import { createGrpcServer, createMetrics, createNodeFileSystem, createNopLogger } from '@gauntlet/service-kit';
import { createInfoService, createStoreService, createTsdbStore, infoToMessage } from '@gauntlet/storeapi';
import { createBlockQueryable, openBlock } from '@gauntlet/tsdb';

const [dir, count] = process.argv.slice(2) as [string, string];
const fs = createNodeFileSystem();
const blocks = readdirSync(dir).map((name) => openBlock(fs, join(dir, name)));
const queryable = createBlockQueryable(blocks, createKernels());
const addresses: string[] = [];
for (let copy = 0; copy < Number(count); copy++) {
  const store = createTsdbStore({ queryable, externalLabels: () => ['copy', String(copy)], mint: () => 0, storeType: 'sidecar' });
  const server = createGrpcServer({ address: '127.0.0.1:0', gracePeriodMs: 0, component: 'sidecar', log: createNopLogger(), metrics: createMetrics() });
  for (const service of [createStoreService(store), createInfoService(() => infoToMessage(store.info()))]) server.addService(service.methods, service.handlers);
  await server.start();
  addresses.push(`127.0.0.1:${server.port}`);
}
console.log(addresses.join(' '));
