/**
 * The part of Prometheus' configuration that the embedded scraper takes: `global` and `scrape_configs` with static targets. Every other key is
 * refused with its place, so that nothing is silently not done.
 *
 *   global: {scrape_interval: 15s}
 *   scrape_configs: [{job_name: node, static_configs: [{targets: ['localhost:9100']}]}]
 *
 * Source: Prometheus docs/configuration/configuration.md; config/config.go for defaults and texts.
 */
import { createRelabelRule, isValidLabelName, isWellFormed, type Labels, labelsFromMap, quoteGo, type RelabelRule } from '@gauntlet/model';
import { decodeYaml, schema, type Schema } from '@gauntlet/service-kit';
import { DEFAULT_SCRAPE_PROTOCOLS, SCRAPE_PROTOCOLS, type ScrapeProtocol } from './content-type.ts';
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

/** A scrape configuration file. */
export interface ScrapeFile {
  readonly externalLabels: Labels;
  readonly jobs: readonly ScrapeConfig[];
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

const fileSchema = schema.object({
  global: schema.orEmpty({
    scrape_interval: schema.withDefault(schema.duration(), 60_000),
    scrape_timeout: duration,
    scrape_protocols: schema.withDefault(schema.list(protocol), DEFAULT_SCRAPE_PROTOCOLS),
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
        scrape_protocols: schema.optional(schema.list(protocol)),
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
});

/**
 * Reads a scrape configuration.
 * @param source file path or flag name, for messages
 * @throws ConfigError with every wrong key and value as `source:line:column`; ScrapeError ERR_SCRAPE_CONFIG where parts contradict each other
 */
export function parseScrapeFile(text: string, source: string): ScrapeFile {
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
      scrapeProtocols: job.scrape_protocols ?? file.global.scrape_protocols,
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
  return { externalLabels: file.global.external_labels, jobs };
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
    scrapeProtocols: DEFAULT_SCRAPE_PROTOCOLS,
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
