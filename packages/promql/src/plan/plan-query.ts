/**
 * The planner: a checked tree with settled times goes through the rules below, one after the other. The plan is the same kind of tree, with a few
 * nodes and notes that only planning makes (`stepInvariant`, `shared`, `intoScan`, `read`).
 *
 *   sum(rate(x[5m])) / sum(rate(x[5m]))   ──►   shared #1 ─ sum, into the scan ─ rate ─ x[5m]   (computed once, used twice)
 */
import type { Expr } from '../parser/ast.ts';
import type { PlanContext, Rule, RuleName } from './rule.ts';
import { aggregateIntoScan } from './rules/aggregate-into-scan.ts';
import { foldConstants } from './rules/fold-constants.ts';
import { hoistStepInvariant } from './rules/hoist-step-invariant.ts';
import { mergeMatchers } from './rules/merge-matchers.ts';
import { projectLabels } from './rules/project-labels.ts';
import { selectHints } from './rules/select-hints.ts';
import { shareReads } from './rules/share-reads.ts';
import { shareSubexpressions } from './rules/share-subexpressions.ts';

/** All rules, in order. Each may rely on what those before it have done. */
export const RULES: readonly Rule[] = [foldConstants, mergeMatchers, hoistStepInvariant, aggregateIntoScan, shareSubexpressions, selectHints, projectLabels, shareReads];

/** A planned query. */
export interface Plan {
  readonly expr: Expr;
  /** Rules that changed something, in order. */
  readonly applied: readonly RuleName[];
}

/**
 * Applies the rules.
 * @param expr as `prepare` gives it
 * @param off rules to leave out
 */
export function planQuery(expr: Expr, context: PlanContext, off: readonly RuleName[] = []): Plan {
  const applied: RuleName[] = [];
  let planned = expr;
  for (const rule of RULES) {
    if (off.includes(rule.name)) continue;
    const next = rule.apply(planned, context);
    if (next !== planned) applied.push(rule.name);
    planned = next;
  }
  return { expr: planned, applied };
}
