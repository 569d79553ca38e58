/**
 * Reading argv against a flag table, by kingpin's rules:
 *
 *   --name=value · --name value (value not starting with `-`) · --bool · --no-bool · repeated flags only where the table says so
 *   -o value · -ovalue · -r · -ro value: letters of the table, values as far as the word goes
 *   @file puts the lines of a file in its place · -- ends the flags · -h, --help, --help-long, --version
 *
 * An unknown flag is an error that names the nearest known one. All values are read before anything is reported, first problem wins.
 */
import { readFileSync } from 'node:fs';
import { ServiceKitError, errorText } from './errors.ts';
import { renderHelp } from './flag-help.ts';
import { type Flag, type FlagTable, type FlagValues, assertFlagTable } from './flags.ts';
import { nearestName } from './nearest-name.ts';

/** A command and its flags. */
export interface Command<T extends FlagTable> {
  /** Program name for messages; default `gauntlet`. */
  readonly program?: string;
  /** Subcommand, such as `sidecar`; empty for none. */
  readonly name: string;
  readonly help: string;
  readonly flags: T;
  /** What `--version` prints. */
  readonly version?: string;
  /** Positional arguments: shown in usage; without it any is an error. */
  readonly arguments?: { readonly usage: string; readonly min: number; readonly max: number };
}

/** What a command line means. */
export type FlagOutcome<T extends FlagTable> =
  | {
      readonly kind: 'run';
      readonly values: FlagValues<T>;
      readonly arguments: readonly string[];
      /** Name → shown value, for /api/v1/status/flags; secrets are `<REDACTED>`. */
      readonly shown: ReadonlyMap<string, string>;
      /** Sentences about deprecated flags, to be logged. */
      readonly warnings: readonly string[];
    }
  | { readonly kind: 'exit'; readonly exitCode: number; readonly stdout: string; readonly stderr: string };

/** Reads arguments (without node and script). Never throws for what the user typed: that gives `exit`. */
export function parseFlags<T extends FlagTable>(command: Command<T>, argv: readonly string[]): FlagOutcome<T> {
  assertFlagTable(command.flags);
  try {
    return readArguments(command, expandFiles(argv, 0));
  } catch (error) {
    if (!(error instanceof ServiceKitError)) throw error;
    return { kind: 'exit', exitCode: 1, stdout: '', stderr: `${command.program ?? 'gauntlet'}: error: ${error.message}\n` };
  }
}

/** {@link parseFlags} for a process: prints and exits where that is the outcome. */
export function parseFlagsOrExit<T extends FlagTable>(command: Command<T>, argv: readonly string[] = process.argv.slice(2)): Extract<FlagOutcome<T>, { kind: 'run' }> {
  const outcome = parseFlags(command, argv);
  if (outcome.kind === 'run') return outcome;
  process.stdout.write(outcome.stdout);
  process.stderr.write(outcome.stderr);
  process.exit(outcome.exitCode);
}

interface Given {
  readonly flag: Flag<unknown>;
  readonly texts: string[];
  readonly fileTexts: string[];
}

function readArguments<T extends FlagTable>(command: Command<T>, argv: readonly string[]): FlagOutcome<T> {
  const given = new Map<string, Given>();
  for (const flag of Object.values(command.flags)) given.set(flag.name, { flag, texts: [], fileTexts: [] });
  const byName = new Map<string, { entry: Given; texts: string[]; isFile: boolean }>();
  for (const entry of given.values()) {
    byName.set(entry.flag.name, { entry, texts: entry.texts, isFile: false });
    if (entry.flag.fileName !== undefined) byName.set(entry.flag.fileName, { entry, texts: entry.fileTexts, isFile: true });
  }
  const positional: string[] = [];
  for (let i = 0; i < argv.length; i++) {
    const argument = argv[i]!;
    if (argument === '--') {
      positional.push(...argv.slice(i + 1));
      break;
    }
    if (argument === '-h' || argument === '--help' || argument === '--help-long') return exitWith(renderHelp(command));
    if (argument === '--version') return exitWith(`${command.version ?? command.program ?? 'gauntlet'}\n`);
    if (!argument.startsWith('--')) {
      if (argument.startsWith('-') && argument.length > 1) i += readShortFlags(argument, argv[i + 1], given);
      else positional.push(argument);
      continue;
    }
    const equals = argument.indexOf('=');
    const name = equals < 0 ? argument.slice(2) : argument.slice(2, equals);
    let found = byName.get(name);
    let inverted = false;
    if (found === undefined && name.startsWith('no-')) {
      found = byName.get(name.slice(3));
      inverted = found?.entry.flag.form === 'bool';
      if (!inverted) found = undefined;
    }
    if (found === undefined) throw unknownFlag(name, byName);
    const { flag } = found.entry;
    if (flag.removed !== undefined) throw new ServiceKitError('ERR_FLAG', `flag '--${name}' does not exist any more: ${flag.removed}`);
    refuseRepetition(flag, found.texts);
    if (flag.form === 'bool') {
      if (inverted && equals >= 0) throw new ServiceKitError('ERR_FLAG', `flag '--${name}' takes no value, got '${argument.slice(equals + 1)}'`);
      found.texts.push(equals >= 0 ? argument.slice(equals + 1) : String(!inverted));
    } else if (equals >= 0) {
      found.texts.push(argument.slice(equals + 1));
    } else {
      found.texts.push(valueFrom(`--${name}`, flag, argv[i + 1]));
      i++;
    }
  }
  checkPositional(command, positional);
  return finish(command, given, positional);
}

/**
 * Reads `-abc`: letters without value, then perhaps one that takes the rest of the word, or the next.
 * @returns how many words behind this one were used
 */
function readShortFlags(word: string, next: string | undefined, given: ReadonlyMap<string, Given>): number {
  for (let at = 1; at < word.length; at++) {
    const letter = word[at]!;
    if (letter === 'h') throw new ServiceKitError('ERR_FLAG', `write -h by itself, got '${word}'`);
    const entry = [...given.values()].find(({ flag }) => flag.short === letter);
    if (entry === undefined) throw new ServiceKitError('ERR_FLAG', `unknown short flag '-${letter}'`);
    refuseRepetition(entry.flag, entry.texts);
    if (entry.flag.form === 'bool') {
      entry.texts.push('true');
      continue;
    }
    const rest = word.slice(at + 1);
    entry.texts.push(rest === '' ? valueFrom(`-${letter}`, entry.flag, next) : rest);
    return rest === '' ? 1 : 0;
  }
  return 0;
}

function refuseRepetition(flag: Flag<unknown>, texts: readonly string[]): void {
  if (texts.length > 0 && !flag.repeatable) throw new ServiceKitError('ERR_FLAG', `flag '${flag.name}' cannot be repeated`);
}

/** The word behind a flag, as its value. */
function valueFrom(shown: string, flag: Flag<unknown>, next: string | undefined): string {
  if (next !== undefined && (!next.startsWith('-') || next.length === 1)) return next;
  const name = shown.startsWith('--') ? shown : `--${flag.name}`;
  const hint = next === undefined ? '' : `, got '${next}' (write ${name}=${next} if that is the value)`;
  throw new ServiceKitError('ERR_FLAG', `expected argument for flag '${shown}'${hint}`);
}

function finish<T extends FlagTable>(command: Command<T>, given: ReadonlyMap<string, Given>, positional: readonly string[]): FlagOutcome<T> {
  const missing = [...given.values()].filter(({ flag, texts, fileTexts }) => flag.required && texts.length === 0 && fileTexts.length === 0);
  if (missing.length > 0) {
    const names = missing.map(({ flag }) => (flag.fileName === undefined ? `--${flag.name}` : `--${flag.fileName} or --${flag.name}`));
    throw new ServiceKitError('ERR_FLAG', `required flag ${names.join(', ')} not provided`);
  }
  const values: Record<string, unknown> = {};
  const shown = new Map<string, string>();
  const warnings: string[] = [];
  for (const [key, flag] of Object.entries(command.flags)) {
    const { texts, fileTexts } = given.get(flag.name)!;
    try {
      values[key] = flag.read(texts, fileTexts);
    } catch (error) {
      throw new ServiceKitError('ERR_FLAG', `flag --${flag.name}: ${errorText(error)}`, error);
    }
    if (flag.deprecated !== undefined && texts.length + fileTexts.length > 0) warnings.push(`flag --${flag.name} is deprecated: ${flag.deprecated}`);
    if (flag.removed !== undefined) continue;
    const text = texts.length > 0 ? texts.join(',') : (flag.defaultText ?? '');
    shown.set(flag.name, flag.secret ? '<REDACTED>' : text);
    if (flag.fileName !== undefined) shown.set(flag.fileName, flag.secret ? '<REDACTED>' : (fileTexts.at(-1) ?? ''));
  }
  return { kind: 'run', values: values as FlagValues<T>, arguments: positional, shown, warnings };
}

function checkPositional(command: Command<FlagTable>, positional: readonly string[]): void {
  const limits = command.arguments ?? { usage: '', min: 0, max: 0 };
  if (positional.length > limits.max) throw new ServiceKitError('ERR_FLAG', `unexpected ${positional[limits.max]!}`);
  if (positional.length < limits.min) throw new ServiceKitError('ERR_FLAG', `required argument ${limits.usage} not provided`);
}

function unknownFlag(name: string, byName: ReadonlyMap<string, { entry: Given }>): ServiceKitError {
  const known: string[] = [];
  for (const [candidate, { entry }] of byName) {
    if (entry.flag.removed !== undefined) continue;
    known.push(candidate);
    if (entry.flag.form === 'bool') known.push(`no-${candidate}`);
  }
  const near = nearestName(name, [...known, 'help', 'version']);
  return new ServiceKitError('ERR_FLAG', `unknown long flag '--${name}', ${near === undefined ? 'try --help' : `did you mean '--${near}'?`}`);
}

function expandFiles(argv: readonly string[], depth: number): readonly string[] {
  const expanded: string[] = [];
  for (let i = 0; i < argv.length; i++) {
    const argument = argv[i]!;
    if (argument === '--') return [...expanded, ...argv.slice(i)];
    if (!argument.startsWith('@') || argument.length === 1) {
      expanded.push(argument);
      continue;
    }
    const path = argument.slice(1);
    if (depth >= 8) throw new ServiceKitError('ERR_FLAG', `expand ${argument}: files of arguments are nested more than 8 deep`);
    let text: string;
    try {
      text = readFileSync(path, 'utf8');
    } catch (error) {
      throw new ServiceKitError('ERR_FLAG', `expand ${argument}: ${errorText(error)}`, error);
    }
    const lines = text.split('\n').map((line) => line.replace(/\r$/, ''));
    expanded.push(...expandFiles(lines.filter((line) => line !== '' && !line.startsWith('#')), depth + 1));
  }
  return expanded;
}

function exitWith(stdout: string): { kind: 'exit'; exitCode: number; stdout: string; stderr: string } {
  return { kind: 'exit', exitCode: 0, stdout, stderr: '' };
}
