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
import { compareUtf8, snappyDecode, xxhash64 } from '@gauntlet/bytes';
import { type Kernels, xorChunkBytesMax } from '@gauntlet/kernels';
import { CHUNK_ENCODING, getLabel, type Labels, type Matcher } from '@gauntlet/model';
import {
  ChunkedReadSplitter,
  columnLabels,
  createSeriesFrame,
  createTimeSeriesColumns,
  decodeChunkedReadResponse,
  decodeReadResponse,
  frameLabels,
  framePartData,
  type LabelNamesRequest,
  type LabelNamesResponse,
  type LabelValuesRequest,
  type LabelValuesResponse,
  type SeriesRequest,
  type TimeSeriesColumns,
  WireWriter,
  writeRawChunkField,
} from '@gauntlet/proto';
import type { Histogram, Logger } from '@gauntlet/service-kit';
import { type CallOptions, compileMatchers, createShardMatcher, matcherToMessage, SeriesRewriter, splitExternalMatchers, type Store, StoreError, type StoreInfo } from '@gauntlet/storeapi';
import { type PrometheusAnswer, type PrometheusClient, readText } from './prometheus-client.ts';
import { spoolWhenStalled, type SpoolOptions } from './spool.ts';

const SAMPLES_PER_CHUNK = 120;
/** First release whose label calls take matchers. */
const LABEL_MATCHERS_SINCE = [2, 24] as const;
/** Largest sampled answer, decompressed. */
const SAMPLED_BYTES_MAX = 1 << 30;

/** What {@link createPrometheusStore} needs. */
export interface PrometheusStoreDeps {
  readonly client: PrometheusClient;
  readonly log: Logger;
  /** Encodes sampled answers. */
  readonly kernels: Kernels;
  /** Read at every call. */
  readonly externalLabels: () => Labels;
  /** Announced range, ms; requests are cut at its begin. */
  readonly timeRange: () => { readonly mint: number; readonly maxt: number };
  /** Version of Prometheus. */
  readonly version: () => string;
  /** `prometheus_store_received_frames`. */
  readonly framesRead?: Histogram;
  /** Where an answer goes whose reader does not keep up. */
  readonly spool?: SpoolOptions;
}

/** Creates the store. */
export function createPrometheusStore(deps: PrometheusStoreDeps): Store {
  return new PrometheusStore(deps);
}

class PrometheusStore implements Store {
  readonly #deps: PrometheusStoreDeps;

  constructor(deps: PrometheusStoreDeps) {
    this.#deps = deps;
  }

  async *series(request: SeriesRequest, { signal }: CallOptions = {}): AsyncGenerator<Uint8Array> {
    const externalLabels = this.#deps.externalLabels();
    const matchers = splitExternalMatchers(compileMatchers(request.matchers), externalLabels);
    if (matchers === undefined) return;
    if (matchers.length === 0) throw new StoreError('ERR_STORE_INVALID_ARGUMENT', 'no matchers specified (excluding external labels)');
    const startMs = Math.max(request.minTime, this.#deps.timeRange().mint);
    const rewriter = new SeriesRewriter({
      externalLabels,
      withoutLabels: request.withoutReplicaLabels,
      shard: createShardMatcher(request.shardInfo),
      batchSize: request.responseBatchSize,
      limit: request.limit,
      isSorted: !request.skipChunks,
    });
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
    const found = await this.#deps.client.series({ matchers, startMs, endMs: request.maxTime, limit, ...withSignal(signal) });
    for (const labels of found) rewriter.add(labels, new Uint8Array(0));
    yield* rewriter.finish();
  }

  async *#streamed(answer: PrometheusAnswer, rewriter: SeriesRewriter): AsyncGenerator<Uint8Array> {
    const splitter = new ChunkedReadSplitter();
    const frame = createSeriesFrame();
    const fields = new WireWriter(16 * 1024);
    let frames = 0;
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
        }
        yield* rewriter.takeFrames();
        if (rewriter.isFull) return;
      }
      splitter.end();
      yield* rewriter.finish();
    } finally {
      this.#deps.framesRead?.observe(frames);
    }
  }

  async *#sampled(answer: PrometheusAnswer, rewriter: SeriesRewriter): AsyncGenerator<Uint8Array> {
    const pieces: Uint8Array[] = [];
    for await (const piece of answer.body) pieces.push(piece);
    const columns = createTimeSeriesColumns();
    const results = decodeReadResponse(snappyDecode(Buffer.concat(pieces), { maxBytes: SAMPLED_BYTES_MAX }), columns);
    if (results.length !== 2) throw new StoreError('ERR_STORE_UNKNOWN', `unexpected result size ${results.length - 1}`);
    const fields = new WireWriter(16 * 1024);
    for (let series = 0; series < columns.seriesCount; series++) {
      if (columns.histogramOffsets[series] !== columns.histogramOffsets[series + 1]) {
        throw new StoreError('ERR_STORE_UNIMPLEMENTED', 'native histograms from a Prometheus that cannot stream chunks are not supported');
      }
      fields.reset();
      this.#encodeSamples(columns, columns.sampleOffsets[series]!, columns.sampleOffsets[series + 1]!, fields);
      if (fields.pos === 0) continue;
      rewriter.add(columnLabels(columns, series), fields.take());
      yield* rewriter.takeFrames();
    }
    yield* rewriter.finish();
  }

  /** Encodes rows `[start, end)` into XOR chunks. */
  #encodeSamples(columns: TimeSeriesColumns, start: number, end: number, fields: WireWriter): void {
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
    } finally {
      memory.free(inPtr);
    }
  }

  async labelNames(request: LabelNamesRequest, { signal }: CallOptions = {}): Promise<LabelNamesResponse> {
    const externalLabels = this.#deps.externalLabels();
    const matchers = splitExternalMatchers(compileMatchers(request.matchers), externalLabels);
    if (matchers === undefined) return { names: [], warnings: [], hints: undefined };
    const call = { matchers, startMs: request.start, endMs: request.end, limit: request.limit, ...withSignal(signal) };
    const found = this.#takesMatchers(matchers)
      ? await this.#deps.client.labelNames(call)
      : (await this.#deps.client.series({ ...call, limit: 0 })).flatMap((labels) => labels.filter((_, i) => i % 2 === 0));
    const names = new Set(found);
    if (found.length > 0) for (let i = 0; i < externalLabels.length; i += 2) names.add(externalLabels[i]!);
    for (const removed of request.withoutReplicaLabels) names.delete(removed);
    return { names: cut([...names], request.limit), warnings: [], hints: undefined };
  }

  async labelValues(request: LabelValuesRequest, { signal }: CallOptions = {}): Promise<LabelValuesResponse> {
    const none: LabelValuesResponse = { values: [], warnings: [], hints: undefined };
    if (request.label === '') throw new StoreError('ERR_STORE_INVALID_ARGUMENT', 'label name parameter cannot be empty');
    if (request.withoutReplicaLabels.includes(request.label)) return none;
    const externalLabels = this.#deps.externalLabels();
    const matchers = splitExternalMatchers(compileMatchers(request.matchers), externalLabels);
    if (matchers === undefined) return none;
    const call = { matchers, startMs: request.start, endMs: request.end, limit: request.limit, ...withSignal(signal) };
    const external = getLabel(externalLabels, request.label);
    if (external !== '') {
      const isThere = matchers.length === 0 || (await this.#deps.client.series({ ...call, limit: 1 })).length > 0;
      return isThere ? { ...none, values: [external] } : none;
    }
    const found = this.#takesMatchers(matchers)
      ? await this.#deps.client.labelValues(request.label, call)
      : (await this.#deps.client.series({ ...call, limit: 0 })).map((labels) => getLabel(labels, request.label)).filter((value) => value !== '');
    return { ...none, values: cut([...new Set(found)], request.limit) };
  }

  #takesMatchers(matchers: readonly Matcher[]): boolean {
    if (matchers.length === 0) return true;
    const [major = 0, minor = 0] = /^v?(\d+)\.(\d+)/.exec(this.#deps.version())?.slice(1).map(Number) ?? [];
    return major > LABEL_MATCHERS_SINCE[0] || (major === LABEL_MATCHERS_SINCE[0] && minor >= LABEL_MATCHERS_SINCE[1]);
  }

  info(): StoreInfo {
    const labels = this.#deps.externalLabels();
    const range = this.#deps.timeRange();
    const isLabelled = labels.length > 0;
    return {
      labelSets: isLabelled ? [labels] : [],
      ...range,
      storeType: 'sidecar',
      supportsSharding: true,
      supportsWithoutReplicaLabels: true,
      tsdbInfos: isLabelled ? [{ labels, ...range }] : [],
    };
  }
}

function withSignal(signal: AbortSignal | undefined): { readonly signal?: AbortSignal } {
  return signal === undefined ? {} : { signal };
}

function cut(values: string[], limit: number): string[] {
  const sorted = values.toSorted(compareUtf8);
  return limit > 0 ? sorted.slice(0, limit) : sorted;
}
