/**
 * The grid of a subquery: multiples of its step (whatever the start of the query), from just after the earliest window's start to the end of
 * the last window.
 *
 *   query steps            |        |        |
 *   windows (5m)     (-----]  (-----]
 *   subquery steps     .  .  .  .  .  .  .  .        absolute multiples of the subquery's step
 *
 * Source: Prometheus promql/engine.go, `subqueryTimeRange`.
 */
import type { SubqueryExpr } from '../parser/ast.ts';
import type { Grid, QueryContext } from './query-context.ts';
import { lookTimes } from './look-times.ts';

/** Steps of the inner expression; 0 of them when no step falls into any window. */
export function subqueryGrid(context: QueryContext, subquery: SubqueryExpr, grid: Grid): Grid {
  const look = lookTimes(subquery, grid);
  const stepMs = subquery.stepMs === 0 ? context.settings.noStepSubqueryIntervalMs : subquery.stepMs;
  const windowStart = look.firstMs - subquery.rangeMs;
  // Truncated towards zero, then moved past the open start of the window.
  let startMs = stepMs * Math.trunc(windowStart / stepMs);
  if (startMs <= windowStart) startMs += stepMs;
  // A pinned subquery begins where it is pinned, whatever is around it.
  return { startMs, leadMs: startMs - windowStart + look.firstMs - look.askFromMs, stepMs, steps: look.lastMs < startMs ? 0 : Math.floor((look.lastMs - startMs) / stepMs) + 1 };
}
