/**
 * Instant vector selectors: for every step the newest sample in (t − lookback, t], unless it is a stale marker.
 *
 * With `@` every step looks at the same time; the kernel gets a step width of 0 for that.
 */
import type { VectorSelector } from '../parser/ast.ts';
import { PromqlError } from '../errors.ts';
import { smoothedVectorRows } from './extended-range.ts';
import { lookTimes } from './look-times.ts';
import type { Surroundings } from './operators.ts';
import type { Grid, QueryContext } from './query-context.ts';
import { readSeries } from './read-series.ts';
import { type RowSink, Scratch } from './rows.ts';

/** Evaluates a vector selector into a sink. */
export async function selectVectorRows(context: QueryContext, selector: VectorSelector, grid: Grid, around: Surroundings, sink: RowSink): Promise<void> {
  if (selector.smoothed) return smoothedVectorRows(context, selector, grid, around, sink);
  if (selector.anchored) throw new PromqlError('ERR_EXECUTION', 'anchored modifier can only be used with range vectors', { pos: selector.pos });
  const { kernels } = context;
  const { lookbackMs } = context.settings;
  const look = lookTimes(selector, grid);
  const { steps } = grid;
  const row = new Scratch(context);
  try {
    const valuesPtr = row.ensure(steps * 9);
    const presentPtr = valuesPtr + steps * 8;
    const request = {
      matchers: selector.matchers,
      mint: look.firstMs - lookbackMs + 1,
      maxt: look.lastMs,
      hints: { ...around, rangeMs: 0 },
    };
    await readSeries(context, request, (labels, timestampsPtr, columnPtr, count) => {
      const found = kernels.lookback(timestampsPtr, columnPtr, count, look.firstMs, look.stepMs, steps, lookbackMs, valuesPtr, presentPtr);
      if (found === 0) return;
      context.samples += found;
      context.hold(found);
      sink.add(labels, false, valuesPtr, presentPtr, found);
    });
  } finally {
    row.free();
  }
}
