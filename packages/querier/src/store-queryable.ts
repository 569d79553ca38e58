/**
 * PromQL's storage over a Store: one Series call per selector, its frames decoded to columns in kernel memory.
 *
 * A replica's series lose their replica labels in the stores (`without_replica_labels`), so equal series arrive one behind the
 * other; their chunks meet in the SeriesAssembler, which unites them.
 */
import type { Kernels } from '@gauntlet/kernels';
import { type LabelAnswer, type LabelQuery, type Labels, type Matcher, type Queryable, type SelectRequest, type SeriesBatch, type SeriesSet, formatLabels } from '@gauntlet/model';
import {
  AGGREGATE,
  EMPTY_LABEL_NAMES_REQUEST,
  EMPTY_SERIES_REQUEST,
  type LabelMatcher,
  MATCHER_TYPE,
  PARTIAL_RESPONSE,
  type SeriesRequest,
  SeriesFrame,
  compareFrameLabels,
  createSeriesFrame,
  decodeSeriesFrame,
  frameLabels,
  framePartData,
} from '@gauntlet/proto';
import type { Store } from '@gauntlet/storeapi';
import { QuerierError } from './errors.ts';
import type { MemoryCharge } from './kernel-buffer.ts';
import { SeriesAssembler, type UniteStreams } from './series-assembler.ts';

export interface StoreQueryableOptions {
  readonly store: Store;
  readonly kernels: Kernels;
  readonly charge: MemoryCharge;
  /** Labels that tell replicas apart; none = no deduplication. */
  readonly replicaLabels: readonly string[];
  /**
   * Makes the function that unites overlapping streams of one series, told the PromQL function around the selector (counters are
   * treated apart).
   */
  readonly createUnite: (func: string) => UniteStreams;
  /** False: a store that does not answer is an error. */
  readonly partialResponse: boolean;
  /** Coarsest resolution that will do, ms; 0 = raw. */
  readonly maxResolutionMs: number;
  /** Unix ms by which remote calls must have ended. */
  readonly deadlineMs: number;
  readonly tenant?: string;
  readonly counters: QueryCounters;
}

/** What one query took in; counted by the thread that does the work. */
export interface QueryCounters {
  frames: number;
  frameBytes: number;
  series: number;
  chunks: number;
  samples: number;
}

/** A batch is closed at this many series or staged bytes, whichever comes first. */
const BATCH_SERIES = 128;
const BATCH_BYTES = 8 << 20;

/** Matchers as messages have them. */
export function matchersToMessage(matchers: readonly Matcher[]): LabelMatcher[] {
  return matchers.map(({ type, name, value }) => ({ type: MATCHER_TYPE[type], name, value }));
}

/** Aggregates of downsampled data that a function needs, as Thanos chooses them. */
export function aggregatesFor(func: string): readonly number[] {
  if (func.startsWith('min')) return [AGGREGATE.min];
  if (func.startsWith('max')) return [AGGREGATE.max];
  if (func.startsWith('count')) return [AGGREGATE.count];
  // sum_over_time of the average would be wrong; plain sum works on averages of each step.
  if (func.startsWith('sum_')) return [AGGREGATE.sum];
  if (func === 'increase' || func === 'rate' || func === 'irate' || func === 'resets') return [AGGREGATE.counter];
  return [AGGREGATE.count, AGGREGATE.sum];
}

/** See the head of this file. */
export class StoreQueryable implements Queryable {
  readonly #options: StoreQueryableOptions;

  constructor(options: StoreQueryableOptions) {
    this.#options = options;
  }

  select(request: SelectRequest): SeriesSet {
    const warnings: string[] = [];
    const batches = this.#batches(request, warnings);
    return { [Symbol.asyncIterator]: () => batches, warnings: () => warnings };
  }

  async labelNames(query: LabelQuery): Promise<LabelAnswer> {
    const { names, warnings } = await this.#options.store.labelNames(this.#labelRequest(query), this.#call(query.signal));
    return { values: names, warnings };
  }

  async labelValues(name: string, query: LabelQuery): Promise<LabelAnswer> {
    const answer = await this.#options.store.labelValues({ ...this.#labelRequest(query), label: name }, this.#call(query.signal));
    return { values: answer.values, warnings: answer.warnings };
  }

  /** Label sets of the series that match, without samples, in order, each once. */
  async *series(query: LabelQuery, warnings: string[]): AsyncGenerator<Labels> {
    const request: SeriesRequest = { ...this.#seriesRequest({ matchers: query.matchers, mint: query.mint, maxt: query.maxt }), skipChunks: true, aggregates: [], limit: query.limit };
    let previous: Labels | undefined;
    for await (const frame of this.#frames(request, query.signal, warnings)) {
      for (let series = 0; series < frame.seriesCount; series++) {
        const labels = frameLabels(frame, series);
        if (previous !== undefined && sameLabels(previous, labels)) continue;
        previous = labels;
        yield labels;
      }
    }
  }

  async *#batches(request: SelectRequest, warnings: string[]): AsyncGenerator<SeriesBatch, void> {
    const { kernels, charge, counters } = this.#options;
    const func = request.hints?.func ?? '';
    const assembler = new SeriesAssembler({
      kernels,
      charge,
      mint: request.mint,
      maxt: request.maxt,
      unite: this.#options.replicaLabels.length > 0 ? this.#options.createUnite(func) : undefined,
    });
    // Two decoders in turn: the last series of a frame may go on in the next.
    let previous: SeriesFrame | undefined;
    try {
      for await (const frame of this.#frames(this.#seriesRequest(request), request.signal, warnings)) {
        for (let series = 0; series < frame.seriesCount; series++) {
          const goesOn = series > 0 ? compareFrameLabels(frame, series - 1, frame, series) === 0 : previous !== undefined && previous.seriesCount > 0 && compareFrameLabels(previous, previous.seriesCount - 1, frame, 0) === 0;
          if (!goesOn) {
            if (assembler.seriesCount >= BATCH_SERIES || assembler.stagedBytes >= BATCH_BYTES) yield this.#finish(assembler);
            assembler.add(frameLabels(frame, series));
            counters.series++;
          }
          this.#addChunks(assembler, frame, series);
        }
        if (frame.seriesCount > 0) previous = frame;
      }
      if (assembler.seriesCount > 0) yield this.#finish(assembler);
    } finally {
      assembler.dispose();
    }
  }

  #finish(assembler: SeriesAssembler): SeriesBatch {
    const before = assembler.decodedChunks;
    const batch = assembler.finish();
    this.#options.counters.chunks += assembler.decodedChunks - before;
    this.#options.counters.samples += batch.timestampsMs.length;
    return batch;
  }

  #addChunks(assembler: SeriesAssembler, frame: SeriesFrame, series: number): void {
    for (let chunk = frame.chunkOffsets[series]!; chunk < frame.chunkOffsets[series + 1]!; chunk++) {
      const part = frame.partOffsets[chunk]!;
      if (part === frame.partOffsets[chunk + 1]!) continue;
      if (frame.partAggregate[part] !== AGGREGATE.raw) {
        throw new QuerierError('ERR_CHUNK_ENCODING', `decode chunks of ${formatLabels(frameLabels(frame, series))}: downsampled data is not supported yet; ask for raw data with max_source_resolution=0s`);
      }
      assembler.addChunk(frame.chunkMint[chunk]!, frame.chunkMaxt[chunk]!, frame.partEncoding[part]!, framePartData(frame, part));
    }
  }

  /** Decoded frames; each stays valid until the one after the next. */
  async *#frames(request: SeriesRequest, signal: AbortSignal | undefined, warnings: string[]): AsyncGenerator<SeriesFrame> {
    const { counters } = this.#options;
    let frame = createSeriesFrame();
    let spare = createSeriesFrame();
    for await (const bytes of this.#options.store.series(request, this.#call(signal))) {
      counters.frames++;
      counters.frameBytes += bytes.length;
      decodeSeriesFrame(bytes, frame);
      if (frame.warning !== undefined) {
        if (!warnings.includes(frame.warning)) warnings.push(frame.warning);
        continue;
      }
      if (frame.seriesCount === 0) continue;
      yield frame;
      [frame, spare] = [spare, frame];
    }
  }

  #call(signal: AbortSignal | undefined): { readonly signal?: AbortSignal; readonly tenant?: string; readonly deadlineMs: number } {
    const { tenant, deadlineMs } = this.#options;
    return { deadlineMs, ...(signal === undefined ? {} : { signal }), ...(tenant === undefined ? {} : { tenant }) };
  }

  #seriesRequest({ matchers, mint, maxt, hints }: Pick<SelectRequest, 'matchers' | 'mint' | 'maxt' | 'hints'>): SeriesRequest {
    const { partialResponse, maxResolutionMs, replicaLabels } = this.#options;
    return {
      ...EMPTY_SERIES_REQUEST,
      minTime: mint,
      maxTime: maxt,
      matchers: matchersToMessage(matchers),
      maxResolutionWindow: maxResolutionMs,
      aggregates: aggregatesFor(hints?.func ?? ''),
      partialResponseDisabled: !partialResponse,
      partialResponseStrategy: partialResponse ? PARTIAL_RESPONSE.warn : PARTIAL_RESPONSE.abort,
      withoutReplicaLabels: replicaLabels,
      responseBatchSize: 64,
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

  #labelRequest(query: LabelQuery): typeof EMPTY_LABEL_NAMES_REQUEST {
    const { partialResponse } = this.#options;
    return {
      ...EMPTY_LABEL_NAMES_REQUEST,
      partialResponseDisabled: !partialResponse,
      partialResponseStrategy: partialResponse ? PARTIAL_RESPONSE.warn : PARTIAL_RESPONSE.abort,
      start: query.mint,
      end: query.maxt,
      matchers: matchersToMessage(query.matchers),
      limit: query.limit,
    };
  }
}

function sameLabels(a: Labels, b: Labels): boolean {
  return a.length === b.length && a.every((text, index) => text === b[index]);
}
