/** What a rule of the planner is: a pure function from tree to tree, with a name by which it is shown and switched off. */
import type { Expr } from '../parser/ast.ts';
import type { QueryTimes } from './prepare.ts';

/** Names in the order in which the rules are applied. */
export type RuleName =
  | 'fold-constants'
  | 'merge-matchers'
  | 'hoist-step-invariant'
  | 'aggregate-into-scan'
  | 'share-subexpressions'
  | 'select-hints'
  | 'project-labels'
  | 'share-reads';

/** What rules know of a query besides its tree. */
export interface PlanContext {
  readonly times: QueryTimes;
  /** How old a sample an instant selector takes, ms. */
  readonly lookbackMs: number;
  /** Step of subqueries that give none, ms. */
  readonly noStepSubqueryIntervalMs: number;
}

export interface Rule {
  readonly name: RuleName;
  /** One sentence for readers of a plan. */
  readonly says: string;
  /** The same object when there is nothing to do. Neither the answer nor the remarks of the query may change (but see hoist-step-invariant). */
  apply(expr: Expr, context: PlanContext): Expr;
}
