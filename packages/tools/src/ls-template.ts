/**
 * Output templates of `tools bucket ls`, the part of Go's text/template that prints fields:
 *
 *   text · {{.Field}} · {{.Field.Field}} · {{"text"}} · {{- .Trims -}} · comments
 *
 * Everything else (pipelines, functions, conditions, variables) is refused by name before anything is listed.
 */
import type { ThanosMeta } from '@gauntlet/block';
import { nearestName, unquoteGo } from '@gauntlet/service-kit';
import { BLANK_META, fieldsOfMeta, type FieldValue, formatFieldValue } from './block-fields.ts';
import { ToolsError } from './errors.ts';

/** Prints one block. */
export type BlockTemplate = (meta: ThanosMeta) => string;

type Part = { readonly text: string } | { readonly path: readonly string[] };

const refuse = (source: string, what: string): ToolsError => new ToolsError('ERR_TOOL_TEMPLATE', `read template ${JSON.stringify(source)}: ${what}`);
const KEYWORDS: ReadonlySet<string> = new Set(['if', 'else', 'end', 'range', 'with', 'define', 'template', 'block', 'break', 'continue']);

/**
 * Compiles a template.
 * @throws ToolsError ERR_TOOL_TEMPLATE
 */
export function compileBlockTemplate(source: string): BlockTemplate {
  const parts = parse(source);
  const print = (meta: ThanosMeta): string => {
    const fields = fieldsOfMeta(meta);
    return parts.map((part) => ('text' in part ? part.text : printField(fields, part.path, source))).join('');
  };
  print(BLANK_META);
  return print;
}

function parse(source: string): Part[] {
  const parts: Part[] = [];
  let at = 0;
  let trimNext = false;
  const pushText = (text: string, trimEnd: boolean): void => {
    let kept = trimNext ? text.replace(/^[ \t\r\n]+/, '') : text;
    if (trimEnd) kept = kept.replace(/[ \t\r\n]+$/, '');
    if (kept !== '') parts.push({ text: kept });
    trimNext = false;
  };
  for (;;) {
    const open = source.indexOf('{{', at);
    if (open < 0) {
      pushText(source.slice(at), false);
      return parts;
    }
    const head = /^-[ \t\r\n]/.exec(source.slice(open + 2));
    pushText(source.slice(at, open), head !== null);
    const start = open + 2 + (head === null ? 0 : 1);
    const action = /^\s*(?:\/\*[\s\S]*?\*\/|((?:"(?:[^"\\\n]|\\.)*"|`[^`]*`|(?!\}\}|[ \t\r\n]-\}\})[^"`])*))\s*?(?:[ \t\r\n](-))?\}\}/.exec(source.slice(start));
    if (action === null) throw refuse(source, 'unclosed action');
    at = start + action[0].length;
    trimNext = action[2] !== undefined;
    if (action[1] !== undefined) parts.push(readAction(action[1].trim(), source));
  }
}

function readAction(action: string, source: string): Part {
  if (action === '') throw refuse(source, 'missing value for command');
  if (/^\.$|^(\.[\p{L}_][\p{L}\p{Nd}_]*)+$/u.test(action)) return { path: action === '.' ? [] : action.slice(1).split('.') };
  if (/^("(?:[^"\\]|\\.)*"|`[^`]*`)$/.test(action)) return { text: unquoteGo(action) };
  const word = /^[\p{L}_][\p{L}\p{Nd}_]*/u.exec(action)?.[0];
  const what = action.includes('|') ? 'pipelines' : action.includes('$') ? 'variables' : word === undefined ? JSON.stringify(action) : KEYWORDS.has(word) ? `{{${word}}}` : `function ${JSON.stringify(word)}`;
  throw refuse(source, `${what} cannot be used; there are {{.Field}}, {{.Field.Field}} and text (see docs/components/tools.md)`);
}

function printField(fields: FieldValue, path: readonly string[], source: string): string {
  let value = fields;
  for (const [i, name] of path.entries()) {
    const shown = `.${path.slice(0, i).join('.')}`;
    if (value.kind === 'map') {
      const entry = value.entries.get(name);
      if (entry === undefined && i === path.length - 1) return '<no value>';
      value = { kind: 'text', text: entry ?? '' };
      continue;
    }
    if (value.kind !== 'struct') throw refuse(source, `${shown} has no fields, got .${name}`);
    const next = value.fields.get(name);
    if (next === undefined) {
      const near = nearestName(name, value.fields.keys());
      throw refuse(source, `no field ${name} in ${shown}${near === undefined ? '' : `, did you mean ${near}?`} (there are ${[...value.fields.keys()].join(', ')})`);
    }
    value = next;
  }
  const text = value.kind === 'nil' ? '<no value>' : formatFieldValue(value);
  if (text === undefined) throw refuse(source, `.${path.join('.')} cannot be printed as text; use --output=json`);
  return text;
}
