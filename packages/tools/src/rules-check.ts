/** `tools rules-check`: whether rule files can be loaded. All problems of all files are printed, each with its place. */
import { readFile } from 'node:fs/promises';
import { errorText, expandGlob, type FlagTable, stringsFlag } from '@gauntlet/service-kit';
import { ToolsError } from './errors.ts';
import { defineTool, type Tool } from './tool.ts';

const flags = {
  rules: stringsFlag('rules', { required: true, help: 'Rule file, or files with * and ? in the last part of the path (repeated).' }),
} satisfies FlagTable;

/** See the head of this file. */
export const rulesCheck: Tool = defineTool({
  words: ['rules-check'],
  help: 'Checks whether rule files are valid.',
  flags,
  async run({ rules }, { log, print }) {
    // Loaded late: the other tools have no use for it.
    const { checkRuleFile, formatRuleFileProblem } = await import('@gauntlet/ruler');
    let failures = 0;
    const fail = (text: string): void => {
      failures++;
      print(`${text}\n`);
    };
    for (const pattern of rules) {
      log.info('checking', { pattern });
      const paths = expandGlob(pattern);
      if (paths.length === 0) fail(`${pattern}: matching file not found`);
      for (const path of paths) {
        let text: string;
        try {
          text = await readFile(path, 'utf8');
        } catch (error) {
          fail(`${path}: ${errorText(error)}`);
          continue;
        }
        const { rules: count, problems, warnings } = checkRuleFile(text, path);
        for (const warning of warnings) print(`${formatRuleFileProblem(warning)} (warning)\n`);
        for (const problem of problems) fail(formatRuleFileProblem(problem));
        if (problems.length > 0) log.error('checked', { filename: path, result: 'FAILED', problems: problems.length });
        else {
          print(`${path}: ${count} rules\n`);
          log.info('checked', { filename: path, result: 'SUCCESS', 'rules found': count });
        }
      }
    }
    if (failures > 0) throw new ToolsError('ERR_RULES', `check rule files: ${failures} problems`);
  },
});
