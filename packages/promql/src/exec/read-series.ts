/**
 * Reads one selector from storage, series by series, with the columns in kernel memory.
 *
 * Batches of the Queryable normally lie there already and are used in place; others are copied in, a batch at a time.
 */
import type { Labels, Matcher, SelectHints } from '@gauntlet/model';
import { PromqlError } from '../errors.ts';
import type { QueryContext } from './query-context.ts';
import { Scratch } from './rows.ts';

/** What is read. */
export interface ReadRequest {
  readonly matchers: readonly Matcher[];
  /** Both inclusive, ms. */
  readonly mint: number;
  readonly maxt: number;
  readonly hints: SelectHints;
}

/** Gets each series in label order; the columns are valid during the call. */
export type SeriesVisitor = (labels: Labels, timestampsPtr: number, valuesPtr: number, count: number) => void;

/**
 * Calls `visit` for every series. Warnings of storage go to the annotations.
 * @throws PromqlError ERR_STORAGE `expanding series: …` when storage fails
 */
export async function readSeries(context: QueryContext, request: ReadRequest, visit: SeriesVisitor): Promise<void> {
  const { memory } = context.kernels;
  const scratch = new Scratch(context);
  try {
    const select = { matchers: request.matchers, mint: request.mint, maxt: request.maxt, hints: request.hints };
    const set = context.queryable.select(context.signal === undefined ? select : { ...select, signal: context.signal });
    const batches = set[Symbol.asyncIterator]();
    try {
      for (;;) {
        const next = await nextBatch(context, batches);
        if (next.done === true) break;
        const { labels, offsets, timestampsMs, values, kernelColumns } = next.value;
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
          visit(labels[i]!, timestampsPtr + from * 8, valuesPtr + from * 8, count);
          context.worked(count, 1);
        }
        context.series += labels.length;
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
