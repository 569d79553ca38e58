/**
 * A Store over a local database: chunks are sent undecoded, a series in pieces of about 1 MiB of chunks.
 * Source of behaviour: Thanos pkg/store/tsdb.go.
 */
import type { ChunkQueryable, ChunkSeries, LabelAnswer, LabelQuery, Labels, Matcher } from '@gauntlet/model';
import { MAX_TIME_MS, type SeriesRequest, WireWriter, writeRawChunkField } from '@gauntlet/proto';
import { createLabelledStore, type LabelledSource } from './labelled-store.ts';
import type { SeriesRewriter } from './series-rewriter.ts';
import type { Store } from './store.ts';

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
  return createLabelledStore(new TsdbSource(options));
}

class TsdbSource implements LabelledSource {
  readonly storeType: string;
  readonly #options: TsdbStoreOptions;

  constructor(options: TsdbStoreOptions) {
    this.storeType = options.storeType;
    this.#options = options;
  }

  externalLabels(): Labels {
    return this.#options.externalLabels();
  }

  timeRange(): { readonly mint: number; readonly maxt: number } {
    return { mint: this.#options.mint(), maxt: MAX_TIME_MS };
  }

  isSorted(): boolean {
    return true;
  }

  async *series(request: SeriesRequest, matchers: readonly Matcher[], rewriter: SeriesRewriter, signal: AbortSignal | undefined): AsyncGenerator<Uint8Array> {
    const chunks = new WireWriter(16 * 1024);
    const select = { matchers, mint: request.minTime, maxt: request.maxTime, skipChunks: request.skipChunks, ...(signal === undefined ? {} : { signal }) };
    for await (const batch of this.#options.queryable.selectChunks(select)) {
      for (const series of batch) addSeries(rewriter, series, request.skipChunks, chunks);
      yield* rewriter.takeFrames();
      if (rewriter.isFull) return;
    }
    yield* rewriter.finish();
  }

  async hasSeries(query: LabelQuery): Promise<boolean> {
    for await (const batch of this.#options.queryable.selectChunks({ ...query, skipChunks: true })) if (batch.length > 0) return true;
    return false;
  }

  labelNames(query: LabelQuery): Promise<LabelAnswer> {
    return this.#options.queryable.labelNames(query);
  }

  labelValues(name: string, query: LabelQuery): Promise<LabelAnswer> {
    return this.#options.queryable.labelValues(name, query);
  }
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
