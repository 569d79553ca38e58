/**
 * Each selector gets what storage is told about the use of its samples: step, nearest function or aggregation, range, grouping. Stores choose
 * aggregates of downsampled data by it, and may leave out what cannot matter.
 *
 * Source: Prometheus promql/engine.go, `populateSeries` and `extractFuncFromPath` (3.14): a binary operator hides the functions around it.
 */
import type { SelectHints } from '@gauntlet/model';
import type { Expr, VectorSelector } from '../../parser/ast.ts';
import { createSharedMap, mapChildren } from '../rewrite.ts';
import type { PlanContext, Rule } from '../rule.ts';

/** See the head of this file. */
export const selectHints: Rule = { name: 'select-hints', says: 'storage is told what the samples are for', apply };

type Around = Omit<SelectHints, 'rangeMs' | 'projection'>;

function apply(root: Expr, { times, noStepSubqueryIntervalMs }: PlanContext): Expr {
  const mapShared = createSharedMap();
  const hint = (selector: VectorSelector, around: Around, rangeMs: number): VectorSelector => ({ ...selector, read: { ...selector.read, hints: { ...around, rangeMs } } });

  const walk = (expr: Expr, around: Around): Expr => {
    const { stepMs } = around;
    const children = (inner: Around): Expr => mapChildren(expr, (child) => walk(child, inner));
    switch (expr.type) {
      case 'vectorSelector':
        return hint(expr, around, 0);
      case 'matrixSelector':
        return { ...expr, vector: hint(expr.vector, around, expr.rangeMs) };
      case 'aggregate':
        return children({ stepMs, func: expr.op, grouping: expr.grouping, by: !expr.without });
      case 'call':
        // info() reads its second argument itself.
        if (expr.func === 'info') return { ...expr, args: expr.args.map((arg, i) => (i === 0 ? walk(arg, { stepMs, func: 'info', grouping: [], by: false }) : arg)) };
        return children({ stepMs, func: expr.func, grouping: [], by: false });
      case 'binary':
        return children({ stepMs, func: '', grouping: [], by: false });
      case 'subquery':
        return children({ ...around, stepMs: expr.stepMs === 0 ? noStepSubqueryIntervalMs : expr.stepMs });
      case 'shared':
        return mapShared(expr, (inner) => walk(inner, around));
      default:
        return children(around);
    }
  };
  return walk(root, { stepMs: times.stepMs, func: '', grouping: [], by: false });
}
