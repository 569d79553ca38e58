/** What the scraper needs of a database: tsdb's `Db` and `Appender` have it. */
import type { FloatHistogram, IntegerHistogram, Labels } from '@gauntlet/model';
import type { Exemplar, SeriesMetadata } from '@gauntlet/tsdb';

/** A batch of samples; commit or rollback ends it. */
export interface ScrapeAppender {
  /**
   * Adds a sample.
   * @param ref what an earlier append of the series returned, or 0
   * @param startMs since when the sample counts, ms since 1970; 0 = not known
   * @returns reference of the series, or a negative reason: tsdb's REFUSED
   */
  tryAppend(ref: number, labels: Labels, timeMs: number, value: number, startMs?: number): number;
  /** As `tryAppend`, for a native histogram, which must not change any more. @throws ModelError ERR_HISTOGRAM for one that is not sound */
  tryAppendHistogram(ref: number, labels: Labels, timeMs: number, histogram: FloatHistogram | IntegerHistogram, startMs?: number): number;
  /** Ends a series with a stale marker; refused where it has a sample at that time or later already, as when its target came back. */
  tryAppendStale(ref: number, labels: Labels, timeMs: number): number;
  /**
   * Adds an exemplar to a series of the batch or of the database; one that is there, or older than the newest of its series, is passed over.
   * @throws TsdbError ERR_EXEMPLAR if its labels are too long
   */
  appendExemplar(ref: number, labels: Labels, exemplar: Exemplar): boolean;
  /** Sets type, unit and help of a series of the batch or of the database. */
  setMetadata(ref: number, labels: Labels, metadata: SeriesMetadata): void;
  /** Makes the batch durable and visible. */
  commit(): unknown;
  /** Forgets the batch. */
  rollback(): void;
}

/** Opens batches. */
export interface Appendable {
  appender(): ScrapeAppender;
}
