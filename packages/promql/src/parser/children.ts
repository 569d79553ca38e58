/** Walking syntax trees. */
import type { Expr } from './ast.ts';

/** Direct sub-expressions in query order; duration expressions are not among them. */
export function childrenOf(expr: Expr): readonly Expr[] {
  switch (expr.type) {
    case 'aggregate':
      return expr.param === undefined ? [expr.expr] : [expr.param, expr.expr];
    case 'binary':
      return [expr.lhs, expr.rhs];
    case 'call':
      return expr.args;
    case 'matrixSelector':
      return [expr.vector];
    case 'paren':
    case 'shared':
    case 'stepInvariant':
    case 'subquery':
    case 'unary':
      return [expr.expr];
    default:
      return [];
  }
}

/** Levels of a tree; a leaf has height 1. Does not recurse, so it may be asked about any tree. */
export function treeHeight(root: Expr): number {
  let level: readonly Expr[] = [root];
  let height = 0;
  while (level.length > 0) {
    height++;
    level = level.flatMap(childrenOf);
  }
  return height;
}

/** Calls `visit` for every node, parents first. The tree must not be higher than `DEPTH_MAX`, which the parser guarantees. */
export function walkExpr(root: Expr, visit: (expr: Expr) => void): void {
  visit(root);
  for (const child of childrenOf(root)) walkExpr(child, visit);
}
