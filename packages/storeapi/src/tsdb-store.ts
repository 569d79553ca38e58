/**
 * A Store over a local database: adds external labels, takes replica labels off, keeps to a shard, and sends chunks undecoded.
 * A series is sent in pieces of about 1 MiB of chunks.
 * Source of behaviour: Thanos pkg/store/tsdb.go.
 */
import { compareUtf8 } from '@gauntlet/bytes';
import { type ChunkQueryable, type ChunkSeries, getLabel, type Labels, type Matcher } from '@gauntlet/model';
import {
  type LabelNamesRequest,
  type LabelNamesResponse,
  type LabelValuesRequest,
  type LabelValuesResponse,
  MAX_TIME_MS,
  type SeriesRequest,
  WireWriter,
  writeRawChunkField,
} from '@gauntlet/proto';
import { StoreError } from './errors.ts';
import { compileMatchers, splitExternalMatchers } from './request-matchers.ts';
import { SeriesRewriter } from './series-rewriter.ts';
import { createShardMatcher } from './shard-matcher.ts';
import type { CallOptions, Store, StoreInfo } from './store.ts';

const PIECE_BYTES = 1 << 20;

/** Options of {@link createTsdbStore}. */
export interface TsdbStoreOptions {
  readonly queryable: ChunkQueryable;
  /** Read at every call, so that they may change. */
  readonly externalLabels: () => Labels;
  /** First timestamp of the database, ms; MIN_TIME_MS if it is empty. */
  readonly mint: () => number;
  /** Component name announced: `rule`, `receive`, … */
  readonly storeType: string;
}

/** Creates the store. The queryable stays the caller's. */
export function createTsdbStore(options: TsdbStoreOptions): Store {
  return new TsdbStore(options);
}

class TsdbStore implements Store {
  readonly #options: TsdbStoreOptions;

  constructor(options: TsdbStoreOptions) {
    this.#options = options;
  }

  async *series(request: SeriesRequest, { signal }: CallOptions = {}): AsyncGenerator<Uint8Array> {
    const externalLabels = this.#options.externalLabels();
    const matchers = splitExternalMatchers(compileMatchers(request.matchers), externalLabels);
    if (matchers === undefined) return;
    if (matchers.length === 0) throw new StoreError('ERR_STORE_INVALID_ARGUMENT', 'no matchers specified (excluding external labels)');
    const rewriter = new SeriesRewriter({
      externalLabels,
      withoutLabels: request.withoutReplicaLabels,
      shard: createShardMatcher(request.shardInfo),
      batchSize: request.responseBatchSize,
      limit: request.limit,
    });
    const chunks = new WireWriter(16 * 1024);
    for await (const batch of this.#select(request, matchers, signal)) {
      for (const series of batch) addSeries(rewriter, series, request.skipChunks, chunks);
      yield* rewriter.takeFrames();
      if (rewriter.isFull) return;
    }
    yield* rewriter.finish();
  }

  #select(request: SeriesRequest, matchers: readonly Matcher[], signal: AbortSignal | undefined): AsyncIterable<readonly ChunkSeries[]> {
    return this.#options.queryable.selectChunks({
      matchers,
      mint: request.minTime,
      maxt: request.maxTime,
      skipChunks: request.skipChunks,
      ...(signal === undefined ? {} : { signal }),
    });
  }

  async labelNames(request: LabelNamesRequest, { signal }: CallOptions = {}): Promise<LabelNamesResponse> {
    const externalLabels = this.#options.externalLabels();
    const matchers = splitExternalMatchers(compileMatchers(request.matchers), externalLabels);
    if (matchers === undefined) return { names: [], warnings: [], hints: undefined };
    const answer = await this.#options.queryable.labelNames(labelQuery(request, matchers, signal));
    const removed = new Set(request.withoutReplicaLabels);
    const names = new Set(answer.values.filter((name) => !removed.has(name)));
    if (answer.values.length > 0) for (let i = 0; i < externalLabels.length; i += 2) if (!removed.has(externalLabels[i]!)) names.add(externalLabels[i]!);
    return { names: [...names].toSorted(compareUtf8), warnings: answer.warnings, hints: undefined };
  }

  async labelValues(request: LabelValuesRequest, { signal }: CallOptions = {}): Promise<LabelValuesResponse> {
    const none: LabelValuesResponse = { values: [], warnings: [], hints: undefined };
    if (request.label === '') throw new StoreError('ERR_STORE_INVALID_ARGUMENT', 'label name parameter cannot be empty');
    if (request.withoutReplicaLabels.includes(request.label)) return none;
    const externalLabels = this.#options.externalLabels();
    const matchers = splitExternalMatchers(compileMatchers(request.matchers), externalLabels);
    if (matchers === undefined) return none;
    const external = getLabel(externalLabels, request.label);
    if (external === '') {
      const answer = await this.#options.queryable.labelValues(request.label, labelQuery(request, matchers, signal));
      return { values: answer.values, warnings: answer.warnings, hints: undefined };
    }
    // All series carry the external label; with other matchers it counts only if some series match them.
    if (matchers.length === 0) return { ...none, values: [external] };
    const select = { matchers, mint: request.start, maxt: request.end, skipChunks: true, ...(signal === undefined ? {} : { signal }) };
    for await (const batch of this.#options.queryable.selectChunks(select)) if (batch.length > 0) return { ...none, values: [external] };
    return none;
  }

  info(): StoreInfo {
    const labels = this.#options.externalLabels();
    const mint = this.#options.mint();
    const isLabelled = labels.length > 0;
    return {
      labelSets: isLabelled ? [labels] : [],
      mint,
      maxt: MAX_TIME_MS,
      storeType: this.#options.storeType,
      supportsSharding: true,
      supportsWithoutReplicaLabels: true,
      tsdbInfos: isLabelled ? [{ labels, mint, maxt: MAX_TIME_MS }] : [],
    };
  }
}

function labelQuery(
  request: LabelNamesRequest,
  matchers: readonly Matcher[],
  signal: AbortSignal | undefined,
): { matchers: readonly Matcher[]; mint: number; maxt: number; limit: number; signal?: AbortSignal } {
  return { matchers, mint: request.start, maxt: request.end, limit: request.limit, ...(signal === undefined ? {} : { signal }) };
}

/** Encodes a series' chunks in pieces of about PIECE_BYTES. */
function addSeries(rewriter: SeriesRewriter, series: ChunkSeries, skipChunks: boolean, w: WireWriter): void {
  w.reset();
  if (!skipChunks) {
    for (const chunk of series.chunks) {
      if (w.pos >= PIECE_BYTES) {
        rewriter.add(series.labels, w.take());
        w.reset();
      }
      // No hash: who merges compares bytes, or computes it then.
      writeRawChunkField(w, chunk.mint, chunk.maxt, chunk.encoding, chunk.data, 0, 0);
    }
    // A series without chunks in the range has nothing to say.
    if (w.pos === 0) return;
  }
  rewriter.add(series.labels, w.take());
}
