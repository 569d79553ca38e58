/** What the scraper needs of a database: tsdb's `Db` and `Appender` have it. */
import type { Labels } from '@gauntlet/model';

/** A batch of samples; commit or rollback ends it. */
export interface ScrapeAppender {
  /**
   * Adds a sample.
   * @param ref what an earlier append of the series returned, or 0
   * @returns reference of the series, or a negative reason: tsdb's REFUSED
   */
  tryAppend(ref: number, labels: Labels, timeMs: number, value: number): number;
  /** As `tryAppend`, with the value as two words, for stale markers; refusals are thrown, as errors with tsdb's codes. */
  appendBits(ref: number, labels: Labels, timeMs: number, high: number, low: number): number;
  /** Makes the batch durable and visible. */
  commit(): unknown;
  /** Forgets the batch. */
  rollback(): void;
}

/** Opens batches. */
export interface Appendable {
  appender(): ScrapeAppender;
}
