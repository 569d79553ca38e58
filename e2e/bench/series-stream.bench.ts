/**
 * Series streaming, MB/s of StoreAPI frames that a client drains over gRPC on loopback, warm: from the store gateway over a bucket
 * folder, from the sidecar over a Prometheus with the same blocks, and through a querier in front of each. Beside them what
 * Prometheus itself streams by remote read (raw chunks), which bounds the sidecar.
 *
 *   node --import tsx e2e/bench/series-stream.bench.ts          GAUNTLET_BENCH_SMALL=1 for a smoke run; needs a build
 */
import { cpSync, mkdirSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { snappyEncode } from '@gauntlet/bytes';
import { readRequest } from '@gauntlet/proto';
import { openGrpcChannel } from '@gauntlet/service-kit';
import { GrpcStoreClient } from '@gauntlet/storeapi';
import { seriesOf } from '@gauntlet/storeapi/testing';
import { startService } from '../harness/gauntlet.ts';
import { findPeer, startPrometheus } from '../harness/peers.ts';
import { temporaryDir, waitFor } from '../harness/process.ts';
import { benchDataset, copyToBucket } from './dataset.ts';

const small = process.env['GAUNTLET_BENCH_SMALL'] === '1';
const rounds = small ? 3 : 9;

if (findPeer('prometheus') === undefined) {
  console.log('series-stream: skipped, there is no prometheus on PATH (scripts/install-peers.sh)');
  process.exit(0);
}

const median = (values: readonly number[]): number => [...values].sort((a, b) => a - b)[values.length >> 1]!;

interface Drained {
  readonly bytes: number;
  readonly frames: number;
  readonly ms: number;
  readonly firstMs: number;
}

async function drain(stream: AsyncIterable<Uint8Array>): Promise<Drained> {
  const started = performance.now();
  let firstMs = 0;
  let bytes = 0;
  let frames = 0;
  for await (const piece of stream) {
    if (frames++ === 0) firstMs = performance.now() - started;
    bytes += piece.length;
  }
  return { bytes, frames, ms: performance.now() - started, firstMs };
}

const dataset = await benchDataset(join(import.meta.dirname, '..', '..', '.cache'), small);
const range = { minTime: dataset.startMs, maxTime: dataset.endMs - 1 };
const dir = temporaryDir('bench-stream');
const bucketDir = join(dir, 'bucket');
mkdirSync(join(dir, 'data'), { recursive: true });
for (const block of readdirSync(dataset.dir)) cpSync(join(dataset.dir, block), join(dir, 'data', block), { recursive: true });
copyToBucket(dataset, bucketDir);

const prometheus = await startPrometheus({ dataDir: dir, config: 'global: {external_labels: {replica: live}}\n', args: ['--storage.tsdb.retention.time=100y'] });
const sidecar = await startService('sidecar', [`--prometheus.url=${prometheus.url}`]);
const store = await startService('store', [`--objstore.config=${JSON.stringify({ type: 'FILESYSTEM', config: { directory: bucketDir } })}`, `--data-dir=${join(dir, 'store')}`]);
const overStore = await startService('query', [`--endpoint=${store.grpc}`]);
const overSidecar = await startService('query', [`--endpoint=${sidecar.grpc}`]);

async function* remoteRead(): AsyncGenerator<Uint8Array> {
  const body = snappyEncode(
    readRequest.encode({
      queries: [{ startMs: range.minTime, endMs: range.maxTime, matchers: [{ type: 0, name: '__name__', value: 'http_requests_total' }], hints: undefined }],
      acceptedResponseTypes: [1],
    } as Parameters<typeof readRequest.encode>[0]),
  );
  const response = await fetch(`${prometheus.url}/api/v1/read`, { method: 'POST', body: Buffer.from(body), headers: { 'Content-Encoding': 'snappy', 'Content-Type': 'application/x-protobuf', 'X-Prometheus-Remote-Read-Version': '0.1.0' } });
  if (!response.ok) throw new Error(`remote read: HTTP ${response.status} ${await response.text()}`);
  for await (const piece of response.body!) yield piece as Uint8Array;
}

const grpc = (address: string): (() => AsyncIterable<Uint8Array>) => {
  const client = new GrpcStoreClient(openGrpcChannel({ address }));
  return () => client.series(seriesOf(['__name__=http_requests_total'], { ...range, responseBatchSize: 64 }));
};
const SOURCES: readonly (readonly [string, () => AsyncIterable<Uint8Array>])[] = [
  ['Prometheus, remote read', remoteRead],
  ['sidecar', grpc(sidecar.grpc)],
  ['store gateway', grpc(store.grpc)],
  ['querier over the sidecar', grpc(overSidecar.grpc)],
  ['querier over the store', grpc(overStore.grpc)],
];

try {
  for (const [name, open] of SOURCES) {
    // Endpoints of a querier are known after its first round of Info.
    await waitFor(`series of ${name}`, async () => (await drain(open())).bytes > dataset.samples, { timeoutMs: 60_000 });
  }
  console.log(`${dataset.series} series, ${(dataset.samples / 1e6).toFixed(2)} M samples, ${rounds} rounds; median`);
  const results = new Map<string, Drained[]>(SOURCES.map(([name]) => [name, []]));
  for (let round = 0; round < rounds; round++) for (const [name, open] of SOURCES) results.get(name)!.push(await drain(open()));
  for (const [name, drained] of results) {
    const ms = median(drained.map((one) => one.ms));
    const { bytes, frames } = drained[0]!;
    console.log(
      `${name.padEnd(26)} ${(bytes / 1e6).toFixed(1).padStart(6)} MB in ${String(frames).padStart(5)} pieces  ${ms.toFixed(0).padStart(5)} ms (${Math.min(...drained.map((one) => one.ms)).toFixed(0)})  first ${median(drained.map((one) => one.firstMs)).toFixed(0).padStart(4)} ms  ${(bytes / 1e3 / ms).toFixed(0).padStart(5)} MB/s  ${(dataset.samples / 1e3 / ms).toFixed(1)} M samples/s`,
    );
  }
} finally {
  await Promise.all([overStore, overSidecar, store, sidecar].map((service) => service.stop()));
  await prometheus.stop();
}
process.exit(0);
