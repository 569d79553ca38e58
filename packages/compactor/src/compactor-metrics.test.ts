/** Names that Thanos' alerts and dashboards ask for. */
import { createMetrics, renderMetrics } from '@gauntlet/service-kit';
import { expect, test } from '@jest/globals';

import { createCompactorMetrics } from './compactor-metrics.ts';

const text = async (metrics: ReturnType<typeof createMetrics>): Promise<string> => String((await renderMetrics(metrics.registry, undefined)).body);

test('every family is there from the start, with Thanos’ names', async () => {
  const metrics = createMetrics();
  createCompactorMetrics(metrics).group(0);
  const body = await text(metrics);
  for (const name of [
    'halted', 'retries_total', 'iterations_total', 'block_cleanup_loops_total', 'aborted_partial_uploads_deletion_attempts_total', 'blocks_cleaned_total', 'block_cleanup_failures_total',
    'garbage_collected_blocks_total', 'garbage_collection_total', 'garbage_collection_failures_total', 'garbage_collection_duration_seconds_count', 'todo_compactions', 'todo_compaction_blocks',
    'todo_deletion_blocks',
  ]) expect(body).toMatch(new RegExp(`^thanos_compact_${name} 0$`, 'm'));
  for (const name of ['compactions_total', 'compaction_runs_started_total', 'compaction_runs_completed_total', 'compactions_failures_total', 'vertical_compactions_total']) {
    expect(body).toContain(`thanos_compact_group_${name}{resolution="0"} 0\n`);
  }
  for (const name of ['compactions_total', 'vertical_compactions_total', 'compaction_duration_seconds_count', 'compaction_populating_block']) expect(body).toContain(`\nprometheus_tsdb_${name} 0\n`);
  for (const labels of [
    'marker="deletion-mark.json",reason=""', 'marker="no-compact-mark.json",reason="index-size-exceeding"',
    'marker="no-compact-mark.json",reason="block-index-out-of-order-chunk"', 'marker="no-compact-mark.json",reason="downsample-vertical-compaction"',
  ]) expect(body).toContain(`thanos_compact_blocks_marked_total{${labels}} 0\n`);
  expect(body).toContain('\nthanos_delete_delay_seconds 0\n');
});

test('a resolution has counters of its own; deletion marks have no reason', async () => {
  const metrics = createMetrics();
  const own = createCompactorMetrics(metrics);
  own.group(300_000).verticalCompactions.inc();
  own.group(0).failures.inc(2);
  own.marked('deletion', 'whatever').inc();
  const body = await text(metrics);
  expect(body).toContain('thanos_compact_group_vertical_compactions_total{resolution="300000"} 1\n');
  expect(body).toContain('thanos_compact_group_compactions_failures_total{resolution="0"} 2\n');
  expect(body).toContain('thanos_compact_blocks_marked_total{marker="deletion-mark.json",reason=""} 1\n');
});
