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
import { lookTimes } from './look-times.ts';
import { evaluateVector } from './operators.ts';
import type { Grid, QueryContext } from './query-context.ts';
import { countsBytes, SampleCounts } from './sample-counts.ts';
import type { StepMatrix } from './step-matrix.ts';

/** Steps of the inner expression; 0 of them when no step falls into any window. */
export function subqueryGrid(context: QueryContext, subquery: SubqueryExpr, grid: Grid): Grid {
  const look = lookTimes(subquery, grid);
  const stepMs = subquery.stepMs === 0 ? context.settings.noStepSubqueryIntervalMs : subquery.stepMs;
  const windowStart = look.firstMs - subquery.rangeMs;
  // Truncated towards zero, then moved past the open start of the window.
  let startMs = stepMs * Math.trunc(windowStart / stepMs);
  if (startMs <= windowStart) startMs += stepMs;
  const steps = look.lastMs < startMs ? 0 : Math.floor((look.lastMs - startMs) / stepMs) + 1;
  // It ends with the last step around it, however long after that the query ends.
  const tailMs = steps === 0 ? 0 : (look.lastMs - startMs) % stepMs;
  return { startMs, leadMs: startMs - windowStart + look.firstMs - look.askFromMs, stepMs, steps, tailMs };
}

/**
 * Evaluates what a subquery repeats, over the subquery's own grid. Of its samples only those read count for the steps around: its values are
 * counted where they are used.
 * @param isWhole the subquery is the whole query
 */
export async function evaluateSubquery(context: QueryContext, subquery: SubqueryExpr, grid: Grid, isWhole = false): Promise<StepMatrix> {
  // Scalars inside are columns of this length that nobody else charges.
  const bytes = 8 * grid.steps;
  context.reserve(bytes);
  const matrix = await evaluateSteps(context, subquery, grid, isWhole);
  context.release(bytes);
  return matrix;
}

async function evaluateSteps(context: QueryContext, subquery: SubqueryExpr, grid: Grid, isWhole: boolean): Promise<StepMatrix> {
  const { counts } = context;
  if (counts === undefined) return evaluateVector(context, subquery.expr, grid);
  context.reserve(countsBytes(grid));
  const own = new SampleCounts(grid);
  const part = context.part({ counts: own });
  const matrix = await evaluateVector(part, subquery.expr, grid);
  context.join(part);
  if (isWhole) counts.addQueryable(0, own.queryable);
  counts.addSubquery(own, isWhole ? undefined : { offsetMs: subquery.originalOffsetMs, rangeMs: subquery.rangeMs });
  context.release(countsBytes(grid));
  return matrix;
}
