/**
 * The result of a query as JSON, from columns, in pieces.
 *
 *   vector   [{"metric":{…},"value":[ts,"v"]}]        scalar, string   [ts,"v"]
 *   matrix   [{"metric":{…},"values":[[ts,"v"],…],"histograms":[[ts,{…}],…]}]      what a series has none of is left out
 *
 * Source: Prometheus web/api/v1/json_codec.go; Thanos pkg/api/query/v1.go, queryData.
 */
import { formatFloat, formatTimestamp } from '@gauntlet/kernels';
import type { Labels } from '@gauntlet/model';
import type { QueryResult, StepRows } from '@gauntlet/promql';
import { histogramPoint } from './histogram-json.ts';
import { infosText, warningsText } from './api-answer.ts';
import { JsonBuffer, type PointKernels } from './json-buffer.ts';
import { jsonText, labelsText } from './json-text.ts';
import type { QueryAnalysisJson, QueryStatsJson } from './types.ts';

/** The columns that are written. */
export type ResultColumns = Pick<QueryResult, 'type' | 'labels' | 'offsets' | 'timestampsMs' | 'values' | 'string'> & Partial<Pick<QueryResult, 'histograms' | 'steps'>>;

export interface EncodeOptions {
  readonly kernels: PointKernels;
  /** Time of an instant query, ms: that of a string result. */
  readonly timeMs: number;
  readonly warnings: readonly string[];
  /** Apart from the warnings, as Prometheus has them; default none. */
  readonly infos?: readonly string[];
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
    if (result.type === 'matrix' && result.steps !== undefined) yield* encodeSteps(buffer, result.labels, result.steps, options);
    else if (result.type === 'matrix') yield* encodeMatrix(buffer, result, options);
    else if (result.type === 'vector') yield* encodeVector(buffer, result, options);
    else if (result.type === 'string') buffer.text(`[${formatTimestamp(options.timeMs)},${jsonText(result.string ?? '')}]`);
    else buffer.text(point(result, 0));
    if (options.stats !== undefined) buffer.text(`,"stats":${jsonText(options.stats)}`);
    if (options.analysis !== undefined) buffer.text(`,"analysis":${jsonText(options.analysis)}`);
    buffer.text(`}${warningsText(options.warnings)}${infosText(options.infos ?? [])}}`);
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
    const at = result.offsets[i]!;
    const histogram = result.histograms?.[at];
    const sample = histogram === undefined ? `"value":${point(result, at)}` : `"histogram":${histogramPoint(result.timestampsMs[at]!, histogram)}`;
    buffer.text(`${i === 0 ? '' : ','}{"metric":${labelsText(result.labels[i]!)},${sample}}`);
    yield* buffer.takeFull();
  }
  buffer.text(']');
}

/** Polls once in POLL_POINTS points of all series together. */
class Pace {
  readonly #options: EncodeOptions;
  #sincePoll = 0;

  constructor(options: EncodeOptions) {
    this.#options = options;
  }

  /** Points of one series; a series costs about as much as twenty. */
  wrote(points: number): void {
    this.#sincePoll += points + 20;
    if (this.#sincePoll < POLL_POINTS) return;
    this.#sincePoll = 0;
    this.#options.poll?.();
  }
}

function* encodeMatrix(buffer: JsonBuffer, result: ResultColumns, options: EncodeOptions): Generator<Uint8Array<ArrayBuffer>, void, undefined> {
  buffer.text('[');
  const pace = new Pace(options);
  for (let i = 0; i < result.labels.length; i++) {
    const end = result.offsets[i + 1]!;
    if (hasHistograms(result, i)) {
      yield* encodeMixedSeries(buffer, result, i, options);
      continue;
    }
    buffer.text(`${i === 0 ? '' : ','}{"metric":${labelsText(result.labels[i]!)},"values":[`);
    for (let from = result.offsets[i]!; from < end; from += POLL_POINTS) {
      const to = Math.min(from + POLL_POINTS, end);
      if (from > result.offsets[i]!) buffer.text(',');
      buffer.points(options.kernels, result.timestampsMs, result.values, from, to);
      pace.wrote(to - from);
      yield* buffer.takeFull();
    }
    buffer.text(']}');
  }
  buffer.text(']');
}

/** A matrix from its rows of steps: timestamps are formatted once for all series. */
function* encodeSteps(buffer: JsonBuffer, labels: readonly Labels[], rows: StepRows, options: EncodeOptions): Generator<Uint8Array<ArrayBuffer>, void, undefined> {
  buffer.text('[');
  const pace = new Pace(options);
  for (let i = 0; i < labels.length; i++) {
    buffer.text(`${i === 0 ? '' : ','}{"metric":${labelsText(labels[i]!)},"values":[`);
    let isFirst = true;
    for (let from = 0; from < rows.steps; from += POLL_POINTS) {
      const to = Math.min(from + POLL_POINTS, rows.steps);
      if (buffer.steps(options.kernels, rows, rows.rows[i]!, from, to, isFirst)) isFirst = false;
      pace.wrote(to - from);
      yield* buffer.takeFull();
    }
    buffer.text(']}');
  }
  buffer.text(']');
}

function hasHistograms({ histograms, offsets }: ResultColumns, i: number): boolean {
  if (histograms === undefined) return false;
  for (let at = offsets[i]!; at < offsets[i + 1]!; at++) if (histograms[at] !== undefined) return true;
  return false;
}

/** A series with native histograms: its floats, if any, then its histograms. */
function* encodeMixedSeries(buffer: JsonBuffer, result: ResultColumns, i: number, options: EncodeOptions): Generator<Uint8Array<ArrayBuffer>, void, undefined> {
  buffer.text(`${i === 0 ? '' : ','}{"metric":${labelsText(result.labels[i]!)}`);
  for (const kind of ['values', 'histograms'] as const) {
    let written = 0;
    for (let at = result.offsets[i]!; at < result.offsets[i + 1]!; at++) {
      const histogram = result.histograms![at];
      if ((histogram === undefined) !== (kind === 'values')) continue;
      buffer.text(written === 0 ? `,"${kind}":[` : ',');
      buffer.text(histogram === undefined ? point(result, at) : histogramPoint(result.timestampsMs[at]!, histogram));
      written++;
      // A histogram is worth some twenty floats.
      if (written % (POLL_POINTS / 32) === 0) options.poll?.();
      yield* buffer.takeFull();
    }
    if (written > 0) buffer.text(']');
  }
  buffer.text('}');
}
