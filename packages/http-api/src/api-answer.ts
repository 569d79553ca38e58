/**
 * Answers, before they meet a socket: status, caching, and a body in pieces. Small ones are made here from plain data; query results in
 * encode-query-result.ts.
 *
 *   {"status":"success","data":…,"warnings":[…]}      {"status":"error","errorType":"bad_data","error":"…"}
 */
import { type ApiStyle, errorTypeOf, statusOf } from './error-type.ts';
import { jsonText } from './json-text.ts';

/** An answer of the API. The body is read once; ending its iteration early releases what it holds. */
export interface ApiAnswer {
  /** HTTP status. */
  readonly status: number;
  /** True where nothing may be kept: errors, and answers with warnings other than PromQL's own remarks. */
  readonly noStore: boolean;
  readonly body: Iterable<Uint8Array<ArrayBuffer>> | AsyncIterable<Uint8Array<ArrayBuffer>>;
}

/** Text added to answers that `limit` cut. */
export const TRUNCATED_WARNING = 'results truncated due to limit';

/** Characters encoded at a time: larger pieces hold up the thread that writes them. */
const PIECE_CHARS = 1 << 20;

const encoder = new TextEncoder();

/** The text as UTF-8 in pieces, each made when it is asked for. */
function* textPieces(text: string): Generator<Uint8Array<ArrayBuffer>, void> {
  for (let start = 0; start < text.length; ) {
    let end = Math.min(start + PIECE_CHARS, text.length);
    // Both halves of a surrogate pair belong to one character.
    if (end < text.length && (text.charCodeAt(end - 1) & 0xfc00) === 0xd800) end++;
    yield encoder.encode(text.slice(start, end));
    start = end;
  }
}

/** True for what PromQL itself remarks about a query; it says nothing about missing data. */
export function isPromqlRemark(warning: string): boolean {
  return warning.startsWith('PromQL warning: ') || warning.startsWith('PromQL info: ');
}

/** `,"warnings":[…]` or nothing. */
export function warningsText(warnings: readonly string[]): string {
  return warnings.length === 0 ? '' : `,"warnings":${jsonText(warnings)}`;
}

/** `,"infos":[…]` or nothing: Thanos has them among the warnings. */
export function infosText(infos: readonly string[]): string {
  return infos.length === 0 ? '' : `,"infos":${jsonText(infos)}`;
}

/** A successful answer with plain data. */
export function answerData(data: unknown, warnings: readonly string[] = []): ApiAnswer {
  return answerDataText(jsonText(data), warnings);
}

/** A successful answer with data that is JSON text already. */
export function answerDataText(data: string, warnings: readonly string[] = []): ApiAnswer {
  const text = `{"status":"success","data":${data}${warningsText(warnings)}}`;
  return { status: 200, noStore: warnings.some((warning) => !isPromqlRemark(warning)), body: textPieces(text) };
}

/** The answer to a request that failed. */
export function answerError(error: unknown, style: ApiStyle = 'thanos'): ApiAnswer {
  const errorType = errorTypeOf(error, style);
  const message = error instanceof Error ? error.message : String(error);
  return { status: statusOf(errorType, style), noStore: true, body: [encoder.encode(jsonText({ status: 'error', errorType, error: message }))] };
}
