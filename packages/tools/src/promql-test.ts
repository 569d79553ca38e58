/** `tools promql test`: runs scripts in the language of Prometheus' own PromQL tests (`load`, `eval`), on our engine. */
import { readFile } from 'node:fs/promises';
import { setImmediate } from 'node:timers/promises';
import { createKernels } from '@gauntlet/kernels';
import { createScriptEngine, PromqlError, runScript, type ScriptEngine, type ScriptOutcome } from '@gauntlet/promql';
import { errorText, type FlagTable } from '@gauntlet/service-kit';
import { ToolsError } from './errors.ts';
import { defineTool, type Tool } from './tool.ts';

const flags = {} satisfies FlagTable;

/** See the head of this file. */
export const promqlTest: Tool = defineTool({
  words: ['promql', 'test'],
  help: 'Runs PromQL test scripts (promqltest of Prometheus) and prints what is not as they expect.',
  flags,
  arguments: { usage: '<script>...', min: 1, max: Number.MAX_SAFE_INTEGER },
  async run(_values, deps, paths) {
    const engine = createScriptEngine({ kernels: createKernels() });
    let failures = 0;
    for (const path of paths) {
      // A turn of the event loop: an interruption takes effect between two scripts.
      await setImmediate();
      deps.signal.throwIfAborted();
      failures += await runOne(path, engine, deps.print);
    }
    if (failures > 0) throw new ToolsError('ERR_PROMQL_TESTS', `run ${paths.length} scripts: ${failures} failures`);
  },
});

/** Prints how it went. @returns how many failures there were; a script that cannot be read is one */
async function runOne(path: string, engine: ScriptEngine, print: (text: string) => void): Promise<number> {
  let outcomes: readonly ScriptOutcome[];
  try {
    outcomes = await runScript(await readFile(path, 'utf8'), engine);
  } catch (error) {
    const place = error instanceof PromqlError ? /^line (\d+): (.*)$/s.exec(error.message) : null;
    print(place === null ? `${path}: ${errorText(error)}\n` : `${path}:${place[1]}: ${place[2]}\n`);
    return 1;
  }
  let failures = 0;
  for (const { line, expr, problem } of outcomes) {
    if (problem === undefined) continue;
    failures++;
    print(`${path}:${line}: ${expr}\n    ${problem}\n`);
  }
  print(`${path}: ${outcomes.length - failures} of ${outcomes.length} evaluations as expected\n`);
  return failures;
}
