/**
 * Command-line flags, declared once: one table gives the parser (flag-parse.ts), `--help` and the documentation (flag-help.ts), the types and the defaults.
 *
 *   const flags = { level: enumFlag('log.level', ['info', 'debug'], { default: 'info', help: '…' }), endpoints: stringsFlag('endpoint', { help: '…' }) };
 *   const outcome = parseFlags({ name: 'query', help: '…', flags }, argv);
 *
 * Names, defaults and forms are those of the `thanos` binary (kingpin): see flag-parse.ts.
 */
import { parseDurationText, parseSizeText } from './duration-text.ts';
import { ServiceKitError } from './errors.ts';
import { nearestName } from './nearest-name.ts';
import { PathOrContent } from './path-or-content.ts';

/** One flag of a table; T is the type of its value. Path-or-content flags own two names. */
export interface Flag<T> {
  /** Name without dashes, such as `objstore.config`. */
  readonly name: string;
  /** A further name this flag answers to (`<name>-file` of path-or-content pairs). */
  readonly fileName?: string;
  /** One letter it answers to behind a single dash. */
  readonly short?: string;
  readonly help: string;
  readonly form: 'value' | 'bool' | 'path-or-content';
  readonly repeatable: boolean;
  /** Not in `--help`. */
  readonly hidden: boolean;
  /** Must be given. */
  readonly required: boolean;
  /** Shown in place of the value in help. */
  readonly placeholder: string | undefined;
  /** Default as shown in help and by /api/v1/status/flags; undefined when there is none. */
  readonly defaultText: string | undefined;
  /** Whether help shows the default in quotes (free text). */
  readonly quoteDefault: boolean;
  /** Why and since when not to use it; using it gives a warning with this text. */
  readonly deprecated: string | undefined;
  /** What to use instead; giving the flag is an error with this text. */
  readonly removed: string | undefined;
  /** The value is never shown. */
  readonly secret: boolean;
  /**
   * Turns what was given into the value.
   * @param texts values in the order given; for path-or-content the content
   * @param fileTexts values of the `-file` name
   * @throws Error with the reason, without the flag's name
   */
  read(texts: readonly string[], fileTexts: readonly string[]): T;
}

/** A component's flags by the names its code uses. */
export type FlagTable = Readonly<Record<string, Flag<unknown>>>;
/** The values of a table. */
export type FlagValues<T extends FlagTable> = { readonly [K in keyof T]: T[K] extends Flag<infer V> ? V : never };

/** Options every flag has. */
export interface FlagOptions {
  /** Sentences for help. */
  readonly help: string;
  /** One letter: `-o` beside `--output`. */
  readonly short?: string;
  readonly hidden?: boolean;
  readonly placeholder?: string;
  readonly deprecated?: string;
  readonly secret?: boolean;
}

/** Options of a flag that may have a default or be required. */
export interface DefaultOptions<T> extends FlagOptions {
  readonly default?: T;
  readonly required?: boolean;
}

/** A text. Without default: the empty text. */
export function stringFlag(name: string, options: DefaultOptions<string>): Flag<string> {
  return single(name, options, options.default ?? '', options.default, (text) => text, true);
}

/** A text from a repeatable flag; with `commas` each value may hold several, separated by commas. */
export function stringsFlag(name: string, options: FlagOptions & { readonly commas?: boolean; readonly required?: boolean; readonly default?: readonly string[] }): Flag<readonly string[]> {
  return {
    ...base(name, options),
    required: options.required ?? false,
    repeatable: true,
    defaultText: options.default?.join(','),
    read(texts) {
      if (texts.length === 0) return options.default ?? [];
      return options.commas === true ? texts.flatMap((text) => text.split(',').map((part) => part.trim()).filter((part) => part !== '')) : texts;
    },
  };
}

/** `--name` or `--no-name` (also `--name=true`). Default false. */
export function boolFlag(name: string, options: FlagOptions & { readonly default?: boolean }): Flag<boolean> {
  return {
    ...base(name, options),
    form: 'bool',
    defaultText: String(options.default ?? false),
    read(texts) {
      const text = texts.at(-1);
      if (text === undefined) return options.default ?? false;
      if (/^(true|t|1)$/i.test(text)) return true;
      if (/^(false|f|0)$/i.test(text)) return false;
      throw new Error(`wanted true or false, got '${text}'`);
    },
  };
}

/** A whole number. Default 0. */
export function intFlag(name: string, options: DefaultOptions<number> & { readonly min?: number; readonly max?: number }): Flag<number> {
  return single(name, options, options.default ?? 0, options.default === undefined ? undefined : String(options.default), (text) => {
    const value = /^[+-]?(0[xX][\da-fA-F]+|\d[\d_]*)$/.test(text) ? Number(text.replaceAll('_', '').replace(/^\+/, '')) : Number.NaN;
    if (!Number.isSafeInteger(value)) throw new Error(`wanted an integer, got '${text}'`);
    if (options.min !== undefined && value < options.min) throw new Error(`wanted at least ${options.min}, got ${value}`);
    if (options.max !== undefined && value > options.max) throw new Error(`wanted at most ${options.max}, got ${value}`);
    return value;
  });
}

/** A number. Default 0. */
export function floatFlag(name: string, options: DefaultOptions<number>): Flag<number> {
  return single(name, options, options.default ?? 0, options.default === undefined ? undefined : String(options.default), (text) => {
    const value = text.trim() === '' ? Number.NaN : Number(text);
    if (Number.isNaN(value)) throw new Error(`wanted a number, got '${text}'`);
    return value;
  });
}

/** A size such as `512MB`; the value is bytes. The default is written as a size too. */
export function bytesFlag(name: string, options: DefaultOptions<string>): Flag<number> {
  return single(name, options, options.default === undefined ? 0 : parseSizeText(options.default), options.default, (text) => parseSizeText(text));
}

/** A duration in Go or Prometheus notation; the value is milliseconds. The default is written as a duration too. */
export function durationFlag(name: string, options: DefaultOptions<string>): Flag<number> {
  return single(name, options, options.default === undefined ? 0 : parseDurationText(options.default), options.default, parseDurationText);
}

/** One of a list of texts. */
export function enumFlag<const V extends readonly string[]>(name: string, values: V, options: DefaultOptions<V[number]> & { readonly default: V[number] }): Flag<V[number]> {
  return single<V[number]>(name, options, options.default, options.default, (text) => oneOfTexts(values, text));
}

/** Some of a list of texts, from a repeatable flag. */
export function enumsFlag<const V extends readonly string[]>(name: string, values: V, options: FlagOptions & { readonly default: readonly V[number][]; readonly commas?: boolean }): Flag<readonly V[number][]> {
  return {
    ...base(name, options),
    repeatable: true,
    defaultText: options.default.join(','),
    read(texts) {
      if (texts.length === 0) return options.default;
      const parts = options.commas === true ? texts.flatMap((text) => text.split(',')) : texts;
      return parts.map((text) => oneOfTexts(values, text));
    },
  };
}

/** An absolute http or https URL. */
export function urlFlag(name: string, options: DefaultOptions<string> & { readonly default: string }): Flag<URL> {
  return single(name, options, new URL(options.default), options.default, (text) => {
    if (!URL.canParse(text)) throw new Error(`wanted a URL, got '${text}'`);
    return new URL(text);
  });
}

/** A `--name` / `--name-file` pair, mutually exclusive; see {@link PathOrContent}. */
export function pathOrContentFlag(name: string, options: FlagOptions & { readonly required?: boolean; readonly envSubstitution?: boolean }): Flag<PathOrContent> {
  return {
    ...base(name, options),
    form: 'path-or-content',
    fileName: `${name}-file`,
    required: options.required ?? false,
    placeholder: '<content>',
    read(texts, fileTexts) {
      const content = texts.at(-1);
      const path = fileTexts.at(-1);
      if (content !== undefined && content !== '' && path !== undefined && path !== '') throw new Error(`both --${name} and --${name}-file are set, wanted one`);
      return new PathOrContent(name, { path, content, required: options.required ?? false, envSubstitution: options.envSubstitution ?? true });
    },
  };
}

/** A point in time, fixed or relative to the moment it is asked for. */
export interface TimeOrDuration {
  /** As given. */
  readonly text: string;
  /** Unix milliseconds, given the present in Unix milliseconds. */
  at(nowMs: number): number;
}

/** RFC 3339 (`2026-01-02T00:00:00Z`) or a duration relative to now (`-1d`, `2h45m`); for `--min-time` and its like. */
export function timeOrDurationFlag(name: string, options: FlagOptions & { readonly default: string }): Flag<TimeOrDuration> {
  return single(name, options, readTimeOrDuration(options.default), options.default, readTimeOrDuration);
}

/** Repeated `name="value"` labels, value in Go quotes; the value is [name, value] pairs in the order given. */
export function labelsFlag(name: string, options: FlagOptions): Flag<readonly (readonly [string, string])[]> {
  return { ...base(name, { placeholder: '<name>="<value>"', ...options }), repeatable: true, read: (texts) => texts.map(readLabel) };
}

/** A flag that no longer exists: not in help, and an error that says what to use. */
export function removedFlag(name: string, advice: string): Flag<undefined> {
  return { ...base(name, { help: advice, hidden: true }), repeatable: true, removed: advice, read: () => undefined };
}

/** What a single value flag's table entry needs besides its reader. */
function single<T>(name: string, options: DefaultOptions<unknown>, fallback: T, defaultText: string | undefined, read: (text: string) => T, quoteDefault = false): Flag<T> {
  return {
    ...base(name, options),
    required: options.required ?? false,
    defaultText,
    quoteDefault,
    read: (texts) => (texts.length === 0 ? fallback : read(texts.at(-1)!)),
  };
}

function base(name: string, options: FlagOptions): Omit<Flag<never>, 'read'> {
  return {
    name,
    ...(options.short === undefined ? {} : { short: options.short }),
    help: options.help,
    form: 'value',
    repeatable: false,
    hidden: options.hidden ?? false,
    required: false,
    placeholder: options.placeholder,
    defaultText: undefined,
    quoteDefault: false,
    deprecated: options.deprecated,
    removed: undefined,
    secret: options.secret ?? false,
  };
}

function oneOfTexts<V extends readonly string[]>(values: V, text: string): V[number] {
  if (values.includes(text)) return text as V[number];
  const near = nearestName(text, values);
  throw new Error(`enum value must be one of ${values.map((value) => (value === '' ? '""' : value)).join(',')}, got '${text}'${near === undefined ? '' : `, did you mean '${near}'?`}`);
}

function readTimeOrDuration(text: string): TimeOrDuration {
  const time = /^\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d+)?([zZ]|[+-]\d\d:\d\d)$/.test(text) ? Date.parse(text) : Number.NaN;
  if (!Number.isNaN(time)) return { text, at: () => time };
  let offsetMs: number;
  try {
    offsetMs = parseDurationText(text);
  } catch {
    throw new Error(`wanted a time in RFC3339 format or a duration such as -1d or 2h45m, got '${text}'`);
  }
  return { text, at: (nowMs) => nowMs + offsetMs };
}

function readLabel(text: string): readonly [string, string] {
  const equals = text.indexOf('=');
  if (equals < 0) throw new Error(`unrecognized label ${JSON.stringify(text)}: wanted name="value"`);
  if (equals === 0) throw new Error(`unsupported format for label ${text}: the name is empty`);
  return [text.slice(0, equals), unquoteGo(text.slice(equals + 1))];
}

/** Reads a Go string literal: "…" with escapes, or `…` as it stands. @throws Error when it is neither */
export function unquoteGo(text: string): string {
  const refuse = (): Error => new Error(`unquote label value: invalid syntax: ${text} (wanted "value" in quotes)`);
  if (text.length >= 2 && text.startsWith('`') && text.endsWith('`') && !text.slice(1, -1).includes('`')) return text.slice(1, -1).replaceAll('\r', '');
  if (text.length < 2 || !text.startsWith('"') || !text.endsWith('"')) throw refuse();
  const body = text.slice(1, -1);
  const escapes: Readonly<Record<string, string>> = { a: '\u0007', b: '\b', f: '\f', n: '\n', r: '\r', t: '\t', v: '\v', '\\': '\\', '"': '"' };
  const octets: number[] = [];
  let plain = '';
  const encoder = new TextEncoder();
  const flushPlain = (): void => {
    octets.push(...encoder.encode(plain));
    plain = '';
  };
  const pattern = /\\(?:([abfnrtv\\"])|x([\da-fA-F]{2})|u([\da-fA-F]{4})|U([\da-fA-F]{8})|([0-3][0-7]{2}))|([^\\"\n])/gsuy;
  let end = 0;
  for (let match = pattern.exec(body); match !== null; match = pattern.exec(body)) {
    end = pattern.lastIndex;
    const [, simple, hex, short, long, octal, character] = match;
    if (character !== undefined) plain += character;
    else if (simple !== undefined) plain += escapes[simple]!;
    else if (hex !== undefined || octal !== undefined) {
      flushPlain();
      octets.push(hex !== undefined ? Number.parseInt(hex, 16) : Number.parseInt(octal!, 8));
    } else {
      const point = Number.parseInt(short ?? long!, 16);
      if (point > 0x10_ff_ff || (point >= 0xd800 && point <= 0xdfff)) throw refuse();
      plain += String.fromCodePoint(point);
    }
  }
  if (end !== body.length) throw refuse();
  flushPlain();
  return new TextDecoder().decode(Uint8Array.from(octets));
}

/** Checks a table for names declared twice. @throws ServiceKitError ERR_FLAG */
export function assertFlagTable(flags: FlagTable): void {
  const seen = new Set<string>(['help', 'help-long', 'version']);
  for (const flag of Object.values(flags)) {
    for (const name of flag.fileName === undefined ? [flag.name] : [flag.name, flag.fileName]) {
      if (seen.has(name)) throw new ServiceKitError('ERR_FLAG', `declare flag --${name}: the name is taken`);
      seen.add(name);
    }
    if (flag.short === undefined) continue;
    if (!/^[A-Za-z]$/.test(flag.short) || flag.short === 'h' || seen.has(`-${flag.short}`)) throw new ServiceKitError('ERR_FLAG', `declare flag --${flag.name}: -${flag.short} is taken or not one letter`);
    seen.add(`-${flag.short}`);
  }
}
