/**
 * `/api/v1/query_exemplars`: exemplars of the series that the selectors of a query select. Those of replicas become one: labels off, equal exemplars once.
 * Source: Thanos pkg/api/query/v1.go, NewExemplarsHandler; pkg/exemplars/exemplars.go.
 */
import { formatFloat, formatTimestamp } from '@gauntlet/kernels';
import { compareLabels, type Labels, labelsToObject, type Matcher, withoutLabels } from '@gauntlet/model';
import { parseExpr, type ParserOptions, PromqlError, walkExpr } from '@gauntlet/promql';
import type { Exemplar, SeriesExemplars } from '@gauntlet/tsdb';
import { type ApiAnswer, answerDataText } from './api-answer.ts';
import { type ApiParams, parseTimeParam, TIME_MAX_MS, TIME_MIN_MS } from './api-params.ts';
import { HttpApiError } from './errors.ts';
import { jsonText } from './json-text.ts';

/** What a request asks for. */
export interface ExemplarsCall {
  /** One list of matchers per selector of the query. */
  readonly selectors: readonly (readonly Matcher[])[];
  /** ms since 1970, both inclusive. */
  readonly startMs: number;
  readonly endMs: number;
}

/** Reads `query`, `start`, `end`. @throws HttpApiError ERR_BAD_DATA; ERR_INTERNAL for the query, which Thanos parses behind the API */
export function parseExemplarsCall(params: ApiParams, options: ParserOptions): ExemplarsCall {
  const startMs = parseTimeParam(params, 'start', TIME_MIN_MS);
  const endMs = parseTimeParam(params, 'end', TIME_MAX_MS);
  try {
    const selectors = selectorsOfQuery(params.get('query'), options);
    if (selectors.length === 0) throw new HttpApiError('ERR_INTERNAL', 'retrieving exemplars: proxy Exemplars: rpc error: code = InvalidArgument desc = no matchers specified (excluding external labels)');
    return { selectors, startMs, endMs };
  } catch (error) {
    if (error instanceof PromqlError) throw new HttpApiError('ERR_INTERNAL', `retrieving exemplars: proxy Exemplars: ${error.message}`);
    throw error;
  }
}

/** Matchers of all selectors of a query, in its order. @throws PromqlError */
export function selectorsOfQuery(query: string, options: ParserOptions = {}): readonly (readonly Matcher[])[] {
  const selectors: (readonly Matcher[])[] = [];
  walkExpr(parseExpr(query, options), (expr) => {
    if (expr.type === 'vectorSelector') selectors.push(expr.matchers);
  });
  return selectors;
}

/** Answers with series in label order, exemplars by time. @param replicaLabels taken off the series */
export function answerExemplars(series: readonly SeriesExemplars[], replicaLabels: readonly string[], warnings: readonly string[] = []): ApiAnswer {
  const united = uniteReplicas(series, replicaLabels);
  const one = ({ labels, exemplars }: SeriesExemplars): string => `{"seriesLabels":${jsonText(labelsToObject(labels))},"exemplars":[${exemplars.map(exemplarText).join(',')}]}`;
  return answerDataText(`[${united.map(one).join(',')}]`, warnings);
}

function exemplarText({ labels, timeMs, value }: Exemplar): string {
  return `{"labels":${jsonText(labelsToObject(labels))},"timestamp":${formatTimestamp(timeMs)},"value":"${formatFloat(value)}"}`;
}

function uniteReplicas(series: readonly SeriesExemplars[], replicaLabels: readonly string[]): SeriesExemplars[] {
  const dropped = new Set(replicaLabels);
  const byLabels = new Map<string, { readonly labels: Labels; readonly exemplars: Exemplar[] }>();
  for (const { labels: own, exemplars } of series) {
    if (exemplars.length === 0) continue;
    const labels = withoutLabels(own, dropped);
    const key = JSON.stringify(labels);
    const known = byLabels.get(key);
    if (known === undefined) byLabels.set(key, { labels, exemplars: [...exemplars] });
    else known.exemplars.push(...exemplars);
  }
  return [...byLabels.values()].sort((a, b) => compareLabels(a.labels, b.labels)).map(({ labels, exemplars }) => ({ labels, exemplars: eachOnce(exemplars.sort(compareExemplars)) }));
}

/** By time, labels, value. */
function compareExemplars(a: Exemplar, b: Exemplar): number {
  return a.timeMs - b.timeMs || compareLabels(a.labels, b.labels) || (Object.is(a.value, b.value) ? 0 : a.value < b.value ? -1 : 1);
}

function eachOnce(sorted: readonly Exemplar[]): Exemplar[] {
  return sorted.filter((exemplar, i) => i === 0 || compareExemplars(sorted[i - 1]!, exemplar) !== 0);
}
