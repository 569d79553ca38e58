/** Counters about scraping, by Prometheus' names. */
import type { Metrics } from '@gauntlet/service-kit';
import type { PassCounts } from './append-exposition.ts';
import { ScrapeError } from './errors.ts';

/** Where loops report. */
export interface ScrapeMetrics {
  /** Counts one finished scrape. */
  noteScrape(counts: PassCounts, failure: Error | undefined): void;
}

/** Registers the counters. */
export function createScrapeMetrics(metrics: Metrics): ScrapeMetrics {
  const counter = (name: string, help: string) => metrics.counter({ name: `prometheus_target_scrapes_${name}_total`, help });
  const sampleLimit = counter('exceeded_sample_limit', 'Total number of scrapes that hit the sample limit and were rejected.');
  const bodySize = counter('exceeded_body_size_limit', 'Total number of scrapes that hit the body size limit');
  const bucketLimit = counter('exceeded_native_histogram_bucket_limit', 'Total number of scrapes that hit the native histogram bucket limit and were rejected.');
  const duplicates = counter('sample_duplicate_timestamp', 'Total number of samples rejected due to duplicate timestamps but different values.');
  const outOfOrder = counter('sample_out_of_order', 'Total number of samples rejected due to not being out of the expected order.');
  const outOfBounds = counter('sample_out_of_bounds', 'Total number of samples rejected due to timestamp falling outside of the time bounds.');
  return {
    noteScrape(counts, failure) {
      if (counts.duplicates > 0) duplicates.inc(counts.duplicates);
      if (counts.outOfOrder > 0) outOfOrder.inc(counts.outOfOrder);
      if (counts.outOfBounds > 0) outOfBounds.inc(counts.outOfBounds);
      if (!(failure instanceof ScrapeError)) return;
      if (failure.code === 'ERR_SCRAPE_SAMPLE_LIMIT') sampleLimit.inc();
      if (failure.code === 'ERR_SCRAPE_BUCKET_LIMIT') bucketLimit.inc();
      if (failure.code === 'ERR_SCRAPE_BODY_SIZE') bodySize.inc();
    },
  };
}
