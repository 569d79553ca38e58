/**
 * The PromQL syntax tree: one discriminated union, `type` says which node it is. Nodes are plain immutable data; a planner that changes something
 * builds a new node (`{ ...node, offsetMs: 5 }`).
 *
 *   sum by (job) (rate(up[5m] offset 1m))
 *   aggregate ── call ── matrixSelector ── vectorSelector
 *
 * Positions are UTF-16 offsets into the query text (`query.slice(pos.start, pos.end)`); `lineColumn` turns them into what messages show.
 * Durations are whole milliseconds. Source of the shapes: Prometheus promql/parser/ast.go.
 */
import type { Matcher, SelectHints } from '@gauntlet/model';

/** Half-open span of the query text, UTF-16 offsets. */
export interface PositionRange {
  readonly start: number;
  readonly end: number;
}

/** Static type of an expression. `none` never comes out of the parser for a whole query. */
export type ValueType = 'none' | 'vector' | 'scalar' | 'matrix' | 'string';

export type ArithmeticOp = '+' | '-' | '*' | '/' | '%' | '^' | 'atan2';
export type ComparisonOp = '==' | '!=' | '<' | '<=' | '>' | '>=';
/** `</` keeps the part of a histogram below the scalar, `>/` the part above. */
export type TrimOp = '</' | '>/';
export type SetOp = 'and' | 'or' | 'unless';
export type BinaryOp = ArithmeticOp | ComparisonOp | TrimOp | SetOp;

export type AggregateOp =
  | 'avg'
  | 'bottomk'
  | 'count'
  | 'count_values'
  | 'group'
  | 'limit_ratio'
  | 'limitk'
  | 'max'
  | 'min'
  | 'quantile'
  | 'stddev'
  | 'stdvar'
  | 'sum'
  | 'topk';

/** `'start'`/`'end'` for `@ start()` / `@ end()`. */
export type StartOrEnd = 'start' | 'end' | undefined;

/** Aggregation over an instant vector. */
export interface AggregateExpr {
  readonly type: 'aggregate';
  readonly op: AggregateOp;
  readonly expr: Expr;
  /** First argument of `topk`, `quantile`, `count_values` and the like. */
  readonly param: Expr | undefined;
  /** Label names of `by (…)` or `without (…)`, as written (order and duplicates kept). */
  readonly grouping: readonly string[];
  readonly without: boolean;
  /** Made by planning: each row goes into its group as the scan below finds it, and no vector of all rows is made. */
  readonly intoScan?: boolean;
  readonly pos: PositionRange;
}

export type MatchCardinality = 'one-to-one' | 'many-to-one' | 'one-to-many' | 'many-to-many';

/** How the series of two vectors find each other. */
export interface VectorMatching {
  /** `many-to-one` is `group_left`, `one-to-many` is `group_right`, `many-to-many` the set operators. */
  readonly card: MatchCardinality;
  /** Labels of `on (…)` or `ignoring (…)`. */
  readonly labels: readonly string[];
  /** True for `on`, false for `ignoring` and for no clause at all. */
  readonly on: boolean;
  /** Labels of `group_left (…)` / `group_right (…)`. */
  readonly include: readonly string[];
  /** `fill`, `fill_left`, `fill_right`: the value of a series missing on that side; undefined = no filling. */
  readonly fill: { readonly lhs: number | undefined; readonly rhs: number | undefined };
}

export interface BinaryExpr {
  readonly type: 'binary';
  readonly op: BinaryOp;
  readonly lhs: Expr;
  readonly rhs: Expr;
  /** Present exactly when both operands are instant vectors. */
  readonly matching: VectorMatching | undefined;
  /** `bool` modifier: comparisons give 0/1 and keep all series. */
  readonly returnBool: boolean;
  readonly pos: PositionRange;
}

/**
 * Arithmetic where a duration is expected: `[1m + step()]`, `offset (2 * 30s)`. `op` `'()'` never occurs: parentheses are `wrapped`.
 * For `step` and `range` both sides are undefined; for unary `+`/`-` only `rhs` is set.
 */
export interface DurationExpr {
  readonly type: 'duration';
  readonly op: '+' | '-' | '*' | '/' | '%' | '^' | 'step' | 'range' | 'min_of' | 'max_of';
  readonly lhs: DurationOperand | undefined;
  readonly rhs: DurationOperand | undefined;
  /** Written in parentheses. */
  readonly wrapped: boolean;
  readonly pos: PositionRange;
}

/** A leaf of a duration expression is a number of seconds. */
export type DurationOperand = DurationExpr | NumberLiteral;

/** A function call; argument count and types are those of the signature (`../functions/signatures.ts`). */
export interface Call {
  readonly type: 'call';
  /** Name of the function, as in the signature table. */
  readonly func: string;
  readonly args: readonly Expr[];
  readonly pos: PositionRange;
}

export interface VectorSelector {
  readonly type: 'vectorSelector';
  /** Metric name written before the braces; `''` if there is none or it is written inside, as in `{"name"}`. */
  readonly name: string;
  /** All matchers in the order written; a name before the braces follows as `__name__="name"`, last. */
  readonly matchers: readonly Matcher[];
  /** `offset` as written, ms; 0 if none or if `offsetExpr` is set and not yet resolved. */
  readonly originalOffsetMs: number;
  /** Set when the offset is an expression; `resolveDurations` evaluates it into `originalOffsetMs` and removes it. */
  readonly offsetExpr: DurationExpr | undefined;
  /** Offset in effect, ms. The parser sets it to `originalOffsetMs`; planning may fold `@` and surrounding subqueries into it. */
  readonly offsetMs: number;
  /** `@ <seconds>` in ms since 1970; undefined if none, or if `startOrEnd` is set and not yet resolved. */
  readonly timestampMs: number | undefined;
  readonly startOrEnd: StartOrEnd;
  readonly anchored: boolean;
  readonly smoothed: boolean;
  /** Second argument of `info()`: may consist of matchers that match the empty string. */
  readonly bypassEmptyMatcherCheck: boolean;
  /** Made by planning: how the selector reads storage. */
  readonly read?: SelectorRead;
  readonly pos: PositionRange;
}

/** How a selector reads storage, as planning has decided it. */
export interface SelectorRead {
  /** What storage is told about the use of the samples. */
  readonly hints?: SelectHints;
  /** The read it takes part in, if others read the same series. */
  readonly shared?: SharedRead;
}

/** One read of storage for several selectors. */
export interface SharedRead {
  /** Counted from 1. */
  readonly id: number;
  /** Selectors that take part. */
  readonly members: number;
  /** What is read for all of them: the matchers of the widest, and hints that hold for each. */
  readonly matchers: readonly Matcher[];
  readonly hints: SelectHints;
  /** Matchers of this selector that the widest one lacks: looked at as the series come. */
  readonly filters: readonly Matcher[];
}

/** `selector[range]`. Offset, `@`, anchored and smoothed live in the vector selector. */
export interface MatrixSelector {
  readonly type: 'matrixSelector';
  readonly vector: VectorSelector;
  /** Range in ms; 0 while `rangeExpr` is not resolved. */
  readonly rangeMs: number;
  readonly rangeExpr: DurationExpr | undefined;
  readonly pos: PositionRange;
}

export interface SubqueryExpr {
  readonly type: 'subquery';
  readonly expr: Expr;
  readonly rangeMs: number;
  readonly rangeExpr: DurationExpr | undefined;
  /** Step in ms; 0 = the engine's default (`expr[5m:]`). */
  readonly stepMs: number;
  readonly stepExpr: DurationExpr | undefined;
  /** See `VectorSelector`. */
  readonly originalOffsetMs: number;
  readonly offsetExpr: DurationExpr | undefined;
  readonly offsetMs: number;
  readonly timestampMs: number | undefined;
  readonly startOrEnd: StartOrEnd;
  readonly pos: PositionRange;
}

export interface NumberLiteral {
  readonly type: 'number';
  /** Value; for literals written as durations (`5m`) seconds. */
  readonly value: number;
  /** Written as a duration: printed as one. */
  readonly duration: boolean;
  readonly pos: PositionRange;
}

export interface StringLiteral {
  readonly type: 'string';
  readonly value: string;
  readonly pos: PositionRange;
}

export interface ParenExpr {
  readonly type: 'paren';
  readonly expr: Expr;
  readonly pos: PositionRange;
}

export interface UnaryExpr {
  readonly type: 'unary';
  readonly op: '+' | '-';
  readonly expr: Expr;
  readonly pos: PositionRange;
}

/** Made by planning, never by the parser: `expr` has the same value at every step. */
export interface StepInvariantExpr {
  readonly type: 'stepInvariant';
  readonly expr: Expr;
  readonly pos: PositionRange;
}

/** Made by planning, never by the parser: one of several places with the same vector, which is computed once. */
export interface SharedExpr {
  readonly type: 'shared';
  /** Counted from 1; the same for all places. */
  readonly id: number;
  /** Number of places. */
  readonly uses: number;
  /** What is computed; the same object in all places. */
  readonly expr: Expr;
  /** The same as written in this place, for the positions of remarks. */
  readonly here: Expr;
  readonly pos: PositionRange;
}

export type Expr =
  | AggregateExpr
  | BinaryExpr
  | Call
  | DurationExpr
  | MatrixSelector
  | NumberLiteral
  | ParenExpr
  | SharedExpr
  | StepInvariantExpr
  | StringLiteral
  | SubqueryExpr
  | UnaryExpr
  | VectorSelector;
