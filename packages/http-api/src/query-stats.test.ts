/** `data.stats` in Thanos' and in Prometheus' shape. */
import { describe, expect, test } from '@jest/globals';
import { createKernels } from '@gauntlet/kernels';
import { labelsFromPairs } from '@gauntlet/model';
import { createEngine } from '@gauntlet/promql';
import { createMemoryQueryable } from '@gauntlet/promql/testing';
import type { QueryCall, ReadOptions } from './query-call.ts';
import { type QueryDeps, runQuery } from './run-query.ts';
import type { QueryStatsJson } from './types.ts';

const READ: ReadOptions = { dedup: true, replicaLabels: [], storeMatchers: [], maxResolutionMs: 0, partialResponse: true, skipChunks: false, shardInfo: undefined };
const kernels = createKernels({ backend: 'js' });
const timestampsMs = Float64Array.from({ length: 40 }, (_none, i) => i * 15_000);
const queryable = createMemoryQueryable([{ labels: labelsFromPairs([['__name__', 'x']]), timestampsMs, values: timestampsMs }]);

async function statsOf(query: string, deps: Partial<QueryDeps>): Promise<QueryStatsJson> {
  let now = 0;
  const call: QueryCall = { kind: 'range', query, startMs: 300_000, endMs: 360_000, stepMs: 30_000, timeoutMs: undefined, engine: 'prometheus', lookbackDeltaMs: undefined, read: READ, stats: true, analyze: false };
  const answer = await runQuery(call, { engine: createEngine({ kernels }), kernels, queryable: () => queryable, now: () => now++, ...deps });
  let text = '';
  for await (const piece of answer.body) text += new TextDecoder().decode(piece);
  return (JSON.parse(text) as { data: { stats: QueryStatsJson } }).data.stats;
}

describe('stats', () => {
  const rate = 'sum(rate(x[1m]))';

  test('as Thanos has them', async () => {
    const { timings, samples } = await statsOf(rate, {});
    expect(Object.keys(timings)).toEqual(['evalTotalTime', 'resultSortTime', 'queryPreparationTime', 'innerEvalTime', 'execQueueTime', 'execTotalTime']);
    expect(timings.evalTotalTime).toBeCloseTo(timings.queryPreparationTime + timings.innerEvalTime, 9);
    expect(timings.queryPreparationTime).toBeGreaterThan(0);
    expect(Object.entries(samples)).toEqual([['totalQueryableSamples', 12], ['peakSamples', 7]]);
  });

  test('as Prometheus has them', async () => {
    const { samples } = await statsOf(rate, { style: 'prometheus' });
    expect(Object.entries(samples)).toEqual([['totalQueryableSamples', 12], ['samplesRead', 8], ['peakSamples', 7]]);
  });

  test('per step, where that is switched on', async () => {
    const { samples } = await statsOf(rate, { style: 'prometheus', perStepStats: true });
    expect(Object.entries(samples)).toEqual([
      ['totalQueryableSamplesPerStep', [[300, 4], [330, 4], [360, 4]]],
      ['totalQueryableSamples', 12],
      ['samplesReadPerStep', [[300, 4], [330, 2], [360, 2]]],
      ['samplesRead', 8],
      ['peakSamples', 7],
    ]);
  });
});
