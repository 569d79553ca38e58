/**
 * Metrics of the process itself: `process_*` and `nodejs_*` from prom-client's collectors, the build info, and the `go_*` names dashboards made for Thanos draw,
 * each carrying the nearest Node figure (its help says which).
 */
import { PerformanceObserver } from 'node:perf_hooks';
import { Registry, collectDefaultMetrics } from 'prom-client';
import type { MetricFamilySnapshot, MetricSample, Metrics } from './metrics.ts';

/** What `--version` and the build info metrics say. */
export interface BuildInfo {
  /** Version of this project, such as `0.1.0`. */
  readonly version: string;
  /** Commit, or empty. */
  readonly revision: string;
  /** Branch, or empty. */
  readonly branch: string;
  /** Thanos version this build stands in for, such as `0.43.0`. */
  readonly thanosVersion: string;
}

/** Registers build info, process, runtime and garbage-collection metrics. Call once per process. @returns stops the observers */
export function registerProcessMetrics(metrics: Metrics, build: BuildInfo): () => void {
  const labels = ['branch', 'goarch', 'goos', 'goversion', 'revision', 'tags', 'version'];
  const values = { branch: build.branch, goarch: goArchitecture(), goos: process.platform, goversion: `node${process.version}`, revision: build.revision, tags: '' };
  metrics
    .gauge({ name: 'thanos_build_info', help: 'Constant 1, labelled with the Thanos version this build is compatible with and the Node version it runs on.', labels })
    .with({ ...values, version: build.thanosVersion })
    .set(1);
  metrics
    .gauge({ name: 'gauntlet_build_info', help: 'Constant 1, labelled with the version of this build.', labels })
    .with({ ...values, version: build.version })
    .set(1);
  metrics.gauge({ name: 'go_info', help: 'Constant 1, labelled with the Node version in place of a Go version.', labels: ['version'] }).with({ version: `node${process.version}` }).set(1);

  const memory = (name: string, help: string, read: (usage: NodeJS.MemoryUsage) => number): void => {
    metrics.gauge({ name, help, collect: () => read(process.memoryUsage()) });
  };
  memory('go_memstats_alloc_bytes', 'V8 heap used plus external and ArrayBuffer memory.', (usage) => usage.heapUsed + usage.external);
  memory('go_memstats_heap_alloc_bytes', 'V8 heap used.', (usage) => usage.heapUsed);
  memory('go_memstats_heap_inuse_bytes', 'V8 heap committed.', (usage) => usage.heapTotal);
  memory('go_memstats_sys_bytes', 'Resident set size.', (usage) => usage.rss);
  metrics.gauge({ name: 'go_goroutines', help: 'Active resources of the event loop (sockets, timers, requests, workers).', collect: () => process.getActiveResourcesInfo().length });

  const pauses = metrics.histogram({
    name: 'nodejs_gc_pause_seconds',
    help: 'Pauses of garbage collection by kind.',
    labels: ['kind'],
    buckets: [0.0001, 0.001, 0.01, 0.05, 0.1, 0.5, 1],
  });
  const kinds = new Map<number, ReturnType<typeof pauses.with>>(
    ([[1, 'minor'], [4, 'major'], [8, 'incremental'], [16, 'weak_callbacks']] as const).map(([kind, name]) => [kind, pauses.with({ kind: name })]),
  );
  const recent: number[] = [];
  let pauseSeconds = 0;
  let pauseCount = 0;
  const observer = new PerformanceObserver((list) => {
    for (const entry of list.getEntries()) {
      const seconds = entry.duration / 1000;
      const detail: unknown = 'detail' in entry ? entry.detail : undefined;
      const kind = typeof detail === 'object' && detail !== null && 'kind' in detail ? Number(detail.kind) : 0;
      kinds.get(kind)?.observe(seconds);
      pauseSeconds += seconds;
      pauseCount++;
      recent.push(seconds);
      if (recent.length > 1024) recent.splice(0, 512);
    }
  });
  observer.observe({ entryTypes: ['gc'] });
  metrics.registry.addSource(() => [gcSummary(recent, pauseSeconds, pauseCount)]);

  const node = new Registry();
  collectDefaultMetrics({ register: node, gcDurationBuckets: [0.001, 0.01, 0.1, 1, 5] });
  metrics.registry.addSource(() => nodeFamilies(node));
  return () => {
    observer.disconnect();
    node.clear();
  };
}

function gcSummary(recent: readonly number[], sum: number, count: number): MetricFamilySnapshot {
  const name = 'go_gc_duration_seconds';
  const sorted = [...recent].sort((a, b) => a - b);
  const samples: MetricSample[] = [0, 0.25, 0.5, 0.75, 1].map((quantile) => ({
    name,
    labels: ['quantile', String(quantile)],
    value: sorted.length === 0 ? 0 : sorted[Math.min(sorted.length - 1, Math.floor(quantile * sorted.length))]!,
  }));
  samples.push({ name: `${name}_sum`, labels: [], value: sum }, { name: `${name}_count`, labels: [], value: count });
  return { name, help: 'Pauses of V8 garbage collection, the last thousand.', type: 'summary', samples };
}

async function nodeFamilies(registry: Registry): Promise<readonly MetricFamilySnapshot[]> {
  const families: MetricFamilySnapshot[] = [];
  for (const read of await registry.getMetricsAsJSON()) {
    const samples = read.values.map((value): MetricSample => {
      const labels = Object.entries(value.labels).flatMap(([label, text]) => [label, String(text)]);
      return { name: 'metricName' in value && typeof value.metricName === 'string' ? value.metricName : read.name, labels, value: value.value };
    });
    const type: unknown = read.type;
    const known = type === 'counter' || type === 'gauge' || type === 'histogram' || type === 'summary' ? type : 'unknown';
    families.push({ name: read.name, help: read.help, type: known, samples });
  }
  return families;
}

function goArchitecture(): string {
  return process.arch === 'x64' ? 'amd64' : process.arch;
}
