/**
 * What a replica keeps, and how: flags, and `storage` of the scrape file, which wins where both speak.
 *
 *   exemplars          --enable-feature=exemplar-storage            storage.exemplars.max_exemplars (100,000)
 *   late samples                                                    storage.tsdb.out_of_order_time_window
 *   ended series                                                    storage.tsdb.stale_series_compaction_threshold
 *   retention          --tsdb.retention                             storage.tsdb.retention.time
 *                      --storage.tsdb.retention.size                storage.tsdb.retention.size
 *   start timestamps   --enable-feature=st-storage
 *   metadata           --enable-feature=metadata-wal-records
 *   series at most     --storage.tsdb.head-series-limit
 *
 * Source: Prometheus docs/feature_flags.md; docs/configuration/configuration.md, "tsdb", "exemplars".
 */
import type { ScrapeFeatures, StorageConfig } from '@gauntlet/scrape';
import type { DbOptions, WalCompression } from '@gauntlet/tsdb';

/** Features by their names in Prometheus. The last two are on there and here: naming them changes nothing. */
export const STORAGE_FEATURES = ['exemplar-storage', 'metadata-wal-records', 'st-storage', 'native-histograms', 'ooo-native-histograms'] as const;
/** One of them. */
export type StorageFeature = (typeof STORAGE_FEATURES)[number];

/** What the flags say. Plain data: it goes to another thread. */
export interface StorageSettings {
  readonly blockRangeMs: number;
  readonly retentionMs: number;
  /** 0 = no limit. */
  readonly retentionBytes: number;
  /** 0 = no limit. */
  readonly seriesMax: number;
  readonly walCompression: WalCompression;
  readonly features: readonly StorageFeature[];
}

/** Exemplars kept where the file does not say how many. */
const EXEMPLARS_MAX = 100_000;

/** Options of the database. @param file `storage` of the scrape file, if there is one */
export function dbOptionsOf(settings: StorageSettings, file: StorageConfig | undefined): DbOptions {
  return {
    blockRangeMs: settings.blockRangeMs,
    retentionMs: file?.retentionMs ?? settings.retentionMs,
    retentionBytes: file?.retentionBytes ?? settings.retentionBytes,
    outOfOrderWindowMs: file?.outOfOrderWindowMs ?? 0,
    staleSeriesPart: file?.staleSeriesPart ?? 0,
    seriesMax: settings.seriesMax,
    walCompression: settings.walCompression,
    exemplars: settings.features.includes('exemplar-storage') ? (file?.exemplarsMax ?? EXEMPLARS_MAX) : 0,
    startTimestamps: settings.features.includes('st-storage'),
  };
}

/** What the scraper takes beside samples. */
export function scrapeFeaturesOf({ features }: StorageSettings): ScrapeFeatures {
  return { exemplars: features.includes('exemplar-storage'), metadata: features.includes('metadata-wal-records'), startTimestamps: features.includes('st-storage') };
}

/** What flags and file say that comes to nothing. */
export function storageWarnings(settings: StorageSettings, file: StorageConfig | undefined): string[] {
  if (file?.exemplarsMax === undefined || settings.features.includes('exemplar-storage')) return [];
  return ['storage.exemplars of the scrape file has no effect without --enable-feature=exemplar-storage'];
}
