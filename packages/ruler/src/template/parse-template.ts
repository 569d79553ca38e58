/**
 * Reads alert templates: the part of Go's text/template that needs no program.
 *
 *   text {{ $value }} text {{- .Labels.job -}} text {{ index $labels "a.b" }} {{ $value | humanize }}
 *
 *   template = { text | "{{" ["- "] pipeline [" -"] "}}" | comment }
 *   pipeline = command { "|" command }        a command gets the result before it as its last argument
 *   command  = function { operand } | operand
 *   operand  = "$labels" | "$externalLabels" | "$externalURL" | "$value" | ".Labels" … | "text" | `text`
 *
 * Everything else is a problem with its place and the name of what is not there, found when the rule file is loaded.
 * Source: Go text/template documentation; Prometheus docs/configuration/template_reference.md.
 */
import { nearestName } from '@gauntlet/service-kit';
import { TEMPLATE_FUNCTIONS, UNSUPPORTED_ACTIONS, UNSUPPORTED_FUNCTIONS } from './template-functions.ts';

/** Something wrong in a template. */
export interface TemplateProblem {
  /** In UTF-16 units of the template's text. */
  readonly offset: number;
  readonly message: string;
}

/** What a template can name. */
export type DataName = 'labels' | 'externalLabels' | 'externalURL' | 'value';

/** A value in a command. */
export type Operand =
  | { readonly kind: 'text'; readonly text: string }
  /** `field` picks one label of a map. */
  | { readonly kind: 'data'; readonly name: DataName; readonly field: string | undefined };

/** A function with its arguments, or (without one) a single operand. */
export interface Command {
  readonly functionName: string | undefined;
  readonly operands: readonly Operand[];
}

/** A piece of a template. */
export type TemplatePart = { readonly kind: 'text'; readonly text: string } | { readonly kind: 'pipeline'; readonly source: string; readonly commands: readonly Command[] };

/** A template that was read. */
export interface Template {
  readonly parts: readonly TemplatePart[];
}

/** Reads a template. With problems, the parts are those that could be read. */
export function parseTemplate(text: string): { readonly template: Template; readonly problems: readonly TemplateProblem[] } {
  const parts: TemplatePart[] = [];
  const problems: TemplateProblem[] = [];
  let at = 0;
  let trimNext = false;
  for (;;) {
    const open = text.indexOf('{{', at);
    let literal = open === -1 ? text.slice(at) : text.slice(at, open);
    if (trimNext) literal = literal.replace(/^[ \t\r\n]+/, '');
    const trimBefore = open !== -1 && /^-[ \t\r\n]/.test(text.slice(open + 2, open + 4));
    if (trimBefore) literal = literal.replace(/[ \t\r\n]+$/, '');
    if (literal !== '') parts.push({ kind: 'text', text: literal });
    if (open === -1) break;
    const action = readAction(text, trimBefore ? open + 3 : open + 2, open);
    if (action.problem !== undefined) problems.push(action.problem);
    if (action.commands !== undefined) parts.push({ kind: 'pipeline', source: text.slice(open, action.end), commands: action.commands });
    if (action.end === -1) break;
    at = action.end;
    trimNext = action.trimAfter;
  }
  return { template: { parts }, problems };
}

interface Action {
  /** After the closing braces; -1 if there are none. */
  readonly end: number;
  readonly trimAfter: boolean;
  /** Undefined for comments and problems. */
  readonly commands: readonly Command[] | undefined;
  readonly problem: TemplateProblem | undefined;
}

function readAction(text: string, start: number, open: number): Action {
  const comment = /[ \t\r\n]*\/\*/y;
  comment.lastIndex = start;
  if (comment.test(text)) return readComment(text, comment.lastIndex, open);
  const tokens: Token[] = [];
  let at = start;
  let wrong: TemplateProblem | undefined;
  for (;;) {
    const close = /([ \t\r\n]-)?\}\}/y;
    close.lastIndex = at;
    const closed = close.exec(text);
    if (closed !== null) {
      const result = wrong === undefined ? parsePipeline(tokens, open) : { problem: firstUnsupported(tokens) ?? wrong };
      return { end: close.lastIndex, trimAfter: closed[1] !== undefined, commands: 'commands' in result ? result.commands : undefined, problem: 'problem' in result ? result.problem : undefined };
    }
    if (at >= text.length) return { end: -1, trimAfter: false, commands: undefined, problem: wrong ?? { offset: open, message: "template action is not closed: '}}' is missing" } };
    const token = readToken(text, at);
    if ('message' in token) {
      wrong ??= token;
      at = token.resume;
      if (at === -1) return { end: -1, trimAfter: false, commands: undefined, problem: wrong };
    } else {
      if (token.kind !== 'space') tokens.push(token);
      at = token.end;
    }
  }
}

/** A function that is not here matters more than what it was given. */
function firstUnsupported(tokens: readonly Token[]): TemplateProblem | undefined {
  const word = tokens.find(({ kind, value }) => kind === 'word' && !TEMPLATE_FUNCTIONS.has(value));
  return word === undefined ? undefined : { offset: word.start, message: describeWord(word.value) };
}

function readComment(text: string, bodyStart: number, open: number): Action {
  const end = text.indexOf('*/', bodyStart);
  const close = /[ \t\r\n]-\}\}|\}\}/y;
  close.lastIndex = end + 2;
  const closed = end === -1 ? null : close.exec(text);
  if (closed === null) return { end: -1, trimAfter: false, commands: undefined, problem: { offset: open, message: "template comment is not closed: '*/}}' is missing" } };
  return { end: close.lastIndex, trimAfter: closed[0].length > 2, commands: undefined, problem: undefined };
}

interface Token {
  readonly kind: 'space' | 'pipe' | 'text' | 'data' | 'word';
  readonly start: number;
  readonly end: number;
  /** Content of texts, path of data (`$labels.job`), the word itself. */
  readonly value: string;
}

interface WrongToken extends TemplateProblem {
  /** Where reading goes on; -1 if it cannot. */
  readonly resume: number;
}

const SPACE = /[ \t\r\n]+/y;
const DATA = /(\$[\p{L}\p{Nd}_]*)?(\.[\p{L}\p{Nd}_]+)*/uy;
const WORD = /[\p{L}_][\p{L}\p{Nd}_]*/uy;
const QUOTED = /"(?:[^"\\\n]|\\[^\n])*"/y;
const RAW = /`[^`]*`/y;

function readToken(text: string, start: number): Token | WrongToken {
  const match = (pattern: RegExp): string | undefined => {
    pattern.lastIndex = start;
    return pattern.exec(text)?.[0];
  };
  const token = (kind: Token['kind'], source: string, value = source): Token => ({ kind, start, end: start + source.length, value });
  const wrong = (message: string, length = 1): WrongToken => ({ offset: start, message, resume: start + length });
  const char = text[start]!;
  const space = match(SPACE);
  if (space !== undefined) return token('space', space);
  if (char === '|') return token('pipe', char);
  if (char === '"') {
    const source = match(QUOTED);
    if (source === undefined) return { offset: start, message: 'template text is not closed: \'"\' is missing', resume: -1 };
    const value = unquote(source.slice(1, -1));
    return value === undefined ? wrong(`template text ${source} has an escape that is not Go's`, source.length) : token('text', source, value);
  }
  if (char === '`') {
    const source = match(RAW);
    return source === undefined ? { offset: start, message: "template text is not closed: '`' is missing", resume: -1 } : token('text', source, source.slice(1, -1));
  }
  if (char === '$' || char === '.') {
    const source = match(DATA)!;
    if (source === '') return wrong("template value '.' is not supported yet; name a field, such as .Labels.job");
    return token('data', source);
  }
  const word = match(WORD);
  if (word !== undefined) return token('word', word);
  const number = /^[+-]?[0-9][0-9a-zA-Z_.+-]*/.exec(text.slice(start, start + 64))?.[0];
  if (number !== undefined) return wrong(`numbers in templates are not supported yet, got '${number}'`, number.length);
  if (char === '(' || char === ')') return wrong('parentheses in templates are not supported yet');
  if (text.startsWith(':=', start) || char === '=') return wrong('setting variables in templates is not supported yet', char === '=' ? 1 : 2);
  const shown = String.fromCodePoint(text.codePointAt(start)!);
  return wrong(`template action has an unexpected '${shown}'`, shown.length);
}

/** Texts of Go's interpreted strings. */
function unquote(body: string): string | undefined {
  const simple: Readonly<Record<string, string>> = { a: '\x07', b: '\b', f: '\f', n: '\n', r: '\r', t: '\t', v: '\v', '\\': '\\', '"': '"' };
  let valid = true;
  const value = body.replace(/\\(x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|[0-7]{3}|[^])/g, (_all, escape: string) => {
    if (escape.length === 1) {
      const char = Object.hasOwn(simple, escape) ? simple[escape] : undefined;
      if (char === undefined) valid = false;
      return char ?? '';
    }
    const code = /^[0-7]/.test(escape) ? Number.parseInt(escape, 8) : Number.parseInt(escape.slice(1), 16);
    const isByte = !/^[uU]/.test(escape);
    // Bytes from 0x80 on would be parts of characters; a rule file is UTF-8 and can hold the characters themselves.
    if (isByte ? code > 0x7f : code > 0x10ffff || (code >= 0xd800 && code < 0xe000)) {
      valid = false;
      return '';
    }
    return String.fromCodePoint(code);
  });
  return valid ? value : undefined;
}

type PipelineResult = { readonly commands: readonly Command[] } | { readonly problem: TemplateProblem };

function parsePipeline(tokens: readonly Token[], open: number): PipelineResult {
  const commands: Command[] = [];
  let first = 0;
  for (let i = 0; i <= tokens.length; i++) {
    if (i < tokens.length && tokens[i]!.kind !== 'pipe') continue;
    const own = tokens.slice(first, i);
    if (own.length === 0) return { problem: { offset: tokens[i]?.start ?? tokens[i - 1]?.start ?? open, message: tokens.length === 0 ? 'template action is empty' : 'template pipeline has an empty command' } };
    const command = parseCommand(own, commands.length > 0);
    if ('message' in command) return { problem: command };
    commands.push(command);
    first = i + 1;
  }
  return { commands };
}

function parseCommand(tokens: readonly Token[], isPiped: boolean): Command | TemplateProblem {
  const head = tokens[0]!;
  let functionName: string | undefined;
  if (head.kind === 'word') {
    if (!TEMPLATE_FUNCTIONS.has(head.value)) return { offset: head.start, message: describeWord(head.value) };
    functionName = head.value;
  } else if (isPiped) {
    return { offset: head.start, message: `template pipeline: wanted a function after '|', got ${shown(head)}` };
  } else if (tokens.length > 1) {
    return { offset: tokens[1]!.start, message: `template action: ${shown(head)} is no function, it cannot take ${shown(tokens[1]!)}` };
  }
  const operands: Operand[] = [];
  for (const token of functionName === undefined ? tokens : tokens.slice(1)) {
    if (token.kind === 'text') {
      operands.push({ kind: 'text', text: token.value });
      continue;
    }
    if (token.kind === 'word') return { offset: token.start, message: TEMPLATE_FUNCTIONS.has(token.value) ? `function '${token.value}' as an argument in templates is not supported yet` : describeWord(token.value) };
    const operand = resolveData(token.value);
    if (typeof operand === 'string') return { offset: token.start, message: operand };
    operands.push(operand);
  }
  return { functionName, operands };
}

const VARIABLES: ReadonlyMap<string, DataName> = new Map([
  ['$labels', 'labels'],
  ['$externalLabels', 'externalLabels'],
  ['$externalURL', 'externalURL'],
  ['$value', 'value'],
]);
const FIELDS: ReadonlyMap<string, DataName> = new Map([
  ['Labels', 'labels'],
  ['ExternalLabels', 'externalLabels'],
  ['ExternalURL', 'externalURL'],
  ['Value', 'value'],
]);

/** `$labels.job`, `.Labels.job` or `$.Labels.job` as an operand, or what is wrong with it. */
function resolveData(path: string): Operand | string {
  const [root, ...fields] = path.split('.') as [string, ...string[]];
  let name: DataName | undefined;
  if (root === '' || root === '$') {
    const field = fields.shift();
    if (field === undefined) return `template value '${path}' is not supported yet; name a field, such as .Labels.job`;
    name = FIELDS.get(field);
    if (name === undefined) return `template field '.${field}' is not known${hint(field, FIELDS.keys(), '.')}`;
  } else {
    name = VARIABLES.get(root);
    if (name === undefined) return `template variable '${root}' is not defined${hint(root, VARIABLES.keys(), '')}`;
  }
  const isMap = name === 'labels' || name === 'externalLabels';
  if (fields.length > (isMap ? 1 : 0)) return `template value '${path}': ${isMap ? 'a label' : name === 'value' ? 'a number' : 'a text'} has no fields`;
  return { kind: 'data', name, field: fields[0] };
}

function describeWord(word: string): string {
  if (UNSUPPORTED_ACTIONS.has(word)) return `template action '${word}' is not supported yet`;
  if (UNSUPPORTED_FUNCTIONS.has(word)) return `template function '${word}' is not supported yet`;
  if (word === 'nil' || word === 'true' || word === 'false') return `template constant '${word}' is not supported yet`;
  return `template function '${word}' is not known${hint(word, [...TEMPLATE_FUNCTIONS.keys(), ...UNSUPPORTED_FUNCTIONS], '')}`;
}

function hint(name: string, known: Iterable<string>, before: string): string {
  const names = [...known];
  const near = nearestName(name, names);
  if (near !== undefined) return `, did you mean '${before}${near}'?`;
  return names.length <= 8 ? ` (known: ${names.map((each) => before + each).join(', ')})` : '';
}

function shown(token: Token): string {
  return token.kind === 'text' ? JSON.stringify(token.value) : `'${token.value}'`;
}
