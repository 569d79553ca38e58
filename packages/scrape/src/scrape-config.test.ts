import { describe, expect, test } from '@jest/globals';
import { labelsToObject } from '@gauntlet/model';
import { DEFAULT_SCRAPE_PROTOCOLS, PROTO_FIRST_SCRAPE_PROTOCOLS } from './content-type.ts';
import { parseScrapeFile, type ScrapeConfig } from './scrape-config.ts';
import { createTargets } from './target.ts';

const jobs = (text: string): readonly ScrapeConfig[] => parseScrapeFile(text, 'scrape.yml').jobs;

describe('the file', () => {
  test('defaults', () => {
    expect(jobs('scrape_configs: [{job_name: a}]')).toEqual([
      expect.objectContaining({ jobName: 'a', scrapeIntervalMs: 60_000, scrapeTimeoutMs: 10_000, honorLabels: false, honorTimestamps: true, metricsPath: '/metrics', scheme: 'http', sampleLimit: 0, enableCompression: true, staticConfigs: [], relabelConfigs: [] }),
    ]);
    expect(parseScrapeFile('{}', 'x')).toEqual({ externalLabels: [], jobs: [], storage: {} });
  });

  test('everything', () => {
    const file = parseScrapeFile(
      `
global:
  scrape_interval: 30s
  scrape_timeout: 20s
  sample_limit: 1000
  always_scrape_classic_histograms: true
  external_labels: {cluster: c, replica: a}
scrape_configs:
  - job_name: node
    scrape_interval: 15s
    scrape_timeout: 5s
    honor_labels: true
    honor_timestamps: false
    track_timestamps_staleness: true
    scheme: https
    metrics_path: /m
    params: {module: [http, x]}
    scrape_protocols: [PrometheusText0.0.4]
    fallback_scrape_protocol: OpenMetricsText1.0.0
    scrape_native_histograms: true
    native_histogram_bucket_limit: 160
    native_histogram_min_bucket_factor: 1.1
    enable_compression: false
    follow_redirects: false
    body_size_limit: 10MB
    sample_limit: 5
    label_limit: 30
    label_name_length_limit: 100
    label_value_length_limit: 200
    static_configs:
      - targets: ['a:1', 'b:2']
        labels: {env: prod}
    relabel_configs:
      - {source_labels: [__address__], regex: 'b.*', action: drop}
    metric_relabel_configs:
      - {action: labeldrop, regex: tmp_.*}
  - job_name: other
    scrape_interval: 10s
  - job_name: native
    scrape_native_histograms: true
    always_scrape_classic_histograms: false
storage:
  tsdb:
    out_of_order_time_window: 30m
    stale_series_compaction_threshold: 0.5
    retention: {time: 15d, size: 2GB}
  exemplars: {max_exemplars: 5000}
`,
      'scrape.yml',
    );
    expect(labelsToObject(file.externalLabels)).toEqual(Object.assign(Object.create(null), { cluster: 'c', replica: 'a' }));
    expect(file.jobs[0]).toMatchObject({
      scrapeIntervalMs: 15_000,
      scrapeTimeoutMs: 5000,
      honorLabels: true,
      honorTimestamps: false,
      trackTimestampsStaleness: true,
      scheme: 'https',
      metricsPath: '/m',
      scrapeProtocols: ['PrometheusText0.0.4'],
      fallbackScrapeProtocol: 'OpenMetricsText1.0.0',
      scrapeNativeHistograms: true,
      alwaysScrapeClassicHistograms: true,
      nativeHistogramBucketLimit: 160,
      nativeHistogramMinBucketFactor: 1.1,
      enableCompression: false,
      followRedirects: false,
      bodySizeLimitBytes: 10_485_760,
      sampleLimit: 5,
      labelLimit: 30,
      labelNameLengthLimit: 100,
      labelValueLengthLimit: 200,
      staticConfigs: [{ targets: ['a:1', 'b:2'], labels: ['env', 'prod'] }],
    });
    expect(file.jobs[0]!.metricRelabelConfigs[0]!.action).toBe('labeldrop');
    expect(file.jobs[1]).toMatchObject({ scrapeNativeHistograms: false, alwaysScrapeClassicHistograms: true, scrapeProtocols: DEFAULT_SCRAPE_PROTOCOLS });
    expect(file.jobs[2]).toMatchObject({ scrapeNativeHistograms: true, alwaysScrapeClassicHistograms: false, scrapeProtocols: PROTO_FIRST_SCRAPE_PROTOCOLS });
    expect(file.storage).toEqual({ outOfOrderWindowMs: 1_800_000, staleSeriesPart: 0.5, retentionMs: 15 * 86_400_000, retentionBytes: 2 * 2 ** 30, exemplarsMax: 5000 });
    expect(file.jobs[1]).toMatchObject({ scrapeIntervalMs: 10_000, scrapeTimeoutMs: 10_000, sampleLimit: 1000 });
  });

  test.each<[string, string, string]>([
    ['unknown key at the top', 'rule_files: []', "scrape.yml:1:1: unknown key 'rule_files'"],
    ['unknown key of a job', 'scrape_configs:\n  - job_name: a\n    kubernetes_sd_configs: []', "scrape.yml:3:5: unknown key 'kubernetes_sd_configs' in scrape_configs[0]"],
    ['misspelt key', 'scrape_configs:\n  - job_name: a\n    honour_labels: true', "scrape.yml:3:5: unknown key 'honour_labels' in scrape_configs[0], did you mean 'honor_labels'?"],
    ['no job name', 'scrape_configs:\n  - {metrics_path: /x}', "scrape.yml:2:5: missing 'scrape_configs[0].job_name'"],
    ['empty job name', "scrape_configs: [{job_name: ''}]", 'job_name is empty'],
    ['job name twice', 'scrape_configs: [{job_name: a}, {job_name: a}]', 'scrape.yml: found multiple scrape configs with job name "a"'],
    ['timeout past the interval', 'scrape_configs: [{job_name: a, scrape_interval: 5s, scrape_timeout: 6s}]', 'scrape timeout greater than scrape interval for scrape config with job name "a"'],
    ['global timeout past the interval', 'global: {scrape_interval: 5s, scrape_timeout: 6s}', 'global scrape timeout greater than scrape interval'],
    ['a URL as target', 'scrape_configs:\n  - job_name: a\n    static_configs: [{targets: [http://x/metrics]}]', 'scrape.yml:3:33: scrape_configs[0].static_configs[0].targets[0]: "http://x/metrics" is not a valid hostname'],
    ['a bad pattern', "scrape_configs:\n  - job_name: a\n    relabel_configs: [{regex: 'a(', target_label: b}]", 'scrape.yml:3:23: scrape_configs[0].relabel_configs[0]: error parsing regexp: missing closing ): `^(?s:a()$`'],
    ['a bad action', 'scrape_configs: [{job_name: a, relabel_configs: [{action: nope}]}]', 'unknown relabel action "nope"'],
    ['a bad label name', "scrape_configs: [{job_name: a, static_configs: [{targets: [b], labels: {'': c}}]}]", '"" is not a valid label name'],
    ['a protocol we do not speak', 'scrape_configs: [{job_name: a, scrape_protocols: [PrometheusProto2]}]', 'wanted one of PrometheusProto, OpenMetricsText1.0.0, OpenMetricsText0.0.1, PrometheusText1.0.0, PrometheusText0.0.4'],
    ['no protocol', 'scrape_configs: [{job_name: a, scrape_protocols: []}]', 'scrape_protocols cannot be empty'],
    ['a protocol twice', 'global: {scrape_protocols: [PrometheusProto, PrometheusProto]}', 'duplicated protocol in scrape_protocols, got [PrometheusProto PrometheusProto]'],
    ['a part of series beyond 1', 'storage: {tsdb: {stale_series_compaction_threshold: 1.5}}', 'stale_series_compaction_threshold is 1.5, wanted 0 to 1'],
    ['what storage does not have here', 'storage: {tsdb: {retention: {percentage: 3}}}', 'percentage'],
  ])('refuses %s', (_, text, message) => {
    expect(() => jobs(text)).toThrow(message);
  });
});

describe('targets', () => {
  const one = (text: string): unknown => {
    const [target] = createTargets(jobs(`scrape_configs: [{job_name: j, ${text}}]`)[0]!).active;
    return target === undefined ? undefined : { ...labelsToObject(target.labels), url: target.url, intervalMs: target.intervalMs };
  };
  test.each<[string, string, unknown]>([
    ['plain', "static_configs: [{targets: ['a:1']}]", { instance: 'a:1', job: 'j', url: 'http://a:1/metrics', intervalMs: 60_000 }],
    ['IPv6', "static_configs: [{targets: ['[::1]:80']}]", { instance: '[::1]:80', job: 'j', url: 'http://[::1]:80/metrics', intervalMs: 60_000 }],
    ['labels of the group win over defaults', "static_configs: [{targets: ['a:1'], labels: {job: x, instance: y, __metrics_path__: /z, __scheme__: https, __scrape_interval__: 20s}}]", { instance: 'y', job: 'x', url: 'https://a:1/z', intervalMs: 20_000 }],
    [
      'relabelled',
      "params: {module: [http, more], empty: []}, static_configs: [{targets: ['a.example'], labels: {__meta_x: y}}], relabel_configs: [{source_labels: [__address__], target_label: __param_target}, {source_labels: [__meta_x], target_label: x}, {target_label: __address__, replacement: 'proxy:9115'}]",
      { instance: 'proxy:9115', job: 'j', x: 'y', url: 'http://proxy:9115/metrics?module=http&module=more&target=a.example', intervalMs: 60_000 },
    ],
    ['dropped', "static_configs: [{targets: ['a:1']}], relabel_configs: [{source_labels: [job], regex: j, action: drop}]", undefined],
  ])('%s', (_, text, wanted) => {
    expect(one(text)).toEqual(wanted);
  });

  test.each<[string, string, string]>([
    ['no address', "static_configs: [{targets: ['a:1']}], relabel_configs: [{target_label: __address__, replacement: ''}]", 'target "a:1" of job "j": no address'],
    ['a bad address', "static_configs: [{targets: ['a:b']}]", 'target "a:b" of job "j": "a:b" is not a valid hostname'],
    ['a bad interval', "static_configs: [{targets: ['a:1'], labels: {__scrape_interval__: soon}}]", 'target "a:1" of job "j": error parsing scrape interval: not a valid duration string: "soon"'],
    ['a long timeout', "static_configs: [{targets: ['a:1'], labels: {__scrape_interval__: 5s}}]", 'scrape timeout cannot be greater than scrape interval ("10s" > "5s")'],
    ['another scheme', "static_configs: [{targets: ['a:1'], labels: {__scheme__: file}}]", 'unsupported scheme "file": wanted http or https'],
  ])('refuses %s', (_, text, message) => {
    expect(() => one(text)).toThrow(message);
  });
});
