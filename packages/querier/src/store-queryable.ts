/**
 * PromQL's storage over all stores: one fan-out per selector, the merged series decoded to columns in kernel memory.
 *
 * A replica's series lose their replica labels in the stores (`without_replica_labels`), so equal series arrive one behind the
 * other; their chunks meet in the SeriesAssembler, which unites them.
 */
import { isCounterFunction } from '@gauntlet/dedup';
import type { Kernels } from '@gauntlet/kernels';
import { type LabelAnswer, type LabelQuery, type Labels, type Matcher, type Queryable, type SelectRequest, type SeriesBatch, type SeriesSet, formatLabels } from '@gauntlet/model';
import { AGGREGATE, EMPTY_LABEL_NAMES_REQUEST, EMPTY_SERIES_REQUEST, type LabelNamesRequest, PARTIAL_RESPONSE, type SeriesRequest, type ShardInfo, frameLabels } from '@gauntlet/proto';
import { type ChunkRows, type MergedBatch, type ProxyCallOptions, type ProxyStore, StoreError, createChunkRows, errorText, matcherToMessage, mergeChunks } from '@gauntlet/storeapi';
import { QuerierError } from './errors.ts';
import type { MemoryCharge } from './kernel-buffer.ts';
import { SeriesAssembler } from './series-assembler.ts';
import { createUnite, type DedupFunction } from './unite-streams.ts';

export interface StoreQueryableOptions {
  readonly store: ProxyStore;
  readonly kernels: Kernels;
  readonly charge: MemoryCharge;
  /** Labels that tell replicas apart; none = no deduplication. */
  readonly replicaLabels: readonly string[];
  readonly dedupFunction: DedupFunction;
  /** Only labels are wanted: batches then have no samples. */
  readonly skipChunks: boolean;
  /** Only the series of this shard are wanted; `shard_info` of the HTTP API. */
  readonly shardInfo?: ShardInfo | undefined;
  /** False: a store that does not answer is an error. */
  readonly partialResponse: boolean;
  /** Coarsest resolution that will do, ms; 0 = raw. */
  readonly maxResolutionMs: number;
  /** Time left for remote calls, ms; asked at each. */
  readonly timeoutMs: () => number;
  readonly tenant?: string;
  /** The user's choice of stores. */
  readonly storeMatchers: readonly (readonly Matcher[])[];
  readonly counters: QueryCounters;
}

/** What one query took in; counted by the thread that does the work. */
export interface QueryCounters {
  series: number;
  chunks: number;
  samples: number;
}

/**
 * Staged chunk bytes at which columns are made before the merged batch ends. At 1.3 bytes a sample this is 0.8 M samples, 13 MB of columns
 * and some 10 ms between two polls.
 */
const BATCH_BYTES = 1 << 20;

const COUNTER_FUNCTIONS: ReadonlySet<string> = new Set(['increase', 'rate', 'irate', 'resets', 'xincrease', 'xrate']);

/** Aggregates of downsampled data that a function needs, as Thanos chooses them. */
export function aggregatesFor(func: string): readonly number[] {
  if (func.startsWith('min')) return [AGGREGATE.min];
  if (func.startsWith('max')) return [AGGREGATE.max];
  if (func.startsWith('count')) return [AGGREGATE.count];
  if (func.startsWith('sum_')) return [AGGREGATE.sum];
  if (COUNTER_FUNCTIONS.has(func)) return [AGGREGATE.counter];
  return [AGGREGATE.count, AGGREGATE.sum];
}

/** Says which call of the fan-out failed, in Thanos' words. */
function rethrowFrom(call: string): (error: unknown) => never {
  return (error) => {
    throw error instanceof StoreError ? new StoreError(error.code, `proxy ${call}(): ${errorText(error)}`, { cause: error }) : error;
  };
}

/** See the head of this file. */
export class StoreQueryable implements Queryable {
  readonly #options: StoreQueryableOptions;

  constructor(options: StoreQueryableOptions) {
    this.#options = options;
  }

  select(request: SelectRequest): SeriesSet {
    const warnings: string[] = [];
    const batches = this.#options.skipChunks ? this.#labelBatches(request, warnings) : this.#batches(request, warnings);
    return { [Symbol.asyncIterator]: () => batches, warnings: () => warnings };
  }

  async labelNames(query: LabelQuery): Promise<LabelAnswer> {
    const { names, warnings } = await this.#options.store.labelNames(this.#labelRequest(query), this.#call(query.signal)).catch(rethrowFrom('LabelNames'));
    return { values: names, warnings };
  }

  async labelValues(name: string, query: LabelQuery): Promise<LabelAnswer> {
    const answer = await this.#options.store.labelValues({ ...this.#labelRequest(query), label: name }, this.#call(query.signal)).catch(rethrowFrom('LabelValues'));
    return { values: answer.values, warnings: answer.warnings };
  }

  async *#labelBatches(request: SelectRequest, warnings: string[]): AsyncGenerator<SeriesBatch, void> {
    const select = this.#options.store.select({ ...this.#seriesRequest(request), skipChunks: true, aggregates: [] }, this.#call(request.signal));
    const nothing = new Float64Array(0);
    try {
      for await (const merged of select.batches) {
        const labels: Labels[] = [];
        for (let series = 0; series < merged.seriesCount; series++) labels.push(labelsOf(merged, series));
        this.#options.counters.series += labels.length;
        yield { labels, offsets: new Int32Array(labels.length + 1), timestampsMs: nothing, values: nothing };
      }
    } catch (error) {
      rethrowFrom('Series')(error);
    } finally {
      addNew(warnings, select.warnings);
    }
  }

  async *#batches(request: SelectRequest, warnings: string[]): AsyncGenerator<SeriesBatch, void> {
    const { kernels, charge, counters, replicaLabels, dedupFunction } = this.#options;
    const func = request.hints?.func ?? '';
    const { mint, maxt } = request;
    // Without deduplication, too, stores may have overlapping chunks of a series: then every timestamp counts.
    const isDeduplicated = replicaLabels.length > 0;
    const unite = createUnite({ dedupFunction: isDeduplicated ? dedupFunction : 'chain', isCounter: isDeduplicated && isCounterFunction(func), mint, maxt });
    const assembler = new SeriesAssembler({ kernels, charge, mint, maxt, unite });
    const select = this.#options.store.select(this.#seriesRequest(request), this.#call(request.signal));
    const rows = createChunkRows();
    try {
      for await (const merged of select.batches) {
        for (let series = 0; series < merged.seriesCount; series++) {
          if (assembler.stagedBytes >= BATCH_BYTES) yield this.#finish(assembler);
          assembler.add(labelsOf(merged, series));
          mergeChunks(merged, series, rows);
          addChunks(assembler, merged, rows);
        }
        counters.series += merged.seriesCount;
        // Chunk bytes are copied by now; columns are made per merged batch (up to 256 series).
        if (assembler.seriesCount > 0) yield this.#finish(assembler);
      }
    } catch (error) {
      rethrowFrom('Series')(error);
    } finally {
      assembler.dispose();
      addNew(warnings, select.warnings);
    }
  }

  #finish(assembler: SeriesAssembler): SeriesBatch {
    const before = assembler.decodedChunks;
    const batch = assembler.finish();
    this.#options.counters.chunks += assembler.decodedChunks - before;
    this.#options.counters.samples += batch.timestampsMs.length;
    return batch;
  }

  #call(signal: AbortSignal | undefined): ProxyCallOptions {
    const { tenant, timeoutMs, storeMatchers, charge } = this.#options;
    return { timeoutMs: timeoutMs(), storeMatchers, charge, ...(signal === undefined ? {} : { signal }), ...(tenant === undefined ? {} : { tenant }) };
  }

  #seriesRequest({ matchers, mint, maxt, hints }: Pick<SelectRequest, 'matchers' | 'mint' | 'maxt' | 'hints'>): SeriesRequest {
    const { partialResponse, maxResolutionMs, replicaLabels, shardInfo } = this.#options;
    return {
      ...EMPTY_SERIES_REQUEST,
      minTime: mint,
      maxTime: maxt,
      matchers: matchers.map(matcherToMessage),
      maxResolutionWindow: maxResolutionMs,
      aggregates: aggregatesFor(hints?.func ?? ''),
      partialResponseDisabled: !partialResponse,
      partialResponseStrategy: partialResponse ? PARTIAL_RESPONSE.warn : PARTIAL_RESPONSE.abort,
      withoutReplicaLabels: replicaLabels,
      responseBatchSize: 64,
      shardInfo,
      step: hints?.stepMs ?? 0,
      range: hints?.rangeMs ?? 0,
      queryHints:
        hints === undefined
          ? undefined
          : {
              stepMs: hints.stepMs,
              func: hints.func === '' ? undefined : { name: hints.func },
              grouping: hints.grouping.length === 0 ? undefined : { by: hints.by, labels: hints.grouping },
              range: hints.rangeMs === 0 ? undefined : { millis: hints.rangeMs },
              projectionLabels: [],
              projectionInclude: false,
              seriesHashLabelName: '',
            },
    };
  }

  #labelRequest(query: LabelQuery): LabelNamesRequest {
    const { partialResponse } = this.#options;
    return {
      ...EMPTY_LABEL_NAMES_REQUEST,
      partialResponseDisabled: !partialResponse,
      partialResponseStrategy: partialResponse ? PARTIAL_RESPONSE.warn : PARTIAL_RESPONSE.abort,
      start: query.mint,
      end: query.maxt,
      matchers: query.matchers.map(matcherToMessage),
      limit: query.limit,
    };
  }
}

function addNew(warnings: string[], more: readonly string[]): void {
  for (const warning of more) if (!warnings.includes(warning)) warnings.push(warning);
}

/** Labels of a merged series; all its sources agree. */
function labelsOf(batch: MergedBatch, series: number): Labels {
  const source = batch.sourceOffsets[series]!;
  return frameLabels(batch.frames[source]!, batch.series[source]!);
}

/** Bytes between the data of two neighbouring chunks that are copied with them: tags, times, hash. */
const GAP_BYTES_MAX = 64;

/** Adds the chunks of a merged series; those that lie together are copied at once. */
function addChunks(assembler: SeriesAssembler, batch: MergedBatch, rows: ChunkRows): void {
  for (let row = 0; row < rows.count; ) {
    const source = rows.sources[row]!;
    const frame = batch.frames[source]!;
    const first = row;
    const start = frame.partStart[frame.partOffsets[rows.chunks[row]!]!]!;
    let end = start;
    for (; row < rows.count && rows.sources[row] === source; row++) {
      const chunk = rows.chunks[row]!;
      const part = frame.partOffsets[chunk]!;
      if (part === frame.partOffsets[chunk + 1]! || assembler.isOutside(frame.chunkMint[chunk]!, frame.chunkMaxt[chunk]!)) break;
      if (frame.partAggregate[part] !== AGGREGATE.raw) {
        const labels = formatLabels(frameLabels(frame, batch.series[source]!));
        throw new QuerierError('ERR_CHUNK_ENCODING', `decode chunks of ${labels}: downsampled data is not supported yet; ask for raw data with max_source_resolution=0s`);
      }
      const from = frame.partStart[part]!;
      if (row > first && (from < end || from - end > GAP_BYTES_MAX)) break;
      end = from + frame.partBytes[part]!;
    }
    if (row === first) {
      row++;
      continue;
    }
    const staged = assembler.stage(frame.bytes, start, end) - start;
    for (let at = first; at < row; at++) {
      const chunk = rows.chunks[at]!;
      const part = frame.partOffsets[chunk]!;
      assembler.addStaged(frame.chunkMint[chunk]!, frame.chunkMaxt[chunk]!, frame.partEncoding[part]!, staged + frame.partStart[part]!, frame.partBytes[part]!);
    }
  }
}
