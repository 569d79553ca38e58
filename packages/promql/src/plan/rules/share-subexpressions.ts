/**
 * The same vector in several places, at the same times, is computed once: `(a + b) / sum(a + b)`, `rate(x[5m]) > 2 * avg(rate(x[5m]))`.
 *
 * Taken are aggregations, calls and binary operators over data. Left alone are bare selectors, and scans that an aggregation takes into itself:
 * sharing those would make a vector of all series that is never needed otherwise (they share their read of storage instead, see share-reads).
 *
 * Two places are equal when their trees are (parentheses and places in the text aside), with the same steps: in a subquery, or in something
 * evaluated once for all steps, the times are others. A selector under `histogram_count` reads without buckets and equals only others that do.
 */
import { statsSelectors } from '../../exec/histogram-stats.ts';
import type { Expr, SharedExpr, VectorSelector } from '../../parser/ast.ts';
import { childrenOf } from '../../parser/children.ts';
import { mapChildren } from '../rewrite.ts';
import type { Rule } from '../rule.ts';
import { matcherKey } from './merge-matchers.ts';

/** See the head of this file. */
export const shareSubexpressions: Rule = { name: 'share-subexpressions', says: 'what stands in several places is computed once', apply };

function apply(root: Expr): Expr {
  const keys = keysOf(root);
  // How often a key is met if each is looked into once only.
  const counts = new Map<number, number>();
  const count = (expr: Expr): void => {
    const key = keys.get(expr);
    if (key !== undefined) {
      const met = (counts.get(key) ?? 0) + 1;
      counts.set(key, met);
      if (met > 1) return;
    }
    for (const child of childrenOf(expr)) count(child);
  };
  count(root);

  const firsts = new Map<number, SharedExpr>();
  const share = (expr: Expr): Expr => {
    const key = keys.get(expr);
    const uses = key === undefined ? 1 : counts.get(key)!;
    if (key === undefined || uses === 1) return mapChildren(expr, share);
    const first = firsts.get(key);
    if (first !== undefined) return { ...first, here: expr, pos: expr.pos };
    const inner = mapChildren(expr, share);
    const shared: SharedExpr = { type: 'shared', id: firsts.size + 1, uses, expr: inner, here: expr, pos: expr.pos };
    firsts.set(key, shared);
    return shared;
  };
  return share(root);
}

/** For every node worth sharing a number that equal ones have in common. */
function keysOf(root: Expr): ReadonlyMap<Expr, number> {
  const stats = statsSelectors(root);
  const numbers = new Map<string, number>();
  const numberOf = (text: string): number => {
    let number = numbers.get(text);
    if (number === undefined) {
      number = numbers.size;
      numbers.set(text, number);
    }
    return number;
  };
  const keys = new Map<Expr, number>();

  /** @returns the number of the tree, and whether it reads data */
  const walk = (expr: Expr, scope: string, isTaken: boolean): { readonly tree: number; readonly reads: boolean } => {
    if (expr.type === 'paren') return walk(expr.expr, scope, isTaken);
    const inner = expr.type === 'stepInvariant' ? `${scope}|once` : expr.type === 'subquery' ? `${scope}|${subqueryText(expr)}` : scope;
    const takesScan = expr.type === 'aggregate' && expr.intoScan === true;
    const children = childrenOf(expr).map((child) => walk(child, inner, takesScan && child === expr.expr));
    const reads = expr.type === 'vectorSelector' || children.some((child) => child.reads);
    const tree = numberOf(`${ownText(expr, stats)}(${children.map((child) => child.tree).join()})`);
    const isWorthSharing = expr.type === 'aggregate' || expr.type === 'call' || expr.type === 'binary';
    if (isWorthSharing && reads && !isTaken && isVector(expr)) keys.set(expr, numberOf(`${tree} at ${scope}`));
    return { tree, reads };
  };
  walk(root, '', false);
  return keys;
}

/** Scalars are one number per step: not worth keeping. */
function isVector(expr: Expr): boolean {
  return !(expr.type === 'call' && (expr.func === 'scalar' || expr.func === 'max_of' || expr.func === 'min_of')) && !(expr.type === 'binary' && expr.matching === undefined && isScalar(expr));
}

function isScalar(expr: Expr): boolean {
  switch (expr.type) {
    case 'number':
      return true;
    case 'binary':
      return isScalar(expr.lhs) && isScalar(expr.rhs);
    case 'paren':
    case 'stepInvariant':
    case 'unary':
      return isScalar(expr.expr);
    case 'call':
      return ['scalar', 'time', 'pi', 'max_of', 'min_of'].includes(expr.func);
    default:
      return false;
  }
}

function subqueryText(expr: { readonly rangeMs: number; readonly stepMs: number; readonly originalOffsetMs: number; readonly timestampMs: number | undefined }): string {
  return JSON.stringify([expr.rangeMs, expr.stepMs, expr.originalOffsetMs, expr.timestampMs]);
}

/** What a node is, its children aside. */
function ownText(expr: Expr, stats: ReadonlySet<VectorSelector>): string {
  switch (expr.type) {
    case 'number':
      return `number ${Object.is(expr.value, -0) ? '-0' : expr.value}`;
    case 'string':
      return `string ${JSON.stringify(expr.value)}`;
    case 'vectorSelector':
      return `vector ${JSON.stringify([expr.matchers.map(matcherKey), expr.originalOffsetMs, expr.timestampMs, expr.anchored, expr.smoothed, stats.has(expr)])}`;
    case 'matrixSelector':
      return `matrix ${expr.rangeMs}`;
    case 'subquery':
      return `subquery ${subqueryText(expr)}`;
    case 'aggregate':
      return `aggregate ${JSON.stringify([expr.op, expr.without, expr.grouping, expr.param === undefined])}`;
    case 'binary':
      return `binary ${JSON.stringify([expr.op, expr.returnBool, expr.matching, expr.matching?.fill.lhs?.toString(), expr.matching?.fill.rhs?.toString()])}`;
    case 'call':
      return `call ${expr.func}`;
    case 'unary':
      return `unary ${expr.op}`;
    default:
      return expr.type;
  }
}
