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
import { snappyDecode } from '@gauntlet/bytes';
import { createKernels } from '@gauntlet/kernels';
import { labelsFromPairs } from '@gauntlet/model';
import { columnLabels, createTimeSeriesColumns, decodeWriteRequest } from '@gauntlet/proto';
import { createNodeFileSystem } from '@gauntlet/service-kit';
import { compactBlocks, createDb, createUlid, openBlock } from '@gauntlet/tsdb';

const [dir, address] = process.argv.slice(2);
const fs = createNodeFileSystem();
const kernels = createKernels();
const openedAt = performance.now();
const db = createDb({ fs, dir, kernels, clock: Date, random: Math.random });
const replayMs = performance.now() - openedAt;

const REFS = 1 << 17;
const SYMBOL_BYTES = 1 << 25;
/** References by the bytes of label fields, which are compared in full: what was judged sound once need not be judged again. */
const slots = new Int32Array(REFS).fill(-1);
const hashes = new Int32Array(REFS);
const starts = new Int32Array(REFS + 1);
const refs = new Float64Array(REFS);
const keys = new Uint8Array(SYMBOL_BYTES);
const keyWords = new DataView(keys.buffer);
let known = 0;

function hashOf(words, from, to) {
  let hash = 0x811c9dc5;
  let i = from;
  for (; i + 4 <= to; i += 4) {
    hash = Math.imul(hash ^ words.getInt32(i, true), 0x9e3779b1);
    hash ^= hash >>> 15;
  }
  for (; i < to; i++) hash = Math.imul(hash ^ words.getUint8(i), 0x01000193);
  return hash ^ (hash >>> 13);
}

function isKey(id, words, from, to) {
  const at = starts[id];
  const length = to - from;
  if (starts[id + 1] - at !== length) return false;
  let i = 0;
  for (; i + 4 <= length; i += 4) if (keyWords.getInt32(at + i, true) !== words.getInt32(from + i, true)) return false;
  for (; i < length; i++) if (keys[at + i] !== words.getUint8(from + i)) return false;
  return true;
}

const columns = createTimeSeriesColumns();

/** Takes a request in, all of it or nothing. @returns samples */
function write(body) {
  const bytes = snappyDecode(body);
  decodeWriteRequest(bytes, columns);
  const words = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const appender = db.appender();
  try {
    const { labelRanges, labelOffsets, sampleOffsets, timestampsMs, valueWords } = columns;
    for (let s = 0; s < columns.seriesCount; s++) {
      const last = 4 * labelOffsets[s + 1] - 4;
      const from = labelRanges[4 * labelOffsets[s]];
      const to = labelRanges[last + 2] + labelRanges[last + 3];
      const hash = hashOf(words, from, to);
      let place = hash & (REFS - 1);
      while (slots[place] >= 0 && !(hashes[slots[place]] === hash && isKey(slots[place], words, from, to))) place = (place + 1) & (REFS - 1);
      let id = slots[place];
      const labels = id < 0 || refs[id] === 0 ? columnLabels(columns, s) : undefined;
      if (id < 0) {
        id = slots[place] = known++;
        hashes[id] = hash;
        keys.set(bytes.subarray(from, to), starts[id]);
        starts[id + 1] = starts[id] + to - from;
      }
      for (let i = sampleOffsets[s]; i < sampleOffsets[s + 1]; i++) refs[id] = appender.appendBits(refs[id], labels, timestampsMs[i], valueWords[2 * i + 1], valueWords[2 * i]);
    }
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
