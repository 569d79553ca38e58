/**
 * Answers of queries as `promtool query` prints them: lines, or the JSON of the result.
 *
 *   up{job="a"} => 1 @[1700000000]        {job="a"} =>               scalar: 1 @[1700000000]
 *                                         1 @[1700000000]
 *                                         2 @[1700000015]
 *
 * An answer comes in pieces, each some series of it, so that a large one is never whole in memory. Source: Prometheus cmd/promtool/query.go,
 * common model.
 */
import { compareUtf8 } from '@gauntlet/bytes';
import type { HistogramJson, LabelsJson, MatrixSeriesJson, PointJson, QueryDataJson, VectorSampleJson } from '@gauntlet/http-api';
import { formatGoFloat, METRIC_NAME, quoteGo } from '@gauntlet/model';
import { type Explanation, formatExplanation } from '@gauntlet/promql';

/** Formats of an answer. */
export const ANSWER_FORMATS = ['promql', 'json'] as const;
/** One of {@link ANSWER_FORMATS}. */
export type AnswerFormat = (typeof ANSWER_FORMATS)[number];

type HistogramPointJson = readonly [seconds: number, histogram: HistogramJson];

/** Prints a plan: as a tree, or as JSON. */
export function printExplanation(explanation: Explanation, format: AnswerFormat | 'text', print: (text: string) => void): void {
  print(format === 'json' ? `${JSON.stringify(explanation, undefined, 2)}\n` : formatExplanation(explanation));
}

/** Prints an answer, all of whose pieces are of one type. */
export function printAnswer(pieces: Iterable<QueryDataJson>, format: AnswerFormat, print: (text: string) => void): void {
  const isJson = format === 'json';
  let printed = 0;
  const row = (text: string): void => print(printed++ === 0 ? text : `${isJson ? ',' : '\n'}${text}`);
  let isList = false;
  for (const piece of pieces) {
    if (isJson && !isList && (piece.resultType === 'vector' || piece.resultType === 'matrix')) print('[');
    switch (piece.resultType) {
      case 'vector':
        isList = true;
        for (const sample of piece.result) row(isJson ? sampleJson(sample) : sampleLine(sample));
        break;
      case 'matrix':
        isList = true;
        for (const series of piece.result) row(isJson ? seriesJson(series) : seriesLines(series));
        break;
      case 'scalar':
        row(isJson ? pointJson(piece.result) : `scalar: ${pointText(piece.result)}`);
        break;
      case 'string':
        row(isJson ? `[${piece.result[0]},${goJson(piece.result[1])}]` : piece.result[1]);
        break;
    }
  }
  print(isJson && isList ? ']\n' : '\n');
}

/** A metric as Go's client prints it: `name{a="b", c="d"}`. */
export function metricText(metric: LabelsJson): string {
  const name = metric[METRIC_NAME] ?? '';
  const labels = Object.keys(metric).filter((key) => key !== METRIC_NAME).map((key) => `${key}=${quoteGo(metric[key]!)}`).sort(compareUtf8);
  return labels.length === 0 && name !== '' ? name : `${name}{${labels.join(', ')}}`;
}

function sampleLine({ metric, value, histogram }: VectorSampleJson): string {
  const point = histogram !== undefined ? histogramText(histogram) : value !== undefined ? pointText(value) : '';
  return `${metricText(metric)} => ${point}`;
}

function seriesLines({ metric, values, histograms }: MatrixSeriesJson): string {
  return `${metricText(metric)} =>\n${[...(values ?? []).map(pointText), ...(histograms ?? []).map(histogramText)].join('\n')}`;
}

function pointText([seconds, value]: PointJson): string {
  return `${decimalText(value)} @[${seconds}]`;
}

function histogramText([seconds, { count, sum, buckets }]: HistogramPointJson): string {
  const texts = (buckets ?? []).map(([rule, lower, upper, inBucket]) => {
    const open = rule === 1 || rule === 3 ? '[' : '(';
    const close = rule === 0 || rule === 3 ? ']' : ')';
    return `${open}${formatGoFloat(numberOf(lower))},${formatGoFloat(numberOf(upper))}${close}:${decimalText(inBucket)}`;
  });
  return `Count: ${fixedText(count)}, Sum: ${fixedText(sum)}, Buckets: [${texts.join(' ')}] @[${seconds}]`;
}

function sampleJson({ metric, value, histogram }: VectorSampleJson): string {
  const point = histogram !== undefined ? `"histogram":${histogramJson(histogram)}` : `"value":${value === undefined ? 'null' : pointJson(value)}`;
  return `{"metric":${metricJson(metric)},${point}}`;
}

function seriesJson({ metric, values, histograms }: MatrixSeriesJson): string {
  const parts: string[] = [];
  if (values !== undefined) parts.push(`"values":[${values.map(pointJson).join(',')}]`);
  if (histograms !== undefined) parts.push(`"histograms":[${histograms.map(histogramJson).join(',')}]`);
  return `{"metric":${metricJson(metric)}${parts.map((part) => `,${part}`).join('')}}`;
}

function metricJson(metric: LabelsJson): string {
  return `{${Object.keys(metric).sort(compareUtf8).map((key) => `${goJson(key)}:${goJson(metric[key]!)}`).join(',')}}`;
}

function pointJson([seconds, value]: PointJson): string {
  return `[${seconds},"${decimalText(value)}"]`;
}

function histogramJson([seconds, { count, sum, buckets }]: HistogramPointJson): string {
  const texts = (buckets ?? []).map(([rule, lower, upper, inBucket]) => `[${rule},"${decimalText(lower)}","${decimalText(upper)}","${decimalText(inBucket)}"]`);
  return `[${seconds},{"count":"${decimalText(count)}","sum":"${decimalText(sum)}","buckets":[${texts.join(',')}]}]`;
}

/** A JSON string with the escapes of Go. */
function goJson(text: string): string {
  return JSON.stringify(text).replaceAll('<', '\\u003c').replaceAll('>', '\\u003e').replaceAll('&', '\\u0026').replaceAll('\u2028', '\\u2028').replaceAll('\u2029', '\\u2029');
}

function numberOf(text: string): number {
  return Number(text.replace('Inf', 'Infinity'));
}

/** `%f` of Go: six digits behind the point. */
function fixedText(text: string): string {
  const value = numberOf(text);
  return Number.isFinite(value) && Math.abs(value) < 1e21 ? value.toFixed(6) : decimalText(text);
}

/** A number of an answer written without exponent, with the fewest digits that read back as the same. */
export function decimalText(text: string): string {
  const value = numberOf(text);
  if (!Number.isFinite(value)) return Number.isNaN(value) ? 'NaN' : value > 0 ? '+Inf' : '-Inf';
  if (value === 0) return Object.is(value, -0) ? '-0' : '0';
  const found = /^(-?)(\d)(?:\.(\d+))?e([+-]\d+)$/.exec(String(value));
  if (found === null) return String(value);
  const digits = found[2]! + (found[3] ?? '');
  const exponent = Number(found[4]);
  return `${found[1]}${exponent < 0 ? `0.${'0'.repeat(-exponent - 1)}${digits}` : digits.padEnd(exponent + 1, '0')}`;
}
