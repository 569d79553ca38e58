/** The seam of promql. README.md has the reading order. */
export { PromqlError, type PromqlErrorCode } from './errors.ts';
export { FUNCTION_SIGNATURES, type FunctionSignature } from './functions/signatures.ts';
export { exprToJson, type JsonValue } from './parser/ast-to-json.ts';
export { describeType, valueType } from './parser/check-types.ts';
export { childrenOf, walkExpr } from './parser/children.ts';
export type { ParserOptions } from './parser/options.ts';
export { parseExpr, parseMetricSelector } from './parser/parse.ts';
export { lineColumn } from './parser/position.ts';
export { prettifyExpr } from './parser/prettify.ts';
export { printExpr } from './parser/print.ts';
export { quoteString } from './parser/quote.ts';
export { type DurationContext, resolveDurations } from './parser/resolve-durations.ts';
export type {
  AggregateExpr,
  AggregateOp,
  ArithmeticOp,
  BinaryExpr,
  BinaryOp,
  Call,
  ComparisonOp,
  DurationExpr,
  DurationOperand,
  Expr,
  MatchCardinality,
  MatrixSelector,
  NumberLiteral,
  ParenExpr,
  PositionRange,
  SetOp,
  StartOrEnd,
  StepInvariantExpr,
  StringLiteral,
  SubqueryExpr,
  TrimOp,
  UnaryExpr,
  ValueType,
  VectorMatching,
  VectorSelector,
} from './parser/ast.ts';
export { createEngine, type Engine, type EngineOptions, type InstantQuery, type QueryRequest, type RangeQuery } from './engine.ts';
export { type Explanation, formatExplanation, type NodeFigures, type PlanNode } from './plan/explain.ts';
export type { RuleName } from './plan/rule.ts';
export type { EngineKernels, QueryControl } from './exec/query-context.ts';
export type { QueryResult, QueryStats, StepRows } from './query-result.ts';
export type { ScriptResult } from './promqltest/compare-result.ts';
export { runScript, type ScriptEngine, type ScriptOutcome } from './promqltest/run-script.ts';
export { createScriptEngine } from './promqltest/script-engine.ts';
