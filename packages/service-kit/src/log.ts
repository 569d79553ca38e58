/**
 * The logger: logfmt or JSON lines as go-kit writes them, one per event, to standard error as Thanos does.
 *
 *   ts=2026-01-02T03:04:05.678Z caller=sidecar.js:120 level=info component=sidecar msg="listening" address=0.0.0.0:10902
 *
 * Order of a logfmt line: ts, caller, level, the fields of the child loggers from the outside in, msg, the fields of the call.
 * JSON lines hold the same keys sorted by name. A line below the level costs one comparison. Lines are gathered and written once per turn of the event loop.
 * Source: go-kit/log `logfmt_logger`, `json_logger`; go-logfmt for quoting.
 */
import { ServiceKitError, errorText, valueText } from './errors.ts';

/** Levels, most talkative first. */
export const LOG_LEVELS = ['debug', 'info', 'warn', 'error'] as const;
/** One of {@link LOG_LEVELS}. */
export type LogLevel = (typeof LOG_LEVELS)[number];

/** Output formats of `--log.format`. */
export const LOG_FORMATS = ['logfmt', 'json', 'journald'] as const;
/** One of {@link LOG_FORMATS}. */
export type LogFormat = (typeof LOG_FORMATS)[number];

/** Fields of a line. Errors become their message with its causes; objects become JSON. Never put secrets here. */
export type LogFields = Readonly<Record<string, unknown>>;

/** What every component is given to write log lines with. */
export interface Logger {
  /** Writes one line of this level. */
  debug(message: string, fields?: LogFields): void;
  /** Writes one line of this level. */
  info(message: string, fields?: LogFields): void;
  /** Writes one line of this level. */
  warn(message: string, fields?: LogFields): void;
  /** Writes one line of this level. */
  error(message: string, fields?: LogFields): void;
  /** Whether a line of this level would be written; to skip costly fields. */
  enabled(level: LogLevel): boolean;
  /** A logger whose lines carry these fields as well. */
  child(fields: LogFields): Logger;
}

/** Where finished lines go. */
export interface LogSink {
  /** Takes one line, with its newline. */
  write(line: string): void;
  /** Hands everything gathered to the operating system. */
  flush(): void;
}

/** Options of {@link createLogger}. */
export interface LoggerOptions {
  /** Least level written; default `info`. */
  readonly level?: LogLevel;
  /** Default `logfmt`. */
  readonly format?: LogFormat;
  /** Default: standard error, gathered per turn of the event loop. */
  readonly sink?: LogSink;
  /** Current time in Unix milliseconds. */
  readonly clock?: () => number;
  /** Whether lines name their call site (about 8 µs a line on top of 2); default true. */
  readonly caller?: boolean;
  /** Fields of every line. */
  readonly fields?: LogFields;
}

/**
 * Makes the root logger of a process.
 * @throws ServiceKitError ERR_UNSUPPORTED for format `journald`: Node cannot write to the datagram socket of the journal
 */
export function createLogger(options: LoggerOptions = {}): Logger {
  if (options.format === 'journald') {
    throw new ServiceKitError('ERR_UNSUPPORTED', '--log.format=journald: the journal socket cannot be written from Node; use logfmt or json (journald stores standard error of units anyway)');
  }
  return new LineLogger(
    {
      least: LOG_LEVELS.indexOf(options.level ?? 'info'),
      json: options.format === 'json',
      sink: options.sink ?? createStreamSink(process.stderr),
      clock: options.clock ?? Date.now,
      caller: options.caller ?? true,
    },
    options.fields ?? {},
  );
}

/** A logger that writes nothing; for tests and libraries without a log. */
export function createNopLogger(): Logger {
  const nop: Logger = { debug() {}, info() {}, warn() {}, error() {}, enabled: () => false, child: () => nop };
  return nop;
}

/** A sink over a writable stream: lines are joined and written once per turn, at 64 KiB, at `flush` and at process exit. */
export function createStreamSink(stream: { write(text: string): unknown }): LogSink {
  let pending = '';
  let scheduled = false;
  const flush = (): void => {
    scheduled = false;
    if (pending === '') return;
    const text = pending;
    pending = '';
    stream.write(text);
  };
  process.once('exit', flush);
  return {
    write(line: string): void {
      pending += line;
      if (pending.length >= 65_536) {
        flush();
      } else if (!scheduled) {
        scheduled = true;
        setImmediate(flush);
      }
    },
    flush,
  };
}

interface LineSettings {
  readonly least: number;
  readonly json: boolean;
  readonly sink: LogSink;
  readonly clock: () => number;
  readonly caller: boolean;
}

class LineLogger implements Logger {
  readonly #settings: LineSettings;
  readonly #fields: LogFields;
  /** The child fields already in logfmt, each followed by a space. */
  readonly #prefix: string;

  constructor(settings: LineSettings, fields: LogFields) {
    this.#settings = settings;
    this.#fields = fields;
    this.#prefix = settings.json ? '' : logfmtFields(fields);
  }

  debug(message: string, fields?: LogFields): void {
    if (this.#settings.least <= 0) this.#line('debug', message, fields);
  }

  info(message: string, fields?: LogFields): void {
    if (this.#settings.least <= 1) this.#line('info', message, fields);
  }

  warn(message: string, fields?: LogFields): void {
    if (this.#settings.least <= 2) this.#line('warn', message, fields);
  }

  error(message: string, fields?: LogFields): void {
    this.#line('error', message, fields);
  }

  enabled(level: LogLevel): boolean {
    return this.#settings.least <= LOG_LEVELS.indexOf(level);
  }

  child(fields: LogFields): Logger {
    return new LineLogger(this.#settings, { ...this.#fields, ...fields });
  }

  #line(level: LogLevel, message: string, fields: LogFields | undefined): void {
    const { json, sink, clock, caller } = this.#settings;
    const ts = new Date(clock()).toISOString();
    const site = caller ? callSite() : undefined;
    if (json) {
      sink.write(`${jsonLine({ ...this.#fields, ...fields, ts, ...(site === undefined ? {} : { caller: site }), level, msg: message })}\n`);
      return;
    }
    const head = site === undefined ? `ts=${ts} ` : `ts=${ts} caller=${site} `;
    const tail = fields === undefined ? '' : logfmtFields(fields);
    const line = `${head}level=${level} ${this.#prefix}msg=${logfmtValue(message)} ${tail}`;
    sink.write(`${line.slice(0, -1)}\n`);
  }
}

/** File and line of the frame above `#line` and `info`. */
function callSite(): string {
  const holder: { stack?: string } = {};
  const limit = Error.stackTraceLimit;
  Error.stackTraceLimit = 3;
  Error.captureStackTrace(holder, callSite);
  Error.stackTraceLimit = limit;
  const match = /([^/\\() ]+:\d+):\d+\)?$/.exec(holder.stack ?? '');
  return match?.[1] ?? 'unknown';
}

function logfmtFields(fields: LogFields): string {
  let text = '';
  for (const key of Object.keys(fields)) {
    const value = fields[key];
    if (value === undefined) continue;
    text += `${logfmtKey(key)}=${logfmtValue(value)} `;
  }
  return text;
}

function logfmtKey(key: string): string {
  // eslint-disable-next-line no-control-regex -- keys may not hold blanks, control characters, = or "
  return key.replace(/[\u0000- ="\uFFFD]/g, '_');
}

/** One logfmt value, quoted as go-logfmt quotes it. */
export function logfmtValue(value: unknown): string {
  if (value === null) return 'null';
  if (typeof value === 'number' || typeof value === 'boolean' || typeof value === 'bigint') return String(value);
  const text = plainText(value);
  if (text === 'null') return '"null"';
  // eslint-disable-next-line no-control-regex -- exactly the characters that need quotes
  return /[\u0000- ="\uFFFD]|\p{Cs}/u.test(text) ? JSON.stringify(text) : text;
}

function plainText(value: unknown): string {
  if (typeof value === 'string') return value;
  if (value instanceof Error) return errorText(value);
  if (typeof value === 'object' && value !== null) {
    if ('message' in value && 'stack' in value) return errorText(value);
  }
  return valueText(value);
}

function jsonLine(fields: Readonly<Record<string, unknown>>): string {
  let text = '';
  for (const key of Object.keys(fields).sort()) {
    const value = fields[key];
    if (value === undefined) continue;
    const plain = value === null || typeof value === 'number' || typeof value === 'boolean';
    const safe = plain && !(typeof value === 'number' && !Number.isFinite(value));
    text += `${text === '' ? '' : ','}${JSON.stringify(key)}:${safe ? JSON.stringify(value) : jsonValue(value)}`;
  }
  return `{${text}}`;
}

function jsonValue(value: unknown): string {
  if (typeof value === 'object' && value !== null && !(value instanceof Error) && !('stack' in value)) {
    const text = valueText(value);
    return text === '[circular]' ? JSON.stringify(text) : text;
  }
  return JSON.stringify(plainText(value));
}
