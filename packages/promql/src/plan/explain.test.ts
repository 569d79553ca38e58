/** Plans as their readers see them, and what the operators of an analyzed query took. */
import { describe, expect, test } from '@jest/globals';
import { createKernels } from '@gauntlet/kernels';
import { createEngine } from '../engine.ts';
import { PromqlError } from '../errors.ts';
import { loadSeries } from '../promqltest/load-data.ts';
import { createMemoryQueryable } from '../promqltest/memory-queryable.ts';
import { parseScript } from '../promqltest/parse-script.ts';
import { formatExplanation, type PlanNode } from './explain.ts';

const loads = parseScript(`load 20s
  x_total{job="a",i="1"} 0+1x60
  x_total{job="a",i="2"} 0+2x60
  x_total{job="b",i="1"} 0+3x60
`).filter((statement) => statement.kind === 'load');
const queryable = createMemoryQueryable(loadSeries(loads));
const engine = createEngine({ kernels: createKernels({ backend: 'js' }), parser: { experimentalFunctions: true } });
const range = { startMs: 600_000, endMs: 900_000, stepMs: 60_000 };

/** Names alone, indented. */
function names(node: PlanNode, indent = ''): string[] {
  return [`${indent}${node.name}`, ...node.children.flatMap((child) => names(child, `${indent}  `))];
}

describe('explain', () => {
  test('as text', () => {
    expect(formatExplanation(engine.explain({ expr: 'sum by (job) (rate(x_total{i="1"}[5m])) / sum by (job) (rate(x_total[5m]))', ...range })).split('\n')).toEqual([
      'rules: aggregate-into-scan, select-hints, project-labels, share-reads',
      '[vectorBinary] / - one-to-one, ignoring: [], group: []',
      '├─ [aggregate] sum by ([job])  — takes the scan',
      '│  └─ [matrixSelector] rate({[i="1" __name__="x_total"]}[5m0s] 0 mod 1)  — hints: rate 5m; needs __name__, job; read #1 for 2 selectors, filtered by {i="1"}',
      '└─ [aggregate] sum by ([job])  — takes the scan',
      '   └─ [matrixSelector] rate({[__name__="x_total"]}[5m0s] 0 mod 1)  — hints: rate 5m; needs __name__, job; read #1 for 2 selectors',
      '',
    ]);
  });

  test.each([
    ['1 + 1', ['[numberLiteral] 2']],
    ['time()', ['[noArgFunction]']],
    ['-(x)', ['[unaryNegation]', '  [vectorSelector] {[__name__="x"]} 0 mod 1']],
    ['x > 1', ['[vectorScalarBinary] >', '  [vectorSelector] {[__name__="x"]} 0 mod 1', '  [numberLiteral] 1']],
    ['a * on (l) group_left (m) b', ['[vectorBinary] * - many-to-one, on: [l], group: [m]', '  [vectorSelector] {[__name__="a"]} 0 mod 1', '  [vectorSelector] {[__name__="b"]} 0 mod 1']],
    ['topk by (l) (3, x)', ['[kaggregate] topk by ([l])', '  [numberLiteral] 3', '  [vectorSelector] {[__name__="x"]} 0 mod 1']],
    ['count_values without (l) ("v", x)', ['[countValues] without ([l]) - param (v)', '  [vectorSelector] {[__name__="x"]} 0 mod 1']],
    ['max_over_time(abs(x)[1h:5m])', ['[subquery] max_over_time()', '  [function] abs([x])', '    [vectorSelector] {[__name__="x"]} 0 mod 1']],
    ['quantile_over_time(0.5, x[1h])', ['[matrixSelector] quantile_over_time({[__name__="x"]}[1h0m0s] 0 mod 1)']],
    ['histogram_quantile(0.9, x)', ['[histogram_quantile]([0.9 x])', '  [vectorSelector] {[__name__="x"]} 0 mod 1']],
    ['absent(x)', ['[absent]', '  [vectorSelector] {[__name__="x"]} 0 mod 1']],
    ['label_replace(x, "a", "b", "c", "d")', ['[relabel]', '  [vectorSelector] {[__name__="x"]} 0 mod 1']],
    ['abs(x @ 0) + y', ['[vectorBinary] + - one-to-one, ignoring: [], group: []', '  [stepInvariant]', '    [function] abs([x @ 0.000])', '      [vectorSelector] {[__name__="x"]} 0 mod 1', '  [vectorSelector] {[__name__="y"]} 0 mod 1']],
    ['sum(x) / sum(x)', ['[vectorBinary] / - one-to-one, ignoring: [], group: []', '  [shared] #1', '    [aggregate] sum by ([])', '      [vectorSelector] {[__name__="x"]} 0 mod 1', '  [shared] #1']],
  ])('%s', (expr, want) => {
    expect(names(engine.explain({ expr, ...range }).root)).toEqual(want);
  });

  test('of an instant query range vectors and strings too', () => {
    expect(names(engine.explain({ expr: 'x[5m]', timeMs: 0 }).root)).toEqual(['[matrixSelector] {[__name__="x"]}[5m0s] 0 mod 1']);
    expect(names(engine.explain({ expr: '"text"', timeMs: 0 }).root)).toEqual(['[string] "text"']);
    expect(names(engine.explain({ expr: 'x[5m:1m]', timeMs: 0 }).root)).toEqual(['[subquery]', '  [vectorSelector] {[__name__="x"]} 0 mod 1']);
  });

  test('refuses what the query itself would', () => {
    expect(() => engine.explain({ expr: 'sum(', timeMs: 0 })).toThrow(PromqlError);
    expect(() => engine.explain({ expr: 'x[5m]', ...range })).toThrow('invalid expression type "range vector" for range query, must be Scalar or instant Vector');
  });
});

describe('analyze', () => {
  /** A clock that moves by 1 ms with every look. */
  const clock = (): (() => number) => {
    let now = 0;
    return () => now++;
  };

  test('series and samples from operator to operator', async () => {
    const { analysis } = await engine.range({ expr: 'sum by (job) (rate(x_total[5m])) * 2', queryable, ...range, analyze: true, now: clock() });
    const [sum, two] = analysis!.root.children;
    const [rate] = sum!.children;
    // Three series, from (300 s, 600 s] to (600 s, 900 s]: 30 samples each are read, and six windows of 15 are looked at.
    expect(rate!.figures).toMatchObject({ seriesRead: 3, samplesRead: 90, samplesIn: 90, series: 3, samplesOut: 18, totalSamples: 270 });
    expect(sum!.figures).toMatchObject({ seriesRead: 0, samplesIn: 18, series: 2, samplesOut: 12, totalSamples: 270 });
    expect(two!.figures).toMatchObject({ samplesIn: 0, series: 1, samplesOut: 6, totalSamples: 0 });
    expect(analysis!.root.figures).toMatchObject({ samplesIn: 18, series: 2, samplesOut: 12, totalSamples: 270 });
  });

  test('time and memory of an operator are those of all below it', async () => {
    const { analysis } = await engine.range({ expr: 'abs(-(x_total + 1))', queryable, ...range, analyze: true, now: clock() });
    const line: PlanNode[] = [];
    for (let node: PlanNode | undefined = analysis!.root; node !== undefined; node = node.children[0]) line.push(node);
    expect(line).toHaveLength(4);
    for (let i = 1; i < line.length; i++) {
      expect(line[i - 1]!.figures!.timeMs).toBeGreaterThan(line[i]!.figures!.timeMs);
      expect(line[i - 1]!.figures!.peakBytes).toBeGreaterThanOrEqual(line[i]!.figures!.peakBytes);
      expect(line[i - 1]!.figures!.peakSamples).toBeGreaterThanOrEqual(line[i]!.figures!.peakSamples);
    }
    expect(line[3]!.figures!.peakBytes).toBeGreaterThan(0);
  });

  test('what an aggregation takes is not the time of the scan', async () => {
    const { analysis } = await engine.instant({ expr: 'sum(x_total)', queryable, timeMs: 600_000, analyze: true, now: clock() });
    // Looks: two around the sum, two around the scan, two around each of three rows.
    expect(analysis!.root.figures!.timeMs).toBe(9);
    expect(analysis!.root.children[0]!.figures!.timeMs).toBe(7 - 3);
  });

  test('what is computed once has figures once; the other place has its own', async () => {
    const { analysis } = await engine.instant({ expr: 'sum(x_total) + sum(x_total)', queryable, timeMs: 600_000, analyze: true, now: clock() });
    const [first, second] = analysis!.root.children;
    expect(first!.children[0]!.figures).toMatchObject({ series: 1, samplesIn: 3 });
    expect(second!.figures).toMatchObject({ series: 1, samplesOut: 1, totalSamples: 3 });
  });

  test('selectors that read together have each what they got', async () => {
    const { analysis } = await engine.instant({ expr: 'sum(x_total{job="a"}) / sum(x_total)', queryable, timeMs: 600_000, analyze: true, now: clock() });
    expect(analysis!.root.children.map((side) => side.children[0]!.figures!.seriesRead)).toEqual([2, 3]);
  });

  test('the answer is the same, and there is no analysis unless asked for', async () => {
    const plain = await engine.range({ expr: 'sum by (job) (rate(x_total[5m]))', queryable, ...range });
    const analyzed = await engine.range({ expr: 'sum by (job) (rate(x_total[5m]))', queryable, ...range, analyze: true, now: clock() });
    expect(plain.analysis).toBeUndefined();
    expect(analyzed.values).toEqual(plain.values);
    expect(analyzed.labels).toEqual(plain.labels);
    expect(formatExplanation(analyzed.analysis!)).toMatch(/ms, read 3 series, samples in 90, out 3 series, 18 samples, peak \d+ bytes/);
  });
});
