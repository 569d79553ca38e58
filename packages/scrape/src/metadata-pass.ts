/**
 * Metadata of series in one pass: what the target says of a family goes to each of its series when the series is new, and when it changes.
 *
 *   # TYPE latency histogram     latency_bucket, latency_sum, latency_count belong to it; whatever else follows does not
 *
 * Source: Prometheus scrape/scrape.go, isSeriesPartOfFamily.
 */
import { getLabel, METRIC_NAME } from '@gauntlet/model';
import { METRIC_TYPES, type MetricType } from '@gauntlet/tsdb';
import type { ScrapeAppender } from './appender.ts';
import type { CachedSeries, FamilyMetadata, SeriesCache } from './series-cache.ts';

/** Suffixes of series names by type of the family. */
const SUFFIXES: Readonly<Record<string, readonly string[]>> = {
  counter: ['_total'],
  histogram: ['_bucket', '_sum', '_count'],
  gaugehistogram: ['_bucket', '_gsum', '_gcount'],
  summary: ['_sum', '_count'],
  info: ['_info'],
};

/** See the head of this file. */
export class MetadataPass {
  readonly #cache: SeriesCache;
  readonly #appender: ScrapeAppender;
  #family = '';
  #metadata: FamilyMetadata | undefined;

  constructor(cache: SeriesCache, appender: ScrapeAppender) {
    this.#cache = cache;
    this.#appender = appender;
  }

  /** A line about a family has come by: those that follow are its series. */
  enter(family: string): void {
    this.#family = family;
    this.#metadata = this.#cache.metadata.get(family);
  }

  /** A sample of a series has been taken. @param isNew whether it is the first */
  set(series: CachedSeries, isNew: boolean): void {
    const metadata = this.#metadata;
    if (metadata === undefined || series.labels === undefined || !(isNew || metadata.changedPass === this.#cache.pass)) return;
    if (!isPartOfFamily(getLabel(series.labels, METRIC_NAME), this.#family, metadata.type)) {
      this.#metadata = undefined;
      return;
    }
    this.#appender.setMetadata(series.ref, series.labels, { type: metricType(metadata.type), unit: metadata.unit, help: metadata.help });
  }
}

/** Whether a series of this name belongs to the family. */
export function isPartOfFamily(name: string, family: string, type: string): boolean {
  if (!name.startsWith(family)) return false;
  const suffixes = SUFFIXES[type] ?? [];
  // Families of counters and infos may be named with their suffix.
  const base = suffixes.length === 1 ? withoutSuffix(family, suffixes) : family;
  return withoutSuffix(name, suffixes) === base;
}

function withoutSuffix(name: string, suffixes: readonly string[]): string {
  const found = suffixes.find((suffix) => name.endsWith(suffix));
  return found === undefined ? name : name.slice(0, -found.length);
}

/** `untyped` is what the text format calls unknown. */
function metricType(type: string): MetricType {
  return METRIC_TYPES.find((known) => known === type) ?? 'unknown';
}
