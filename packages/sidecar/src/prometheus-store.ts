/**
 * The Store over a Prometheus: series by remote read, labels by its HTTP API.
 *
 *   streamed chunks  frame by frame: chunks are copied unread, external labels put on, one metric sorted at a time
 *   samples          older servers: encoded into XOR chunks of 120
 *   skip_chunks      /api/v1/series
 *
 * Source of behaviour: Thanos pkg/store/prometheus.go. Different on purpose: shards, limits and removed labels hold for every kind
 * of call, and an open end of the time range is left open.
 */
import { isMainThread } from 'node:worker_threads';
import { snappyDecode, xxhash64 } from '@gauntlet/bytes';
import { type Kernels, xorChunkBytesMax } from '@gauntlet/kernels';
import { CHUNK_ENCODING, getLabel, type LabelAnswer, type LabelQuery, type Labels, type Matcher } from '@gauntlet/model';
import {
  ChunkedReadSplitter,
  columnLabels,
  createSeriesFrame,
  createTimeSeriesColumns,
  decodeChunkedReadResponse,
  decodeReadResponse,
  frameLabels,
  framePartData,
  type SeriesRequest,
  type TimeSeriesColumns,
  WireWriter,
  writeRawChunkField,
} from '@gauntlet/proto';
import { createLabelledStore, type LabelledSource, matcherToMessage, type SeriesRewriter, type Store, StoreError } from '@gauntlet/storeapi';
import { type PrometheusAnswer, type PrometheusClient, readText } from './prometheus-client.ts';
import { spoolWhenStalled, type SpoolOptions } from './spool.ts';

const SAMPLES_PER_CHUNK = 120;
/** First release whose label calls take matchers. */
const LABEL_MATCHERS_SINCE = [2, 24] as const;
/** Largest sampled answer, decompressed. */
const SAMPLED_BYTES_MAX = 1 << 30;

/** What a remote read cost; the thread that did the work says so. */
export interface ReadCost {
  readonly isMainThread: boolean;
  /** Frames of the answer; `undefined` unless Prometheus streamed chunks. */
  readonly frames: number | undefined;
  /** Chunks that were copied and hashed, or encoded. */
  readonly chunks: number;
}

/** What {@link createPrometheusStore} needs. */
export interface PrometheusStoreDeps {
  readonly client: PrometheusClient;
  /** Encodes sampled answers. */
  readonly kernels: Kernels;
  /** Read at every call. */
  readonly externalLabels: () => Labels;
  /** Announced range, ms; requests are cut at its begin. */
  readonly timeRange: () => { readonly mint: number; readonly maxt: number };
  /** Version of Prometheus. */
  readonly version: () => string;
  /** Told at the end of every remote read, whatever ended it. */
  readonly onRead?: (cost: ReadCost) => void;
  /** Where an answer goes whose reader does not keep up. */
  readonly spool?: SpoolOptions;
}

/** Creates the store. */
export function createPrometheusStore(deps: PrometheusStoreDeps): Store {
  return createLabelledStore(new PrometheusSource(deps));
}

class PrometheusSource implements LabelledSource {
  readonly storeType = 'sidecar';
  readonly #deps: PrometheusStoreDeps;

  constructor(deps: PrometheusStoreDeps) {
    this.#deps = deps;
  }

  externalLabels(): Labels {
    return this.#deps.externalLabels();
  }

  timeRange(): { readonly mint: number; readonly maxt: number } {
    return this.#deps.timeRange();
  }

  isSorted(request: SeriesRequest): boolean {
    return !request.skipChunks;
  }

  async *series(request: SeriesRequest, matchers: readonly Matcher[], rewriter: SeriesRewriter, signal: AbortSignal | undefined): AsyncGenerator<Uint8Array> {
    const startMs = Math.max(request.minTime, this.#deps.timeRange().mint);
    if (request.skipChunks) {
      yield* this.#seriesLabels(rewriter, request, matchers, startMs, signal);
      return;
    }
    const query = { startMs, endMs: request.maxTime, matchers: matchers.map(matcherToMessage), hints: undefined };
    let answer: PrometheusAnswer;
    try {
      answer = await this.#deps.client.remoteRead(query, signal);
    } catch (error) {
      signal?.throwIfAborted();
      throw new StoreError('ERR_STORE_UNKNOWN', `query Prometheus: send request: ${(error as Error).message}`, { cause: error });
    }
    if (answer.status < 200 || answer.status > 299) {
      const text = await readText(answer);
      throw new StoreError('ERR_STORE_UNKNOWN', `query Prometheus: request failed with code ${answer.status} ${answer.statusText}; msg ${text}`);
    }
    if (answer.contentType.startsWith('application/x-streamed-protobuf; proto=prometheus.ChunkedReadResponse')) yield* this.#streamed(answer, rewriter);
    else if (answer.contentType.startsWith('application/x-protobuf')) yield* this.#sampled(answer, rewriter);
    else throw new StoreError('ERR_STORE_UNKNOWN', `not supported remote read content type: ${answer.contentType}`);
  }

  async *#seriesLabels(rewriter: SeriesRewriter, request: SeriesRequest, matchers: readonly Matcher[], startMs: number, signal: AbortSignal | undefined): AsyncGenerator<Uint8Array> {
    // Labels that become equal, and other shards, must not use up Prometheus' limit: then it is ours to count.
    const limit = request.withoutReplicaLabels.length === 0 && request.shardInfo === undefined ? request.limit : 0;
    const found = await this.#deps.client.series({ matchers, mint: startMs, maxt: request.maxTime, limit, ...(signal === undefined ? {} : { signal }) });
    for (const labels of found) rewriter.add(labels, new Uint8Array(0));
    yield* rewriter.finish();
  }

  async *#streamed(answer: PrometheusAnswer, rewriter: SeriesRewriter): AsyncGenerator<Uint8Array> {
    const splitter = new ChunkedReadSplitter();
    const frame = createSeriesFrame();
    const fields = new WireWriter(16 * 1024);
    let frames = 0;
    let chunks = 0;
    const body = this.#deps.spool === undefined ? answer.body : spoolWhenStalled(answer.body, this.#deps.spool);
    try {
      for await (const piece of body) {
        splitter.push(piece);
        for (let message = splitter.next(); message !== undefined; message = splitter.next()) {
          frames++;
          decodeChunkedReadResponse(message, frame);
          for (let series = 0; series < frame.seriesCount; series++) {
            fields.reset();
            for (let chunk = frame.chunkOffsets[series]!; chunk < frame.chunkOffsets[series + 1]!; chunk++) {
              const data = framePartData(frame, frame.partOffsets[chunk]!);
              const hash = xxhash64(data);
              writeRawChunkField(fields, frame.chunkMint[chunk]!, frame.chunkMaxt[chunk]!, frame.partEncoding[chunk]!, data, hash.hi, hash.lo);
            }
            rewriter.add(frameLabels(frame, series), fields.take());
          }
          chunks += frame.chunkCount;
        }
        yield* rewriter.takeFrames();
        if (rewriter.isFull) return;
      }
      splitter.end();
      yield* rewriter.finish();
    } finally {
      this.#deps.onRead?.({ isMainThread, frames, chunks });
    }
  }

  async *#sampled(answer: PrometheusAnswer, rewriter: SeriesRewriter): AsyncGenerator<Uint8Array> {
    const pieces: Uint8Array[] = [];
    for await (const piece of answer.body) pieces.push(piece);
    const columns = createTimeSeriesColumns();
    const results = decodeReadResponse(snappyDecode(Buffer.concat(pieces), { maxBytes: SAMPLED_BYTES_MAX }), columns);
    if (results.length !== 2) throw new StoreError('ERR_STORE_UNKNOWN', `unexpected result size ${results.length - 1}`);
    const fields = new WireWriter(16 * 1024);
    let chunks = 0;
    try {
      for (let series = 0; series < columns.seriesCount; series++) {
        if (columns.histogramOffsets[series] !== columns.histogramOffsets[series + 1]) {
          throw new StoreError('ERR_STORE_UNIMPLEMENTED', 'native histograms from a Prometheus that cannot stream chunks are not supported');
        }
        fields.reset();
        chunks += this.#encodeSamples(columns, columns.sampleOffsets[series]!, columns.sampleOffsets[series + 1]!, fields);
        if (fields.pos === 0) continue;
        rewriter.add(columnLabels(columns, series), fields.take());
        yield* rewriter.takeFrames();
      }
      yield* rewriter.finish();
    } finally {
      this.#deps.onRead?.({ isMainThread, frames: undefined, chunks });
    }
  }

  /** Encodes rows `[start, end)` into XOR chunks. @returns how many */
  #encodeSamples(columns: TimeSeriesColumns, start: number, end: number, fields: WireWriter): number {
    const { memory } = this.#deps.kernels;
    const outMax = xorChunkBytesMax(SAMPLES_PER_CHUNK);
    const inPtr = memory.alloc(SAMPLES_PER_CHUNK * 16 + outMax);
    const valuesPtr = inPtr + SAMPLES_PER_CHUNK * 8;
    const outPtr = valuesPtr + SAMPLES_PER_CHUNK * 8;
    try {
      for (let at = start; at < end; at += SAMPLES_PER_CHUNK) {
        const count = Math.min(SAMPLES_PER_CHUNK, end - at);
        memory.f64(inPtr, count).set(columns.timestampsMs.subarray(at, at + count));
        // As words: stale markers must stay the NaN they are.
        memory.u8(valuesPtr, count * 8).set(new Uint8Array(columns.values.buffer, at * 8, count * 8));
        const bytes = this.#deps.kernels.encodeXor(inPtr, valuesPtr, count, outPtr, outMax);
        if (bytes < 0) throw new StoreError('ERR_STORE_INTERNAL', `encode samples of Prometheus: timestamps beyond what a chunk can hold`);
        const data = memory.u8(outPtr, bytes);
        const hash = xxhash64(data);
        writeRawChunkField(fields, columns.timestampsMs[at]!, columns.timestampsMs[at + count - 1]!, CHUNK_ENCODING.xor, data, hash.hi, hash.lo);
      }
      return Math.ceil((end - start) / SAMPLES_PER_CHUNK);
    } finally {
      memory.free(inPtr);
    }
  }

  async hasSeries(query: LabelQuery): Promise<boolean> {
    return (await this.#deps.client.series({ ...query, limit: 1 })).length > 0;
  }

  async labelNames(query: LabelQuery): Promise<LabelAnswer> {
    const values = this.#takesMatchers(query.matchers)
      ? await this.#deps.client.labelNames(query)
      : (await this.#deps.client.series({ ...query, limit: 0 })).flatMap((labels) => labels.filter((_, i) => i % 2 === 0));
    return { values, warnings: [] };
  }

  async labelValues(name: string, query: LabelQuery): Promise<LabelAnswer> {
    const values = this.#takesMatchers(query.matchers)
      ? await this.#deps.client.labelValues(name, query)
      : (await this.#deps.client.series({ ...query, limit: 0 })).map((labels) => getLabel(labels, name)).filter((value) => value !== '');
    return { values: [...new Set(values)], warnings: [] };
  }

  #takesMatchers(matchers: readonly Matcher[]): boolean {
    if (matchers.length === 0) return true;
    const [major = 0, minor = 0] = /^v?(\d+)\.(\d+)/.exec(this.#deps.version())?.slice(1).map(Number) ?? [];
    return major > LABEL_MATCHERS_SINCE[0] || (major === LABEL_MATCHERS_SINCE[0] && minor >= LABEL_MATCHERS_SINCE[1]);
  }
}
