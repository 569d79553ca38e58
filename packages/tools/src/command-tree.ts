/**
 * Words of a command line → a tool:
 *
 *   gauntlet tools bucket ls --output=wide        words may stand behind flags too, as kingpin has it: tools --objstore.config-file=x bucket ls
 *
 * What Thanos has and this version has not is refused by name; what nobody has gets a suggestion.
 */
import { nearestName } from '@gauntlet/service-kit';
import type { Tool } from './tool.ts';

/** Tools of Thanos that are not there yet, by their words. */
export const MISSING_TOOLS: readonly (readonly string[])[] = ['web', 'replicate', 'downsample', 'cleanup', 'rewrite', 'retention', 'upload-blocks'].map((word) => ['bucket', word]);

/** What the words mean. */
export type ToolChoice =
  | { readonly kind: 'tool'; readonly tool: Tool; readonly argv: readonly string[] }
  | { readonly kind: 'exit'; readonly exitCode: number; readonly stdout: string; readonly stderr: string };

const startsWith = (words: readonly string[], prefix: readonly string[]): boolean => prefix.every((word, i) => words[i] === word);

/**
 * Finds the tool that a command line asks for; runs nothing.
 * @param argv arguments behind `tools`
 */
export function chooseTool(tools: readonly Tool[], argv: readonly string[], program: string = 'gauntlet'): ToolChoice {
  const exit = (exitCode: number, stdout: string, stderr: string): ToolChoice => ({ kind: 'exit', exitCode, stdout, stderr });
  const fail = (what: string): ToolChoice => exit(1, '', `${program}: error: ${what}\n`);
  const path: string[] = [];
  let rest = [...argv];
  for (;;) {
    const found = tools.find(({ words }) => words.length === path.length && startsWith(words, path));
    if (found !== undefined) return { kind: 'tool', tool: found, argv: rest };
    const below = tools.filter(({ words }) => startsWith(words, path));
    const known = [...new Set([...below.map(({ words }) => words), ...MISSING_TOOLS.filter((words) => startsWith(words, path))].map((words) => words[path.length]!))];
    const typed = ['tools', ...path].join(' ');
    // The value of a flag may stand in front of the word: the first known word counts.
    let at = rest[0]?.startsWith('-') === false ? 0 : rest.findIndex((word) => known.includes(word));
    if (at < 0) {
      if (rest.some((word) => word === '-h' || word === '--help' || word === '--help-long')) return exit(0, groupHelp(tools, path, program), '');
      at = rest.findIndex((word) => !word.startsWith('-'));
    }
    const word = at < 0 ? undefined : rest[at];
    if (word === undefined) return fail(`must select a subcommand of '${typed}': ${below.map(({ words }) => words[path.length]!).filter((one, i, all) => all.indexOf(one) === i).join(', ')} (try --help)`);
    if (!known.includes(word)) {
      const near = nearestName(word, known);
      return fail(`expected command but got "${word}"${near === undefined ? '' : `, did you mean "${near}"?`} (try --help)`);
    }
    path.push(word);
    rest = [...rest.slice(0, at), ...rest.slice(at + 1)];
    if (MISSING_TOOLS.some((words) => words.join(' ') === path.join(' '))) return fail(`tools ${path.join(' ')} is not in this version; there are ${tools.filter(({ words }) => words[0] === path[0]).map(({ words }) => `tools ${words.join(' ')}`).join(', ')}`);
  }
}

/** `--help` of `tools` or `tools bucket`. */
function groupHelp(tools: readonly Tool[], path: readonly string[], program: string): string {
  const typed = ['tools', ...path].join(' ');
  const rows = tools.filter(({ words }) => startsWith(words, path)).map(({ words, help }) => `tools ${words.join(' ')} [<flags>]\n    ${wrap(help)}\n`);
  const missing = MISSING_TOOLS.filter((words) => startsWith(words, path)).map((words) => `tools ${words.join(' ')}`);
  return `usage: ${program} ${typed} <command> [<args> ...]\n\n${groupSummary(path)}\n\nSubcommands:\n${rows.join('\n')}${missing.length === 0 ? '' : `\nNot in this version: ${missing.join(', ')}.\n`}\n\`${program} tools <command> --help\` lists a command's flags.\n`;
}

function groupSummary(path: readonly string[]): string {
  if (path.length === 0) return 'Looking at, marking and verifying blocks; checking rule files; PromQL; local databases.';
  if (path[0] === 'tsdb') return 'Tools for local databases: those of Prometheus, and our own.';
  return path[0] === 'bucket' ? 'Tools for buckets.' : 'PromQL: texts, queries and tests.';
}

function wrap(text: string): string {
  const lines: string[] = [''];
  for (const word of text.split(' ')) {
    const line = lines.at(-1)!;
    if (line !== '' && line.length + 1 + word.length > 76) lines.push(word);
    else lines[lines.length - 1] = line === '' ? word : `${line} ${word}`;
  }
  return lines.join('\n    ');
}
