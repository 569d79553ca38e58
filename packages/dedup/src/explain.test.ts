/** Explanations and counts of decisions by small pictures; sources of one replica; algorithms by name. */
import { describe, expect, test } from '@jest/globals';
import { labelsFromMap, wordsOf, writeStaleNaN } from '@gauntlet/model';
import { deduplicate, parseDedupFunction } from './deduplicate.ts';
import { explainStable } from './explain.ts';
import { mergeChain } from './merge-chain.ts';
import { mergePenalty } from './merge-penalty.ts';
import { DedupBuffer, type ReplicaColumns } from './replica-columns.ts';
import { isCounterSeries, uniteSources } from './replica-sources.ts';
import { mergeStable } from './stable.ts';
import { DecisionCounter } from './stable-counts.ts';

const START = 1772409600000;

function every15(phase: number, count: number, lost: (i: number) => boolean = () => false, late = 0): ReplicaColumns {
  const kept = Array.from({ length: count }, (_, i) => i).filter((i) => !lost(i));
  return { timestampsMs: Float64Array.from(kept, (i) => START + (phase + 15 * i) * 1000), values: Float64Array.from(kept, (i) => 10 * (phase + 15 * i - late) + 1000) };
}

function at(second: number): number {
  return START + 1000 * second;
}

describe('explainStable', () => {
  const gap = (i: number): boolean => i >= 10 && i < 14;
  const options = { isCounterSeries: true };
  const names = ['a', 'b'];

  test('the leader', () => {
    const { sentence, shown, reason, window } = explainStable([every15(0, 80), every15(7, 80)], options, at(100), names);
    expect(shown).toEqual({ timestampMs: at(90), replica: 0, index: 6 });
    expect(reason).toBe('leader');
    expect(window).toEqual({ startMs: START, leader: 0, spacingMs: 15_104, samples: [40, 40] });
    expect(sentence).toBe('a leads the window (samples: a 40, b 40).');
  });

  test('a fill, and what the filler could not show', () => {
    const { reason, dropped, filled, sentence } = explainStable([every15(0, 80, gap), every15(7, 80, undefined, 45)], options, at(190), names);
    expect(reason).toBe('fill');
    expect(filled).toEqual([{ replica: 1, from: 12, to: 14, fromMs: at(187), toMs: at(202) }]);
    expect(dropped).toEqual([{ replica: 1, from: 9, to: 12, fromMs: at(142), toMs: at(172), other: 0, otherIndex: 9 }]);
    expect(sentence).toBe('b fills a hole of a, which leads the window (samples: a 36, b 40; spacing 15.1 s); left out because they are behind what is shown: 3 of b.');
  });

  test('replicas that disagree', () => {
    const low = every15(7, 160);
    const { disputed, sentence } = explainStable([every15(0, 160, gap), { ...low, values: low.values.map((value) => value / 100) }], options, at(190), names);
    expect(disputed[0]).toMatchObject({ replica: 1, other: 0 });
    expect(sentence).toMatch(/b and a disagree for longer than a window\.$/);
  });

  test('one replica, a union, a stale marker, nothing at all', () => {
    expect(explainStable([every15(0, 10)], options, at(33), names).sentence).toBe('a is the only replica.');
    const sparse = (seconds: readonly number[]): ReplicaColumns => ({ timestampsMs: Float64Array.from(seconds, at), values: Float64Array.from(seconds) });
    expect(explainStable([sparse([0, 1000]), sparse([500])], options, at(500), names)).toMatchObject({ reason: 'union', shown: { replica: 1 } });
    const values = every15(7, 20).values.slice();
    writeStaleNaN(wordsOf(values), 19);
    const ended = explainStable([every15(0, 10), { ...every15(7, 20), values }], options, at(400), names);
    expect(ended.sentence).toBe('b ended, and every other replica had ended by then.');
    expect(ended.staleMarkers).toEqual([{ timestampMs: at(292), replica: 1, isShown: true }]);
    expect(explainStable([every15(0, 10)], options, START - 1, names).sentence).toBe('No replica has a sample by then.');
  });
});

test('counts of decisions', () => {
  const trace = new DecisionCounter();
  const out = new DedupBuffer();
  for (let series = 0; series < 2; series++) {
    trace.startSeries();
    mergeStable([every15(0, 120, (i) => (i >= 10 && i < 14) || (i >= 45 && i < 60)), every15(7, 120, undefined, 45)], { isCounterSeries: true, trace }, out);
  }
  expect(trace.counts).toEqual({ windows: 6, unionWindows: 0, leaderChanges: 4, filledSamples: 4, droppedSamples: 18, disputedSamples: 0, droppedStaleMarkers: 0 });
});

test('algorithms by name', () => {
  const replicas = [every15(0, 40, (i) => i === 10), every15(7, 40)];
  const options = { isCounterSeries: true, isCounter: false };
  const [byName, direct] = [new DedupBuffer(), new DedupBuffer()];
  const shown = ({ timestampsMs, length }: DedupBuffer): number[] => Array.from(timestampsMs.subarray(0, length));
  deduplicate('penalty', replicas, options, byName);
  mergePenalty(replicas, options, direct);
  expect(shown(byName)).toEqual(shown(direct));
  deduplicate('chain', replicas, options, byName);
  mergeChain(replicas, direct);
  expect(shown(byName)).toEqual(shown(direct));
  deduplicate('stable', replicas, options, byName);
  mergeStable(replicas, options, direct);
  expect(shown(byName)).toEqual(shown(direct));
  expect(parseDedupFunction('chain')).toBe('chain');
  expect(() => parseDedupFunction('best')).toThrow('choose deduplication function: got "best", want stable, penalty, chain');
});

test.each([
  [{ __name__: 'http_requests_total' }, true],
  [{ __name__: 'x_bucket', le: '1' }, true],
  [{ __name__: 'x_sum' }, true],
  [{ __name__: 'x_count' }, true],
  [{ __name__: 'requests', __type__: 'counter' }, true],
  [{ __name__: 'requests', __type__: 'histogram' }, true],
  [{ __name__: 'requests', __type__: 'gauge' }, false],
  [{ __name__: 'total_requests' }, false],
  [{ job: 'a' }, false],
])('counter by labels: %j is %s', (labels, isCounter) => {
  expect(isCounterSeries(labelsFromMap(new Map(Object.entries(labels) as Array<[string, string]>)))).toBe(isCounter);
});

describe('uniteSources', () => {
  const columns = (...samples: ReadonlyArray<readonly [number, number]>): ReplicaColumns => ({ timestampsMs: Float64Array.from(samples, ([ms]) => ms), values: Float64Array.from(samples, ([, value]) => value) });
  const united = (...sources: readonly ReplicaColumns[]): Array<[number, number]> => {
    const out = new DedupBuffer();
    uniteSources(sources, out);
    return Array.from({ length: out.length }, (_, i) => [out.timestampsMs[i]!, out.values[i]!]);
  };

  test('by timestamp, the larger bits on conflict, in any order', () => {
    const a = columns([10, 1], [20, 2], [40, -0]);
    const b = columns([20, 3], [30, 4], [40, 0]);
    expect(united(a, b)).toEqual([[10, 1], [20, 3], [30, 4], [40, -0]]);
    expect(united(b, a)).toEqual(united(a, b));
    expect(united(a)).toEqual([[10, 1], [20, 2], [40, -0]]);
    expect(united()).toEqual([]);
  });

  test('a histogram wins over a float', () => {
    const histogram = { ...columns([10, 0]), isHistogram: Uint8Array.of(1) };
    const out = new DedupBuffer();
    uniteSources([columns([10, 5]), histogram], out);
    expect([out.length, out.replicas[0]]).toEqual([1, 1]);
  });
});
