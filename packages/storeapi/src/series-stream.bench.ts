/**
 * Streaming series: MB/s and series/s of the steps, and from one process to another over loopback gRPC.
 * A series has 10 labels and 20 raw chunks of 250 bytes (5.7 KB), as in the measurements the design rests on.
 * Run: node --import tsx packages/storeapi/src/series-stream.bench.ts; GAUNTLET_BENCH_SMALL=1 for a short run.
 */
import { fork } from 'node:child_process';
import { createHash } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import { Server, ServerCredentials, type ServiceDefinition } from '@grpc/grpc-js';
import { type ChunkQueryable, type ChunkSeries, labelsFromMap } from '@gauntlet/model';
import { createSeriesFrame, decodeSeriesFrame, encodeLabelFields, SeriesFrameEncoder } from '@gauntlet/proto';
import { openGrpcChannel } from '@gauntlet/service-kit';
import { createChunkRows, createProxyStore, createStoreService, createTsdbStore, FrameBuffer, GrpcStoreClient, mergeChunks, SeriesMerge } from './index.ts';
import { seriesOf } from './testing/index.ts';

const isSmall = process.env['GAUNTLET_BENCH_SMALL'] === '1';
const SERIES = isSmall ? 500 : 20_000;
const ROUNDS = isSmall ? 1 : 5;
const CHUNKS = 20;
const CHUNK_BYTES = 250;

/** Bytes that look alike from run to run. */
function payload(seed: number): Uint8Array {
  let state = seed | 1;
  return Uint8Array.from({ length: CHUNK_BYTES }, () => (state = (Math.imul(state, 1103515245) + 12345) >>> 0) >>> 24);
}

function dataset(): ChunkSeries[] {
  return Array.from({ length: SERIES }, (_, i) => ({
    labels: labelsFromMap({
      __name__: 'http_requests_total', cluster: 'eu-west-1', code: '200', container: 'api', endpoint: 'metrics', handler: '/api/v1/query_range',
      instance: `10.0.${String(i >> 8).padStart(3, '0')}.${String(i & 255).padStart(3, '0')}:9090`, job: 'api-server', namespace: 'production', pod: `api-server-${String(i).padStart(6, '0')}`,
    }),
    chunks: Array.from({ length: CHUNKS }, (__, c) => ({ mint: 1_772_409_600_000 + c * 1_800_000, maxt: 1_772_409_600_000 + c * 1_800_000 + 1_785_000, encoding: 1, data: payload(i * CHUNKS + c) })),
  }));
}

function encodeAll(series: readonly ChunkSeries[], batchSize: number): Uint8Array[] {
  const encoder = new SeriesFrameEncoder({ batchSize });
  const frames: Uint8Array[] = [];
  for (const s of series) {
    encoder.beginSeries(encodeLabelFields(s.labels));
    for (const c of s.chunks) encoder.addChunk(c.mint, c.maxt, c.encoding, c.data);
    const frame = encoder.endSeries();
    if (frame !== undefined) frames.push(frame);
  }
  const last = encoder.flush();
  return last === undefined ? frames : [...frames, last];
}

async function* all<T>(items: readonly T[]): AsyncGenerator<T> {
  yield* items;
}

/** The server's side: frames made beforehand for replica "frames", encoded for each call for "tsdb". */
async function serve(): Promise<void> {
  const series = dataset();
  const prepared = new Map([0, 64, 256].map((size) => [size, encodeAll(series, size)]));
  const queryable: ChunkQueryable = {
    async *selectChunks() {
      for (let i = 0; i < series.length; i += 256) yield series.slice(i, i + 256);
    },
    labelNames: async () => ({ values: [], warnings: [] }),
    labelValues: async () => ({ values: [], warnings: [] }),
  };
  const tsdb = createTsdbStore({ queryable, externalLabels: () => ['replica', 'a'], mint: () => 0, storeType: 'receive' });
  const service = createStoreService({
    ...tsdb,
    info: () => tsdb.info(),
    labelNames: (request) => tsdb.labelNames(request),
    labelValues: (request) => tsdb.labelValues(request),
    series: (request) => (request.limit === 0 ? all(prepared.get(request.responseBatchSize)!) : tsdb.series({ ...request, limit: 0 })),
  });
  const server = new Server();
  server.addService(service.methods as ServiceDefinition, service.handlers);
  server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, port) => {
    if (error !== null) throw error;
    process.send!(port);
  });
}

async function measure(name: string, work: () => Promise<{ readonly bytes: number; readonly hash: string }>): Promise<void> {
  let best = Infinity;
  let outcome = { bytes: 0, hash: '' };
  for (let round = 0; round < ROUNDS; round++) {
    const start = performance.now();
    outcome = await work();
    best = Math.min(best, performance.now() - start);
  }
  const seconds = best / 1000;
  console.log(`${name.padEnd(58)} ${(outcome.bytes / 1e6 / seconds).toFixed(0).padStart(6)} MB/s ${(SERIES / 1000 / seconds).toFixed(0).padStart(6)} k series/s  ${outcome.hash}`);
}

/** Counts and a digest of what was seen, so that no step can be skipped. */
class Tally {
  bytes = 0;
  readonly #hash = createHash('sha256');

  add(bytes: number, ...numbers: readonly number[]): void {
    this.bytes += bytes;
    this.#hash.update(numbers.join());
  }

  end(): { bytes: number; hash: string } {
    return { bytes: this.bytes, hash: this.#hash.digest('hex').slice(0, 8) };
  }
}

async function bench(): Promise<void> {
  const series = dataset();
  for (const size of [0, 64]) {
    const frames = encodeAll(series, size);
    await measure(`encode, batch ${size}`, async () => {
      const tally = new Tally();
      for (const frame of encodeAll(series, size)) tally.add(frame.length, frame.length);
      return tally.end();
    });
    await measure(`decode into offset tables, batch ${size}`, async () => {
      const tally = new Tally();
      const frame = createSeriesFrame();
      for (const bytes of frames) {
        decodeSeriesFrame(bytes, frame);
        tally.add(bytes.length, frame.seriesCount, frame.partCount);
      }
      return tally.end();
    });
    for (const stores of [1, 2, 4]) {
      await measure(`merge ${stores} equal stores and their chunks, batch ${size}`, async () => {
        const tally = new Tally();
        const rows = createChunkRows();
        const inputs = Array.from({ length: stores }, () => {
          const buffer = new FrameBuffer({ frameTimeoutMs: 0, bufferBytesMax: Infinity });
          buffer.start(all(frames));
          return { buffer };
        });
        for await (const batch of new SeriesMerge(inputs, { onEnd: () => {}, onWarning: () => {} })) {
          let bytes = 0;
          for (let s = 0; s < batch.seriesCount; s++) {
            mergeChunks(batch, s, rows);
            for (let source = batch.sourceOffsets[s]!; source < batch.sourceOffsets[s + 1]!; source++) bytes += batch.frames[source]!.seriesEnd[batch.series[source]!]! - batch.frames[source]!.seriesStart[batch.series[source]!]!;
          }
          tally.add(bytes, batch.seriesCount, rows.count);
        }
        return tally.end();
      });
    }
  }

  const child = fork(fileURLToPath(import.meta.url), [], { env: { ...process.env, SERIES_STREAM_SERVER: '1' }, execArgv: ['--import', 'tsx'] });
  const port = await new Promise<number>((resolve) => child.once('message', (message) => resolve(message as number)));
  const channel = openGrpcChannel({ address: `127.0.0.1:${port}` });
  const client = new GrpcStoreClient(channel);
  const frame = createSeriesFrame();
  for (const size of [0, 64, 256]) {
    for (const [name, limit] of [['frames made beforehand', 0], ['encoded from chunks, external label put on', 1]] as const) {
      await measure(`gRPC + decode, batch ${size}, ${name}`, async () => {
        const tally = new Tally();
        for await (const bytes of client.series(seriesOf(['a=b'], { responseBatchSize: size, limit }))) {
          decodeSeriesFrame(bytes, frame);
          tally.add(bytes.length, frame.seriesCount, frame.partCount);
        }
        return tally.end();
      });
    }
    await measure(`gRPC + proxy select, batch ${size}`, async () => {
      const tally = new Tally();
      const info = { labelSets: [], mint: 0, maxt: Number.MAX_SAFE_INTEGER, storeType: 'store', supportsSharding: true, supportsWithoutReplicaLabels: true, tsdbInfos: [] };
      const proxy = createProxyStore({ endpoints: () => [{ address: 'x', info, store: client }] });
      const select = proxy.select(seriesOf(['a=b'], { responseBatchSize: size }));
      for await (const batch of select.batches) tally.add(0, batch.seriesCount);
      tally.bytes = select.stores[0]!.bytes;
      return tally.end();
    });
  }
  channel.close();
  child.kill();
}

await (process.env['SERIES_STREAM_SERVER'] === '1' ? serve() : bench());
