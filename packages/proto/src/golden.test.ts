/**
 * Recorded messages of Thanos and Prometheus decode to what was recorded beside them, and encode back to the same bytes. A few
 * recordings are in testdata/; all of them are used where the shared data folder exists.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { snappyDecode } from '@gauntlet/bytes';
import { describe, expect, test } from '@jest/globals';
import {
  type Codec,
  ChunkedReadSplitter,
  columnLabels,
  createSeriesFrame,
  createTimeSeriesColumns,
  decodeChunkedReadResponse,
  decodeReadResponse,
  decodeSeriesFrame,
  decodeWriteRequest,
  decodeWriteRequestV2,
  encodeChunkedFrame,
  encodeHintsFrame,
  encodeLabelFields,
  encodeWarningFrame,
  frameLabels,
  framePartData,
  infoResponse,
  labelNamesRequest,
  labelNamesResponse,
  labelValuesRequest,
  labelValuesResponse,
  MAX_TIME_MS,
  MIN_TIME_MS,
  readRequest,
  responseHints,
  type SeriesFrame,
  SeriesFrameEncoder,
  seriesRequest,
  type TimeSeriesColumns,
  WriteRequestEncoder,
} from './index.ts';

// oxlint-disable-next-line typescript/no-explicit-any -- JSON of many shapes
type Json = any;

const here = dirname(fileURLToPath(import.meta.url));
const testdata = join(here, '../testdata');
const shared = process.env['GAUNTLET_SHARED'] ?? join(here, '../../../../shared');
const golden = join(shared, 'golden');
const roots = existsSync(golden) ? [testdata, golden] : [testdata];

function files(folder: string, suffix: string): [string, string][] {
  return roots.flatMap((root) =>
    existsSync(join(root, folder))
      ? readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
          .filter((name) => name.endsWith(suffix))
          .map((name): [string, string] => [`${root === testdata ? 'testdata' : 'golden'} ${name}`, join(root, folder, name)])
      : [],
  );
}

const base64 = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, 'base64'));
const readJson = (path: string): Json => JSON.parse(readFileSync(path, 'utf8'));

/** Recorded int64 text as the codecs give it. */
const int64 = (text: string | number | undefined): number => {
  const n = Number(text ?? 0);
  return n > MAX_TIME_MS ? MAX_TIME_MS : n < MIN_TIME_MS ? MIN_TIME_MS : n;
};

const ENCODING = ['XOR', 'HISTOGRAM', 'FLOAT_HISTOGRAM', 'XOR2', 4, 5, 6];
const AGGREGATES = ['raw', 'count', 'sum', 'min', 'max', 'counter'] as const;

function seriesJson(frame: SeriesFrame, s: number): unknown {
  const flat = frameLabels(frame, s);
  const labels = [];
  for (let i = 0; i < flat.length; i += 2) labels.push({ name: flat[i], value: flat[i + 1] });
  const chunks = [];
  for (let c = frame.chunkOffsets[s]!; c < frame.chunkOffsets[s + 1]!; c++) {
    const chunk: Record<string, unknown> = { minTime: frame.chunkMint[c], maxTime: frame.chunkMaxt[c] };
    for (let p = frame.partOffsets[c]!; p < frame.partOffsets[c + 1]!; p++) {
      chunk[AGGREGATES[frame.partAggregate[p]!]!] = {
        encoding: frame.partEncoding[p],
        data: Buffer.from(framePartData(frame, p)).toString('base64'),
        hash: ((BigInt(frame.partHashHi[p]!) << 32n) | BigInt(frame.partHashLo[p]!)).toString(),
      };
    }
    chunks.push(chunk);
  }
  return { labels, chunks };
}

function recordedSeries(series: Json): unknown {
  return {
    labels: (series.labels ?? []).map((l: Json) => ({ name: l.name ?? '', value: l.value ?? '' })),
    chunks: (series.chunks ?? []).map((c: Json) => {
      const chunk: Record<string, unknown> = { minTime: int64(c.min_time), maxTime: int64(c.max_time) };
      for (const aggregate of AGGREGATES) {
        const part = c[aggregate];
        if (part === undefined) continue;
        const type = part.type ?? 'XOR';
        chunk[aggregate] = { encoding: ENCODING.indexOf(type) + 1, data: part.data ?? '', hash: part.hash ?? '0' };
      }
      return chunk;
    }),
  };
}

/** Writes the frame again, part by part. */
function encodeAgain(frame: SeriesFrame, batch: boolean): Uint8Array | undefined {
  const encoder = new SeriesFrameEncoder({ batchSize: batch ? 1000 : 0, frameBytesTarget: 1 << 30 });
  let out: Uint8Array | undefined;
  for (let s = 0; s < frame.seriesCount; s++) {
    encoder.beginSeries(encodeLabelFields(frameLabels(frame, s)));
    for (let c = frame.chunkOffsets[s]!; c < frame.chunkOffsets[s + 1]!; c++) {
      const p = frame.partOffsets[c]!;
      const end = frame.partOffsets[c + 1]!;
      if (end - p === 1 && frame.partAggregate[p] === 0) {
        encoder.addChunk(frame.chunkMint[c]!, frame.chunkMaxt[c]!, frame.partEncoding[p]!, framePartData(frame, p), frame.partHashHi[p], frame.partHashLo[p]);
        continue;
      }
      encoder.beginChunk(frame.chunkMint[c]!, frame.chunkMaxt[c]!);
      for (let q = p; q < end; q++) {
        encoder.addPart(frame.partAggregate[q]!, frame.partEncoding[q]!, framePartData(frame, q), frame.partHashHi[q], frame.partHashLo[q]);
      }
      encoder.endChunk();
    }
    out = encoder.endSeries();
  }
  return out ?? encoder.flush();
}

/** Writes the frame again by copying byte ranges. */
function encodeByRanges(frame: SeriesFrame, batch: boolean): Uint8Array | undefined {
  const encoder = new SeriesFrameEncoder({ batchSize: batch ? 1000 : 0, frameBytesTarget: 1 << 30 });
  let out: Uint8Array | undefined;
  for (let s = 0; s < frame.seriesCount; s++) {
    encoder.beginSeries(frame.bytes.subarray(frame.seriesStart[s], frame.labelsEnd[s]));
    for (let c = frame.chunkOffsets[s]!; c < frame.chunkOffsets[s + 1]!; c++) encoder.copyField(frame.bytes, frame.chunkStart[c]!, frame.chunkEnd[c]!);
    out = encoder.endSeries();
  }
  return out ?? encoder.flush();
}

describe('Store API recordings', () => {
  const calls = files('storeapi', '.json').filter(([name]) => !name.endsWith('index.json') && !name.endsWith('startup.json'));
  const frame = createSeriesFrame();

  test('Series frames', () => {
    let frames = 0;
    let parts = 0;
    for (const [name, path] of calls) {
      const call = readJson(path);
      if (call.method !== 'thanos.Store/Series') continue;
      for (const [i, text] of (call.frames as string[]).entries()) {
        const bytes = base64(text);
        decodeSeriesFrame(bytes, frame);
        const recorded = call.decoded[i];
        const series = recorded.batch !== undefined ? (recorded.batch.series ?? []) : recorded.series !== undefined ? [recorded.series] : [];
        expect({ name, warning: frame.warning, series: Array.from({ length: frame.seriesCount }, (_, s) => seriesJson(frame, s)) }).toEqual({
          name,
          warning: recorded.warning,
          series: series.map(recordedSeries),
        });
        const batch = recorded.batch !== undefined;
        const again =
          frame.warning !== undefined ? encodeWarningFrame(frame.warning) : frame.hints !== undefined ? encodeHintsFrame(frame.hints) : encodeAgain(frame, batch);
        expect(Buffer.from(again ?? [])).toEqual(Buffer.from(bytes));
        if (frame.seriesCount > 0) expect(Buffer.from(encodeByRanges(frame, batch) ?? [])).toEqual(Buffer.from(bytes));
        frames++;
        parts += frame.partCount;
      }
    }
    expect(frames).toBeGreaterThan(3);
    expect(parts).toBeGreaterThan(5);
  });

  const byMethod: Record<string, [Codec<Json>, Codec<Json> | undefined]> = {
    'thanos.Store/Series': [seriesRequest, undefined],
    'thanos.Store/LabelNames': [labelNamesRequest, labelNamesResponse],
    'thanos.Store/LabelValues': [labelValuesRequest, labelValuesResponse],
    'thanos.info.Info/Info': [infoResponse, infoResponse],
  };

  /** snake_case keys to ours, numbers from text, enums from names; zero values dropped on both sides. */
  function normal(value: Json, key = ''): Json {
    if (Array.isArray(value)) return value.map((v) => normal(v, key));
    if (value instanceof Uint8Array) return value;
    if (typeof value === 'string') {
      const enums = ['EQ', 'NEQ', 'RE', 'NRE', 'RAW', 'COUNT', 'SUM', 'MIN', 'MAX', 'COUNTER', 'WARN', 'ABORT'];
      const numbers = [0, 1, 2, 3, 0, 1, 2, 3, 4, 5, 0, 1];
      if (['type', 'aggregates', 'partialResponseStrategy'].includes(key)) return numbers[enums.indexOf(value)] ?? value;
      if (/(Time|start|end|limit|Size|Window|Index|Shards|step|range|Ms)$/.test(key) && /^-?\d+$/.test(value)) return int64(value);
      return value;
    }
    if (typeof value === 'number') return int64(value);
    if (typeof value !== 'object' || value === null) return value;
    const out: Record<string, unknown> = {};
    for (const [k, v] of Object.entries(value)) {
      const camel = k === 'ComponentType' ? 'componentType' : k.replace(/_(\w)/g, (_, c: string) => c.toUpperCase());
      const inner = normal(v, camel);
      const empty = inner === undefined || inner === '' || inner === 0 || inner === false || (Array.isArray(inner) && inner.length === 0);
      if (!empty && k !== 'hints' && k !== 'queryHints' && k !== 'query_hints') out[camel] = inner;
    }
    return out;
  }

  test('requests and unary responses', () => {
    let messages = 0;
    for (const [name, path] of calls) {
      const call = readJson(path);
      const codecs = byMethod[call.method];
      if (codecs === undefined) continue;
      const request = base64(call.requestBase64);
      if (call.method !== 'thanos.info.Info/Info') {
        const decoded = codecs[0].decode(request);
        expect({ name, request: normal(decoded) }).toEqual({ name, request: normal(call.request) });
        expect(codecs[0].decode(codecs[0].encode(decoded))).toEqual(decoded);
      }
      if (codecs[1] === undefined) continue;
      for (const [i, text] of (call.frames as string[]).entries()) {
        const decoded = codecs[1].decode(base64(text));
        expect({ name, response: normal(decoded) }).toEqual({ name, response: normal(call.decoded[i]) });
        expect(Buffer.from(codecs[1].encode(decoded))).toEqual(Buffer.from(base64(text)));
        const blocks = call.decoded[i].hints?.queried_blocks;
        if (blocks !== undefined) expect(responseHints.decode(decoded.hints.value).queriedBlocks).toEqual(blocks);
        messages++;
      }
    }
    expect(messages).toBeGreaterThan(2);
  });
});

const hexOf = (columns: TimeSeriesColumns, row: number): string =>
  columns.valueWords[2 * row + 1]!.toString(16).padStart(8, '0') + columns.valueWords[2 * row]!.toString(16).padStart(8, '0');

function pairs(flat: readonly string[]): [string, string][] {
  const out: [string, string][] = [];
  for (let i = 0; i < flat.length; i += 2) out.push([flat[i]!, flat[i + 1]!]);
  return out;
}

function columnsJson(columns: TimeSeriesColumns, from = 0, to: number = columns.seriesCount): unknown[] {
  return Array.from({ length: to - from }, (_, i) => {
    const s = from + i;
    const rows = (offsets: Int32Array, row: (r: number) => unknown): unknown[] =>
      Array.from({ length: offsets[s + 1]! - offsets[s]! }, (_, r) => row(offsets[s]! + r));
    return {
      labels: pairs(columnLabels(columns, s)),
      samples: rows(columns.sampleOffsets, (r) => [columns.timestampsMs[r], hexOf(columns, r)]),
      histograms: rows(columns.histogramOffsets, (r) => columns.histogramTimestampsMs[r]),
      exemplars: rows(columns.exemplarOffsets, (r) => columns.exemplarTimestampsMs[r]),
    };
  });
}

describe('remote-write recordings', () => {
  const columns = createTimeSeriesColumns();

  test.each(files('remote-write/v1', '.body'))('1.0 %s', (_, path) => {
    const recorded = readJson(path.replace(/body$/, 'json')).decoded;
    const plain = snappyDecode(new Uint8Array(readFileSync(path)));
    decodeWriteRequest(plain, columns);
    expect(columnsJson(columns)).toEqual(
      recorded.timeseries.map((t: Json) => ({
        labels: t.labels,
        samples: t.samples ?? [],
        histograms: (t.histograms ?? []).map((h: Json) => h[0]),
        exemplars: (t.exemplars ?? []).map((e: Json) => e.timestamp),
      })),
    );
    const text = (range: readonly [number, number]): string => Buffer.from(plain.subarray(range[0], range[0] + range[1])).toString();
    expect(columns.metadata.map((m) => ({ type: m.type, metric_family_name: text(m.family), help: text(m.help) }))).toEqual(
      recorded.metadata.map((m: Json) => ({ type: m.type ?? 0, metric_family_name: m.metric_family_name ?? '', help: m.help ?? '' })),
    );

    if (recorded.timeseries.some((t: Json) => t.histograms !== undefined || t.exemplars !== undefined) || recorded.metadata.length > 0) return;
    const encoder = new WriteRequestEncoder();
    for (let s = 0; s < columns.seriesCount; s++) {
      encoder.beginSeries(encodeLabelFields(columnLabels(columns, s)));
      encoder.addSamples(columns.timestampsMs, columns.values, columns.sampleOffsets[s]!, columns.sampleOffsets[s + 1]!);
      encoder.endSeries();
    }
    expect(Buffer.from(encoder.take())).toEqual(Buffer.from(plain));
  });

  test.each(files('remote-write/v2', '.body'))('2.0 %s', (_, path) => {
    const recorded = readJson(path.replace(/body$/, 'json')).decoded;
    decodeWriteRequestV2(snappyDecode(new Uint8Array(readFileSync(path))), columns);
    expect(columnsJson(columns)).toEqual(
      recorded.timeseries.map((t: Json) => ({
        labels: pairs(t.labels_refs.map((ref: number) => recorded.symbols[ref])),
        samples: (t.samples ?? []).map((s: Json) => [s.timestamp, s.value]),
        histograms: (t.histograms ?? []).map((h: Json) => h[0]),
        exemplars: (t.exemplars ?? []).map((e: Json) => e.timestamp),
      })),
    );
    expect(columns.metadata.length).toBe(recorded.timeseries.filter((t: Json) => t.metadata !== undefined).length);
  });

  test('every truncation of a request is refused or shorter', () => {
    const path = join(testdata, 'remote-write/v1/05.body');
    const plain = snappyDecode(new Uint8Array(readFileSync(path)));
    decodeWriteRequest(plain, columns);
    const all = columns.seriesCount;
    for (let end = 0; end < plain.length; end++) {
      try {
        decodeWriteRequest(plain.slice(0, end), columns);
        expect(columns.seriesCount).toBeLessThan(all);
      } catch (error) {
        expect((error as { code: string }).code).toBe('ERR_PROTO_TRUNCATED');
      }
    }
  });
});

describe('remote-read recordings', () => {
  const answered = files('remote-write/read', '.json').filter(([, path]) => readJson(path).status === 200);
  test.each(answered)('%s', (_, path) => {
    const call = readJson(path);
    const request = base64(call.request.protobufBase64);
    expect(readRequest.decode(readRequest.encode(readRequest.decode(request)))).toEqual(readRequest.decode(request));
    const body = base64(call.bodyBase64);
    if (call.headers['content-type'].startsWith('application/x-protobuf')) {
      const columns = createTimeSeriesColumns();
      const first = decodeReadResponse(snappyDecode(body), columns);
      const results = first.slice(1).map((to, i) => columnsJson(columns, first[i], to));
      const recorded: Json[] = call.decoded ?? [];
      const plain = (t: Json): unknown => ({
        labels: t.labels,
        samples: t.floats ?? t.samples ?? [],
        histograms: (t.histograms ?? []).map((h: Json) => h[0]),
        exemplars: [],
      });
      const isNested = Array.isArray(recorded[0]);
      expect(isNested ? results : results.flat()).toEqual(isNested ? recorded.map((r) => r.map(plain)) : recorded.map(plain));
      return;
    }
    const splitter = new ChunkedReadSplitter();
    const frame = createSeriesFrame();
    const got: { query: number; labels: unknown; chunks: unknown[] }[] = [];
    const again: Uint8Array[] = [];
    for (let at = 0; at < body.length; at += 100) {
      splitter.push(body.slice(at, at + 100));
      for (let m = splitter.next(); m !== undefined; m = splitter.next()) {
        again.push(encodeChunkedFrame(m));
        const query = decodeChunkedReadResponse(m, frame);
        for (let s = 0; s < frame.seriesCount; s++) {
          const chunks = [];
          for (let c = frame.chunkOffsets[s]!; c < frame.chunkOffsets[s + 1]!; c++) {
            chunks.push([frame.chunkMint[c], frame.chunkMaxt[c], frame.partEncoding[c], Buffer.from(framePartData(frame, c)).toString('base64')]);
          }
          got.push({ query, labels: pairs(frameLabels(frame, s)), chunks });
        }
      }
    }
    splitter.end();
    expect(Buffer.concat(again)).toEqual(Buffer.from(body));
    expect(mergeFrames(got)).toEqual(mergeFrames(call.decoded ?? []));
    const queries = got.map((item) => item.query);
    expect(queries).toEqual(queries.toSorted((a, b) => a - b));
    expect(new Set(queries).size).toBeLessThanOrEqual(Math.max(1, readRequest.decode(request).queries.length));
  });

  test('a flipped bit anywhere is noticed', () => {
    const body = base64(readJson(join(testdata, 'remote-write/read/chunks-eq.json')).bodyBase64);
    for (let bit = 0; bit < body.length * 8; bit++) {
      const damaged = body.slice();
      damaged[bit >> 3]! ^= 1 << (bit & 7);
      const splitter = new ChunkedReadSplitter({ messageBytesMax: 1 << 20 });
      splitter.push(damaged);
      expect(() => {
        while (splitter.next() !== undefined);
        splitter.end();
      }).toThrow();
    }
  });

  test('every truncation is noticed', () => {
    const body = base64(readJson(join(testdata, 'remote-write/read/two-queries.json')).bodyBase64);
    let whole = 0;
    for (let end = 1; end < body.length; end++) {
      const splitter = new ChunkedReadSplitter();
      splitter.push(body.subarray(0, end));
      while (splitter.next() !== undefined);
      try {
        splitter.end();
        whole++;
      } catch (error) {
        expect((error as { code: string }).code).toBe('ERR_PROTO_TRUNCATED');
      }
    }
    // Only the ends of whole frames are complete bodies.
    expect(whole).toBeLessThan(10);
  });
});

/** Joins consecutive frames of one series. */
function mergeFrames(list: readonly unknown[]): unknown[] {
  const out: Json[] = [];
  for (const item of list as Json[]) {
    const last = out.at(-1);
    if (last !== undefined && JSON.stringify(last.labels) === JSON.stringify(item.labels)) last.chunks.push(...item.chunks);
    else out.push({ labels: item.labels, chunks: [...(item.chunks ?? [])] });
  }
  return out;
}
