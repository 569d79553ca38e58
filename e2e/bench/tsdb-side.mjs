/**
 * Our side of tsdb-goals.bench.ts: a database behind HTTP in one process. Arguments: data directory, host:port.
 * Plain JavaScript over the built packages, so that neither start nor memory hold a compiler.
 *
 *   POST /api/v1/write   remote write 1.0: snappy, protobuf, series by the bytes of their labels, append, commit to the log
 *   POST /fill?series=   that many series with three samples each
 *   POST /cut            blocks that are due
 *   POST /compact        {"inputs": [block folders], "out": folder} → {"ms", "cpuMs", "samples"}; the new block is removed
 *   GET  /stats          of the database, its replay and the time of it
 */
import { createServer } from 'node:http';
import { join } from 'node:path';
import { createKernels } from '@gauntlet/kernels';
import { labelsFromPairs } from '@gauntlet/model';
import { WriteRequestScanner } from '@gauntlet/proto';
import { createNodeFileSystem } from '@gauntlet/service-kit';
import { appendRows, compactBlocks, createDb, createUlid, openBlock, SeriesRefs } from '@gauntlet/tsdb';

const [dir, address] = process.argv.slice(2);
const fs = createNodeFileSystem();
const kernels = createKernels();
const openedAt = performance.now();
const db = createDb({ fs, dir, kernels, clock: Date, random: Math.random });
const replayMs = performance.now() - openedAt;

/** Most bytes of a request, decompressed. */
const REQUEST_BYTES_MAX = 32 << 20;
const requestKernels = createKernels();
const scanner = new WriteRequestScanner(requestKernels);
const refs = new SeriesRefs(requestKernels, { random: Math.random });

/** Takes a request of floats in, all of it or nothing. @returns samples */
function write(body) {
  scanner.scan(body, REQUEST_BYTES_MAX);
  if (scanner.others.seriesCount > 0) throw new Error('write: series with something else than floats');
  const appender = db.appender();
  try {
    appendRows(requestKernels, appender, refs, scanner, 0, scanner.seriesCount, (row, _sample, refused) => {
      throw new Error(`write to ${JSON.stringify(scanner.labels(row))}: refused, ${refused}`);
    });
  } catch (error) {
    appender.rollback();
    throw error;
  }
  return appender.commit().samples;
}

function fill(series) {
  const BATCH = 5000;
  const all = new Float64Array(series);
  for (let round = 0; round < 3; round++) {
    for (let from = 0; from < series; from += BATCH) {
      const appender = db.appender();
      for (let i = from; i < Math.min(from + BATCH, series); i++) {
        const labels =
          round > 0
            ? []
            : labelsFromPairs([['__name__', 'http_requests_total'], ['job', `job-${i % 8}`], ['instance', `10.${i >> 16}.${(i >> 8) & 255}.${i & 255}:9100`], ['method', i % 2 === 0 ? 'GET' : 'POST'], ['code', String(200 + (i % 4) * 100)], ['handler', `/api/v1/${i % 97}`]]);
        all[i] = appender.append(all[i], labels, 1_780_000_000_000 + round * 15_000, i);
      }
      appender.commit();
    }
  }
}

function compact({ inputs, out }) {
  const ulid = createUlid(Date.now(), Math.random);
  const blocks = inputs.map((input) => openBlock(fs, input));
  const cpu = process.cpuUsage();
  const started = performance.now();
  const meta = compactBlocks({ fs, kernels }, blocks, out, { ulid });
  const ms = performance.now() - started;
  const { user, system } = process.cpuUsage(cpu);
  for (const block of blocks) block.close();
  fs.remove(join(out, ulid));
  return { ms, cpuMs: (user + system) / 1000, samples: meta.stats.numSamples };
}

let written = 0;
/** CPU of the requests' work, without HTTP, µs. */
let writeCpuUs = 0;
async function serve(request, response) {
  const url = new URL(request.url, 'http://localhost');
  const pieces = [];
  for await (const piece of request) pieces.push(piece);
  const body = pieces.length === 1 ? pieces[0] : Buffer.concat(pieces);
  try {
    if (url.pathname === '/api/v1/write') {
      const before = process.cpuUsage();
      written += write(body);
      const { user, system } = process.cpuUsage(before);
      writeCpuUs += user + system;
      response.writeHead(204).end();
      return;
    }
    let answer = {};
    if (url.pathname === '/fill') fill(Number(url.searchParams.get('series')));
    else if (url.pathname === '/cut') answer = db.compactHead();
    else if (url.pathname === '/compact') answer = compact(JSON.parse(body.toString()));
    else if (url.pathname === '/stats') answer = { ...db.stats(), written, writeCpuMs: writeCpuUs / 1000, replayMs, replayed: db.replay.samples };
    response.end(JSON.stringify(answer));
  } catch (error) {
    response.writeHead(400).end(String(error?.stack ?? error));
  }
}

const server = createServer((request, response) => void serve(request, response));
server.keepAliveTimeout = 600_000;
const [host, port] = address.split(':');
server.listen(Number(port), host);
