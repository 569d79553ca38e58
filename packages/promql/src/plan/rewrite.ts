/** Rebuilding trees. What does not change stays the same object, so that a rule that finds nothing gives back what it got. */
import type { Expr, MatrixSelector, SharedExpr, VectorSelector } from '../parser/ast.ts';

/** The node with its direct sub-expressions replaced; the node itself if all stay. The selector of a range must stay a selector. */
export function mapChildren(expr: Expr, map: (child: Expr) => Expr): Expr {
  switch (expr.type) {
    case 'aggregate': {
      const param = expr.param === undefined ? undefined : map(expr.param);
      const inner = map(expr.expr);
      return inner === expr.expr && param === expr.param ? expr : { ...expr, expr: inner, param };
    }
    case 'binary': {
      const lhs = map(expr.lhs);
      const rhs = map(expr.rhs);
      return lhs === expr.lhs && rhs === expr.rhs ? expr : { ...expr, lhs, rhs };
    }
    case 'call': {
      const args = expr.args.map(map);
      return args.every((arg, i) => arg === expr.args[i]) ? expr : { ...expr, args };
    }
    case 'matrixSelector': {
      const vector = map(expr.vector);
      return vector === expr.vector ? expr : ({ ...expr, vector: vector as VectorSelector } satisfies MatrixSelector);
    }
    case 'paren':
    case 'shared':
    case 'stepInvariant':
    case 'subquery':
    case 'unary': {
      const inner = map(expr.expr);
      return inner === expr.expr ? expr : { ...expr, expr: inner };
    }
    default:
      return expr;
  }
}

/** Rebuilds a tree from its leaves up: `visit` gets each node with its new children. What is shared between places is visited once. */
export function rewrite(root: Expr, visit: (expr: Expr) => Expr): Expr {
  const mapShared = createSharedMap();
  const walk = (expr: Expr): Expr => (expr.type === 'shared' ? mapShared(expr, walk) : visit(mapChildren(expr, walk)));
  return walk(root);
}

/** Maps what is shared between places once, so that it stays one object. */
export function createSharedMap(): (node: SharedExpr, map: (inner: Expr) => Expr) => SharedExpr {
  const known = new Map<number, Expr>();
  return (node, map) => {
    let inner = known.get(node.id);
    if (inner === undefined) {
      inner = map(node.expr);
      known.set(node.id, inner);
    }
    return inner === node.expr ? node : { ...node, expr: inner };
  };
}
