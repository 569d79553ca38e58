/** Where in time a selector or subquery looks, given the steps it is evaluated for: its offset and its `@` applied. */
import type { Grid } from './query-context.ts';

/** Times at which a selector looks, one per step: `firstMs + k · stepMs`. */
export interface LookTimes {
  readonly firstMs: number;
  /** From where on storage is asked, but for range and lookback; at most firstMs. */
  readonly askFromMs: number;
  readonly stepMs: number;
  readonly lastMs: number;
}

/** Applies offset and `@` of a selector (or subquery) to a grid. */
export function lookTimes(node: { readonly timestampMs: number | undefined; readonly originalOffsetMs: number }, grid: Grid): LookTimes {
  if (node.timestampMs !== undefined) {
    const at = node.timestampMs - node.originalOffsetMs;
    return { firstMs: at, askFromMs: at, stepMs: 0, lastMs: at };
  }
  const firstMs = grid.startMs - node.originalOffsetMs;
  return { firstMs, askFromMs: firstMs - (grid.leadMs ?? 0), stepMs: grid.stepMs, lastMs: firstMs + (grid.steps - 1) * grid.stepMs };
}
