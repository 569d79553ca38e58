/**
 * A Series call through a sidecar: MB/s of frames, and how long the sidecar's main thread is held up (event-loop delay), with the
 * store in that thread and in workers. Prometheus (a server that streams an answer made beforehand), the sidecar and its reader are
 * processes of their own. A chunk holds 120 samples in 250 bytes; a series 10 labels and 20 chunks.
 * Run: node --import tsx packages/sidecar/src/series-workers.bench.ts (needs a build); GAUNTLET_BENCH_SMALL=1 for a short run.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { monitorEventLoopDelay, performance } from 'node:perf_hooks';
import { fileURLToPath } from 'node:url';
import { createKernels } from '@gauntlet/kernels';
import { encodeChunkedFrame, field, label, message, repeated } from '@gauntlet/proto';
import { createGrpcServer, createMetrics, createNopLogger, openGrpcChannel } from '@gauntlet/service-kit';
import { createStoreService, GrpcStoreClient } from '@gauntlet/storeapi';
import { seriesOf } from '@gauntlet/storeapi/testing';
import { createPrometheusStore, createStoreWorkers, openTransport, PrometheusClient, readTransportSettings } from './index.ts';
import { createSidecarMetrics } from './metrics.ts';

const isSmall = process.env['GAUNTLET_BENCH_SMALL'] === '1';
const ROUNDS = isSmall ? 1 : 5;
const CHUNKS = 20;
const SAMPLES_PER_CHUNK = 120;
const CHUNK_BYTES = 250;
/** Series of the answers: 1 M samples, and many. */
const SIZES: readonly number[] = isSmall ? [417] : [417, 20_000];
const MINT = 1_772_409_600_000;

/** Frames of one series each, as Prometheus writes them. */
function answerOf(seriesCount: number): Buffer[] {
  const series = message({
    labels: repeated(1, label),
    chunks: repeated(2, message({ min: field(1, 'int64'), max: field(2, 'int64'), type: field(3, 'int32'), data: field(4, 'bytes') })),
  });
  const response = message({ series: repeated(1, series), queryIndex: field(2, 'int64') });
  let state = 1;
  const pieces: Buffer[] = [];
  for (let s = 0; s < seriesCount; s++) {
    const labels = Object.entries({
      __name__: `http_requests_${String(Math.floor(s / 400)).padStart(3, '0')}`, code: '200', container: 'api', endpoint: 'metrics', handler: '/api/v1/query_range',
      instance: `10.0.${String(s >> 8).padStart(3, '0')}.${String(s & 255).padStart(3, '0')}:9090`, job: 'api-server', namespace: 'production', pod: `api-server-${String(s).padStart(6, '0')}`,
    }).map(([name, value]) => ({ name, value }));
    const chunks = Array.from({ length: CHUNKS }, (_, c) => ({
      min: MINT + c * 1_800_000, max: MINT + c * 1_800_000 + 1_785_000, type: 1,
      data: Uint8Array.from({ length: CHUNK_BYTES }, () => (state = (Math.imul(state, 1103515245) + 12345) >>> 0) >>> 24),
    }));
    pieces.push(Buffer.from(encodeChunkedFrame(response.encode({ series: [{ labels, chunks }], queryIndex: 0 }))));
  }
  return pieces;
}

/** Child: answers every remote read with as many series as the path prefix says. */
function servePrometheus(): void {
  const answers = new Map(SIZES.map((size) => [String(size), Buffer.concat(answerOf(size))]));
  const server = createServer((request, response) => {
    request.resume();
    response.writeHead(200, { 'content-type': 'application/x-streamed-protobuf; proto=prometheus.ChunkedReadResponse' });
    response.end(answers.get(request.url!.split('/')[1]!));
  });
  server.listen(0, '127.0.0.1', () => process.send!((server.address() as AddressInfo).port));
}

/** Child: the gRPC side of a sidecar; asked for its numbers, says them and starts anew. */
async function serveSidecar(mode: string, prometheusUrl: string): Promise<void> {
  const log = createNopLogger();
  const facts = { externalLabels: ['cluster', 'eu', 'replica', 'a'], timeRange: { mint: 0, maxt: Number.MAX_SAFE_INTEGER }, version: '3.14.0' };
  const transport = readTransportSettings('', 'bench');
  const client = new PrometheusClient(new URL(prometheusUrl), openTransport(transport));
  const inline = createPrometheusStore({ client, kernels: createKernels({ maxMemoryBytes: 16 << 20 }), externalLabels: () => facts.externalLabels, timeRange: () => facts.timeRange, version: () => facts.version });
  const workers = createStoreWorkers(
    { log, metrics: createSidecarMetrics(createMetrics()), module: new URL('../dist/store-worker.js', import.meta.url), facts: () => facts, info: () => inline.info() },
    { prometheusUrl, transport, limits: { seriesMax: 0, samplesMax: 0 }, spool: { folder: tmpdir(), stallMs: 60_000 } },
  );
  const server = createGrpcServer({ address: '127.0.0.1:0', gracePeriodMs: 0, component: 'sidecar', log, metrics: createMetrics() });
  const service = createStoreService(mode === 'main' ? inline : workers.store);
  server.addService(service.methods, service.handlers);
  await server.start();
  const delay = monitorEventLoopDelay({ resolution: 1 });
  delay.enable();
  let cpu = performance.eventLoopUtilization();
  process.on('message', () => {
    const used = performance.eventLoopUtilization(cpu);
    process.send!({ p50: delay.percentile(50) / 1e6, p99: delay.percentile(99) / 1e6, max: delay.max / 1e6, busyMs: used.active, rssMB: process.memoryUsage.rss() / 1e6 });
    delay.reset();
    cpu = performance.eventLoopUtilization();
  });
  process.send!(server.port);
}

interface Numbers {
  readonly p50: number;
  readonly p99: number;
  readonly max: number;
  readonly busyMs: number;
  readonly rssMB: number;
}

async function start(...argv: string[]): Promise<{ readonly child: ChildProcess; readonly port: number }> {
  const child = fork(fileURLToPath(import.meta.url), argv, { execArgv: process.execArgv });
  const [port] = (await once(child, 'message')) as [number];
  return { child, port };
}

async function numbersOf(child: ChildProcess): Promise<Numbers> {
  child.send('numbers');
  return ((await once(child, 'message')) as [Numbers])[0];
}

async function drain(client: GrpcStoreClient): Promise<{ bytes: number; ms: number }> {
  const startedMs = performance.now();
  let bytes = 0;
  for await (const frame of client.series(seriesOf(['__name__!=none'], { minTime: 0, maxTime: Number.MAX_SAFE_INTEGER, responseBatchSize: 64 }))) bytes += frame.length;
  return { bytes, ms: performance.now() - startedMs };
}

const median = (values: readonly number[]): number => values.toSorted((a, b) => a - b)[values.length >> 1]!;

async function compare(): Promise<void> {
  const prometheus = await start('prometheus');
  for (const size of SIZES) {
    const sides = [];
    for (const mode of ['main', 'workers']) {
      const sidecar = await start(mode, `http://127.0.0.1:${prometheus.port}/${size}`);
      const channel = openGrpcChannel({ address: `127.0.0.1:${sidecar.port}` });
      const idle = await numbersOf(sidecar.child);
      sides.push({ mode, sidecar, channel, client: new GrpcStoreClient(channel), idle, rounds: [] as { ms: number; bytes: number; numbers: Numbers }[] });
    }
    console.log(`${((size * CHUNKS * SAMPLES_PER_CHUNK) / 1e6).toFixed(1)} M samples in ${size} series`);
    for (const { client } of sides) for (let warm = 0; warm < (isSmall ? 1 : 10); warm++) await drain(client);
    // In turn, so that both see the same machine.
    for (let round = 0; round < ROUNDS * (size < 1000 ? 5 : 1); round++) {
      for (const side of sides) {
        await numbersOf(side.sidecar.child);
        const drained = await drain(side.client);
        side.rounds.push({ ...drained, numbers: await numbersOf(side.sidecar.child) });
      }
    }
    if (new Set(sides.map(({ rounds }) => rounds[0]!.bytes)).size !== 1) throw new Error('the two answers differ in length');
    for (const { mode, sidecar, channel, idle, rounds } of sides) {
      const of = (pick: (numbers: Numbers) => number): number => median(rounds.map(({ numbers }) => pick(numbers)));
      const ms = median(rounds.map((round) => round.ms));
      const { bytes } = rounds[0]!;
      console.log(
        `  ${mode.padEnd(8)} ${(bytes / 1e6).toFixed(1)} MB ${ms.toFixed(0)} ms ${(bytes / ms / 1e3).toFixed(0)} MB/s | main thread: delay p50 ${of((n) => n.p50).toFixed(1)} p99 ${of((n) => n.p99).toFixed(1)} max ${of((n) => n.max).toFixed(1)} ms, busy ${of((n) => n.busyMs).toFixed(0)} ms | RSS idle ${idle.rssMB.toFixed(0)}, after ${rounds.at(-1)!.numbers.rssMB.toFixed(0)} MB`,
      );
      channel.close();
      sidecar.child.kill();
    }
  }
  prometheus.child.kill();
}

const [role, url] = process.argv.slice(2);
if (role === undefined) await compare();
else if (role === 'prometheus') servePrometheus();
else await serveSidecar(role, url!);
