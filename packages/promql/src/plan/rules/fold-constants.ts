/**
 * Arithmetic and comparisons of numbers become numbers: `x > 1024 * 1024` compares with 1048576. The number keeps the place of what it replaces,
 * since remarks point there. Scalars that are the same at every step but are not written as numbers are left to hoisting.
 */
import { applyOp } from '../../exec/binary-ops.ts';
import type { Expr, NumberLiteral } from '../../parser/ast.ts';
import { rewrite } from '../rewrite.ts';
import type { Rule } from '../rule.ts';

/** See the head of this file. */
export const foldConstants: Rule = {
  name: 'fold-constants',
  says: 'arithmetic of numbers is done once',
  apply: (root) => rewrite(root, fold),
};

function fold(expr: Expr): Expr {
  const literal = (value: number): NumberLiteral => ({ type: 'number', value, duration: false, pos: expr.pos });
  if (expr.type === 'paren' && expr.expr.type === 'number') return literal(expr.expr.value);
  if (expr.type === 'unary' && expr.expr.type === 'number') return literal(expr.op === '-' ? -expr.expr.value : expr.expr.value);
  if (expr.type === 'binary' && expr.lhs.type === 'number' && expr.rhs.type === 'number') return literal(applyOp(expr.op, expr.lhs.value, expr.rhs.value));
  if (expr.type === 'call' && expr.func === 'pi') return literal(Math.PI);
  return expr;
}
