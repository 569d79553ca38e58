/** Metrics of the thread of the rules that no single part owns: sizes of the database by Prometheus' names, outcome of reloads by Thanos'. */
import type { Metrics } from '@gauntlet/service-kit';
import type { Db } from '@gauntlet/tsdb';

/** Declares gauges over a database. */
export function declareDbMetrics(metrics: Metrics, db: Db): void {
  const scope = metrics.withPrefix('prometheus_tsdb_');
  scope.gauge({ name: 'head_series', help: 'Total number of series in the head block.', collect: () => db.stats().headSeries });
  scope.gauge({ name: 'head_chunks', help: 'Total number of chunks in the head block.', collect: () => db.stats().headChunks });
  scope.gauge({ name: 'blocks_loaded', help: 'Number of currently loaded data blocks', collect: () => db.stats().blocks });
  scope.gauge({ name: 'storage_blocks_bytes', help: 'The number of bytes that are currently used for local storage by all blocks.', collect: () => db.stats().blockBytes });
}

/** Declares the outcome of reloads. */
export function declareReloadMetrics(metrics: Metrics): { succeeded(nowMs: number): void; failed(): void } {
  const scope = metrics.withPrefix('thanos_rule_config_');
  const isSuccess = scope.gauge({ name: 'last_reload_successful', help: 'Whether the last configuration reload attempt was successful.' });
  const seconds = scope.gauge({ name: 'last_reload_success_timestamp_seconds', help: 'Timestamp of the last successful configuration reload.' });
  return {
    succeeded(nowMs) {
      isSuccess.set(1);
      seconds.set(nowMs / 1000);
    },
    failed: () => isSuccess.set(0),
  };
}
