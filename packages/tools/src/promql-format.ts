/** `tools promql format`: an expression as Prometheus prints it, laid out over lines where it is long. */
import { prettifyExpr } from '@gauntlet/promql';
import type { FlagTable } from '@gauntlet/service-kit';
import { EXPRESSION_ARGUMENT, featureFlag, parseOrExplain, parserOptionsOf, readExpression } from './promql-expression.ts';
import { defineTool, type Tool } from './tool.ts';

const flags = { features: featureFlag } satisfies FlagTable;

/** See the head of this file. */
export const promqlFormat: Tool = defineTool({
  words: ['promql', 'format'],
  help: 'Prints an expression in its usual form. With - as the expression it is read from standard input.',
  flags,
  arguments: EXPRESSION_ARGUMENT,
  async run({ features }, deps, [argument]) {
    const text = await readExpression(argument!, deps);
    deps.print(`${prettifyExpr(parseOrExplain(text, parserOptionsOf(features), deps))}\n`);
  },
});
