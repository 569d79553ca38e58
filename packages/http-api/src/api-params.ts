/**
 * Request parameters and what they mean. A form in the body comes before the query string, as Go's `FormValue` has it; texts of errors are Thanos'.
 * Source: Thanos pkg/api/query/v1.go, parse functions; Prometheus web/api/v1/api.go.
 */
import { ModelError, parseDuration, parseTimestamp, quoteGo } from '@gauntlet/model';
import { parseMetricSelector, PromqlError } from '@gauntlet/promql';
import { HttpApiError } from './errors.ts';

/** Parameters of one request. */
export class ApiParams {
  readonly #url: URLSearchParams;
  readonly #form: URLSearchParams | undefined;

  /** @param form body of a POST of type `application/x-www-form-urlencoded` */
  constructor(url: URLSearchParams, form?: URLSearchParams) {
    this.#url = url;
    this.#form = form;
  }

  /** First value from the body or the query string; `''` if there is none. */
  get(name: string): string {
    return this.#form?.get(name) ?? this.#url.get(name) ?? '';
  }

  /** All values, those of the body first. */
  all(name: string): string[] {
    return [...(this.#form?.getAll(name) ?? []), ...this.#url.getAll(name)];
  }

  /** The parameters as texts, to make them again in another thread. */
  toTexts(): { readonly url: string; readonly form: string | undefined } {
    return { url: this.#url.toString(), form: this.#form?.toString() };
  }

  /** First value in the query string alone: some endpoints look nowhere else. */
  fromUrl(name: string): string {
    return this.#url.get(name) ?? '';
  }
}

/** Times are kept inside the integers a double holds exactly; nothing is stored outside of them. */
export const TIME_MIN_MS: number = Number.MIN_SAFE_INTEGER;
export const TIME_MAX_MS: number = Number.MAX_SAFE_INTEGER;

/** Points per series that a range query may have at most, less one. */
export const INTERVALS_MAX: number = 11_000;
/** What is said of a range query past it. */
export const INTERVALS_TEXT: string = 'exceeded maximum resolution of 11,000 points per timeseries. Try decreasing the query resolution (?step=XX)';
/** What is said of a step of 0 or less. */
export const STEP_TEXT: string = 'zero or negative query resolution step widths are not accepted. Try a positive integer';

const FLOAT = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$|^[+-]?inf(inity)?$/i;
const TRUE: ReadonlySet<string> = new Set(['1', 't', 'T', 'TRUE', 'true', 'True']);
const FALSE: ReadonlySet<string> = new Set(['0', 'f', 'F', 'FALSE', 'false', 'False']);

/** The error for a parameter that is wrong. */
export function badData(message: string): HttpApiError {
  return new HttpApiError('ERR_BAD_DATA', message);
}

/** Puts words before the message of whatever `parse` throws. */
export function explain<T>(prefix: string, parse: () => T): T {
  try {
    return parse();
  } catch (error) {
    if (error instanceof HttpApiError) throw badData(`${prefix}: ${error.message}`);
    throw error;
  }
}

/** Seconds or RFC 3339, as whole milliseconds. @throws HttpApiError ERR_BAD_DATA */
export function parseTime(text: string): number {
  try {
    return Math.min(Math.max(parseTimestamp(text), TIME_MIN_MS), TIME_MAX_MS);
  } catch (error) {
    if (error instanceof ModelError) throw badData(error.message);
    throw error;
  }
}

/** An optional time parameter. @throws HttpApiError `Invalid time value for 'start': …` */
export function parseTimeParam(params: ApiParams, name: string, defaultMs: number): number {
  const text = params.get(name);
  return text === '' ? defaultMs : explain(`Invalid time value for '${name}'`, () => parseTime(text));
}

/** Seconds or a Prometheus duration, in ms (possibly with a fraction). @throws HttpApiError ERR_BAD_DATA */
export function parseApiDuration(text: string): number {
  if (FLOAT.test(text)) {
    const seconds = /inf/i.test(text) ? Number.POSITIVE_INFINITY : Number(text);
    if (Math.abs(seconds) * 1e9 > 2 ** 63) throw badData(`cannot parse ${quoteGo(text)} to a valid duration. It overflows int64`);
    // Cut to whole nanoseconds.
    return Math.trunc(seconds * 1e9) / 1e6 + 0;
  }
  try {
    return parseDuration(text);
  } catch (error) {
    if (error instanceof ModelError) throw badData(`cannot parse ${quoteGo(text)} to a valid duration`);
    throw error;
  }
}

/** An optional duration parameter in ms. @throws HttpApiError `'step' parameter: …` */
export function parseDurationParam(params: ApiParams, name: string): number | undefined {
  const text = params.get(name);
  return text === '' ? undefined : explain(`'${name}' parameter`, () => parseApiDuration(text));
}

/** `timeout`, ms; undefined if none. Its errors come without the name. */
export function parseTimeout(params: ApiParams): number | undefined {
  const text = params.get('timeout');
  return text === '' ? undefined : parseApiDuration(text);
}

/** An optional boolean. @throws HttpApiError `'dedup' parameter: strconv.ParseBool: …` */
export function parseBoolParam(params: ApiParams, name: string, defaultValue: boolean): boolean {
  const text = params.get(name);
  if (text === '') return defaultValue;
  if (TRUE.has(text)) return true;
  if (FALSE.has(text)) return false;
  throw badData(`'${name}' parameter: strconv.ParseBool: parsing ${quoteGo(text)}: invalid syntax`);
}

/** `limit`; 0 = none. @throws HttpApiError */
export function parseLimit(params: ApiParams): number {
  const text = params.get('limit');
  if (text === '') return 0;
  const limit = Number(text);
  if (!/^[+-]?\d+$/.test(text) || Math.abs(limit) > 2 ** 63) throw badData(`cannot parse ${quoteGo(text)} to a valid limit`);
  if (limit < 0) throw badData('limit must be non-negative');
  return Math.min(limit, Number.MAX_SAFE_INTEGER);
}

/** `limit` as Prometheus reads it; 0 = none. @throws HttpApiError in the words of Go's strconv */
export function parsePrometheusLimit(params: ApiParams): number {
  const text = params.get('limit');
  if (text === '') return 0;
  const limit = Number(text);
  if (!/^[+-]?\d+$/.test(text)) throw badData(`strconv.Atoi: parsing ${quoteGo(text)}: invalid syntax`);
  if (Math.abs(limit) > 2 ** 63) throw badData(`strconv.Atoi: parsing ${quoteGo(text)}: value out of range`);
  if (limit < 0) throw badData('limit must be non-negative');
  return Math.min(limit, Number.MAX_SAFE_INTEGER);
}

/** Checks selectors and returns them as they are: they travel to another thread as text. @throws HttpApiError with the parse error */
export function checkSelectors(texts: readonly string[]): readonly string[] {
  for (const text of texts) {
    try {
      parseMetricSelector(text);
    } catch (error) {
      if (error instanceof PromqlError) throw badData(error.message);
      throw error;
    }
  }
  return texts;
}

/** Which part of all series a sharded query asks for. */
export interface ShardInfo {
  readonly shardIndex: number;
  readonly totalShards: number;
  /** True: the hash is over `labels` only; false: over all others. */
  readonly by: boolean;
  readonly labels: readonly string[];
}

/** `shard_info`, a JSON object. @throws HttpApiError `could not unmarshal parameter shard_info: …` */
export function parseShardInfo(params: ApiParams): ShardInfo | undefined {
  const text = params.get('shard_info');
  if (text === '') return undefined;
  const fail = (why: string): never => {
    throw badData(`could not unmarshal parameter shard_info: ${why}`);
  };
  let data: unknown;
  try {
    data = JSON.parse(text);
  } catch (error) {
    fail(isCutOff(text) ? 'unexpected end of JSON input' : (error as Error).message);
  }
  if (typeof data !== 'object' || data === null || Array.isArray(data)) return fail(`cannot unmarshal ${data === null ? 'null' : typeof data} into an object`);
  const { shard_index: shardIndex = 0, total_shards: totalShards = 0, by = false, labels = [] } = data as Record<string, unknown>;
  if (!Number.isSafeInteger(shardIndex)) fail('shard_index is not an integer');
  if (!Number.isSafeInteger(totalShards)) fail('total_shards is not an integer');
  if (typeof by !== 'boolean') fail('by is not a boolean');
  if (!Array.isArray(labels) || !labels.every((label) => typeof label === 'string')) fail('labels is not a list of strings');
  return { shardIndex: shardIndex as number, totalShards: totalShards as number, by: by as boolean, labels: labels as string[] };
}

/** True if a JSON text is wrong only because it ends too early. */
function isCutOff(text: string): boolean {
  return ['}', '"}', '":0}', '":0}', ']}', '"]}', '0}', ':0}', '"x":0}'].some((end) => {
    try {
      JSON.parse(text + end);
      return true;
    } catch {
      return false;
    }
  });
}

/** The time range of a request for labels or series. @throws HttpApiError with Thanos' doubled prefix */
export function parseMetadataRange(params: ApiParams, nowMs: number, defaultRangeMs: number): { readonly startMs: number; readonly endMs: number } {
  const isAll = defaultRangeMs === 0;
  return explain('bad_data', () => {
    const startMs = parseTimeParam(params, 'start', isAll ? TIME_MIN_MS : nowMs - defaultRangeMs);
    const endMs = parseTimeParam(params, 'end', isAll ? TIME_MAX_MS : nowMs);
    if (endMs < startMs) throw badData('end timestamp must not be before start time');
    return { startMs, endMs };
  });
}

/** `start`, `end` and `step` of a range query, ms. @throws HttpApiError */
export function parseSteps(params: ApiParams, defaultStepMs: number): { readonly startMs: number; readonly endMs: number; readonly stepMs: number } {
  const startMs = parseTime(params.get('start'));
  const endMs = parseTime(params.get('end'));
  if (endMs < startMs) throw badData('end timestamp must not be before start time');
  const rangeSeconds = Math.trunc((endMs - startMs) / 1000);
  const exactMs = parseDurationParam(params, 'step') ?? Math.max(Math.trunc(rangeSeconds / 250), Math.trunc(defaultStepMs / 1000)) * 1000;
  const stepMs = Math.trunc(exactMs);
  // Steps below a millisecond would become zero.
  if (stepMs <= 0) throw badData(STEP_TEXT);
  if (Math.trunc((endMs - startMs) / exactMs) > INTERVALS_MAX) throw badData(INTERVALS_TEXT);
  return { startMs, endMs, stepMs };
}

/** A label name from a path; `U__…` is the escaped form for names other than letters, digits and underscores. */
export function unescapeLabelName(name: string): string {
  if (!name.startsWith('U__')) return name;
  let isValid = true;
  const unescaped = name.slice(3).replace(/__|_([0-9a-fA-F]{1,6})_|_/g, (found, hex?: string) => {
    if (found === '__') return '_';
    const code = hex === undefined ? Number.POSITIVE_INFINITY : Number.parseInt(hex, 16);
    if (code > 0x10ffff || (code >= 0xd800 && code < 0xe000)) {
      isValid = false;
      return '';
    }
    return String.fromCodePoint(code);
  });
  return isValid ? unescaped : name;
}
