/** Switches of the engine, each on and off: removal of names at once or at the end, type and unit labels, the number of remarks. The parser's are in parser/. */
import { createKernels } from '@gauntlet/kernels';
import { describe, expect, test } from '@jest/globals';
import type { EngineOptions } from './engine.ts';
import { runScript, type ScriptEngine } from './promqltest/run-script.ts';
import { createScriptEngine } from './promqltest/script-engine.ts';

const kernels = createKernels({ backend: 'js' });

/** Scripts with the switches as they are by default. */
function scriptEngine(options: Partial<EngineOptions>): ScriptEngine {
  return createScriptEngine({ kernels, maxSamples: 50_000_000, delayedNameRemoval: false, useStartTimestamps: false, ...options });
}

async function problems(script: string, options: Partial<EngineOptions>): Promise<string[]> {
  // Statements end at an empty line.
  return (await runScript(script.replaceAll(/\n(?=eval |#)/g, '\n\n'), scriptEngine(options))).filter(({ problem }) => problem !== undefined).map(({ line, expr, problem }) => `${line}: ${expr}: ${problem}`);
}

const LOAD = `
load 1m
  hits_total{x="1"}                                       0+60x20
  misses_total{x="1"}                                     0+120x20
  typed_total{x="1", __type__="counter", __unit__="s"}    0+60x20
  gauge{x="1", __type__="gauge"}                          0+60x20
  pauses{x="1", __type__="histogram", __unit__="s"}       {{schema:0 count:3 sum:6 buckets:[3]}}x20
`;

const NAMES_AT_ONCE = `${LOAD}
# Selectors, filters and what only looks at the newest or oldest sample keep the name.
eval instant at 10m hits_total
  hits_total{x="1"} 600
eval instant at 10m hits_total < misses_total
  hits_total{x="1"} 600
eval instant at 10m last_over_time(hits_total[5m])
  hits_total{x="1"} 600
eval instant at 10m first_over_time(hits_total[5m])
  hits_total{x="1"} 360
eval instant at 10m topk(1, hits_total)
  hits_total{x="1"} 600

# Everything that makes another quantity of it drops name, type and unit.
eval instant at 10m -hits_total
  {x="1"} -600
eval instant at 10m hits_total < bool misses_total
  {x="1"} 1
eval instant at 10m hits_total / 2
  {x="1"} 300
eval instant at 10m hits_total + misses_total
  {x="1"} 1800
eval instant at 10m ceil(typed_total)
  {x="1"} 600
eval instant at 10m rate(typed_total[5m])
  {x="1"} 1
eval instant at 10m max_over_time(typed_total[5m])
  {x="1"} 600
eval instant at 10m timestamp(typed_total)
  {x="1"} 600

# Numbers of a histogram drop the name alone.
eval instant at 10m histogram_count(pauses)
  {x="1", __type__="histogram", __unit__="s"} 3
eval instant at 10m histogram_avg(pauses)
  {x="1", __type__="histogram", __unit__="s"} 2

# The name is gone for what comes after.
eval instant at 10m label_replace(rate(hits_total[5m]), "was", "$1", "__name__", "(.+)")
  {x="1"} 1
eval instant at 10m sum by (__name__) (rate(hits_total[5m]))
  {} 1

# Two series with one identity are an error where it comes about.
eval instant at 10m count(abs({__name__=~"hits_total|misses_total"}))
  expect fail msg: vector cannot contain metrics with the same labelset
eval instant at 10m sum(rate({__name__=~"hits_total|misses_total"}[5m]))
  expect fail msg: vector cannot contain metrics with the same labelset
eval instant at 10m -{__name__=~"hits_total|misses_total"}
  expect fail msg: vector cannot contain metrics with the same labelset
`;

const NAMES_AT_THE_END = `${LOAD}
eval instant at 10m rate(hits_total[5m])
  {x="1"} 1
eval instant at 10m histogram_count(pauses)
  {x="1"} 3
eval instant at 10m label_replace(rate(hits_total[5m]), "was", "$1", "__name__", "(.+)")
  {was="hits_total", x="1"} 1

# A name set on purpose stays.
eval instant at 10m label_replace(rate(hits_total[5m]), "__name__", "speed", "", "")
  speed{x="1"} 1

# What becomes equal only at the end does not matter before.
eval instant at 10m count(abs({__name__=~"hits_total|misses_total"}))
  {} 2
eval instant at 10m sum(rate({__name__=~"hits_total|misses_total"}[5m]))
  {} 3
eval instant at 10m -{__name__=~"hits_total|misses_total"}
  expect fail msg: vector cannot contain metrics with the same labelset
`;

const TYPES_LOOKED_AT = `${LOAD}
eval instant at 10m rate(typed_total[5m])
  expect no_info
  {x="1"} 1
eval instant at 10m rate(gauge[5m])
  expect info msg: PromQL info: metric might not be a counter, __type__ label is not set to "counter" or "histogram", got "gauge": "gauge" (1:6)
  {x="1"} 1
eval instant at 10m rate(hits_total[5m])
  expect info msg: PromQL info: metric might not be a counter, __type__ label is not set to "counter" or "histogram", got "": "hits_total" (1:6)
  {x="1"} 1
`;

const NAMES_LOOKED_AT = `${LOAD}
eval instant at 10m rate(hits_total[5m])
  expect no_info
  {x="1"} 1
eval instant at 10m rate(gauge[5m])
  expect info msg: PromQL info: metric might not be a counter, name does not end in _total/_sum/_count/_bucket: "gauge" (1:6)
  {x="1"} 1
`;

const ALWAYS = `${LOAD}
# Label names may be any UTF-8.
eval instant at 10m count_values("größe in m²", hits_total)
  {"größe in m²"="600"} 1
eval instant at 10m count_values by (x) ("value", hits_total)
  {x="1", value="600"} 1
eval instant at 10m count_values("", hits_total)
  expect fail msg: invalid label name ""

# The ends of the query, wherever it is evaluated.
eval range from 5m to 10m step 5m hits_total @ start()
  hits_total{x="1"} 300 300
eval range from 5m to 10m step 5m hits_total @ end()
  hits_total{x="1"} 600 600
eval range from 5m to 10m step 5m sum_over_time(hits_total[2m] @ end()) - hits_total @ start() offset 1m
  {x="1"} 900 900
eval range from 5m to 10m step 5m max_over_time((hits_total @ start())[4m:1m])
  {x="1"} 300 300
`;

describe('switches', () => {
  test.each<[string, string, Partial<EngineOptions>]>([
    ['names are removed at once (default)', NAMES_AT_ONCE, {}],
    ['names are removed at the end', NAMES_AT_THE_END, { delayedNameRemoval: true }],
    ['counters are told by their type', TYPES_LOOKED_AT, { typeAndUnitLabels: true }],
    ['counters are told by their name (default)', NAMES_LOOKED_AT, {}],
    ['without any', ALWAYS, {}],
    ['without any, names at the end', ALWAYS, { delayedNameRemoval: true }],
  ])('%s', async (_name, script, options) => {
    expect(await problems(script, options)).toEqual([]);
  });

  test('scripts do not pass with the other setting', async () => {
    expect((await problems(NAMES_AT_ONCE, { delayedNameRemoval: true })).length).toBeGreaterThan(4);
    expect((await problems(NAMES_AT_THE_END, {})).length).toBeGreaterThan(3);
    expect((await problems(TYPES_LOOKED_AT, {})).length).toBe(2);
  });
});
