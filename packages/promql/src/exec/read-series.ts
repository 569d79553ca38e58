/**
 * Reads one selector from storage, series by series, with the columns in kernel memory.
 *
 * Batches of the Queryable normally lie there already and are used in place; others are copied in, a batch at a time.
 */
import type { FloatHistogram, HistogramColumn, HistogramRun, Labels, Matcher, SelectHints } from '@gauntlet/model';
import { PromqlError } from '../errors.ts';
import type { SelectorRead } from '../parser/ast.ts';
import type { QueryContext } from './query-context.ts';
import { Scratch } from './rows.ts';
import { readShared } from './shared-read.ts';

/** What is read. */
export interface ReadRequest {
  readonly matchers: readonly Matcher[];
  /** Both inclusive, ms. */
  readonly mint: number;
  readonly maxt: number;
  /** What planning has decided about the selector. */
  readonly read?: SelectorRead | undefined;
  /** What storage is told, where it is not what planning has decided. */
  readonly hints?: SelectHints | undefined;
  /** Whether the visitor looks at the newest sample of a series alone; default no. */
  readonly newestOnly?: boolean;
  /** Whether the visitor wants to know since when samples count; default no. */
  readonly withStarts?: boolean;
}

/** Native histograms among the samples of one series. */
export interface SeriesHistograms {
  /** The histogram at an index; undefined for floats, STALE_HISTOGRAM for a stale marker. */
  at(index: number): FloatHistogram | undefined;
  /** Where storage has columns: the number of each histogram, −1 for floats, and the run of a number. */
  readonly ids?: Int32Array | undefined;
  readonly runOf?: ((id: number) => HistogramRun) | undefined;
}

/**
 * Gets each series in label order; the columns are valid during the call. Values of histograms are 0, or the bits of a stale marker.
 * @param histograms undefined if all samples are floats
 * @param starts start timestamps beside the samples, 0 = not known; undefined if not asked for or if no sample of the series has one
 */
export type SeriesVisitor = (
  labels: Labels,
  timestampsPtr: number,
  valuesPtr: number,
  count: number,
  histograms: SeriesHistograms | undefined,
  starts: Float64Array | undefined,
) => void;

/**
 * Calls `visit` for every series. Warnings of storage go to the annotations.
 * @throws PromqlError ERR_STORAGE `expanding series: …` when storage fails
 */
export async function readSeries(context: QueryContext, request: ReadRequest, visit: SeriesVisitor): Promise<void> {
  const { hints = request.hints, shared } = request.read ?? {};
  // Others who read with it may look at more.
  const newestOnly = request.newestOnly === true && shared === undefined && hints !== undefined;
  const planned = { ...request, hints: newestOnly ? { ...hints, newestOnly } : hints };
  const visitor = context.meter === undefined ? visit : context.meter.readsInto(visit);
  return shared === undefined ? readAlone(context, planned, visitor) : readShared(context, planned, shared, visitor, readAlone);
}

async function readAlone(context: QueryContext, request: ReadRequest, visit: SeriesVisitor): Promise<void> {
  const { memory } = context.kernels;
  const scratch = new Scratch(context);
  try {
    const { matchers, mint, maxt, hints } = request;
    const { signal } = context;
    const set = context.queryable.select({ matchers, mint, maxt, ...(hints === undefined ? {} : { hints }), ...(signal === undefined ? {} : { signal }) });
    const batches = set[Symbol.asyncIterator]();
    try {
      for (;;) {
        const next = await nextBatch(context, batches);
        if (next.done === true) break;
        const { labels, offsets, timestampsMs, values, kernelColumns, histograms, startTimestamps } = next.value;
        context.readSeries(labels.length);
        let timestampsPtr = kernelColumns?.timestampsPtr ?? timestampsMs.byteOffset;
        let valuesPtr = kernelColumns?.valuesPtr ?? values.byteOffset;
        const end = offsets[labels.length]!;
        const inPlace = kernelColumns !== undefined || (timestampsMs.buffer === memory.buffer && values.buffer === memory.buffer);
        if (!inPlace) {
          // Only what the offsets cover: a producer may hand out a larger buffer. A column that does lie in kernel memory is taken out
          // first, because making room may detach it.
          const times = timestampsMs.buffer === memory.buffer ? timestampsMs.slice(0, end) : timestampsMs.subarray(0, end);
          const column = values.buffer === memory.buffer ? values.slice(0, end) : values.subarray(0, end);
          timestampsPtr = scratch.ensure(end * 16);
          valuesPtr = timestampsPtr + end * 8;
          memory.f64(timestampsPtr, end).set(times);
          memory.f64(valuesPtr, end).set(column);
        }
        for (let i = 0; i < labels.length; i++) {
          const from = offsets[i]!;
          const count = offsets[i + 1]! - from;
          const own = histograms === undefined ? undefined : histogramsOf(histograms, from, from + count);
          const starts = request.withStarts !== true || startTimestamps === undefined ? undefined : startsOf(startTimestamps, from, from + count);
          visit(labels[i]!, timestampsPtr + from * 8, valuesPtr + from * 8, count, own, starts);
          context.worked(count, 1);
        }
      }
    } catch (error) {
      await batches.return?.();
      throw error;
    }
    for (const warning of set.warnings()) context.annotations.addPlain(warning);
  } finally {
    scratch.free();
  }
}

function histogramsOf(column: HistogramColumn, from: number, to: number): SeriesHistograms | undefined {
  const { ids } = column;
  let i = from;
  while (i < to && ids[i] === -1) i++;
  if (i === to) return undefined;
  return {
    at(index) {
      const id = ids[from + index]!;
      return id === -1 ? undefined : column.get(id);
    },
    ...(column.runOf === undefined ? {} : { ids: ids.subarray(from, to), runOf: (id: number) => column.runOf!(id) }),
  };
}

function startsOf(column: Float64Array, from: number, to: number): Float64Array | undefined {
  for (let i = from; i < to; i++) if (column[i] !== 0) return column.subarray(from, to);
  return undefined;
}

async function nextBatch<T>(context: QueryContext, batches: AsyncIterator<T>): Promise<IteratorResult<T>> {
  context.poll();
  try {
    return await batches.next();
  } catch (error) {
    if (error instanceof PromqlError) throw error;
    // A cancellation surfaces in storage first, where the waiting is.
    context.poll();
    const message = error instanceof Error ? error.message : String(error);
    throw new PromqlError('ERR_STORAGE', `expanding series: ${message}`, { cause: error });
  }
}
