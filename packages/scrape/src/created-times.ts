/**
 * Start timestamps of OpenMetrics 1.0: series beside the others of a metric, whose value is a time in seconds.
 *
 *   # TYPE latency histogram
 *   latency_bucket{route="/",le="0.5"} 3
 *   latency_count{route="/"} 4
 *   latency_created{route="/"} 1763712000.5     since when all of route="/" counts
 *
 * They come after the series they speak of, so that a family is read ahead once.
 * Source: OpenMetrics 1.0, "_created"; Prometheus model/textparse/openmetricsparse.go, StartTimestamp.
 */
import { METRIC_NAME } from '@gauntlet/model';
import type { ExpositionReader } from './exposition.ts';

/** Types of metrics that count since some time. */
export const CREATED_TYPES: ReadonlySet<string> = new Set(['counter', 'histogram', 'summary']);

const SUFFIX = '_created';

/** Whether a name that ends before `end` ends in `_created`, quoted or not. */
export function endsWithCreated(bytes: Uint8Array, end: number): boolean {
  for (let i = 0; i < SUFFIX.length; i++) if (bytes[end - SUFFIX.length + i] !== SUFFIX.charCodeAt(i)) return false;
  return true;
}

/** Start timestamps of one family. */
export interface CreatedTimes {
  /** ms since 1970 for a series text, 0 if nothing is said of it. */
  get(seriesText: string): number;
}

/**
 * Reads ahead to the end of the family.
 * @param reader of its own, at the first series; what it finds wrong is left to the one that reads for good
 */
export function readCreatedTimes(reader: ExpositionReader, type: string): CreatedTimes {
  const metricOf = new Map<string, string>();
  const startMs = new Map<string, number>();
  try {
    while (reader.next() === 'series') {
      const pairs = reader.labels();
      const name = pairs[0]![1];
      const text = new TextDecoder().decode(reader.seriesBytes.subarray(reader.seriesStart, reader.seriesEnd));
      const family = name.replace(/_(?:created|total|bucket|count|sum)$/, '');
      const key = JSON.stringify([family, ...labelsOfMetric(pairs, type)]);
      if (name.endsWith(SUFFIX)) startMs.set(key, Math.trunc(reader.value * 1000));
      else metricOf.set(text, key);
    }
  } catch {
    // A start timestamp after the damage is not known; the scrape fails when the damage is reached.
  }
  return {
    get(text) {
      const found = startMs.get(metricOf.get(text) ?? '') ?? 0;
      return Number.isSafeInteger(found) ? found : 0;
    },
  };
}

/** Labels that all series of one metric share, sorted. */
function labelsOfMetric(pairs: readonly (readonly [string, string])[], type: string): string[] {
  const own = type === 'histogram' ? 'le' : type === 'summary' ? 'quantile' : '';
  return pairs
    .filter(([name]) => name !== METRIC_NAME && name !== own)
    .map((pair) => JSON.stringify(pair))
    .sort();
}
