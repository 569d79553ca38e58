/**
 * A Store over one database that knows nothing of external labels: what such stores have in common, whatever they read from.
 *
 *   request matchers ──external labels split off──► LabelledSource ──series──► SeriesRewriter (labels on and off, shard, limit) ──► frames
 *
 * Source of behaviour: Thanos pkg/store/{tsdb,prometheus}.go.
 */
import { compareUtf8 } from '@gauntlet/bytes';
import { getLabel, type LabelAnswer, type LabelQuery, type Labels, type Matcher } from '@gauntlet/model';
import type { LabelNamesRequest, LabelNamesResponse, LabelValuesRequest, LabelValuesResponse, SeriesRequest } from '@gauntlet/proto';
import { StoreError } from './errors.ts';
import { compileMatchers, splitExternalMatchers } from './request-matchers.ts';
import { SeriesRewriter } from './series-rewriter.ts';
import { createShardMatcher } from './shard-matcher.ts';
import type { CallOptions, Store, StoreInfo } from './store.ts';

/** The database below {@link createLabelledStore}. Matchers and answers are without external labels. */
export interface LabelledSource {
  /** Component name announced: `sidecar`, `rule`, `receive`, … */
  readonly storeType: string;
  /** Read at every call, so that they may change. */
  externalLabels(): Labels;
  /** Range announced, ms. */
  timeRange(): { readonly mint: number; readonly maxt: number };
  /** Whether {@link LabelledSource.series} adds series in the order of their labels. */
  isSorted(request: SeriesRequest): boolean;
  /** Adds the series of a request to `rewriter` and yields its frames, up to and with those of `rewriter.finish()`. */
  series(request: SeriesRequest, matchers: readonly Matcher[], rewriter: SeriesRewriter, signal: AbortSignal | undefined): AsyncIterable<Uint8Array>;
  /** Whether some series match. */
  hasSeries(query: LabelQuery): Promise<boolean>;
  /** Names, in any order. */
  labelNames(query: LabelQuery): Promise<LabelAnswer>;
  /** Values of a label, each once, in any order. */
  labelValues(name: string, query: LabelQuery): Promise<LabelAnswer>;
}

/** Creates the store. The source stays the caller's. */
export function createLabelledStore(source: LabelledSource): Store {
  return new LabelledStore(source);
}

class LabelledStore implements Store {
  readonly #source: LabelledSource;

  constructor(source: LabelledSource) {
    this.#source = source;
  }

  async *series(request: SeriesRequest, { signal }: CallOptions = {}): AsyncGenerator<Uint8Array> {
    const externalLabels = this.#source.externalLabels();
    const matchers = splitExternalMatchers(compileMatchers(request.matchers), externalLabels);
    if (matchers === undefined) return;
    if (matchers.length === 0) throw new StoreError('ERR_STORE_INVALID_ARGUMENT', 'no matchers specified (excluding external labels)');
    const rewriter = new SeriesRewriter({
      externalLabels,
      withoutLabels: request.withoutReplicaLabels,
      shard: createShardMatcher(request.shardInfo),
      batchSize: request.responseBatchSize,
      limit: request.limit,
      isSorted: this.#source.isSorted(request),
    });
    yield* this.#source.series(request, matchers, rewriter, signal);
  }

  async labelNames(request: LabelNamesRequest, { signal }: CallOptions = {}): Promise<LabelNamesResponse> {
    const externalLabels = this.#source.externalLabels();
    const matchers = splitExternalMatchers(compileMatchers(request.matchers), externalLabels);
    if (matchers === undefined) return { names: [], warnings: [], hints: undefined };
    const { values, warnings } = await this.#source.labelNames(labelQuery(request, matchers, signal));
    const names = new Set(values);
    if (values.length > 0) for (let i = 0; i < externalLabels.length; i += 2) names.add(externalLabels[i]!);
    for (const removed of request.withoutReplicaLabels) names.delete(removed);
    return { names: sortedUpTo(names, request.limit), warnings, hints: undefined };
  }

  async labelValues(request: LabelValuesRequest, { signal }: CallOptions = {}): Promise<LabelValuesResponse> {
    const none: LabelValuesResponse = { values: [], warnings: [], hints: undefined };
    if (request.label === '') throw new StoreError('ERR_STORE_INVALID_ARGUMENT', 'label name parameter cannot be empty');
    if (request.withoutReplicaLabels.includes(request.label)) return none;
    const externalLabels = this.#source.externalLabels();
    const matchers = splitExternalMatchers(compileMatchers(request.matchers), externalLabels);
    if (matchers === undefined) return none;
    const query = labelQuery(request, matchers, signal);
    const external = getLabel(externalLabels, request.label);
    if (external === '') {
      const { values, warnings } = await this.#source.labelValues(request.label, query);
      return { values: sortedUpTo(values, request.limit), warnings, hints: undefined };
    }
    // All series carry the external label; with other matchers it counts only if some series match them.
    return matchers.length === 0 || (await this.#source.hasSeries(query)) ? { ...none, values: [external] } : none;
  }

  info(): StoreInfo {
    const labels = this.#source.externalLabels();
    const { mint, maxt } = this.#source.timeRange();
    const isLabelled = labels.length > 0;
    return {
      labelSets: isLabelled ? [labels] : [],
      mint,
      maxt,
      storeType: this.#source.storeType,
      supportsSharding: true,
      supportsWithoutReplicaLabels: true,
      tsdbInfos: isLabelled ? [{ labels, mint, maxt }] : [],
    };
  }
}

function labelQuery({ start, end, limit }: LabelNamesRequest | LabelValuesRequest, matchers: readonly Matcher[], signal: AbortSignal | undefined): LabelQuery {
  return { matchers, mint: start, maxt: end, limit, ...(signal === undefined ? {} : { signal }) };
}

function sortedUpTo(values: Iterable<string>, limit: number): string[] {
  const sorted = [...values].toSorted(compareUtf8);
  return limit > 0 ? sorted.slice(0, limit) : sorted;
}
