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
