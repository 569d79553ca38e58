/** Expressions on the command line: read from an argument or standard input, and shown with a mark below the place of an error. */
import { type Expr, parseExpr, type ParserOptions, PromqlError } from '@gauntlet/promql';
import { type Command, enumsFlag, type Flag, type FlagTable } from '@gauntlet/service-kit';
import { ToolsError } from './errors.ts';
import { displayWidth } from './table.ts';
import type { ToolDeps } from './tool.ts';

/** The argument of tools that take one expression. */
export const EXPRESSION_ARGUMENT: NonNullable<Command<FlagTable>['arguments']> = { usage: '<expr>|-', min: 1, max: 1 };

/** Features of PromQL that are off by default, by their names in Prometheus. */
export const PROMQL_FEATURES = ['promql-experimental-functions', 'promql-extended-range-selectors', 'promql-binop-fill-modifiers', 'promql-delayed-name-removal', 'use-start-timestamps'] as const;
/** One of {@link PROMQL_FEATURES}. */
export type PromqlFeature = (typeof PROMQL_FEATURES)[number];

/** `--enable-feature`, as Prometheus has it. */
export const featureFlag: Flag<readonly PromqlFeature[]> = enumsFlag('enable-feature', PROMQL_FEATURES, {
  default: [],
  commas: true,
  help: `Feature of PromQL to switch on (repeated, or with commas): ${PROMQL_FEATURES.join(', ')}.`,
});

/** Switches of the parser for a list of features. */
export function parserOptionsOf(features: readonly PromqlFeature[]): ParserOptions {
  return {
    experimentalFunctions: features.includes('promql-experimental-functions'),
    extendedRangeSelectors: features.includes('promql-extended-range-selectors'),
    binopFillModifiers: features.includes('promql-binop-fill-modifiers'),
  };
}

/** The expression an argument stands for: itself, or for `-` all of standard input without the newline at its end. */
export async function readExpression(argument: string, { readInput }: Pick<ToolDeps, 'readInput'>): Promise<string> {
  return argument === '-' ? (await readInput()).replace(/\r?\n$/, '') : argument;
}

/**
 * Parses an expression; one that is wrong is printed to standard error with a mark below the place.
 * @throws ToolsError ERR_PROMQL
 */
export function parseOrExplain(text: string, options: ParserOptions, { printError }: Pick<ToolDeps, 'printError'>): Expr {
  try {
    return parseExpr(text, options);
  } catch (error) {
    if (!(error instanceof PromqlError) || error.code !== 'ERR_PARSE') throw error;
    printError(explainPlace(text, error));
    throw new ToolsError('ERR_PROMQL', `parse expression: ${error.message}`, error);
  }
}

/** Columns of a line that are shown before and behind the place. */
const SHOWN_COLUMNS = 60;

/**
 * The message, and where the error has a place, the line with a mark:
 *
 *   1:5: parse error: unexpected <op:+>
 *     a + + b
 *         ^
 */
export function explainPlace(text: string, { message, pos }: Pick<PromqlError, 'message' | 'pos'>): string {
  if (pos === undefined || text === '' || pos.start < 0 || pos.start > text.length) return `${message}\n`;
  const lineStart = pos.start === 0 ? 0 : text.lastIndexOf('\n', pos.start - 1) + 1;
  const newline = text.indexOf('\n', pos.start);
  const lineEnd = newline < 0 ? text.length : newline;
  const from = Math.max(lineStart, pos.start - SHOWN_COLUMNS);
  const to = Math.min(lineEnd, pos.start + SHOWN_COLUMNS);
  const before = `${from > lineStart ? '…' : ''}${plain(text.slice(from, pos.start))}`;
  const marked = plain(text.slice(pos.start, Math.max(pos.start, Math.min(pos.end, to))));
  const behind = `${plain(text.slice(pos.start + marked.length, to))}${to < lineEnd ? '…' : ''}`;
  return `${message}\n  ${before}${marked}${behind}\n  ${' '.repeat(displayWidth(before))}^${'~'.repeat(Math.max(0, displayWidth(marked) - 1))}\n`;
}

/** Control characters as spaces, one for one: a terminal must not act on them, and columns must stay columns. */
function plain(text: string): string {
  return text.replaceAll(/\p{Cc}/gu, ' ');
}
