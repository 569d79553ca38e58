/**
 * Random data and random queries over it, from a seed: for comparing the engine with the naive evaluator and with other servers. Data has what
 * troubles engines: gaps, stale markers, NaN, infinities, counter resets, series that differ only in their name.
 */
import { labelsFromPairs } from '@gauntlet/model';
import type { MemorySeries } from '../promqltest/memory-queryable.ts';

/** Numbers in [0, 1) from a 32-bit seed (mulberry32). */
export function randomFrom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Series of three metrics over `durationMs` from 0. */
export function randomSeries(random: () => number, durationMs: number): MemorySeries[] {
  const series: MemorySeries[] = [];
  for (const name of ['a_total', 'b', 'c']) {
    for (const job of ['x', 'y']) {
      for (const instance of ['0', '1', '2']) {
        if (random() < 0.2) continue;
        series.push({ labels: labelsFromPairs([['__name__', name], ['job', job], ['instance', instance], ...(name === 'c' ? [['zone', instance] as const] : [])]), ...columns(random, durationMs, name === 'a_total') });
      }
    }
  }
  return series;
}

function columns(random: () => number, durationMs: number, isCounter: boolean): { timestampsMs: Float64Array; values: Float64Array } {
  const times: number[] = [];
  const values: number[] = [];
  const stale: number[] = [];
  let counter = Math.floor(random() * 10);
  for (let t = Math.floor(random() * 15_000); t <= durationMs; t += 15_000 + Math.floor((random() - 0.5) * 400)) {
    const dice = random();
    if (dice < 0.03) t += Math.floor(random() * 300_000);
    counter = dice > 0.97 ? 0 : counter + Math.floor(random() * 5);
    times.push(t);
    if (dice > 0.5 && dice < 0.53) stale.push(times.length - 1);
    values.push(isCounter ? counter : special(random) ?? Math.floor((random() - 0.4) * 200) / 4);
  }
  const column = Float64Array.from(values);
  const bits = new BigUint64Array(column.buffer);
  for (const i of stale) bits[i] = 0x7ff0000000000002n;
  return { timestampsMs: Float64Array.from(times), values: column };
}

function special(random: () => number): number | undefined {
  const dice = random();
  if (dice < 0.01) return NaN;
  if (dice < 0.015) return Infinity;
  return dice < 0.02 ? -Infinity : undefined;
}

const RANGE_FUNCTIONS = [
  'rate',
  'increase',
  'delta',
  'irate',
  'idelta',
  'count_over_time',
  'sum_over_time',
  'avg_over_time',
  'min_over_time',
  'max_over_time',
  'first_over_time',
  'last_over_time',
  'present_over_time',
  'stdvar_over_time',
  'stddev_over_time',
  'changes',
  'resets',
  'deriv',
  'absent_over_time',
];
const AGGREGATES = ['sum', 'avg', 'min', 'max', 'count', 'group', 'stddev', 'stdvar'];
const ARITHMETIC = ['+', '-', '*', '/', '%'];
const COMPARISONS = ['==', '!=', '<', '<=', '>', '>='];
const MATH = ['abs', 'ceil', 'floor', 'sqrt'];

/** A random query whose result is an instant vector. */
export function randomQuery(random: () => number): string {
  const one = <T>(choices: readonly T[]): T => choices[Math.floor(random() * choices.length)]!;
  const maybe = (chance: number, text: () => string): string => (random() < chance ? text() : '');

  const matchers = (): string => maybe(0.4, () => `{${one(['job="x"', 'job!="x"', 'instance=~"0|1"', 'instance!~"2", job="y"', 'zone=""'])}}`);
  const modifiers = (): string =>
    maybe(0.2, () => ` offset ${one(['30s', '2m', '-1m', '10m'])}`) + maybe(0.12, () => ` @ ${one(['600', '1200.5', 'start()', 'end()', '0'])}`);
  const name = (): string => one(['a_total', 'b', 'c', '{__name__=~"a_total|b"}']);
  const selector = (): string => {
    const base = name();
    return base.startsWith('{') ? base : base + matchers();
  };
  const ranges = (): string => one(['1m', '5m', '17s', '20m']);

  const rangeVector = (depth: number): string => {
    if (depth > 0 && random() < 0.35) return `(${vector(depth - 1)})[${one(['5m', '10m'])}:${one(['', '30s', '1m', '45s'])}]${modifiers()}`;
    return `${selector()}[${ranges()}]${modifiers()}`;
  };

  const grouping = (): string => maybe(0.8, () => ` ${one(['by', 'without'])} (${one(['job', 'instance', 'job, instance', 'zone', ''])})`);

  const scalar = (depth: number): string => {
    if (depth <= 0 || random() < 0.7) return one(['0', '1', '2.5', '-3', '10', 'time()', '1e3']);
    return one([() => `scalar(${vector(depth - 1)})`, () => `(${scalar(depth - 1)} ${one(ARITHMETIC)} ${scalar(depth - 1)})`])();
  };

  const matching = (isSet: boolean): string => {
    const names = one(['job', 'instance', 'job, instance', 'zone']);
    const on = maybe(0.6, () => ` ${one(['on', 'ignoring'])} (${names})`);
    if (isSet || on === '') return on;
    // A label may not be matched on and copied at once.
    const include = one(['', 'zone', 'instance']);
    return on + maybe(0.35, () => ` ${one(['group_left', 'group_right'])} (${names.includes(include) ? '' : include})`);
  };

  const vector = (depth: number): string => {
    if (depth <= 0) return selector() + modifiers();
    const inner = (): string => vector(depth - 1);
    return one([
      () => selector() + modifiers(),
      () => `${one(RANGE_FUNCTIONS)}(${rangeVector(depth)})`,
      () => `${one(RANGE_FUNCTIONS)}(${rangeVector(depth)})`,
      () => `quantile_over_time(${one(['0.5', '0.9', '1', '0'])}, ${rangeVector(depth)})`,
      () => `predict_linear(${rangeVector(depth)}, ${one(['60', '-60', '3600'])})`,
      () => `${one(AGGREGATES)}${grouping()} (${inner()})`,
      () => `${one(AGGREGATES)}${grouping()} (${inner()})`,
      () => `quantile${grouping()} (${one(['0.5', '0.25', '1'])}, ${inner()})`,
      () => `${one(MATH)}(${inner()})`,
      () => `clamp(${inner()}, ${one(['-5', '0'])}, ${one(['10', '-10'])})`,
      () => `-(${inner()})`,
      () => `timestamp(${inner()})`,
      () => `absent(${inner()})`,
      () => `vector(${scalar(depth - 1)})`,
      () => `(${inner()}) ${one(ARITHMETIC)} ${scalar(depth - 1)}`,
      () => `${scalar(depth - 1)} ${one(COMPARISONS)} ${maybe(0.4, () => 'bool ')}(${inner()})`,
      () => `(${inner()}) ${one(ARITHMETIC)}${matching(false)} (${inner()})`,
      () => `(${inner()}) ${one(COMPARISONS)}${maybe(0.4, () => ' bool')}${matching(false)} (${inner()})`,
      () => `(${inner()}) ${one(['and', 'or', 'unless'])}${matching(true)} (${inner()})`,
    ])();
  };
  return vector(1 + Math.floor(random() * 3));
}
