/** Corners that scripts cannot reach, because they run with delayed name removal: found by random queries, answers asked of promtool 3.14. */
import { expect, test } from '@jest/globals';
import { createKernels } from '@gauntlet/kernels';
import { formatLabels } from '@gauntlet/model';
import { createEngine } from './engine.ts';
import { loadSeries } from './promqltest/load-data.ts';
import { createMemoryQueryable } from './promqltest/memory-queryable.ts';
import { type LoadStatement, parseScript } from './promqltest/parse-script.ts';

const script = `load 1m
  h{__type__="histogram", __unit__="s", a="1"} {{schema:0 sum:1 count:1 buckets:[1]}}x5
  b{__type__="gauge", __unit__="s", a="1"} 1x5
`;
const queryable = createMemoryQueryable(loadSeries(parseScript(script) as LoadStatement[]));

test.each([
  { expr: 'histogram_sum(h)', want: '{__type__="histogram", __unit__="s", a="1"}' },
  { expr: 'histogram_stdvar(h)', want: '{__type__="histogram", __unit__="s", a="1"}' },
  { expr: 'histogram_quantile(0, h)', want: '{a="1"}' },
  { expr: 'abs(b)', want: '{a="1"}' },
  { expr: 'last_over_time(b[5m])', want: '{__name__="b", __type__="gauge", __unit__="s", a="1"}' },
])('labels of $expr', async ({ expr, want }) => {
  const result = await createEngine({ kernels: createKernels() }).instant({ expr, queryable, timeMs: 60_000 });
  expect(result.labels.map(formatLabels)).toEqual([want]);
  result.dispose();
});

test('remarks of sums depend on the order of series, which is that of labels here', async () => {
  const data = `load 1m
  a 5x5
  m{i="0"} {{schema:-53 sum:3 count:3 custom_values:[1 2 5] buckets:[1 1 1]}}x5
  m{i="1"} {{schema:-53 sum:3 count:4 custom_values:[0.5 1 2 5] buckets:[1 1 1 1]}}x5
  m{i="2"} {{schema:0 sum:2 count:2 buckets:[2]}}x5
`;
  const series = createMemoryQueryable(loadSeries(parseScript(data) as LoadStatement[]));
  const remarks = async (expr: string): Promise<string[]> => {
    const result = await createEngine({ kernels: createKernels() }).instant({ expr, queryable: series, timeMs: 60_000 });
    result.dispose();
    return [...result.warnings, ...result.infos];
  };
  // Bounds that differ are remarked even if the sum comes to nothing later.
  expect(await remarks('sum(m)')).toEqual([
    'PromQL warning: vector contains a mix of histograms with exponential and custom buckets schemas for metric name "m" (1:5)',
    'PromQL info: mismatched custom buckets were reconciled during aggregation (1:5)',
  ]);
  // Behind a float, histograms are not looked at.
  expect(await remarks('sum({__name__=~"a|m"})')).toEqual(['PromQL warning: encountered a mix of histograms and floats for aggregation (1:5)']);
});
