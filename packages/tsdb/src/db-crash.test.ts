/**
 * Kill the process, cut the power, or fail the medium at every single operation of the file system: whatever was acknowledged is there
 * afterwards, exactly once. The oracle is a log of acknowledged samples, each with a value of its own.
 */
import { describe, expect, test } from '@jest/globals';
import { createKernels } from '@gauntlet/kernels';
import { createMatcher, type Labels } from '@gauntlet/model';
import fc from 'fast-check';
import { createDb, type Db } from './db.ts';
import { createMemoryFileSystem, type MemoryFileSystem } from './testing/memory-file-system.ts';

const RANGE_MS = 1000;
const kernels = createKernels();

/** Time → value, by series. */
type Samples = Map<string, Map<number, number>>;

type Step =
  | { readonly do: 'append'; readonly series: readonly number[]; readonly advanceMs: number }
  | { readonly do: 'compact'; readonly force: boolean }
  | { readonly do: 'reopen' };

const labelsOf = (series: number): Labels => ['__name__', 'm', 'i', String(series)];

function open(fs: MemoryFileSystem): Db {
  return createDb({ fs, dir: 'data', kernels, clock: { now: () => 1_700_000_000_000 }, random: Math.random }, { blockRangeMs: RANGE_MS, walSegmentBytes: 32768, retentionMs: 20 * RANGE_MS });
}

async function readAll(db: Db): Promise<Samples> {
  const all: Samples = new Map();
  const set = db.queryable.select({ matchers: [createMatcher('=', '__name__', 'm')], mint: -1e15, maxt: 1e15 });
  for await (const batch of set) {
    for (const [i, labels] of batch.labels.entries()) {
      const samples = new Map<number, number>();
      for (let s = batch.offsets[i]!; s < batch.offsets[i + 1]!; s++) samples.set(batch.timestampsMs[s]!, batch.values[s]!);
      expect(samples.size).toBe(batch.offsets[i + 1]! - batch.offsets[i]!);
      expect(all.has(labels[3]!)).toBe(false);
      all.set(labels[3]!, samples);
    }
  }
  expect(set.warnings()).toEqual([]);
  return all;
}

function put(all: Samples, series: number, time: number, value: number): void {
  const samples = all.get(String(series)) ?? new Map<number, number>();
  all.set(String(series), samples);
  samples.set(time, value);
}

/** A run of steps and what it left. */
interface Run {
  readonly acknowledged: Samples;
  /** Samples of the batch that was being committed when a fault hit. */
  readonly inFlight: Samples;
  readonly attempted: Samples;
  readonly nowMs: number;
}

/** Plays steps until a fault stops them. @param goesOn keep going after a failed step, as a process does after ENOSPC */
function play(fs: MemoryFileSystem, steps: readonly Step[], goesOn = false): Run {
  const acknowledged: Samples = new Map();
  const inFlight: Samples = new Map();
  const attempted: Samples = new Map();
  const refs = new Map<number, number>();
  let nowMs = 0;
  let value = 0;
  let db: Db | undefined;
  const attempt = (step: () => void): boolean => {
    try {
      step();
      return true;
    } catch (error) {
      if (!/^(ESTOPPED|ENOSPC|EIO)/.test((error as Error).message) && (error as { code?: string }).code !== 'ERR_WAL_FAILED') throw error;
      return goesOn;
    }
  };
  if (!attempt(() => (db = open(fs)))) return { acknowledged, inFlight, attempted, nowMs };
  for (const step of steps) {
    const isAlive = attempt(() => {
      db ??= open(fs);
      if (step.do === 'compact') db.compactHead({ force: step.force });
      else if (step.do === 'reopen') {
        const closing = db;
        db = undefined;
        refs.clear();
        closing.close();
        db = open(fs);
      } else {
        nowMs += step.advanceMs;
        const appender = db.appender();
        const batch: [number, number, number][] = [];
        for (const series of step.series) {
          refs.set(series, appender.append(refs.get(series) ?? 0, labelsOf(series), nowMs, ++value));
          batch.push([series, nowMs, value]);
          put(attempted, series, nowMs, value);
        }
        try {
          appender.commit();
        } catch (error) {
          for (const [series, time, v] of batch) put(inFlight, series, time, v);
          throw error;
        }
        for (const [series, time, v] of batch) put(acknowledged, series, time, v);
      }
    });
    if (!isAlive) break;
  }
  return { acknowledged, inFlight, attempted, nowMs };
}

/** Every acknowledged sample is there; nothing is there that was never given, and of unacknowledged ones only the batch in flight. */
async function expectKept(db: Db, run: Run): Promise<void> {
  const got = await readAll(db);
  const wrong: string[] = [];
  for (const [series, samples] of run.acknowledged) {
    const found = got.get(series);
    for (const [time, value] of samples) if (found?.get(time) !== value) wrong.push(`series ${series} at ${time}: got ${found?.get(time)}, acknowledged ${value}`);
  }
  for (const [series, samples] of got) {
    for (const [time, value] of samples) {
      const allowed = run.acknowledged.get(series)?.get(time) ?? run.inFlight.get(series)?.get(time);
      if (value !== allowed) wrong.push(`series ${series} at ${time}: got ${value}, given ${allowed}`);
    }
  }
  expect(wrong).toEqual([]);
}

/** Appends after a restart and reads it back, to see that the database is in working order. */
async function expectWorks(db: Db, run: Run): Promise<void> {
  const appender = db.appender();
  appender.append(0, labelsOf(0), run.nowMs + 2 * RANGE_MS, -1);
  appender.commit();
  db.compactHead();
  expect((await readAll(db)).get('0')!.get(run.nowMs + 2 * RANGE_MS)).toBe(-1);
}

const append = (series: readonly number[], advanceMs: number): Step => ({ do: 'append', series, advanceMs });
/** A life with new and vanishing series, several cuts, checkpoints, restarts and a forced cut. */
const life: Step[] = [];
for (let round = 0; round < 4; round++) {
  for (let i = 0; i < 5; i++) life.push(append([0, 1, 10 + round], 300));
  life.push({ do: 'compact', force: false });
  if (round === 2) life.push({ do: 'reopen' });
}
life.push({ do: 'compact', force: true }, append([0, 99], 100), { do: 'reopen' }, append([0, 99], 100));

function operationsOf(steps: readonly Step[]): number {
  const fs = createMemoryFileSystem();
  const run = play(fs, steps);
  expect(run.inFlight.size).toBe(0);
  return fs.operations();
}

describe('at every operation', () => {
  const operations = operationsOf(life);

  test('the life cuts blocks, writes checkpoints and is long enough to be worth it', async () => {
    const fs = createMemoryFileSystem();
    const run = play(fs, life);
    const db = open(fs.afterKill());
    expect(db.blocks().length).toBeGreaterThanOrEqual(5);
    expect([...fs.snapshot().keys()].some((path) => path.includes('/checkpoint.'))).toBe(true);
    expect(operations).toBeGreaterThan(150);
    await expectKept(db, run);
    db.close();
  });

  test('killed: all that was acknowledged is there, once', async () => {
    for (let n = 0; n < operations; n++) {
      const fs = createMemoryFileSystem();
      fs.stopAt(n);
      const run = play(fs, life);
      const db = open(fs.afterKill());
      await expectKept(db, run);
      await expectWorks(db, run);
      db.close();
    }
  });

  test('power lost: it opens, and shows nothing that was not given', async () => {
    for (let n = 0; n < operations; n++) {
      const fs = createMemoryFileSystem();
      fs.stopAt(n);
      const run = play(fs, life);
      const db = open(fs.afterPowerLoss());
      const got = await readAll(db);
      for (const [series, samples] of got) {
        // What survived of a series is what it began with.
        const given = [...(run.attempted.get(series) ?? [])];
        expect([...samples]).toEqual(given.slice(0, samples.size));
      }
      await expectWorks(db, run);
      db.close();
    }
  });

  test('one operation fails and the process goes on: nothing acknowledged is lost, then or after a restart', async () => {
    for (let n = 0; n < operations; n++) {
      const fs = createMemoryFileSystem();
      fs.failAt(n, 'ENOSPC');
      const run = play(fs, life, true);
      const db = open(fs.afterKill());
      await expectKept(db, run);
      await expectWorks(db, run);
      db.close();
    }
  });
});

test('random lives, killed at random, twice', async () => {
  const step: fc.Arbitrary<Step> = fc.oneof(
    { weight: 12, arbitrary: fc.record({ do: fc.constant('append' as const), series: fc.uniqueArray(fc.nat(5), { minLength: 1 }), advanceMs: fc.constantFrom(1, 10, 50, 300, 900, 2500) }) },
    { weight: 2, arbitrary: fc.record({ do: fc.constant('compact' as const), force: fc.boolean() }) },
    { weight: 1, arbitrary: fc.constant<Step>({ do: 'reopen' }) },
  );
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 60 }), fc.nat(200), fc.nat(60), async (steps, first, second) => {
      const fs = createMemoryFileSystem();
      fs.stopAt(first);
      const run = play(fs, steps);
      const again = fs.afterKill();
      again.stopAt(second);
      try {
        const db = open(again);
        db.compactHead({ force: true });
        db.close();
      } catch (error) {
        expect((error as Error).message).toMatch(/^ESTOPPED/);
      }
      const db = open(again.afterKill());
      await expectKept(db, run);
      db.close();
    }),
    { numRuns: Number(process.env['GAUNTLET_FUZZ_RUNS'] ?? 100) },
  );
});
