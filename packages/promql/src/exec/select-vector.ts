/**
 * Instant vector selectors: for every step the newest sample in (t − lookback, t], unless it is a stale marker.
 *
 * With `@` every step looks at the same time; the kernel gets a step width of 0 for that.
 */
import type { VectorSelector } from '../parser/ast.ts';
import { PromqlError } from '../errors.ts';
import { smoothedVectorRows } from './extended-range.ts';
import { type LookTimes, lookTimes } from './look-times.ts';
import type { Grid, QueryContext } from './query-context.ts';
import { type RowSink, Scratch } from './rows.ts';
import { withoutBuckets } from './histogram-stats.ts';
import { readSeries, type SeriesHistograms } from './read-series.ts';
import { type HistogramRow, samplesOfHistogram } from './step-matrix.ts';

/** Evaluates a vector selector into a sink. */
export async function selectVectorRows(context: QueryContext, selector: VectorSelector, grid: Grid, sink: RowSink): Promise<void> {
  if (selector.smoothed) return smoothedVectorRows(context, selector, grid, sink);
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
      read: selector.read,
      mint: look.askFromMs - lookbackMs + 1,
      maxt: look.lastMs,
      newestOnly: look.firstMs === look.lastMs,
    };
    await readSeries(context, request, (labels, timestampsPtr, columnPtr, count, histograms) => {
      const found = kernels.lookback(timestampsPtr, columnPtr, count, look.firstMs, look.stepMs, steps, lookbackMs, valuesPtr, presentPtr);
      if (found === 0) return;
      if (histograms !== undefined) {
        const own = context.statsSelectors.has(selector) ? withoutBuckets(histograms, count) : histograms;
        const row = histogramsAt(own, kernels.memory.f64(timestampsPtr, count), kernels.memory.u8(presentPtr, steps), look);
        const samples = row.reduce((sum, histogram) => (histogram === undefined ? sum : sum + samplesOfHistogram(histogram) - 1), found);
        context.samples += samples;
        context.counts?.addSteps(kernels.memory.u8(presentPtr, steps), row);
        context.hold(samples);
        sink.add(labels, false, valuesPtr, presentPtr, samples, row);
        return;
      }
      context.samples += found;
      context.counts?.addSteps(kernels.memory.u8(presentPtr, steps), undefined);
      context.hold(found);
      sink.add(labels, false, valuesPtr, presentPtr, found);
    });
  } finally {
    row.free();
  }
}

/** The histograms in effect at the steps that are present; the kernel has looked after age and staleness. */
function histogramsAt(histograms: SeriesHistograms, timestampsMs: Float64Array, present: Uint8Array, look: LookTimes): HistogramRow {
  const row: HistogramRow = [];
  let hi = 0;
  for (let k = 0; k < present.length; k++) {
    const at = look.firstMs + k * look.stepMs;
    while (hi < timestampsMs.length && timestampsMs[hi]! <= at) hi++;
    row.push(present[k] === 1 ? histograms.at(hi - 1) : undefined);
  }
  return row;
}
