/**
 * The Store of the gateway, on the main thread: chooses blocks, hands the call to a worker, passes its frames on.
 *
 *   request ─► gate ─► choose blocks ─► worker (run-task.ts) ─► frames, one piece waiting at a time
 */
import { compileMatchers, type CallOptions, type FrameSender, type Store, StoreError, type StoreInfo } from '@gauntlet/storeapi';
import type { Matcher } from '@gauntlet/model';
import { type Any, type HintType, hintsAny, type LabelNamesResponse, type LabelValuesResponse, MAX_TIME_MS, MIN_TIME_MS, requestHints, responseHints, type SeriesRequest } from '@gauntlet/proto';
import { errorText, type Gate } from '@gauntlet/service-kit';
import type { BlockTarget } from './block-access.ts';
import type { BlockSet } from './block-set.ts';
import type { StoreMetrics } from './metrics.ts';
import { wrapError } from './query-limits.ts';
import type { StoreTask, TaskReport } from './store-task.ts';
import type { ServedBlock } from './sync-blocks.ts';
import type { TaskRunner } from './task-runner.ts';

/** Tenant of calls that name none, as in Thanos. */
const DEFAULT_TENANT = 'default-tenant';
/** Room for length field and checksum around what meta.json calls the largest series and chunk. */
const FRAME_MARGIN_BYTES = 16;

/** What the store works with. */
export interface BucketStoreDeps {
  readonly blocks: BlockSet<ServedBlock>;
  readonly runner: TaskRunner;
  readonly gate: Gate;
  readonly metrics: StoreMetrics;
  /** Milliseconds. */
  readonly clock: () => number;
}

/** How it answers. */
export interface BucketStoreOptions {
  /** Time range served, ms, both inclusive; asked for at every call, since flags may be relative to now. */
  readonly timeRange: () => { readonly mint: number; readonly maxt: number };
  /** Guesses where meta.json tells none. */
  readonly seriesBytes: number;
  readonly chunkBytes: number;
}

/** Creates the store. */
export function createBucketStore(deps: BucketStoreDeps, options: BucketStoreOptions): Store {
  return new BucketStore(deps, options);
}

class BucketStore implements Store {
  readonly #deps: BucketStoreDeps;
  readonly #options: BucketStoreOptions;
  readonly #headerLoads = new WeakMap<SharedArrayBuffer, number>();
  #lastHeaderLoad = 0;

  constructor(deps: BucketStoreDeps, options: BucketStoreOptions) {
    this.#deps = deps;
    this.#options = options;
  }

  series(request: SeriesRequest, options: CallOptions = {}): AsyncGenerator<Uint8Array> {
    return this.#series(request, options, undefined);
  }

  lendSeries(request: SeriesRequest, options: CallOptions, sender: FrameSender): AsyncGenerator<Uint8Array> {
    return this.#series(request, options, sender);
  }

  async *#series(request: SeriesRequest, options: CallOptions, sender: FrameSender | undefined): AsyncGenerator<Uint8Array> {
    const { gate, metrics, clock } = this.#deps;
    const signal = signalOf(options);
    const waitedMs = clock();
    const leave = await gate.acquire(signal);
    metrics.gateSeconds.observe((clock() - waitedMs) / 1000);
    try {
      const matchers = compileMatchers(request.matchers);
      const blockMatchers = readHints(request.hints, 'SeriesRequestHints', 'series');
      const range = this.#options.timeRange();
      const clamped = { ...request, minTime: Math.max(request.minTime, range.mint), maxTime: Math.min(request.maxTime, range.maxt), hints: undefined };
      const chosen = this.#deps.blocks.select(clamped.minTime, clamped.maxTime, request.maxResolutionWindow, matchers, blockMatchers);
      if (chosen.length === 0) return;
      const targets = await this.#targets(chosen);
      yield* this.#frames({ kind: 'series', request: clamped, targets }, options, signal, sender);
    } finally {
      leave();
    }
  }

  async labelNames(request: Parameters<Store['labelNames']>[0], options: CallOptions = {}): Promise<LabelNamesResponse> {
    const matchers = compileLabelMatchers(() => compileMatchers(request.matchers));
    const blockMatchers = readHints(request.hints, 'LabelNamesRequestHints', 'label names');
    const chosen = this.#deps.blocks.selectAll(request.start, request.end, matchers, blockMatchers);
    const hints = encodeHints('LabelNamesResponseHints', chosen);
    if (chosen.length === 0) return { names: [], warnings: [], hints };
    const answer = await this.#ask({ kind: 'labelNames', request: { ...request, hints: undefined }, targets: await this.#targets(chosen) }, options);
    return { ...(answer as LabelNamesResponse), hints };
  }

  async labelValues(request: Parameters<Store['labelValues']>[0], options: CallOptions = {}): Promise<LabelValuesResponse> {
    const matchers = compileLabelMatchers(() => compileMatchers(request.matchers));
    if (request.withoutReplicaLabels.includes(request.label)) return { values: [], warnings: [], hints: undefined };
    const blockMatchers = readHints(request.hints, 'LabelValuesRequestHints', 'label values');
    const chosen = this.#deps.blocks.selectAll(request.start, request.end, matchers, blockMatchers);
    const hints = encodeHints('LabelValuesResponseHints', chosen);
    if (chosen.length === 0) return { values: [], warnings: [], hints };
    const answer = await this.#ask({ kind: 'labelValues', request: { ...request, hints: undefined }, targets: await this.#targets(chosen) }, options);
    return { ...(answer as LabelValuesResponse), hints };
  }

  info(): StoreInfo {
    const { blocks } = this.#deps;
    const limits = this.#options.timeRange();
    const range = blocks.timeRange();
    return {
      labelSets: blocks.labelSets(),
      mint: range === undefined ? MAX_TIME_MS : Math.max(range.mint, limits.mint),
      maxt: range === undefined ? MIN_TIME_MS : Math.min(range.maxt, limits.maxt),
      storeType: 'store',
      supportsSharding: true,
      supportsWithoutReplicaLabels: true,
      tsdbInfos: blocks.tsdbInfos(),
    };
  }

  /** What workers need of blocks; their headers are loaded if they are lazy. */
  #targets(chosen: readonly ServedBlock[]): Promise<BlockTarget[]> {
    return Promise.all(chosen.map(async ({ id, meta, header, indexBytes }) => {
      const { labels, seriesMaxBytes, chunkMaxBytes } = meta.thanos;
      const opened = await header.open().catch((error: unknown) => {
        throw wrapError(error, `open index-header of block ${id}`, 'ERR_STORE_ABORTED');
      });
      return {
        id,
        labels,
        header: opened,
        headerLoad: this.#loadOf(opened),
        indexBytes,
        seriesBytes: seriesMaxBytes > 0 ? seriesMaxBytes + FRAME_MARGIN_BYTES : this.#options.seriesBytes,
        chunkBytes: chunkMaxBytes > 0 ? chunkMaxBytes + FRAME_MARGIN_BYTES : this.#options.chunkBytes,
      };
    }));
  }

  /** Workers tell loads apart by this number. */
  #loadOf(header: SharedArrayBuffer): number {
    let load = this.#headerLoads.get(header);
    if (load === undefined) this.#headerLoads.set(header, (load = ++this.#lastHeaderLoad));
    return load;
  }

  async #ask(task: StoreTask, options: CallOptions): Promise<TaskReport['value']> {
    const tenant = options.tenant ?? DEFAULT_TENANT;
    try {
      const report = await this.#deps.runner.run(task, () => Promise.resolve(false), signalOf(options));
      this.#deps.metrics.observeCall(report, 'labels', tenant);
      return report.value;
    } catch (error) {
      this.#countDropped(error, tenant);
      throw error;
    }
  }

  /** Pieces come by callback, the reader pulls: one piece waits at a time, and the worker waits until it is taken. */
  async *#frames(task: StoreTask, options: CallOptions, outer: AbortSignal, sender: FrameSender | undefined): AsyncGenerator<Uint8Array> {
    const tenant = options.tenant ?? DEFAULT_TENANT;
    const stop = new AbortController();
    const signal = AbortSignal.any([outer, stop.signal]);
    let piece: readonly Uint8Array[] | undefined;
    let taken = (_isSent: boolean): void => {};
    let wake = (): void => {};
    let outcome: { readonly error?: unknown } | undefined;
    const running = this.#deps.runner
      .run(task, (frames) => new Promise<boolean>((resolve) => {
        piece = frames;
        taken = resolve;
        wake();
      }), signal)
      .then(
        (report) => {
          this.#deps.metrics.observeCall(report, 'series', tenant);
          outcome = {};
        },
        (error: unknown) => {
          this.#countDropped(error, tenant);
          outcome = { error };
        },
      )
      .finally(() => wake());
    try {
      for (;;) {
        if (piece !== undefined) {
          const frames = piece;
          piece = undefined;
          yield* frames;
          // Without a sender frames may be kept by whoever took them.
          taken(sender !== undefined && (await sender.sent()));
        } else if (outcome !== undefined) {
          if ('error' in outcome) throw outcome.error;
          return;
        } else {
          await new Promise<void>((resolve) => {
            wake = resolve;
          });
        }
      }
    } finally {
      if (outcome === undefined) {
        stop.abort(new StoreError('ERR_STORE_CANCELED', 'series: the reader went away'));
        // The job may be waiting for its piece to be taken.
        taken(false);
        await running;
      }
    }
  }

  #countDropped(error: unknown, tenant: string): void {
    if (!(error instanceof StoreError) || error.code !== 'ERR_STORE_RESOURCE_EXHAUSTED') return;
    const reason = /exceeded (series|chunks|bytes) limit/.exec(error.message)?.[1];
    if (reason !== undefined) this.#deps.metrics.observeDropped(reason, tenant);
  }
}

function signalOf(options: CallOptions): AbortSignal {
  return options.signal ?? new AbortController().signal;
}

/** Label calls say what they were doing before the text of a matcher that does not compile, as Thanos does. */
function compileLabelMatchers(compile: () => Matcher[]): Matcher[] {
  try {
    return compile();
  } catch (error) {
    throw new StoreError('ERR_STORE_INVALID_ARGUMENT', `translate request labels matchers: ${errorText(error)}`, { cause: error });
  }
}

/** Block matchers of request hints. @throws StoreError ERR_STORE_INVALID_ARGUMENT */
function readHints(hints: Any | undefined, type: HintType, call: string): readonly Matcher[] {
  if (hints === undefined) return [];
  const refuse = (what: string, cause?: unknown): StoreError => new StoreError('ERR_STORE_INVALID_ARGUMENT', what, { cause });
  const got = hints.typeUrl.slice(hints.typeUrl.lastIndexOf('/') + 1);
  if (got !== `hintspb.${type}`) throw refuse(`unmarshal ${call} request hints: mismatched message type: got ${JSON.stringify(got)} want "hintspb.${type}"`);
  let decoded: ReturnType<typeof requestHints.decode>;
  try {
    decoded = requestHints.decode(hints.value);
  } catch (error) {
    throw refuse(`unmarshal ${call} request hints: ${errorText(error)}`, error);
  }
  try {
    return compileMatchers(decoded.blockMatchers);
  } catch (error) {
    throw refuse(`translate request hints labels matchers: ${errorText(error)}`, error);
  }
}

/** Which blocks were asked. */
function encodeHints(type: HintType, blocks: readonly ServedBlock[]): Any {
  return hintsAny(type, responseHints.encode({ queriedBlocks: blocks.map(({ id }) => ({ id })) }));
}

