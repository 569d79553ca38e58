/**
 * A store over other stores: asks all that can have data at once and merges their answers.
 *
 *   request → select-stores → one FrameBuffer per store, all draining → SeriesMerge → merged batches (`select`)
 *                                                                     └ encoded again by copying ranges (`series`)
 *
 * A store that fails is a warning (partial response WARN) or ends the call (ABORT). Texts are those of Thanos, since users and
 * peers match on them. The endpoints come as snapshots, so a proxy works the same in a query worker.
 * Source of behaviour: Thanos pkg/store/proxy.go, proxy_merge.go.
 */
import { compareUtf8 } from '@gauntlet/bytes';
import { compareLabels, EMPTY_LABELS, extendLabels, formatLabels, type Labels, type Matcher } from '@gauntlet/model';
import {
  encodeLabelFields,
  encodeWarningFrame,
  frameLabels,
  type LabelNamesRequest,
  type LabelNamesResponse,
  type LabelValuesRequest,
  type LabelValuesResponse,
  MAX_TIME_MS,
  MIN_TIME_MS,
  PARTIAL_RESPONSE,
  type SeriesFrame,
  SeriesFrameEncoder,
  type SeriesRequest,
} from '@gauntlet/proto';
import { formatDurationText } from '@gauntlet/service-kit/worker';
import { StoreError } from './errors.ts';
import { type ByteCharge, FrameBuffer, type StreamEnd } from './frame-buffer.ts';
import { errorCode, errorText } from './grpc-status.ts';
import { type ChunkRows, createChunkRows, mergeChunks, type MergedBatch, type MergeInput, SeriesMerge } from './merge-series.ts';
import { compileMatchers, matcherToMessage, splitExternalMatchers } from './request-matchers.ts';
import { resortFrames } from './resort-frames.ts';
import { skipReason } from './select-stores.ts';
import { createShardMatcher } from './shard-matcher.ts';
import type { CallOptions, Store, StoreInfo } from './store.ts';

/** One store behind the proxy: where it is, what it last announced, and how to call it. */
export interface ProxyEndpoint {
  readonly address: string;
  readonly info: StoreInfo;
  readonly store: Store;
}

/** Options of {@link createProxyStore}. */
export interface ProxyStoreOptions {
  /** The stores to choose from, read at every call. */
  readonly endpoints: () => readonly ProxyEndpoint[];
  /** `--selector-label`: what part of the world this proxy answers for. Default none. */
  readonly selectorLabels?: Labels;
  /** `--store.response-timeout`: longest wait for a frame, ms. Default 0, no limit. */
  readonly responseTimeoutMs?: number;
  /** `--grpc.proxy-strategy`: `eager` drains every store at once, `lazy` stops a store at `lazyBufferBytesMax`. Default `eager`. */
  readonly retrieval?: 'eager' | 'lazy';
  /** Default 4 MiB. */
  readonly lazyBufferBytesMax?: number;
  /** Component name announced. Default `query`. */
  readonly storeType?: string;
}

/** Options of one call through a proxy. */
export interface ProxyCallOptions extends CallOptions {
  /** The user's choice of stores (`storeMatch[]`): sets of matchers on `__address__`. */
  readonly storeMatchers?: readonly (readonly Matcher[])[];
  /** Where buffered frames are charged. */
  readonly charge?: ByteCharge;
}

/** How one store took part in a select. Final once the batches have ended. */
export interface StoreOutcome {
  readonly address: string;
  readonly labelSets: readonly Labels[];
  /** `pending` while its stream runs. */
  status: 'pending' | 'complete' | 'failed' | 'silent';
  /** Why, for the last two. */
  error: StoreError | undefined;
  frames: number;
  bytes: number;
}

/** A running select. */
export interface ProxySelect {
  /** Merged series; iterate once. Throws StoreError under ABORT and on cancellation. */
  readonly batches: AsyncIterable<MergedBatch>;
  /** Grows while the batches are read. */
  readonly warnings: readonly string[];
  readonly stores: readonly StoreOutcome[];
}

/** A Store with merged batches for who computes in the same thread. */
export interface ProxyStore extends Store {
  series(request: SeriesRequest, options?: ProxyCallOptions): AsyncIterable<Uint8Array>;
  labelNames(request: LabelNamesRequest, options?: ProxyCallOptions): Promise<LabelNamesResponse>;
  labelValues(request: LabelValuesRequest, options?: ProxyCallOptions): Promise<LabelValuesResponse>;
  /** Starts the fan-out at once. @throws StoreError for a bad request, or under ABORT with no stores at all */
  select(request: SeriesRequest, options?: ProxyCallOptions): ProxySelect;
}

/** Creates a proxy over the stores that `options.endpoints` returns. */
export function createProxyStore(options: ProxyStoreOptions): ProxyStore {
  return new Proxy(options);
}

class Proxy implements ProxyStore {
  readonly #options: ProxyStoreOptions;
  readonly #selectorLabels: Labels;

  constructor(options: ProxyStoreOptions) {
    this.#options = options;
    this.#selectorLabels = options.selectorLabels ?? EMPTY_LABELS;
  }

  select(request: SeriesRequest, options: ProxyCallOptions = {}): ProxySelect {
    const nothing: ProxySelect = { batches: noBatches(), warnings: [], stores: [] };
    const matchers = splitExternalMatchers(compileMatchers(request.matchers), this.#selectorLabels);
    if (matchers === undefined) return nothing;
    if (matchers.length === 0) throw new StoreError('ERR_STORE_INVALID_ARGUMENT', 'no matchers specified (excluding selector labels)');
    const isAbort = abortsOnFailure(request);
    const endpoints = this.#options.endpoints();
    if (endpoints.length === 0 && isAbort) throw new StoreError('ERR_STORE_UNKNOWN', 'No StoreAPIs available');
    const chosen = this.#choose(endpoints, request.minTime, request.maxTime, matchers, options);
    if (chosen.length === 0) return nothing;
    const forwarded: SeriesRequest = { ...request, matchers: matchers.map(matcherToMessage), hints: undefined, step: 0, range: 0 };
    return this.#start(chosen, forwarded, isAbort, options);
  }

  #start(endpoints: readonly ProxyEndpoint[], request: SeriesRequest, isAbort: boolean, options: ProxyCallOptions): ProxySelect {
    const timeoutMs = this.#options.responseTimeoutMs ?? 0;
    const warnings: string[] = [];
    const stores: StoreOutcome[] = endpoints.map(({ address, info }) => ({
      address,
      labelSets: info.labelSets,
      status: 'pending',
      error: undefined,
      frames: 0,
      bytes: 0,
    }));
    const inputs = endpoints.map((endpoint) => this.#openStream(endpoint, request, options));
    const onEnd = (input: number, end: StreamEnd): void => {
      const outcome = stores[input]!;
      const buffer = inputs[input]!.buffer;
      outcome.frames = buffer.frameCount;
      outcome.bytes = buffer.byteCount;
      if (end.kind === 'refused') throw end.error;
      outcome.status = end.kind === 'done' ? 'complete' : end.kind;
      if (end.kind === 'done') return;
      outcome.error = end.error;
      options.signal?.throwIfAborted();
      const endpoint = endpoints[input]!;
      // A connection that cannot be made fails the start of the call; everything later is a failed receive.
      const isFetch = end.kind === 'failed' && buffer.frameCount === 0 && end.error.code === 'ERR_STORE_UNAVAILABLE';
      const text = failureText(endpoint, end, isFetch, timeoutMs);
      if (isAbort) throw new StoreError(isFetch ? end.error.code : 'ERR_STORE_ABORTED', text, { cause: end.error });
      warnings.push(text);
    };
    const onWarning = (_input: number, text: string): void => {
      if (isAbort) throw new StoreError('ERR_STORE_ABORTED', text);
      warnings.push(text);
    };
    return { batches: new SeriesMerge(inputs, { onEnd, onWarning }), warnings, stores };
  }

  #openStream(endpoint: ProxyEndpoint, request: SeriesRequest, options: ProxyCallOptions): MergeInput {
    const { info, store } = endpoint;
    const buffer = new FrameBuffer({
      frameTimeoutMs: this.#options.responseTimeoutMs ?? 0,
      bufferBytesMax: this.#options.retrieval === 'lazy' ? (this.#options.lazyBufferBytesMax ?? 4 << 20) : Infinity,
      ...(options.charge === undefined ? {} : { charge: options.charge }),
      ...(options.signal === undefined ? {} : { signal: options.signal }),
    });
    let frames = store.series(request, { ...options, signal: buffer.signal });
    if (!info.supportsWithoutReplicaLabels && request.withoutReplicaLabels.length > 0) frames = resortFrames(frames, request.withoutReplicaLabels);
    buffer.start(frames);
    const shard = info.supportsSharding ? undefined : createShardMatcher(request.shardInfo);
    return shard === undefined ? { buffer } : { buffer, accepts: (frame, series) => shard.matchesFrame(frame, series) };
  }

  async *series(request: SeriesRequest, options: ProxyCallOptions = {}): AsyncGenerator<Uint8Array> {
    const { batches, warnings } = this.select(request, options);
    const encoder = new SeriesFrameEncoder({ batchSize: request.responseBatchSize });
    const rows = createChunkRows();
    let sent = 0;
    let warned = 0;
    outer: for await (const batch of batches) {
      for (; warned < warnings.length; warned++) yield encodeWarningFrame(warnings[warned]!);
      for (let series = 0; series < batch.seriesCount; series++) {
        if (request.limit > 0 && sent === request.limit) break outer;
        encodeMergedSeries(batch, series, rows, encoder);
        sent++;
        const frame = encoder.endSeries();
        if (frame !== undefined) yield frame;
      }
    }
    for (; warned < warnings.length; warned++) yield encodeWarningFrame(warnings[warned]!);
    const last = encoder.flush();
    if (last !== undefined) yield last;
  }

  async labelNames(request: LabelNamesRequest, options: ProxyCallOptions = {}): Promise<LabelNamesResponse> {
    const matchers = splitExternalMatchers(compileMatchers(request.matchers), this.#selectorLabels);
    if (matchers === undefined) return { names: [], warnings: [], hints: undefined };
    const forwarded = { ...request, matchers: matchers.map(matcherToMessage), limit: 0 };
    const { values, warnings } = await this.#askAll(request, matchers, 'names', options, async (store, callOptions) => {
      const answer = await store.labelNames(forwarded, callOptions);
      return { values: answer.names, warnings: answer.warnings };
    });
    return { names: values, warnings, hints: undefined };
  }

  async labelValues(request: LabelValuesRequest, options: ProxyCallOptions = {}): Promise<LabelValuesResponse> {
    if (request.label === '') throw new StoreError('ERR_STORE_INVALID_ARGUMENT', 'label name parameter cannot be empty');
    const matchers = splitExternalMatchers(compileMatchers(request.matchers), this.#selectorLabels);
    if (matchers === undefined) return { values: [], warnings: [], hints: undefined };
    const forwarded = { ...request, matchers: matchers.map(matcherToMessage), hints: undefined };
    const { values, warnings } = await this.#askAll(request, matchers, 'values', options, async (store, callOptions) =>
      store.labelValues(forwarded, callOptions),
    );
    return { values, warnings, hints: undefined };
  }

  async #askAll(
    request: LabelNamesRequest,
    matchers: readonly Matcher[],
    what: 'names' | 'values',
    options: ProxyCallOptions,
    ask: (store: Store, options: CallOptions) => Promise<{ readonly values: readonly string[]; readonly warnings: readonly string[] }>,
  ): Promise<{ readonly values: string[]; readonly warnings: string[] }> {
    const isAbort = abortsOnFailure(request);
    const endpoints = this.#choose(this.#options.endpoints(), request.start, request.end, matchers, options);
    const answers = await Promise.allSettled(endpoints.map((endpoint) => ask(endpoint.store, options)));
    const warnings: string[] = [];
    const lists: (readonly string[])[] = [];
    for (const [i, answer] of answers.entries()) {
      if (answer.status === 'fulfilled') {
        warnings.push(...answer.value.warnings);
        lists.push(answer.value.values);
        continue;
      }
      options.signal?.throwIfAborted();
      const text = `fetch label ${what} from store ${endpointText(endpoints[i]!)}: ${errorText(answer.reason)}`;
      if (isAbort) throw new StoreError(errorCode(answer.reason), text, { cause: answer.reason });
      warnings.push(text);
    }
    return { values: mergeUnique(lists, request.limit), warnings };
  }

  #choose(
    endpoints: readonly ProxyEndpoint[],
    mint: number,
    maxt: number,
    matchers: readonly Matcher[],
    options: ProxyCallOptions,
  ): ProxyEndpoint[] {
    const selection = { mint, maxt, matchers, ...(options.storeMatchers === undefined ? {} : { storeMatchers: options.storeMatchers }) };
    return endpoints.filter(({ address, info }) => skipReason(address, info, selection) === undefined);
  }

  info(): StoreInfo {
    const endpoints = this.#options.endpoints();
    const labelSets: Labels[] = [];
    for (const { info } of endpoints) {
      for (const labels of info.labelSets) {
        const extended = extendLabels(labels, this.#selectorLabels);
        if (!labelSets.some((known) => compareLabels(known, extended) === 0)) labelSets.push(extended);
      }
    }
    // Without any announced set the selector labels still bound what is behind this proxy.
    if (labelSets.length === 0 && this.#selectorLabels.length > 0) labelSets.push(this.#selectorLabels);
    return {
      labelSets,
      mint: endpoints.reduce((least, { info }) => Math.min(least, info.mint), endpoints.length === 0 ? MIN_TIME_MS : MAX_TIME_MS),
      maxt: endpoints.reduce((most, { info }) => Math.max(most, info.maxt), endpoints.length === 0 ? MAX_TIME_MS : MIN_TIME_MS),
      storeType: this.#options.storeType ?? 'query',
      supportsSharding: true,
      supportsWithoutReplicaLabels: true,
      tsdbInfos: endpoints.flatMap(({ info }) => info.tsdbInfos),
    };
  }
}

/** Whether a failing store ends the call. */
export function abortsOnFailure(request: { readonly partialResponseDisabled: boolean; readonly partialResponseStrategy: number }): boolean {
  return request.partialResponseDisabled || request.partialResponseStrategy === PARTIAL_RESPONSE.abort;
}

/** How texts name an endpoint. */
export function endpointText({ address, info }: { readonly address: string; readonly info: StoreInfo }): string {
  return `Addr: ${address} MinTime: ${int64Text(info.mint)} MaxTime: ${int64Text(info.maxt)}`;
}

function int64Text(timeMs: number): string {
  return timeMs <= MIN_TIME_MS ? '-9223372036854775808' : timeMs >= MAX_TIME_MS ? '9223372036854775807' : String(timeMs);
}

function failureText(endpoint: ProxyEndpoint, end: Extract<StreamEnd, { readonly error: StoreError }>, isFetch: boolean, timeoutMs: number): string {
  const where = endpointText(endpoint);
  const why = errorText(end.error);
  if (end.kind === 'silent') return `failed to receive any data in ${formatDurationText(timeoutMs)} from ${where}: ${why}`;
  if (!isFetch) return `receive series from ${where}: ${why}`;
  const sets = endpoint.info.labelSets.map(formatLabels).toSorted(compareUtf8).join(',');
  return `fetch series for ${sets === '' ? 'Store Gateway' : sets} ${where}: ${why}`;
}

/** Sorted by bytes, each value once. @param limit 0 is all */
export function mergeUnique(lists: readonly (readonly string[])[], limit: number): string[] {
  const all = [...new Set(lists.flat())].toSorted(compareUtf8);
  return limit > 0 && all.length > limit ? all.slice(0, limit) : all;
}

/** Writes merged series `series` into an open-ended encoder; the caller ends it. */
function encodeMergedSeries(batch: MergedBatch, series: number, rows: ChunkRows, encoder: SeriesFrameEncoder): void {
  const source = batch.sourceOffsets[series]!;
  const frame = batch.frames[source]!;
  const s = batch.series[source]!;
  encoder.beginSeries(labelFields(frame, s));
  mergeChunks(batch, series, rows);
  for (let row = 0; row < rows.count; row++) {
    const from = batch.frames[rows.sources[row]!]!;
    const chunk = rows.chunks[row]!;
    encoder.copyField(from.bytes, from.chunkStart[chunk]!, from.chunkEnd[chunk]!);
  }
}

function labelFields(frame: SeriesFrame, series: number): Uint8Array {
  const end = frame.labelsEnd[series]!;
  return end === -1 ? encodeLabelFields(frameLabels(frame, series)) : frame.bytes.subarray(frame.seriesStart[series], end);
}

async function* noBatches(): AsyncGenerator<MergedBatch> {}
