/**
 * `tools promql explain`: how an expression would be evaluated, as a tree of operators. With --analyze it is evaluated over blocks, and the tree has
 * what each operator took.
 */
import { createKernels } from '@gauntlet/kernels';
import { createEngine } from '@gauntlet/promql';
import { boolFlag, durationFlag, enumFlag, type FlagTable, stringFlag } from '@gauntlet/service-kit';
import { withTimeout } from './bucket-blocks.ts';
import { ToolsError } from './errors.ts';
import { EXPRESSION_ARGUMENT, parseOrExplain, parserOptionsOf, readExpression } from './promql-expression.ts';
import { printExplanation } from './promql-print.ts';
import { blockFlags, overBlocks, readRange, readTime, TIME_HELP } from './promql-query.ts';
import { defineTool, type Tool } from './tool.ts';

const flags = {
  analyze: boolFlag('analyze', { help: 'Evaluate the expression over --block-dir or the bucket of --objstore.config, and show time, series, samples and memory of each operator.' }),
  time: stringFlag('time', { placeholder: '<time>', help: `Time of the evaluation: ${TIME_HELP} Without it: now.` }),
  start: stringFlag('start', { placeholder: '<time>', help: `First time of an evaluation of a range: ${TIME_HELP} Goes with --step.` }),
  end: stringFlag('end', { placeholder: '<time>', help: `Last time of an evaluation of a range: ${TIME_HELP} Without it: now.` }),
  stepMs: durationFlag('step', { placeholder: '<duration>', help: 'Time between two points of a range.' }),
  ...blockFlags,
  output: enumFlag('output', ['text', 'json'] as const, { short: 'o', default: 'text', help: 'Format of the output: text (a tree) or json.' }),
} satisfies FlagTable;

/** See the head of this file. */
export const promqlExplain: Tool = defineTool({
  words: ['promql', 'explain'],
  help: 'Shows how an expression is evaluated, operator by operator. With - as the expression it is read from standard input.',
  flags,
  arguments: EXPRESSION_ARGUMENT,
  async run({ analyze, time, start, end, stepMs, output, ...source }, allDeps, [argument]) {
    const given = source.blockDirs.length + (source.objstoreConfig.isSet ? 1 : 0);
    if (!analyze && given > 0) throw new ToolsError('ERR_TOOL_FLAGS', 'explain: blocks are read with --analyze only');
    if (analyze && (given === 0 || (source.blockDirs.length > 0 && source.objstoreConfig.isSet))) throw new ToolsError('ERR_TOOL_FLAGS', 'explain: --analyze wants one of --block-dir and --objstore.config-file');
    const isRange = start !== '' || end !== '' || stepMs !== 0;
    if (isRange && time !== '') throw new ToolsError('ERR_TOOL_FLAGS', 'explain: --time goes without --start, --end and --step');
    const deps = withTimeout(allDeps, source.timeoutMs);
    const text = await readExpression(argument!, deps);
    const times = isRange ? readRange('explain', { start, end, stepMs }, deps) : ({ kind: 'instant', timeMs: readTime('time', time) ?? deps.clock() } as const);
    if (analyze) return overBlocks(text, times, source, { output: output === 'json' ? 'json' : 'promql', analyze }, deps);
    const parser = parserOptionsOf(source.features);
    parseOrExplain(text, parser, deps);
    const engine = createEngine({ kernels: createKernels({ backend: 'js' }), lookbackDeltaMs: source.lookbackDeltaMs, parser });
    printExplanation(engine.explain({ expr: text, ...times }), output, deps.print);
  },
});
