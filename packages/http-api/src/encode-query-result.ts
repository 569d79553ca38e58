/**
 * The result of a query as JSON, from columns, in pieces.
 *
 *   vector   [{"metric":{…},"value":[ts,"v"]}]        scalar, string   [ts,"v"]
 *   matrix   [{"metric":{…},"values":[[ts,"v"],…]}]
 *
 * Source: Prometheus web/api/v1/json_codec.go; Thanos pkg/api/query/v1.go, queryData.
 */
import { formatFloat, formatTimestamp } from '@gauntlet/kernels';
import type { QueryResult } from '@gauntlet/promql';
import { warningsText } from './api-answer.ts';
import { JsonBuffer, type PointKernels } from './json-buffer.ts';
import { jsonText, labelsText } from './json-text.ts';
import type { QueryAnalysisJson, QueryStatsJson } from './types.ts';

/** The columns that are written. */
export type ResultColumns = Pick<QueryResult, 'type' | 'labels' | 'offsets' | 'timestampsMs' | 'values' | 'string'>;

export interface EncodeOptions {
  readonly kernels: PointKernels;
  /** Time of an instant query, ms: that of a string result. */
  readonly timeMs: number;
  readonly warnings: readonly string[];
  readonly stats?: QueryStatsJson | undefined;
  /** Thanos always sends one; `{}` if not asked for. Undefined leaves it out, as Prometheus does. */
  readonly analysis?: QueryAnalysisJson | undefined;
  /** Size of a piece, bytes; default PIECE_BYTES. */
  readonly pieceBytes?: number;
  /** Called at least every 10,000 points and 1,000 series; may throw to end the answer. */
  readonly poll?: () => void;
}

/** Points between two polls. */
const POLL_POINTS = 8192;
const POLL_SERIES = 512;

/**
 * Yields the whole envelope of a successful query. Pieces belong to the consumer. Ending early gives the kernel memory back.
 */
export function* encodeQueryResult(result: ResultColumns, options: EncodeOptions): Generator<Uint8Array<ArrayBuffer>, void, undefined> {
  const buffer = new JsonBuffer(options.pieceBytes);
  try {
    buffer.text(`{"status":"success","data":{"resultType":"${result.type}","result":`);
    if (result.type === 'matrix') yield* encodeMatrix(buffer, result, options);
    else if (result.type === 'vector') yield* encodeVector(buffer, result, options);
    else if (result.type === 'string') buffer.text(`[${formatTimestamp(options.timeMs)},${jsonText(result.string ?? '')}]`);
    else buffer.text(point(result, 0));
    if (options.stats !== undefined) buffer.text(`,"stats":${jsonText(options.stats)}`);
    if (options.analysis !== undefined) buffer.text(`,"analysis":${jsonText(options.analysis)}`);
    buffer.text(`}${warningsText(options.warnings)}}`);
    yield* buffer.finish();
  } finally {
    buffer.dispose();
  }
}

function point(result: ResultColumns, at: number): string {
  return `[${formatTimestamp(result.timestampsMs[at]!)},"${formatFloat(result.values[at]!)}"]`;
}

function* encodeVector(buffer: JsonBuffer, result: ResultColumns, options: EncodeOptions): Generator<Uint8Array<ArrayBuffer>, void, undefined> {
  buffer.text('[');
  for (let i = 0; i < result.labels.length; i++) {
    if (i % POLL_SERIES === 0) options.poll?.();
    buffer.text(`${i === 0 ? '' : ','}{"metric":${labelsText(result.labels[i]!)},"value":${point(result, result.offsets[i]!)}}`);
    yield* buffer.takeFull();
  }
  buffer.text(']');
}

function* encodeMatrix(buffer: JsonBuffer, result: ResultColumns, options: EncodeOptions): Generator<Uint8Array<ArrayBuffer>, void, undefined> {
  buffer.text('[');
  let sincePoll = 0;
  for (let i = 0; i < result.labels.length; i++) {
    buffer.text(`${i === 0 ? '' : ','}{"metric":${labelsText(result.labels[i]!)},"values":[`);
    const end = result.offsets[i + 1]!;
    for (let from = result.offsets[i]!; from < end; from += POLL_POINTS) {
      const to = Math.min(from + POLL_POINTS, end);
      if (from > result.offsets[i]!) buffer.text(',');
      buffer.points(options.kernels, result.timestampsMs, result.values, from, to);
      // A series costs about as much as twenty points.
      sincePoll += to - from + 20;
      if (sincePoll >= POLL_POINTS) {
        sincePoll = 0;
        options.poll?.();
      }
      yield* buffer.takeFull();
    }
    buffer.text(']}');
  }
  buffer.text(']');
}
