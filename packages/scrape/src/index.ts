/** The seam of scrape. README.md has the reading order. */
export { appendExposition, appendNothing, noCounts, ONLY_SAMPLES, type PassCounts, type ScrapeFeatures } from './append-exposition.ts';
export type { Appendable, ScrapeAppender } from './appender.ts';
export { type ScrapeClock, sleep, systemClock } from './clock.ts';
export { DEFAULT_SCRAPE_PROTOCOLS, PROTO_FIRST_SCRAPE_PROTOCOLS, type ScrapeProtocol } from './content-type.ts';
export { ScrapeError, type ScrapeErrorCode } from './errors.ts';
export { BODY_BYTES_MAX, type Fetch } from './fetch-target.ts';
export type { EntryKind, ExposedExemplar, ExpositionFormat, ExpositionReader, ReadOptions } from './exposition.ts';
export { openExposition } from './open-exposition.ts';
export { ExpositionParser } from './parse-exposition.ts';
export { createScrapeConfig, parseScrapeFile, type ScrapeConfig, type ScrapeFile, type StorageConfig } from './scrape-config.ts';
export {
  createScrapeLoop,
  type ScrapeLog,
  type ScrapeLoop,
  type ScrapeLoopDeps,
  type ScrapeLoopOptions,
  scrapeOffsetMs,
  type TargetState,
} from './scrape-loop.ts';
export { createScrapeMetrics, type ScrapeMetrics } from './scrape-metrics.ts';
export { createScraper, type Scraper, type ScraperDeps } from './scraper.ts';
export { type FamilyMetadata, SeriesCache } from './series-cache.ts';
export { createTargets, type Target, type TargetSet } from './target.ts';
