/**
 * The rules a fresh data directory gets, as files that people read and change:
 *
 *   <data-dir>/rules/targets.yml   any target
 *   <data-dir>/rules/shop.yml      the sample shop; its names are those of the conventions `level:metric:operation`
 *
 * A file that is there is left as it is.
 */
import { joinPath, type FileSystem, replaceFile } from '@gauntlet/tsdb';

/** Alerts over whatever is scraped. */
export const TARGET_RULES: string = String.raw`# Written by gauntlet standalone when it was missing; change it as you like. SIGHUP reads it again.
groups:
  - name: targets
    rules:
      - alert: InstanceDown
        expr: up == 0
        for: 1m
        labels: { severity: critical }
        annotations:
          summary: '{{ $labels.instance }} of job {{ $labels.job }} is down'
          description: No scrape of this target has succeeded for a minute.
`;

/** Recording rules and alerts over the sample shop. Thresholds are such that its waves reach them every now and then. */
export const SHOP_RULES: string = String.raw`# Written by gauntlet standalone when it was missing; change it as you like. SIGHUP reads it again.
groups:
  - name: shop-recording
    rules:
      - record: job:http_requests:rate5m
        expr: sum by (job) (rate(http_requests_total{job="shop"}[5m]))
      - record: job:http_errors:rate5m
        expr: sum by (job) (rate(http_requests_total{job="shop",status=~"5.."}[5m]))
      - record: job:http_errors:ratio_rate5m
        expr: job:http_errors:rate5m / job:http_requests:rate5m
      - record: job:http_request_duration:p95
        expr: histogram_quantile(0.95, sum by (job, le) (rate(http_request_duration_seconds_bucket{job="shop"}[5m])))

  - name: shop-alerts
    rules:
      - alert: HighErrorRate
        expr: job:http_errors:ratio_rate5m > 0.02
        for: 5m
        labels: { severity: critical }
        annotations:
          summary: 'More than 2 % of the requests to the {{ $labels.job }} fail'
          description: 'Share of 5xx answers over five minutes: {{ $value | humanizePercentage }}.'
      - alert: HighLatency
        expr: job:http_request_duration:p95 > 0.5
        for: 5m
        labels: { severity: warning }
        annotations:
          summary: 'The {{ $labels.job }} is slow'
          description: '95 of 100 requests take up to {{ $value | humanizeDuration }}.'
      # The shop has trouble with its queues every three hours, one queue after the other.
      - alert: QueueBacklog
        expr: sum by (job, queue) (shop_queue_depth{job="shop"}) > 40
        for: 2m
        labels: { severity: warning }
        annotations:
          summary: 'Queue {{ $labels.queue }} of the {{ $labels.job }} is long'
          description: '{{ $value }} jobs are waiting.'
      # Ripples of its traffic make this one pending or firing for a moment, every few minutes.
      - alert: BusierThanUsual
        expr: avg by (job, instance) (avg_over_time(shop_cpu_usage_ratio{job="shop"}[1m])) > 1.05 * avg by (job, instance) (avg_over_time(shop_cpu_usage_ratio{job="shop"}[15m]))
        for: 30s
        labels: { severity: info }
        annotations:
          summary: '{{ $labels.instance }} is busier than in the last quarter of an hour'
          description: 'It uses {{ $value | humanizePercentage }} of its CPU.'
`;

/**
 * Writes the files that are missing.
 * @param dir folder of rule files, made when missing
 * @throws errors of the file system
 */
export function writeSampleRules(fs: FileSystem, dir: string, hasSampleService: boolean): void {
  fs.mkdir(dir);
  for (const [name, text] of [['targets.yml', TARGET_RULES], ...(hasSampleService ? [['shop.yml', SHOP_RULES] as const] : [])] as const) {
    const path = joinPath(dir, name);
    if (fs.stat(path) === undefined) replaceFile(fs, path, new TextEncoder().encode(text));
  }
}
