/**
 * An aggregation with a state of constant size per group and step, directly over a selector or a range function, takes each series as the scan
 * finds it: the vector of all series never exists, and memory follows the result.
 */
import { isRangeCall } from '../../exec/range-function.ts';
import type { AggregateOp, Expr } from '../../parser/ast.ts';
import { rewrite } from '../rewrite.ts';
import type { Rule } from '../rule.ts';

const STREAMING: ReadonlySet<AggregateOp> = new Set(['sum', 'avg', 'min', 'max', 'count', 'group', 'stdvar', 'stddev']);

/** See the head of this file. */
export const aggregateIntoScan: Rule = {
  name: 'aggregate-into-scan',
  says: 'series are aggregated as they are read, without a vector of all of them',
  apply: (root) => rewrite(root, (expr) => (expr.type === 'aggregate' && STREAMING.has(expr.op) && isScan(expr.expr) ? { ...expr, intoScan: true } : expr)),
};

function isScan(expr: Expr): boolean {
  return expr.type === 'vectorSelector' || (expr.type === 'call' && isRangeCall(expr));
}
