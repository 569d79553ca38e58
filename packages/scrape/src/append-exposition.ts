/**
 * One pass: an exposition into one batch, and stale markers for the series that were there last time and are not now.
 *
 *   entry → cached by its text? no → labels, target labels, relabelling → append
 *   refused samples (out of order, duplicate, out of bounds) are counted; a parse error or an exceeded limit fails the whole pass
 *
 * Source: Prometheus scrape/scrape.go, scrapeLoopAppender.append.
 */
import { type FloatHistogram, type IntegerHistogram, labelsFromPairs, ModelError } from '@gauntlet/model';
import { isTsdbError, REFUSED } from '@gauntlet/tsdb';
import type { ScrapeAppender } from './appender.ts';
import { ScrapeError } from './errors.ts';
import type { ExposedExemplar, ExpositionFormat } from './exposition.ts';
import { MetadataPass } from './metadata-pass.ts';
import { limitHistogram, schemaOfBucketFactor } from './native-histogram.ts';
import { openExposition } from './open-exposition.ts';
import { sampleLabels } from './sample-labels.ts';
import type { CachedSeries, SeriesCache } from './series-cache.ts';
import type { Target } from './target.ts';

/** How far past the scrape's time an exposed timestamp may lie. */
const FUTURE_MAX_MS = 600_000;

/** What a pass did. */
export interface PassCounts {
  /** Samples in the exposition. */
  scraped: number;
  /** Samples that relabelling left, refused ones included. */
  added: number;
  /** Series not seen in the pass before. */
  seriesAdded: number;
  outOfOrder: number;
  duplicates: number;
  outOfBounds: number;
  /** Samples of series that the database has no room for. */
  beyondSeriesLimit: number;
  /** Exemplars with too many characters, or labels that are none. */
  exemplarsRefused: number;
}

/** What is taken beside samples. */
export interface ScrapeFeatures {
  readonly exemplars: boolean;
  /** Type, unit and help of families, for each of their series. */
  readonly metadata: boolean;
  /** Since when samples count; `_created` series of OpenMetrics are no series then. */
  readonly startTimestamps: boolean;
}

/** Samples alone. */
export const ONLY_SAMPLES: ScrapeFeatures = { exemplars: false, metadata: false, startTimestamps: false };

/** Counts of a pass that has done nothing yet. */
export function noCounts(): PassCounts {
  return { scraped: 0, added: 0, seriesAdded: 0, outOfOrder: 0, duplicates: 0, outOfBounds: 0, beyondSeriesLimit: 0, exemplarsRefused: 0 };
}

/**
 * Appends an exposition. The caller commits or rolls back; after a throw the pass is abandoned.
 * @param timeMs time of the scrape: of all samples without a timestamp of their own
 * @param counts filled in, also up to where a throw happened
 * @throws ScrapeError ERR_SCRAPE_PARSE, ERR_SCRAPE_SERIES, ERR_SCRAPE_LABEL_LIMIT, ERR_SCRAPE_SAMPLE_LIMIT, ERR_SCRAPE_BUCKET_LIMIT; ModelError
 *   ERR_HISTOGRAM; what the appender throws
 */
export function appendExposition(
  body: Uint8Array,
  format: ExpositionFormat,
  timeMs: number,
  target: Target,
  cache: SeriesCache,
  appender: ScrapeAppender,
  counts: PassCounts,
  features: ScrapeFeatures = ONLY_SAMPLES,
): void {
  try {
    appendEntries(body, format, timeMs, target, cache, appender, counts, features);
    appendStaleMarkers(cache, appender, timeMs);
  } catch (error) {
    cache.abandonPass();
    throw error;
  }
  cache.finishPass(true);
}

/** A pass without an exposition: everything that was there gets a stale marker. */
export function appendNothing(timeMs: number, cache: SeriesCache, appender: ScrapeAppender): void {
  appendStaleMarkers(cache, appender, timeMs);
  cache.finishPass(false);
}

/** Appends one stale marker, unless the series has a sample at that time or later already, as when its target came back. */
export function appendStaleMarker(series: { ref: number; readonly labels: CachedSeries['labels'] }, appender: ScrapeAppender, timeMs: number): void {
  const ref = appender.tryAppendStale(series.ref, series.labels ?? [], timeMs);
  if (ref > 0) series.ref = ref;
}

function appendStaleMarkers(cache: SeriesCache, appender: ScrapeAppender, timeMs: number): void {
  for (const series of cache.stale()) appendStaleMarker(series, appender, timeMs);
}

function appendEntries(body: Uint8Array, format: ExpositionFormat, timeMs: number, target: Target, cache: SeriesCache, appender: ScrapeAppender, counts: PassCounts, features: ScrapeFeatures): void {
  const { config } = target;
  const reader = openExposition(body, format, { ignoreNative: !config.scrapeNativeHistograms, alwaysClassic: config.alwaysScrapeClassicHistograms, createdAsStart: features.startTimestamps });
  const latestMs = timeMs + FUTURE_MAX_MS;
  const schemaMax = schemaOfBucketFactor(config.nativeHistogramMinBucketFactor);
  const metadata = features.metadata ? new MetadataPass(cache, appender) : undefined;
  let taken = 0;
  let bucketLimitPassed = false;
  let before: CachedSeries | undefined;
  for (;;) {
    const expected: CachedSeries | undefined = before === undefined ? cache.first : before.next;
    reader.expected = expected?.text;
    const kind = reader.next();
    if (kind === 'end') break;
    if (kind !== 'series' && kind !== 'histogram') {
      cache.describe(reader.family, kind, reader.text);
      metadata?.enter(reader.family);
      continue;
    }
    counts.scraped++;
    let series = reader.isExpected ? expected : cache.get(reader.seriesBytes, reader.seriesStart, reader.seriesEnd);
    const isRepeated = series !== undefined && series.seenPass === cache.pass;
    if (series === undefined) series = cache.add(reader.seriesBytes, reader.seriesStart, reader.seriesEnd, sampleLabels(reader.labels(), target), 0);
    series.seenPass = cache.pass;
    if (before === undefined) cache.first = series;
    else before.next = series;
    before = series;
    if (series.labels === undefined) continue;
    const hasTimestamp = reader.hasTimestamp && config.honorTimestamps;
    const sampleMs = hasTimestamp ? reader.timestampMs : timeMs;
    counts.added++;
    if (isRepeated && !hasTimestamp) {
      counts.duplicates++;
      continue;
    }
    let histogram: FloatHistogram | IntegerHistogram | undefined;
    if (kind === 'histogram') {
      histogram = limitHistogram(reader.histogram(), schemaMax, config.nativeHistogramBucketLimit);
      if (histogram === undefined) {
        bucketLimitPassed = true;
        continue;
      }
    }
    if (config.sampleLimit > 0 && ++taken > config.sampleLimit) continue;
    if (sampleMs > latestMs) {
      counts.outOfBounds++;
      continue;
    }
    const isNew = series.ref === 0;
    const startMs = features.startTimestamps ? reader.startMs() : 0;
    const ref = histogram === undefined ? appender.tryAppend(series.ref, series.labels, sampleMs, reader.value, startMs) : appender.tryAppendHistogram(series.ref, series.labels, sampleMs, histogram, startMs);
    if (ref < 0) {
      countRefusal(ref, counts);
      continue;
    }
    series.ref = ref;
    if (isNew) counts.seriesAdded++;
    if (!hasTimestamp || config.trackTimestampsStaleness) cache.track(series);
    if (features.exemplars) appendExemplars(reader.exemplars(), series, sampleMs, appender, counts);
    metadata?.set(series, isNew);
  }
  if (config.sampleLimit > 0 && taken > config.sampleLimit) throw new ScrapeError('ERR_SCRAPE_SAMPLE_LIMIT', 'sample limit exceeded');
  if (bucketLimitPassed) throw new ScrapeError('ERR_SCRAPE_BUCKET_LIMIT', 'histogram bucket limit exceeded');
}

function countRefusal(reason: number, counts: PassCounts): void {
  if (reason === REFUSED.outOfOrder) counts.outOfOrder++;
  else if (reason === REFUSED.duplicate) counts.duplicates++;
  else if (reason === REFUSED.outOfBounds || reason === REFUSED.tooOld) counts.outOfBounds++;
  else counts.beyondSeriesLimit++;
}

/** Appends the exemplars of one sample, oldest first. One without a time has that of the sample. */
function appendExemplars(exposed: readonly ExposedExemplar[], series: CachedSeries, sampleMs: number, appender: ScrapeAppender, counts: PassCounts): void {
  if (exposed.length === 0) return;
  const exemplars = exposed.map(({ labels, value, timeMs }) => ({ labels, value, timeMs: timeMs ?? sampleMs })).sort((a, b) => a.timeMs - b.timeMs || a.value - b.value);
  for (const { labels, value, timeMs } of exemplars) {
    try {
      appender.appendExemplar(series.ref, series.labels ?? [], { labels: labelsFromPairs(labels), value, timeMs });
    } catch (error) {
      // What is wrong with an exemplar says nothing about the sample.
      if (!(error instanceof ModelError || (isTsdbError(error) && error.code === 'ERR_EXEMPLAR'))) throw error;
      counts.exemplarsRefused++;
    }
  }
}
