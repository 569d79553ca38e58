/**
 * The part of Prometheus' configuration that the embedded scraper takes: `global`, `scrape_configs` with static targets, and `storage`. Every other key
 * is refused with its place, so that nothing is silently not done.
 *
 *   global: {scrape_interval: 15s}
 *   scrape_configs: [{job_name: node, static_configs: [{targets: ['localhost:9100']}]}]
 *
 * Source: Prometheus docs/configuration/configuration.md; config/config.go for defaults and texts.
 */
import { createRelabelRule, isValidLabelName, isWellFormed, type Labels, labelsFromMap, quoteGo, type RelabelRule } from '@gauntlet/model';
import { decodeYaml, schema, type Schema } from '@gauntlet/service-kit';
import { DEFAULT_SCRAPE_PROTOCOLS, PROTO_FIRST_SCRAPE_PROTOCOLS, SCRAPE_PROTOCOLS, type ScrapeProtocol } from './content-type.ts';
import { ScrapeError } from './errors.ts';

/** One job. All defaults are filled in; 0 means no limit. */
export interface ScrapeConfig {
  readonly jobName: string;
  readonly scrapeIntervalMs: number;
  readonly scrapeTimeoutMs: number;
  /** Exposed labels win over target labels; otherwise they become `exported_<name>`. */
  readonly honorLabels: boolean;
  /** Timestamps of the exposition are taken. */
  readonly honorTimestamps: boolean;
  /** Series with timestamps of their own get stale markers too. */
  readonly trackTimestampsStaleness: boolean;
  readonly scheme: string;
  readonly metricsPath: string;
  readonly params: ReadonlyMap<string, readonly string[]>;
  readonly scrapeProtocols: readonly ScrapeProtocol[];
  readonly fallbackScrapeProtocol: ScrapeProtocol | undefined;
  /** Native histograms are taken; otherwise they are classic ones. */
  readonly scrapeNativeHistograms: boolean;
  /** Histograms that are native are taken as classic ones too. */
  readonly alwaysScrapeClassicHistograms: boolean;
  /** Native histograms of more buckets are made coarser; those that cannot be fail the scrape. */
  readonly nativeHistogramBucketLimit: number;
  /** Buckets of native histograms grow at least by this factor; finer ones are made coarser. 0 and 1: as fine as they come. */
  readonly nativeHistogramMinBucketFactor: number;
  readonly enableCompression: boolean;
  readonly followRedirects: boolean;
  readonly bodySizeLimitBytes: number;
  readonly sampleLimit: number;
  readonly labelLimit: number;
  readonly labelNameLengthLimit: number;
  readonly labelValueLengthLimit: number;
  readonly staticConfigs: readonly { readonly targets: readonly string[]; readonly labels: Labels }[];
  readonly relabelConfigs: readonly RelabelRule[];
  readonly metricRelabelConfigs: readonly RelabelRule[];
}

/** How the database keeps what is scraped; undefined = not said. */
export interface StorageConfig {
  /** `storage.tsdb.out_of_order_time_window`: how late samples may come, ms. */
  readonly outOfOrderWindowMs: number | undefined;
  /** `storage.tsdb.stale_series_compaction_threshold`: part of the series that have ended, from which on these leave memory. */
  readonly staleSeriesPart: number | undefined;
  /** `storage.tsdb.retention`. */
  readonly retentionMs: number | undefined;
  readonly retentionBytes: number | undefined;
  /** `storage.exemplars.max_exemplars`: kept in memory. */
  readonly exemplarsMax: number | undefined;
}

/** A scrape configuration file. */
export interface ScrapeFile {
  readonly externalLabels: Labels;
  readonly jobs: readonly ScrapeConfig[];
  readonly storage: StorageConfig;
}

const limit = schema.withDefault(schema.int({ min: 0 }), 0);
const protocol = schema.oneOf(Object.keys(SCRAPE_PROTOCOLS) as ScrapeProtocol[]);
const duration = schema.withDefault(schema.duration(), 0);

const labelMap = schema.mapped(schema.map(schema.string()), (map) => {
  for (const [name, value] of map) {
    if (!isValidLabelName(name) || name === '__name__') throw new ScrapeError('ERR_SCRAPE_CONFIG', `${quoteGo(name)} is not a valid label name`);
    if (!isWellFormed(value)) throw new ScrapeError('ERR_SCRAPE_CONFIG', `label ${quoteGo(name)}: value is not valid UTF-8`);
  }
  return labelsFromMap(map);
});

/** An explicit null is the empty pattern; an absent key is the default. */
const regex: Schema<string | undefined> = { ...schema.optional(schema.string()), absent: (at) => (at.kind === 'null' ? '' : undefined) };

const relabelRule: Schema<RelabelRule> = schema.mapped(
  schema.object({
    source_labels: schema.optional(schema.list(schema.string())),
    separator: schema.optional(schema.string()),
    regex,
    modulus: schema.optional(schema.int({ min: 0 })),
    target_label: schema.optional(schema.string()),
    replacement: schema.optional(schema.string()),
    action: schema.optional(schema.string()),
  }),
  (rule) =>
    createRelabelRule({
      sourceLabels: rule.source_labels,
      separator: rule.separator,
      regex: rule.regex,
      modulus: rule.modulus,
      targetLabel: rule.target_label,
      replacement: rule.replacement,
      action: rule.action,
    }),
);
const relabelRules = schema.withDefault(schema.list(relabelRule), []);

const target = schema.mapped(schema.string(), (address) => {
  if (address.includes('/')) throw new ScrapeError('ERR_SCRAPE_CONFIG', `${quoteGo(address)} is not a valid hostname`);
  return address;
});

const limits = {
  body_size_limit: schema.withDefault(schema.bytes(), 0),
  sample_limit: limit,
  label_limit: limit,
  label_name_length_limit: limit,
  label_value_length_limit: limit,
};

const protocols = schema.mapped(schema.list(protocol), (names) => {
  if (names.length === 0) throw new ScrapeError('ERR_SCRAPE_CONFIG', 'scrape_protocols cannot be empty');
  if (new Set(names).size < names.length) throw new ScrapeError('ERR_SCRAPE_CONFIG', `duplicated protocol in scrape_protocols, got [${names.join(' ')}]`);
  return names;
});

const part = schema.mapped(schema.float(), (value) => {
  if (value < 0 || value > 1) throw new ScrapeError('ERR_SCRAPE_CONFIG', `stale_series_compaction_threshold is ${value}, wanted 0 to 1`);
  return value;
});

const storageSchema = schema.orEmpty({
  tsdb: schema.orEmpty({
    out_of_order_time_window: schema.optional(schema.duration()),
    stale_series_compaction_threshold: schema.optional(part),
    retention: schema.orEmpty({ time: schema.optional(schema.duration()), size: schema.optional(schema.bytes()) }),
  }),
  exemplars: schema.orEmpty({ max_exemplars: schema.optional(schema.int({ min: 0 })) }),
});

const fileSchema = schema.object({
  global: schema.orEmpty({
    scrape_interval: schema.withDefault(schema.duration(), 60_000),
    scrape_timeout: duration,
    scrape_protocols: schema.optional(protocols),
    scrape_native_histograms: schema.withDefault(schema.bool(), false),
    always_scrape_classic_histograms: schema.withDefault(schema.bool(), false),
    external_labels: schema.withDefault(labelMap, [] as Labels),
    ...limits,
  }),
  scrape_configs: schema.withDefault(
    schema.list(
      schema.object({
        job_name: schema.mapped(schema.string(), (name) => {
          if (name === '') throw new ScrapeError('ERR_SCRAPE_CONFIG', 'job_name is empty');
          return name;
        }),
        scrape_interval: duration,
        scrape_timeout: duration,
        scrape_protocols: schema.optional(protocols),
        scrape_native_histograms: schema.optional(schema.bool()),
        always_scrape_classic_histograms: schema.optional(schema.bool()),
        native_histogram_bucket_limit: limit,
        native_histogram_min_bucket_factor: schema.withDefault(schema.float(), 0),
        fallback_scrape_protocol: schema.optional(protocol),
        honor_labels: schema.withDefault(schema.bool(), false),
        honor_timestamps: schema.withDefault(schema.bool(), true),
        track_timestamps_staleness: schema.withDefault(schema.bool(), false),
        scheme: schema.withDefault(schema.oneOf(['http', 'https']), 'http'),
        metrics_path: schema.withDefault(schema.string(), '/metrics'),
        params: schema.withDefault(schema.map(schema.list(schema.string())), new Map<string, readonly string[]>()),
        enable_compression: schema.withDefault(schema.bool(), true),
        follow_redirects: schema.withDefault(schema.bool(), true),
        ...limits,
        static_configs: schema.withDefault(
          schema.list(schema.object({ targets: schema.withDefault(schema.list(target), []), labels: schema.withDefault(labelMap, [] as Labels) })),
          [],
        ),
        relabel_configs: relabelRules,
        metric_relabel_configs: relabelRules,
      }),
    ),
    [],
  ),
  storage: storageSchema,
});

/**
 * Reads a scrape configuration.
 * @param source file path or flag name, for messages
 * @param protoFirst whether protobuf is asked for first where the file does not say which protocols
 * @throws ConfigError with every wrong key and value as `source:line:column`; ScrapeError ERR_SCRAPE_CONFIG where parts contradict each other
 */
export function parseScrapeFile(text: string, source: string, protoFirst = false): ScrapeFile {
  const file = decodeYaml(text, fileSchema, source);
  const names = new Set<string>();
  const refuse = (message: string): ScrapeError => new ScrapeError('ERR_SCRAPE_CONFIG', `${source}: ${message}`);
  const globalTimeoutMs = file.global.scrape_timeout === 0 ? Math.min(10_000, file.global.scrape_interval) : file.global.scrape_timeout;
  if (file.global.scrape_interval === 0) throw refuse('global scrape interval cannot be 0');
  if (globalTimeoutMs > file.global.scrape_interval) throw refuse('global scrape timeout greater than scrape interval');
  const jobs = file.scrape_configs.map((job): ScrapeConfig => {
    if (names.has(job.job_name)) throw refuse(`found multiple scrape configs with job name ${quoteGo(job.job_name)}`);
    names.add(job.job_name);
    const scrapeIntervalMs = job.scrape_interval === 0 ? file.global.scrape_interval : job.scrape_interval;
    if (job.scrape_timeout > scrapeIntervalMs) throw refuse(`scrape timeout greater than scrape interval for scrape config with job name ${quoteGo(job.job_name)}`);
    const scrapeNativeHistograms = job.scrape_native_histograms ?? file.global.scrape_native_histograms;
    return {
      jobName: job.job_name,
      scrapeIntervalMs,
      scrapeTimeoutMs: job.scrape_timeout === 0 ? Math.min(globalTimeoutMs, scrapeIntervalMs) : job.scrape_timeout,
      honorLabels: job.honor_labels,
      honorTimestamps: job.honor_timestamps,
      trackTimestampsStaleness: job.track_timestamps_staleness,
      scheme: job.scheme,
      metricsPath: job.metrics_path,
      params: job.params,
      scrapeProtocols: job.scrape_protocols ?? file.global.scrape_protocols ?? (scrapeNativeHistograms || protoFirst ? PROTO_FIRST_SCRAPE_PROTOCOLS : DEFAULT_SCRAPE_PROTOCOLS),
      scrapeNativeHistograms,
      alwaysScrapeClassicHistograms: job.always_scrape_classic_histograms ?? file.global.always_scrape_classic_histograms,
      nativeHistogramBucketLimit: job.native_histogram_bucket_limit,
      nativeHistogramMinBucketFactor: job.native_histogram_min_bucket_factor,
      fallbackScrapeProtocol: job.fallback_scrape_protocol,
      enableCompression: job.enable_compression,
      followRedirects: job.follow_redirects,
      bodySizeLimitBytes: job.body_size_limit || file.global.body_size_limit,
      sampleLimit: job.sample_limit || file.global.sample_limit,
      labelLimit: job.label_limit || file.global.label_limit,
      labelNameLengthLimit: job.label_name_length_limit || file.global.label_name_length_limit,
      labelValueLengthLimit: job.label_value_length_limit || file.global.label_value_length_limit,
      staticConfigs: job.static_configs,
      relabelConfigs: job.relabel_configs,
      metricRelabelConfigs: job.metric_relabel_configs,
    };
  });
  const { tsdb, exemplars } = file.storage;
  const storage = {
    outOfOrderWindowMs: tsdb.out_of_order_time_window,
    staleSeriesPart: tsdb.stale_series_compaction_threshold,
    retentionMs: tsdb.retention.time,
    retentionBytes: tsdb.retention.size,
    exemplarsMax: exemplars.max_exemplars,
  };
  return { externalLabels: file.global.external_labels, jobs, storage };
}

/** A job made in code: static targets, defaults elsewhere. */
export function createScrapeConfig(config: Pick<ScrapeConfig, 'jobName' | 'staticConfigs'> & Partial<ScrapeConfig>): ScrapeConfig {
  const scrapeIntervalMs = config.scrapeIntervalMs ?? 60_000;
  return {
    scrapeIntervalMs,
    scrapeTimeoutMs: Math.min(10_000, scrapeIntervalMs),
    honorLabels: false,
    honorTimestamps: true,
    trackTimestampsStaleness: false,
    scheme: 'http',
    metricsPath: '/metrics',
    params: new Map(),
    scrapeProtocols: config.scrapeNativeHistograms === true ? PROTO_FIRST_SCRAPE_PROTOCOLS : DEFAULT_SCRAPE_PROTOCOLS,
    scrapeNativeHistograms: false,
    alwaysScrapeClassicHistograms: false,
    nativeHistogramBucketLimit: 0,
    nativeHistogramMinBucketFactor: 0,
    fallbackScrapeProtocol: undefined,
    enableCompression: true,
    followRedirects: true,
    bodySizeLimitBytes: 0,
    sampleLimit: 0,
    labelLimit: 0,
    labelNameLengthLimit: 0,
    labelValueLengthLimit: 0,
    relabelConfigs: [],
    metricRelabelConfigs: [],
    ...config,
  };
}
