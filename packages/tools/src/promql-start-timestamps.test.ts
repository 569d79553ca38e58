/** `tools promql query` over a block with start timestamps, as Prometheus writes it with its feature `st-storage`: the feature flag decides. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { CHUNK_ENCODING } from '@gauntlet/model';
import { createNodeFileSystem } from '@gauntlet/service-kit';
import { createBlockWriter, encodeXor2Chunk } from '@gauntlet/tsdb';
import { evaluateQuery } from './promql-evaluate.ts';
import { runWith } from './testing/tool-run.ts';

const blocks = mkdtempSync(join(tmpdir(), 'gauntlet-promql-starts-'));
afterAll(() => rmSync(blocks, { recursive: true, force: true }));

beforeAll(() => {
  const writer = createBlockWriter(createNodeFileSystem(), blocks, { ulid: '01M7YH8MWRAHCY0QHCESGFVHVY', minTime: 0, maxTime: 7_200_000, symbols: ['', '__name__', 'job', 'up_total', 'x'] });
  const samples = { timestampsMs: Float64Array.of(60_000, 120_000), values: Float64Array.of(20, 30), startTimestamps: Float64Array.of(30_000, 60_000) };
  writer.addSeries(['__name__', 'up_total', 'job', 'x'], [{ mint: 60_000, maxt: 120_000, encoding: CHUNK_ENCODING.xor2, data: encodeXor2Chunk(samples, 0, 2) }]);
  writer.finish();
});

test.each([
  { name: 'off: the second value is higher, so 10 in a minute, stretched to two', argv: [], expr: 'increase(up_total[2m])', out: '{job="x"} => 20 @[120]\n' },
  { name: 'off: none to show', argv: [], expr: 'start_timestamp(up_total)', out: '\n' },
  // 20 since 30 s, and 30 since the sample at 60 s.
  { name: 'on', argv: ['--enable-feature=use-start-timestamps'], expr: 'increase(up_total[2m])', out: '{job="x"} => 50 @[120]\n' },
  { name: 'on: shown', argv: ['--enable-feature=use-start-timestamps'], expr: 'start_timestamp(up_total)', out: '{job="x"} => 60 @[120]\n' },
])('$name', async ({ argv, expr, out }) => {
  const words = ['promql', 'query', 'instant', '--time=120', '--enable-feature=promql-experimental-functions', ...argv, expr, `--block-dir=${blocks}`];
  expect(await runWith([], words, { evaluateQuery: (job, deps) => evaluateQuery(job, deps) })).toMatchObject({ code: 0, out });
});
