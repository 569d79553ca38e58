/**
 * What a flag table looks like to people: the `--help` page in kingpin's two columns, and a Markdown table for the documentation.
 *
 *   usage: gauntlet sidecar [<flags>]
 *
 *         --http-address="0.0.0.0:10902"
 *                                    Listen host:port for HTTP endpoints.
 */
import type { Command } from './flag-parse.ts';
import type { Flag, FlagTable } from './flags.ts';

const PAGE_COLUMNS = 80;
/** A left column this wide or wider gets a line of its own. */
const LEFT_COLUMNS_MAX = 30;
const INDENT = '  ';

/** The `--help` page, flags in the order of the table, hidden ones left out. */
export function renderHelp(command: Command<FlagTable>): string {
  const rows: [string, string][] = [
    ['-h, --[no-]help', 'Show context-sensitive help (also try --help-long).'],
    ['    --[no-]version', 'Show application version.'],
  ];
  for (const flag of visible(command.flags)) {
    if (flag.fileName !== undefined) rows.push([`    --${flag.fileName}=<file-path>`, `Path to ${flag.help}`]);
    rows.push([`${flag.short === undefined ? '    ' : `-${flag.short}, `}${flagForm(flag)}`, flagHelp(flag)]);
  }
  const usage = ['usage:', command.program ?? 'gauntlet', command.name, '[<flags>]', command.arguments?.usage ?? ''].filter((part) => part !== '').join(' ');
  return `${usage}\n\n${command.help}\n\n\nFlags:\n${twoColumns(rows)}\n`;
}

/** A Markdown table of all visible flags, for docs/components. */
export function renderFlagsMarkdown(flags: FlagTable): string {
  const lines = ['| flag | default | meaning |', '|---|---|---|'];
  const cell = (text: string): string => text.replaceAll('|', '\\|').replaceAll('\n', ' ').replaceAll('<', '&lt;');
  for (const flag of visible(flags)) {
    const names = flag.form === 'bool' ? `--[no-]${flag.name}` : `--${flag.name}`;
    const shown = flag.short !== undefined ? `\`-${flag.short}\`, \`${names}\`` : flag.fileName === undefined ? `\`${names}\`` : `\`--${flag.fileName}\` or \`${names}\``;
    const byDefault = flag.defaultText === undefined || flag.defaultText === '' ? '' : `\`${flag.defaultText}\``;
    lines.push(`| ${shown}${flag.repeatable ? ' (repeatable)' : ''} | ${cell(byDefault)} | ${flag.required ? 'Required. ' : ''}${cell(flag.help)}${flag.deprecated === undefined ? '' : ` Deprecated: ${cell(flag.deprecated)}`} |`);
  }
  return `${lines.join('\n')}\n`;
}

function visible(flags: FlagTable): readonly Flag<unknown>[] {
  return Object.values(flags).filter((flag) => !flag.hidden && flag.removed === undefined);
}

function flagForm(flag: Flag<unknown>): string {
  if (flag.form === 'bool') return `--[no-]${flag.name}`;
  let value = flag.placeholder ?? flag.name.toUpperCase();
  if (flag.placeholder === undefined && flag.defaultText !== undefined) value = flag.quoteDefault ? JSON.stringify(flag.defaultText) : flag.defaultText;
  return `--${flag.name}=${value}${flag.repeatable ? ' ...' : ''}`;
}

function flagHelp(flag: Flag<unknown>): string {
  return flag.fileName === undefined ? flag.help : `Alternative to '${flag.fileName}' flag (mutually exclusive). Content of ${flag.help}`;
}

function twoColumns(rows: readonly (readonly [string, string])[]): string {
  let left = 0;
  for (const [form] of rows) if (form.length < LEFT_COLUMNS_MAX) left = Math.max(left, form.length);
  const margin = ' '.repeat(INDENT.length + left + 2);
  let page = '';
  for (const [form, help] of rows) {
    const lines = wrapText(help, PAGE_COLUMNS - margin.length);
    page += form.length < LEFT_COLUMNS_MAX ? `${INDENT}${form.padEnd(left)}  ${lines.shift() ?? ''}`.trimEnd() : `${INDENT}${form}`;
    page += '\n';
    for (const line of lines) page += `${margin}${line}\n`;
  }
  return page;
}

function wrapText(text: string, columns: number): string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(/\s+/).filter((part) => part !== '')) {
    if (line !== '' && line.length + 1 + word.length > columns) {
      lines.push(line);
      line = word;
    } else {
      line = line === '' ? word : `${line} ${word}`;
    }
  }
  if (line !== '') lines.push(line);
  return lines;
}
