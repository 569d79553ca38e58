/** `tools promql parse`: the syntax tree of an expression, as `/api/v1/parse_query` gives it. */
import { exprToJson } from '@gauntlet/promql';
import type { FlagTable } from '@gauntlet/service-kit';
import { EXPRESSION_ARGUMENT, featureFlag, parseOrExplain, parserOptionsOf, readExpression } from './promql-expression.ts';
import { defineTool, type Tool } from './tool.ts';

const flags = { features: featureFlag } satisfies FlagTable;

/** See the head of this file. */
export const promqlParse: Tool = defineTool({
  words: ['promql', 'parse'],
  help: 'Prints the syntax tree of an expression as JSON. With - as the expression it is read from standard input.',
  flags,
  arguments: EXPRESSION_ARGUMENT,
  async run({ features }, deps, [argument]) {
    const text = await readExpression(argument!, deps);
    deps.print(`${JSON.stringify(exprToJson(parseOrExplain(text, parserOptionsOf(features), deps)), undefined, 2)}\n`);
  },
});
