/**
 * Scripts that test an engine: data, queries, expected answers.
 *
 *   load 5m
 *     requests{job="a"} 0+10x10
 *
 *   eval instant at 50m sum(requests)
 *     {} 100
 *
 * Lines are trimmed, `#` in the first column makes a line blank, a blank line ends a block. Source: Prometheus promql/promqltest/README.md.
 */
import { type Labels, labelsEqual, ModelError, parseDuration } from '@gauntlet/model';
import { PromqlError } from '../errors.ts';
import { parseNumber } from '../parser/parse-number.ts';
import { unquoteLiteral } from '../parser/quote.ts';
import { parseMetric, parseSeries, type SeriesDescription } from './parse-series.ts';

export interface ClearStatement {
  readonly kind: 'clear';
  readonly line: number;
}

export interface LoadedSeries extends SeriesDescription {
  /** Start timestamp of each value, ms relative to the sample's own time; undefined entries have none. */
  readonly startOffsetsMs: readonly (number | undefined)[] | undefined;
}

export interface LoadStatement {
  readonly kind: 'load';
  readonly line: number;
  readonly stepMs: number;
  /** Classic histograms of the block are loaded as native ones with custom buckets too. */
  readonly withNhcb: boolean;
  readonly series: readonly LoadedSeries[];
}

/** How an error or annotation text must look. */
export type TextExpectation = { readonly match: 'any' } | { readonly match: 'msg' | 'regex'; readonly text: string };

export interface EvalStatement {
  readonly kind: 'eval';
  /** 1-based line of `eval`. */
  readonly line: number;
  readonly expr: string;
  /** Instant: start = end = evaluation time and step 0. */
  readonly isRange: boolean;
  readonly startMs: number;
  readonly endMs: number;
  readonly stepMs: number;
  readonly fail: TextExpectation | undefined;
  readonly warn: readonly TextExpectation[];
  readonly info: readonly TextExpectation[];
  readonly noWarn: boolean;
  readonly noInfo: boolean;
  readonly ordered: boolean;
  readonly expectedString: string | undefined;
  /** Times of the samples of an instant query that answers with a range vector. */
  readonly rangeVector: { readonly startMs: number; readonly endMs: number; readonly stepMs: number } | undefined;
  readonly scalar: number | undefined;
  readonly series: readonly SeriesDescription[];
}

export type Statement = ClearStatement | LoadStatement | EvalStatement;

/** Lines still to be read, with 1-based numbers in messages. */
class LineReader {
  readonly #lines: readonly string[];
  #at = 0;

  constructor(text: string) {
    this.#lines = text.split('\n').map((line) => {
      const trimmed = line.trim();
      return trimmed.startsWith('#') ? '' : trimmed;
    });
  }

  /** 1-based number of the line last read. */
  get line(): number {
    return this.#at;
  }

  next(): string | undefined {
    return this.#lines[this.#at++];
  }

  /** The next line of the block; undefined at its end. */
  nextInBlock(): string | undefined {
    const line = this.#lines[this.#at];
    if (line === undefined || line === '') return undefined;
    this.#at++;
    return line;
  }

  fail(problem: string): never {
    throw new PromqlError('ERR_SCRIPT', `line ${this.#at}: ${problem}`);
  }

  /** Runs `parse` and puts the line number before what it complains about. */
  locate<T>(parse: () => T): T {
    try {
      return parse();
    } catch (error) {
      if (error instanceof ModelError || (error instanceof PromqlError && !error.message.startsWith('line '))) return this.fail(error.message);
      throw error;
    }
  }
}

/**
 * Reads a whole script.
 * @throws PromqlError ERR_SCRIPT with the line
 */
export function parseScript(text: string): Statement[] {
  const reader = new LineReader(text);
  const statements: Statement[] = [];
  for (let line = reader.next(); line !== undefined; line = reader.next()) {
    if (line === '') continue;
    const word = /^\S+/.exec(line)![0].toLowerCase();
    if (word === 'clear') statements.push({ kind: 'clear', line: reader.line });
    else if (word.startsWith('load')) statements.push(parseLoad(reader, line));
    else if (word.startsWith('eval')) statements.push(parseEval(reader, line));
    else reader.fail(`a statement begins with clear, load or eval: ${line}`);
  }
  return statements;
}

function parseLoad(reader: LineReader, head: string): LoadStatement {
  const { line } = reader;
  const match = /^load(_with_nhcb)?\s+(.+)$/.exec(head) ?? reader.fail('expected: load[_with_nhcb] <step>');
  const stepMs = reader.locate(() => parseDuration(match[2]!));
  const series: LoadedSeries[] = [];
  let starts: { readonly labels: Labels; readonly offsets: readonly (number | undefined)[] } | undefined;
  for (let text = reader.nextInBlock(); text !== undefined; text = reader.nextInBlock()) {
    const body = text;
    const startLine = /^(\S*)@st\s+(.*)$/.exec(body);
    if (startLine !== null) {
      if (starts !== undefined) reader.fail('the @st line before has no sample line');
      starts = reader.locate(() => ({ labels: parseMetric(startLine[1]!).labels, offsets: parseStartOffsets(startLine[2]!) }));
      continue;
    }
    const description = reader.locate(() => parseSeries(body));
    if (starts !== undefined) {
      if (!labelsEqual(starts.labels, description.labels)) reader.fail('the @st line before is about another series');
      if (starts.offsets.length !== description.values.length) {
        reader.fail(`the @st line before has ${starts.offsets.length} values, the sample line ${description.values.length}`);
      }
    }
    series.push({ ...description, startOffsetsMs: starts?.offsets });
    starts = undefined;
  }
  if (starts !== undefined) reader.fail('an @st line has no sample line');
  return { kind: 'load', line, stepMs, withNhcb: match[1] !== undefined, series };
}

/** `_`, `_xN`, `-30s`, `-30sxN`, `-30s-1mxN`, separated by space. */
function parseStartOffsets(text: string): (number | undefined)[] {
  const offsets: (number | undefined)[] = [];
  for (const item of text.match(/\S+/g) ?? []) {
    const gap = /^_(?:x(\d+))?$/.exec(item);
    if (gap !== null) {
      for (let i = 0; i < Number(gap[1] ?? 1); i++) offsets.push(undefined);
      continue;
    }
    const match = /^([+-]?)((?:\d+[a-wyz]+)+|\d+)(?:([+-])((?:\d+[a-wyz]+)+|\d+))?(?:x(\d+))?$/.exec(item);
    if (match === null) throw new PromqlError('ERR_SCRIPT', `start timestamp is not understood: ${item}`);
    const [, sign, base, stepSign, step, count] = match;
    let offset = (sign === '-' ? -1 : 1) * parseDuration(base!);
    for (let i = 0; i <= Number(count ?? 0); i++) {
      offsets.push(offset);
      if (step !== undefined) offset += (stepSign === '-' ? -1 : 1) * parseDuration(step);
    }
  }
  return offsets;
}

type Draft = { -readonly [K in keyof EvalStatement]: EvalStatement[K] };

function parseEval(reader: LineReader, head: string): EvalStatement {
  const instant = /^eval(?:_(fail|warn|ordered|info))?\s+instant\s+at\s+(\S+)\s+(.+)$/.exec(head);
  const range = /^eval(?:_(fail|warn|info))?\s+range\s+from\s+(\S+)\s+to\s+(\S+)\s+step\s+(\S+)\s+(.+)$/.exec(head);
  if (instant === null && range === null) reader.fail('expected: eval instant at <time> <query> or eval range from <time> to <time> step <duration> <query>');
  const mode = instant?.[1] ?? range?.[1];
  const startMs = reader.locate(() => parseDuration(instant?.[2] ?? range![2]!));
  const endMs = range === null ? startMs : reader.locate(() => parseDuration(range[3]!));
  if (endMs < startMs) reader.fail('the end is before the start');
  const any: TextExpectation = { match: 'any' };
  const draft: Draft = {
    kind: 'eval',
    line: reader.line,
    expr: instant?.[3] ?? range![5]!,
    isRange: range !== null,
    startMs,
    endMs,
    stepMs: range === null ? 0 : reader.locate(() => parseDuration(range[4]!)),
    fail: mode === 'fail' ? any : undefined,
    warn: mode === 'warn' ? [any] : [],
    info: mode === 'info' ? [any] : [],
    noWarn: false,
    noInfo: false,
    ordered: mode === 'ordered',
    expectedString: undefined,
    rangeVector: undefined,
    scalar: undefined,
    series: [],
  };
  const series: SeriesDescription[] = [];
  for (let line = reader.nextInBlock(); line !== undefined; line = reader.nextInBlock()) {
    const old = /^expected_fail_(message|regexp)\s+(.*)$/.exec(line);
    if (mode === 'fail' && old !== null) {
      draft.fail = { match: old[1] === 'message' ? 'msg' : 'regex', text: old[2]! };
      break;
    }
    if (/^expect(\s|$)/.test(line)) {
      parseExpectation(reader, line, draft);
      continue;
    }
    const scalar = parseNumber(line.replace(/^[+-]/, ''));
    if (typeof scalar === 'number') {
      draft.scalar = line.startsWith('-') ? -scalar : scalar;
      break;
    }
    const body = line;
    const description = reader.locate(() => parseSeries(body));
    if (!draft.isRange && draft.rangeVector === undefined && description.values.length !== 1) reader.fail('an instant query answers with one value per series');
    series.push(description);
  }
  return { ...draft, series };
}

function parseExpectation(reader: LineReader, line: string, draft: Draft): void {
  const string = /^expect\s+string\s+(.+)$/.exec(line);
  if (string !== null) {
    draft.expectedString = unquoteLiteral(string[1]!);
    return;
  }
  const vector = /^expect\s+range\s+vector\s+from\s+(\S+)\s+to\s+(\S+)\s+step\s+(\S+)$/.exec(line);
  if (vector !== null) {
    const [startMs, endMs, stepMs] = reader.locate(() => vector.slice(1).map((text) => parseDuration(text))) as [number, number, number];
    draft.rangeVector = { startMs, endMs, stepMs };
    return;
  }
  const match = /^expect\s+(ordered|fail|warn|no_warn|info|no_info)(?:\s+(regex|msg):(.+))?$/.exec(line) ?? reader.fail(`expectation is not understood: ${line}`);
  const [, what, how, text] = match;
  const expectation: TextExpectation = how === undefined ? { match: 'any' } : { match: how as 'msg' | 'regex', text: text!.trim() };
  switch (what) {
    case 'fail':
      if (draft.fail !== undefined) reader.fail('more than one failure is expected');
      draft.fail = expectation;
      break;
    case 'warn':
      draft.warn = [...draft.warn, expectation];
      break;
    case 'info':
      draft.info = [...draft.info, expectation];
      break;
    case 'no_warn':
      draft.noWarn = true;
      break;
    case 'no_info':
      draft.noInfo = true;
      break;
    default:
      if (draft.isRange) reader.fail('the answer of a range query has no order of its own');
      draft.ordered = true;
  }
  if ((draft.noWarn && draft.warn.length > 0) || (draft.noInfo && draft.info.length > 0)) reader.fail('annotations are both expected and forbidden');
}

/** True if a text is what was expected. Regular expressions are searched, not anchored. */
export function matchesExpectation(expectation: TextExpectation, text: string): boolean {
  if (expectation.match === 'any') return true;
  return expectation.match === 'msg' ? text === expectation.text : new RegExp(expectation.text).test(text);
}

