/**
 * A database against a map: random appends of floats and histograms in and out of order, several batches at once, deletions, cuts, compactions
 * of blocks in one go or with other things happening meanwhile, restarts and kills. Whatever is accepted is there from then on, once, until it
 * is deleted; whatever is refused is refused for its time or because another value is there.
 *
 * GAUNTLET_FUZZ_RUNS=10000 for a long run.
 */
import fc from 'fast-check';
import { expect, test } from '@jest/globals';
import { createKernels } from '@gauntlet/kernels';
import { createHistogram, createMatcher, type FloatHistogram, type IntegerHistogram, type Labels, STALE_NAN_HI, STALE_NAN_LO } from '@gauntlet/model';
import { createDb, type Db } from './db.ts';
import { type CompactionOutcome, type CompactionPlan, runCompaction } from './db/compaction.ts';
import { isInOrderBlock } from './db/retention.ts';
import { isTsdbError } from './errors.ts';
import { type Appender, REFUSED } from './head/head-append.ts';
import { createMemoryFileSystem, type MemoryFileSystem } from './testing/memory-file-system.ts';
import { dumpAll } from './testing/recorded-samples.ts';

const kernels = createKernels();
const RANGE_MS = 1000;

/** 'end': a stale marker, which is stored as what the series is. */
type Kind = 'float' | 'integers' | 'floats' | 'end';

interface Sample {
  readonly series: number;
  readonly kind: Kind;
  /** Relative to the time the life has reached. */
  readonly offsetMs: number;
  readonly value: number;
}

type Step =
  | { readonly do: 'append'; readonly advanceMs: number; readonly samples: readonly Sample[]; readonly others: readonly Sample[]; readonly isRolledBack: boolean }
  | { readonly do: 'compact'; readonly force: boolean }
  /** Bounds relative to the time the life has reached. */
  | { readonly do: 'delete'; readonly series: readonly number[]; readonly fromMs: number; readonly lengthMs: number }
  | { readonly do: 'reopen' | 'kill' | 'read' | 'compactStale' | 'compactBlocks' | 'clean' | 'planAndRun' | 'finish' };

const labelsOf = (series: number): Labels => ['__name__', 'm', 'series', String(series)];

function histogramOf(kind: Kind, value: number): FloatHistogram | IntegerHistogram {
  const positiveSpans = [{ offset: value % 3, length: 2 }];
  if (kind === 'floats') return createHistogram({ count: value + 0.5, sum: value, positiveSpans, positiveBuckets: Float64Array.of(value, 0.5) });
  return { ...createHistogram({ count: value + 1, sum: value, positiveSpans }), positiveDeltas: [value, 1 - value], negativeDeltas: [] };
}

function tryEnd(appender: Appender, labels: Labels, timeMs: number): number {
  try {
    return appender.appendBits(0, labels, timeMs, STALE_NAN_HI, STALE_NAN_LO);
  } catch (error) {
    if (isTsdbError(error, 'ERR_SAMPLE_OUT_OF_ORDER')) return REFUSED.outOfOrder;
    if (isTsdbError(error, 'ERR_SAMPLE_OUT_OF_BOUNDS')) return REFUSED.outOfBounds;
    if (isTsdbError(error, 'ERR_SAMPLE_DUPLICATE')) return REFUSED.duplicate;
    if (isTsdbError(error, 'ERR_SAMPLE_TOO_OLD')) return REFUSED.tooOld;
    throw error;
  }
}

/** Kind and value: the sum of a histogram tells it. */
const meaningOf = (kind: Kind, value: number): string => (kind === 'end' || Number.isNaN(value) ? 'end' : `${kind === 'float' ? 'float' : 'histogram'} ${value}`);

class Life {
  readonly #windowMs: number;
  readonly #exemplars: number;
  readonly #startTimestamps: boolean;
  #fs: MemoryFileSystem = createMemoryFileSystem();
  #db: Db;
  #nowMs = 10_000;
  /** Series → time → what may be there: more than one where an out-of-order sample met another. */
  readonly #given = new Map<number, Map<number, Set<string>>>();
  /** Deleted ranges by series: what comes late into one may be taken for deleted as long as the head remembers. */
  readonly #deleted = new Map<number, [number, number][]>();
  /** A compaction that another thread has run, and that is not finished. */
  #pending: { readonly plan: CompactionPlan; readonly outcome: CompactionOutcome } | undefined;

  constructor(windowMs: number, startTimestamps: boolean) {
    this.#startTimestamps = startTimestamps;
    this.#windowMs = windowMs;
    this.#exemplars = 10;
    this.#db = this.#open();
  }

  async play(steps: readonly Step[]): Promise<void> {
    for (const step of steps) await this.#step(step);
    this.#db.compactHead({ force: true });
    this.#finish();
    this.#db.compactBlocks();
    this.#db.cleanTombstones();
    await this.#check();
    const newest = Math.max(...this.#db.blocks().map(({ meta }) => (isInOrderBlock(meta) ? meta.maxTime : Number.NEGATIVE_INFINITY)));
    for (const { meta, tombstones } of this.#db.blocks()) if (!isInOrderBlock(meta) || meta.maxTime < newest) expect(tombstones.size).toBe(0);
    expect(this.#db.stats().headOutOfOrderSeries).toBe(0);
    this.#db.close();
    this.#db = this.#open();
    await this.#check();
    this.#db.close();
  }

  async #step(step: Step): Promise<void> {
    if (step.do === 'append') this.#append(step);
    else if (step.do === 'compact') this.#db.compactHead({ force: step.force });
    else if (step.do === 'read') await this.#check();
    else if (step.do === 'delete') {
      this.#delete(step);
      await this.#check();
    } else if (step.do === 'compactStale') this.#db.compactStaleSeries();
    else if (step.do === 'compactBlocks') this.#db.compactBlocks();
    else if (step.do === 'clean') {
      this.#db.cleanTombstones();
      await this.#check();
    } else if (step.do === 'planAndRun') {
      const plan = this.#db.planCompaction();
      if (plan !== undefined) this.#pending = { plan, outcome: runCompaction({ fs: this.#fs, kernels }, plan) };
    } else if (step.do === 'finish') this.#finish();
    else {
      this.#pending = undefined;
      if (step.do === 'reopen') this.#db.close();
      this.#fs = this.#fs.afterKill();
      this.#db = this.#open();
      await this.#check();
    }
  }

  #finish(): void {
    if (this.#pending !== undefined) this.#db.finishCompaction(this.#pending.plan, this.#pending.outcome);
    this.#pending = undefined;
  }

  #delete({ series, fromMs, lengthMs }: Step & { do: 'delete' }): void {
    const [mint, maxt] = [this.#nowMs + fromMs, this.#nowMs + fromMs + lengthMs];
    this.#db.delete([createMatcher('=~', 'series', series.join('|'))], mint, maxt);
    for (const one of series) {
      const times = this.#given.get(one) ?? new Map<number, Set<string>>();
      // Later samples than any are not deleted.
      const last = Math.max(...times.keys());
      for (const time of times.keys()) if (time >= mint && time <= maxt) times.set(time, new Set(['nothing']));
      this.#deleted.set(one, [...(this.#deleted.get(one) ?? []), [mint, Math.min(maxt, last)]]);
    }
  }

  #open(): Db {
    const deps = { fs: this.#fs, dir: 'data', kernels, clock: { now: () => 1_700_000_000_000 }, random: Math.random };
    return createDb(deps, { blockRangeMs: RANGE_MS, walSegmentBytes: 32768, outOfOrderWindowMs: this.#windowMs, exemplars: this.#exemplars, startTimestamps: this.#startTimestamps });
  }

  /** Two batches side by side; the second commits first. */
  #append({ advanceMs, samples, others, isRolledBack }: Step & { do: 'append' }): void {
    this.#nowMs += advanceMs;
    const [first, second] = [this.#db.appender(), this.#db.appender()];
    const taken = [this.#offer(first, samples), this.#offer(second, others)];
    second.commit();
    this.#note(taken[1]!);
    if (isRolledBack) {
      first.rollback();
      return;
    }
    const { rejected } = first.commit();
    // Overtaken by the second batch: without a window such samples are lost, with one they may meet another at their time.
    this.#note(taken[0]!, rejected > 0);
  }

  #offer(appender: Appender, samples: readonly Sample[]): { readonly sample: Sample; readonly timeMs: number }[] {
    const taken: { sample: Sample; timeMs: number }[] = [];
    const maxTimeMs = (): number => this.#db.stats().headMaxTimeMs;
    for (const sample of samples) {
      const timeMs = this.#nowMs + sample.offsetMs;
      const labels = labelsOf(sample.series);
      const answer =
        sample.kind === 'end'
          ? tryEnd(appender, labels, timeMs)
          : sample.kind === 'float'
            ? appender.tryAppend(0, labels, timeMs, sample.value, timeMs - 1)
            : appender.tryAppendHistogram(0, labels, timeMs, histogramOf(sample.kind, sample.value), timeMs - 1);
      // The first sample ever sets the bound.
      const isWithinWindow = this.#windowMs > 0 && timeMs >= maxTimeMs() - this.#windowMs;
      if (answer > 0) taken.push({ sample, timeMs });
      else if (isWithinWindow) expect(answer).toBe(REFUSED.duplicate);
      else if (this.#windowMs > 0) expect([REFUSED.tooOld, REFUSED.duplicate]).toContain(answer);
    }
    return taken;
  }

  #note(taken: readonly { readonly sample: Sample; readonly timeMs: number }[], isDoubtful = false): void {
    for (const { sample, timeMs } of taken) {
      const times = this.#given.get(sample.series) ?? new Map<number, Set<string>>();
      this.#given.set(sample.series, times);
      const there = times.get(timeMs) ?? new Set(isDoubtful && this.#windowMs === 0 ? ['nothing'] : []);
      if (this.#deleted.get(sample.series)?.some(([mint, maxt]) => timeMs >= mint && timeMs <= maxt) === true) there.add('nothing');
      times.set(timeMs, there.add(meaningOf(sample.kind, sample.value)));
    }
  }

  async #check(): Promise<void> {
    const wrong: string[] = [];
    const seen = new Map<number, Map<number, string>>();
    for (const { labels, floats, histograms } of await dumpAll(this.#db.queryable)) {
      const samples = [
        ...floats.map(([time, bits]): [number, string] => [time, meaningOf('float', numberOf(bits))]),
        ...histograms.map(([time, dumped]): [number, string] => {
          // Of a stale marker nothing else is told.
          const { sum } = dumped as { sum?: string };
          return [time, sum === undefined ? 'end' : meaningOf('floats', numberOf(sum))];
        }),
      ];
      seen.set(Number(labels[1]![1]), new Map(samples));
      expect(new Set(samples.map(([time]) => time)).size).toBe(samples.length);
    }
    for (const [series, times] of this.#given) {
      for (const [time, allowed] of times) {
        const got = seen.get(series)?.get(time) ?? 'nothing';
        if (!allowed.has(got)) wrong.push(`series ${series} at ${time}: got ${got}, want ${[...allowed].join(' or ')}`);
      }
    }
    for (const [series, times] of seen) for (const [time, got] of times) if (this.#given.get(series)?.has(time) !== true) wrong.push(`series ${series} at ${time}: ${got} was never given`);
    expect(wrong).toEqual([]);
  }
}

function numberOf(bits: string): number {
  const view = new DataView(new ArrayBuffer(8));
  view.setBigUint64(0, BigInt(`0x${bits}`));
  return view.getFloat64(0);
}

const sample: fc.Arbitrary<Sample> = fc.record({
  series: fc.nat(3),
  kind: fc.constantFrom<Kind>('float', 'float', 'integers', 'floats', 'end'),
  offsetMs: fc.oneof(fc.constantFrom(0, 1, 2), fc.integer({ min: -3000, max: 20 })),
  value: fc.nat(5),
});
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 12,
    arbitrary: fc.record({
      do: fc.constant('append' as const),
      advanceMs: fc.constantFrom(0, 5, 100, 400, 1300),
      samples: fc.array(sample, { maxLength: 12 }),
      others: fc.oneof({ weight: 3, arbitrary: fc.constant([]) }, { weight: 1, arbitrary: fc.array(sample, { maxLength: 4 }) }),
      isRolledBack: fc.constantFrom(false, false, false, true),
    }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('compact' as const), force: fc.boolean() }) },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant('delete' as const),
      series: fc.uniqueArray(fc.nat(3), { minLength: 1, maxLength: 4 }),
      fromMs: fc.integer({ min: -4000, max: 0 }),
      lengthMs: fc.oneof(fc.integer({ min: 0, max: 500 }), fc.constant(10_000)),
    }),
  },
  { weight: 3, arbitrary: fc.record({ do: fc.constantFrom('reopen' as const, 'kill' as const, 'read' as const) }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constantFrom('compactStale' as const, 'compactBlocks' as const, 'clean' as const, 'planAndRun' as const, 'finish' as const) }) },
);

test.each([
  { name: 'without a window', windowMs: 0 },
  { name: 'with an out-of-order window', windowMs: 2000 },
  { name: 'with an out-of-order window and start timestamps', windowMs: 2000, startTimestamps: true },
])('$name: what was accepted is there', async ({ windowMs, startTimestamps = false }) => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 3, maxLength: 40 }), (steps) => new Life(windowMs, startTimestamps).play(steps)),
    { numRuns: Number(process.env['GAUNTLET_FUZZ_RUNS'] ?? 40) },
  );
});
