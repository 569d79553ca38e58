/** What the user reads once everything runs: what it is, where, what of it is generated, and what to try. */
import { formatDuration } from '@gauntlet/model';

/** Facts for {@link welcomeText}. */
export interface WelcomeFacts {
  /** `http://host:port`. */
  readonly url: string;
  readonly grpcAddress: string;
  readonly dataDir: string;
  readonly scrapeIntervalMs: number;
  readonly hasSampleService: boolean;
  /** Range of the generated history, ms; undefined when there is none. */
  readonly history: { readonly startMs: number; readonly endMs: number; readonly isComplete: boolean } | undefined;
  readonly ownTargets: number;
  /** Folder of rule files. */
  readonly rulesDir: string;
}

/** Queries that show something at once. With the job, since this process has metrics of the same names. */
export const SAMPLE_QUERIES: readonly string[] = [
  'sum by (endpoint) (rate(http_requests_total{job="shop"}[5m]))',
  'histogram_quantile(0.99, sum by (le, endpoint) (rate(http_request_duration_seconds_bucket{job="shop"}[5m])))',
  'sum(rate(http_requests_total{job="shop",status="500"}[10m])) / sum(rate(http_requests_total{job="shop"}[10m]))',
];
const OWN_QUERIES: readonly string[] = ['up', 'prometheus_tsdb_head_series', 'rate(process_cpu_seconds_total[1m])'];

/** Address of the page with one query in it, as a graph over the range. */
export function graphUrl(base: string, query: string, range: string): string {
  return `${base}/graph?${new URLSearchParams({ 'g0.expr': query, 'g0.tab': '0', 'g0.range_input': range }).toString()}`;
}

const minute = (tMs: number): string => new Date(tMs).toISOString().slice(0, 16).replace('T', ' ');

/** The text, with a newline at its end. */
export function welcomeText({ url, grpcAddress, dataDir, scrapeIntervalMs, hasSampleService, history, ownTargets, rulesDir }: WelcomeFacts): string {
  const queries = hasSampleService ? SAMPLE_QUERIES : OWN_QUERIES;
  const targets = [...(hasSampleService ? ['a sample web shop'] : []), ...(ownTargets > 0 ? [`${ownTargets} of your jobs`] : []), 'itself'].join(' and ');
  const historyLines =
    history === undefined
      ? []
      : [
          `  History from ${minute(history.startMs)} to ${minute(history.endMs)} UTC is GENERATED, not measured: the sample shop's formulas at past times${history.isComplete ? '' : ' (not complete: the next start goes on)'}.`,
          '  On the stores page its blocks have origin="generated"; their meta.json says source gauntlet-backfill. Start with --no-backfill to go without.',
        ];
  return [
    '',
    `Gauntlet runs at  ${url}`,
    '',
    `  Two replicas in this process scrape ${targets} every ${formatDuration(scrapeIntervalMs)}, keep what they get and upload it to a bucket folder;`,
    '  a store gateway serves the bucket, and a querier makes one series out of two. A ruler evaluates rules, a compactor keeps the bucket tidy.',
    ...historyLines,
    `  Data: ${dataDir}    StoreAPI (gRPC): ${grpcAddress}`,
    '',
    'Try:',
    ...queries.map((query) => `  ${query}`),
    '',
    `First graph:  ${graphUrl(url, queries[0]!, hasSampleService ? '12h' : '5m')}`,
    `Rules: ${url}/rules    Alerts: ${url}/alerts    (files: ${rulesDir}/*.yml, read again at SIGHUP)`,
    'Ctrl-C stops; what was scraped stays, and the next start goes on with it.',
    '',
    '',
  ].join('\n');
}
