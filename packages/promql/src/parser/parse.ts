/**
 * Entry points of the parser: an expression, a series selector, several of them.
 *
 *   text ── lex ──► tokens ── parse-expression ──► tree ── check-types ──► checked tree
 */
import type { Matcher } from '@gauntlet/model';
import type { Expr } from './ast.ts';
import { checkTypes } from './check-types.ts';
import { treeHeight } from './children.ts';
import { completeParserOptions, type ParserOptions } from './options.ts';
import { parseExpression } from './parse-expression.ts';
import { parseSelectorOnly } from './parse-selector.ts';
import { DEPTH_MAX, TokenStream } from './token-stream.ts';

/**
 * Parses and checks a query.
 * @throws PromqlError ERR_PARSE, message `line:column: parse error: …` with Prometheus' words, `pos` in UTF-16 offsets
 */
export function parseExpr(text: string, options?: ParserOptions): Expr {
  const stream = new TokenStream(text, completeParserOptions(options));
  const expr = parseExpression(stream);
  if (treeHeight(expr) > DEPTH_MAX) throw stream.error({ start: 0, end: 0 }, `expression is nested deeper than ${DEPTH_MAX} levels`);
  return checkTypes(text, expr);
}

/**
 * Parses a series selector as in `match[]`: a metric name, matchers in braces, or both. Unlike in queries, all matchers may match the empty string;
 * the caller decides about that.
 * @throws PromqlError ERR_PARSE
 */
export function parseMetricSelector(text: string): readonly Matcher[] {
  return parseSelectorOnly(new TokenStream(text, completeParserOptions())).matchers;
}
