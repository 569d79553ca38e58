/**
 * One pass: an exposition into one batch, and stale markers for the series that were there last time and are not now.
 *
 *   entry → cached by its text? no → labels, target labels, relabelling → append
 *   refused samples (out of order, duplicate, out of bounds) are counted; a parse error or an exceeded limit fails the whole pass
 *
 * Source: Prometheus scrape/scrape.go, scrapeLoopAppender.append.
 */
import { STALE_NAN_HI, STALE_NAN_LO } from '@gauntlet/model';
import { isTsdbError, REFUSED } from '@gauntlet/tsdb';
import type { ScrapeAppender } from './appender.ts';
import { ScrapeError } from './errors.ts';
import { type ExpositionFormat, ExpositionParser } from './parse-exposition.ts';
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
}

/** Counts of a pass that has done nothing yet. */
export function noCounts(): PassCounts {
  return { scraped: 0, added: 0, seriesAdded: 0, outOfOrder: 0, duplicates: 0, outOfBounds: 0 };
}

/**
 * Appends an exposition. The caller commits or rolls back; after a throw the pass is abandoned.
 * @param timeMs time of the scrape: of all samples without a timestamp of their own
 * @param counts filled in, also up to where a throw happened
 * @throws ScrapeError ERR_SCRAPE_PARSE, ERR_SCRAPE_SERIES, ERR_SCRAPE_LABEL_LIMIT, ERR_SCRAPE_SAMPLE_LIMIT; what the appender throws
 */
export function appendExposition(body: Uint8Array, format: ExpositionFormat, timeMs: number, target: Target, cache: SeriesCache, appender: ScrapeAppender, counts: PassCounts): void {
  try {
    appendEntries(body, format, timeMs, target, cache, appender, counts);
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

/** Appends one stale marker; false if the series has a sample at that time or later already, as when its target came back. */
export function appendStaleMarker(series: { ref: number; readonly labels: CachedSeries['labels'] }, appender: ScrapeAppender, timeMs: number): boolean {
  try {
    series.ref = appender.appendBits(series.ref, series.labels ?? [], timeMs, STALE_NAN_HI, STALE_NAN_LO);
    return true;
  } catch (error) {
    if (isTsdbError(error) && (error.code === 'ERR_SAMPLE_OUT_OF_ORDER' || error.code === 'ERR_SAMPLE_DUPLICATE' || error.code === 'ERR_SAMPLE_OUT_OF_BOUNDS')) return false;
    throw error;
  }
}

function appendStaleMarkers(cache: SeriesCache, appender: ScrapeAppender, timeMs: number): void {
  for (const series of cache.stale()) appendStaleMarker(series, appender, timeMs);
}

function appendEntries(body: Uint8Array, format: ExpositionFormat, timeMs: number, target: Target, cache: SeriesCache, appender: ScrapeAppender, counts: PassCounts): void {
  const { config } = target;
  const parser = new ExpositionParser(body, format);
  const latestMs = timeMs + FUTURE_MAX_MS;
  let taken = 0;
  let before: CachedSeries | undefined;
  for (;;) {
    const expected: CachedSeries | undefined = before === undefined ? cache.first : before.next;
    parser.expected = expected?.text;
    const kind = parser.next();
    if (kind === 'end') break;
    if (kind !== 'series') {
      cache.family(parser.family)[kind] = parser.text;
      continue;
    }
    counts.scraped++;
    let series = parser.isExpected ? expected : cache.get(body, parser.seriesStart, parser.seriesEnd);
    const isRepeated = series !== undefined && series.seenPass === cache.pass;
    if (series === undefined) series = cache.add(body, parser.seriesStart, parser.seriesEnd, sampleLabels(parser.labels(), target), 0);
    series.seenPass = cache.pass;
    if (before === undefined) cache.first = series;
    else before.next = series;
    before = series;
    if (series.labels === undefined) continue;
    const hasTimestamp = parser.hasTimestamp && config.honorTimestamps;
    const sampleMs = hasTimestamp ? parser.timestampMs : timeMs;
    counts.added++;
    if (isRepeated && !hasTimestamp) {
      counts.duplicates++;
      continue;
    }
    if (sampleMs > latestMs) {
      counts.outOfBounds++;
      continue;
    }
    if (config.sampleLimit > 0 && ++taken > config.sampleLimit) continue;
    const isNew = series.ref === 0;
    const ref = appender.tryAppend(series.ref, series.labels, sampleMs, parser.value);
    if (ref === REFUSED.outOfOrder) counts.outOfOrder++;
    else if (ref === REFUSED.duplicate) counts.duplicates++;
    else if (ref === REFUSED.outOfBounds || ref === REFUSED.tooOld) counts.outOfBounds++;
    if (ref < 0) continue;
    series.ref = ref;
    if (isNew) counts.seriesAdded++;
    if (!hasTimestamp || config.trackTimestampsStaleness) cache.track(series);
  }
  if (config.sampleLimit > 0 && taken > config.sampleLimit) throw new ScrapeError('ERR_SCRAPE_SAMPLE_LIMIT', 'sample limit exceeded');
}
