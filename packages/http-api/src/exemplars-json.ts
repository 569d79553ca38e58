/** The answer of a Prometheus to `query_exemplars`, read: what a sidecar hands on. Source: Prometheus docs/querying/api.md, "Querying exemplars". */
import { type Labels, labelsFromMap } from '@gauntlet/model';
import type { Exemplar, SeriesExemplars } from '@gauntlet/tsdb';
import { HttpApiError } from './errors.ts';

/** Reads `data` of the answer. @throws HttpApiError ERR_INTERNAL with the path of what is wrong */
export function readExemplars(data: unknown): SeriesExemplars[] {
  return list(data ?? [], 'data').map((series, i) => {
    const { seriesLabels, exemplars } = object(series, `data[${i}]`);
    return { labels: labels(seriesLabels, `data[${i}].seriesLabels`), exemplars: list(exemplars ?? [], `data[${i}].exemplars`).map((one, k) => readExemplar(one, `data[${i}].exemplars[${k}]`)) };
  });
}

function readExemplar(json: unknown, path: string): Exemplar {
  const { labels: own, value, timestamp } = object(json, path);
  const number = typeof value === 'string' ? numberOf(value) : undefined;
  if (number === undefined) throw refuse(`${path}.value`, value, 'a number as text');
  if (typeof timestamp !== 'number') throw refuse(`${path}.timestamp`, timestamp, 'a number of seconds');
  return { labels: labels(own, `${path}.labels`), value: number, timeMs: Math.round(timestamp * 1000) };
}

/** Numbers as Go writes them. */
function numberOf(text: string): number | undefined {
  if (text === 'NaN') return Number.NaN;
  const number = Number(text.replace(/^([+-]?)Inf$/, '$1Infinity'));
  return text.trim() === '' || Number.isNaN(number) ? undefined : number;
}

function labels(json: unknown, path: string): Labels {
  const entries = Object.entries(object(json ?? {}, path));
  for (const [name, value] of entries) if (typeof value !== 'string') throw refuse(`${path}.${name}`, value, 'text');
  return labelsFromMap(new Map(entries as [string, string][]));
}

function object(json: unknown, path: string): Readonly<Record<string, unknown>> {
  if (typeof json !== 'object' || json === null || Array.isArray(json)) throw refuse(path, json, 'an object');
  return json as Record<string, unknown>;
}

function list(json: unknown, path: string): readonly unknown[] {
  if (!Array.isArray(json)) throw refuse(path, json, 'a list');
  return json;
}

function refuse(path: string, got: unknown, wanted: string): HttpApiError {
  return new HttpApiError('ERR_INTERNAL', `${path} is ${(JSON.stringify(got) ?? 'not there').slice(0, 80)}, want ${wanted}`);
}
