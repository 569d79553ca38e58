/**
 * A database that is played a script and may be hit by a fault anywhere, with a ledger of what it acknowledged: every sample has a value of
 * its own, so that one that is found is the one that was given.
 *
 *   life(steps) ─► playLife(fs, steps) ─► Ledger ─► expectKept(database opened afterwards, ledger)
 *
 * Series below 100 are floats, below 200 histograms with whole counts, others with floats; 0 has an exemplar and new metadata with each
 * sample in order. Series from 50 to 99 have long labels, so that segments of the log end now and then.
 */
import { expect } from '@jest/globals';
import { createKernels, type Kernels } from '@gauntlet/kernels';
import { createHistogram, createMatcher, type FloatHistogram, type IntegerHistogram, type Labels } from '@gauntlet/model';
import { createDb, type Db, type DbOptions } from '../db.ts';
import { isInOrderBlock } from '../db/retention.ts';
import { isTsdbError } from '../errors.ts';
import type { MemoryFileSystem } from './memory-file-system.ts';

/** Block range of the lives. */
export const LIFE_RANGE_MS = 1000;
/** How long blocks stay in the lives. */
export const LIFE_RETENTION_MS: number = 5 * LIFE_RANGE_MS;

/** What happens to the database. */
export type LifeStep =
  | {
      readonly do: 'append';
      readonly series: readonly number[];
      readonly advanceMs: number;
      /** Each series gets another sample that much before the one at the present time. */
      readonly lateMs?: number;
    }
  | { readonly do: 'compact'; readonly force: boolean }
  /** Blocks with one another. */
  | { readonly do: 'merge' }
  /** Samples of a series from `fromMs` to `toMs` before the present time, both included. */
  | { readonly do: 'delete'; readonly series: number; readonly fromMs: number; readonly toMs: number }
  | { readonly do: 'reopen' };

/** What was given and what became of it. */
export interface Ledger {
  /** Series → time → what is there for certain. */
  readonly acknowledged: Map<string, Map<number, string>>;
  /** Series → time → what may be there: a batch that was under way when the process died, or partly failed. */
  readonly possible: Map<string, Map<number, string>>;
  /** Series → times that were deleted, or may have been. */
  readonly deleted: Map<string, Set<number>>;
  /** All that was ever given, failed batches too. */
  readonly attempted: Map<string, Map<number, Set<string>>>;
  /** Times of exemplars of series 0. */
  readonly exemplars: Set<number>;
  readonly possibleExemplars: Set<number>;
  /** Help of series 0 after the last acknowledged sample in order, and when that was. */
  metadata: { readonly help: string; readonly timeMs: number } | undefined;
  readonly possibleHelps: Set<string>;
  nowMs: number;
  /** Steps that a fault hit. */
  failures: number;
}

/** Options of a life. */
export interface PlayOptions {
  /** Goes on after a failed step, as a process does; a failed batch is given again with other values, after one that is older. */
  readonly goesOn?: boolean;
  /** Called after a step that failed, before the next. */
  readonly onFailure?: () => void;
  readonly db?: DbOptions;
}

const kernels: Kernels = createKernels();
const LONG = 'long '.repeat(600);

/** Labels of a series of a life. */
export function lifeLabels(series: number): Labels {
  return series >= 50 && series < 100 ? ['__name__', 'm', 'i', String(series), 'z', LONG] : ['__name__', 'm', 'i', String(series)];
}

/** Opens the database of a life. */
export function openLife(fs: MemoryFileSystem, options: DbOptions = {}): Db {
  const deps = { fs, dir: 'disk/data', kernels, clock: { now: () => 1_700_000_000_000 }, random: Math.random };
  return createDb(deps, { blockRangeMs: LIFE_RANGE_MS, walSegmentBytes: 32768, walCompression: 'none', retentionMs: LIFE_RETENTION_MS, blockRangeMaxMs: 3 * LIFE_RANGE_MS, exemplars: 1000, outOfOrderWindowMs: 2 * LIFE_RANGE_MS, ...options });
}

function histogramOf(series: number, value: number): FloatHistogram | IntegerHistogram {
  const positiveSpans = [{ offset: value % 3, length: 2 }];
  if (series >= 200) return createHistogram({ count: value + 0.5, sum: value, positiveSpans, positiveBuckets: Float64Array.of(value, 0.5) });
  return { ...createHistogram({ count: value + 1, sum: value, positiveSpans }), positiveDeltas: [value, 1 - value], negativeDeltas: [] };
}

const meaningOf = (series: number, value: number): string => `${series < 100 ? 'float' : 'histogram'} ${value}`;

function put(all: Map<string, Map<number, string>>, series: string, time: number, value: string): void {
  let samples = all.get(series);
  if (samples === undefined) all.set(series, (samples = new Map()));
  samples.set(time, value);
}

/** Whether an error is a fault that was set up, or says that the log waits for its medium. */
function isFault(error: unknown): boolean {
  return /^(ESTOPPED|ENOSPC|EIO)/.test((error as Error).message) || isTsdbError(error, 'ERR_WAL_FAILED');
}

/** Plays steps until a fault stops them, or through all of them. @returns the ledger, and the database when it is still open */
export function playLife(fs: MemoryFileSystem, steps: readonly LifeStep[], { goesOn = false, onFailure, db: options = {} }: PlayOptions = {}): { readonly ledger: Ledger; readonly db: Db | undefined } {
  const ledger: Ledger = {
    acknowledged: new Map(), possible: new Map(), deleted: new Map(), attempted: new Map(), exemplars: new Set(), possibleExemplars: new Set(),
    metadata: undefined, possibleHelps: new Set(), nowMs: 0, failures: 0,
  };
  const refs = new Map<number, number>();
  let value = 0;
  let db: Db | undefined;
  const isTaken = (series: number, timeMs: number): boolean => ledger.acknowledged.get(String(series))?.has(timeMs) === true || ledger.possible.get(String(series))?.has(timeMs) === true;

  const appendBatch = (open: Db, series: readonly number[], timeMs: number, lateMs: number | undefined): void => {
    const appender = open.appender();
    const batch: [string, number, string][] = [];
    let help: string | undefined;
    const give = (one: number, at: number): boolean => {
      if (isTaken(one, at)) return false;
      const given = ++value;
      try {
        const ref = refs.get(one) ?? 0;
        refs.set(one, one < 100 ? appender.append(ref, lifeLabels(one), at, given) : appender.appendHistogram(ref, lifeLabels(one), at, histogramOf(one, given)));
      } catch (error) {
        if (isTsdbError(error) && error.code.startsWith('ERR_SAMPLE_')) return false;
        throw error;
      }
      batch.push([String(one), at, meaningOf(one, given)]);
      return true;
    };
    let isMixed = false;
    for (const one of series) {
      const isGiven = give(one, timeMs);
      if (isGiven && one === 0) {
        help = `help ${value}`;
        appender.setMetadata(refs.get(0)!, lifeLabels(0), { type: 'counter', unit: '', help });
        appender.appendExemplar(refs.get(0)!, lifeLabels(0), { labels: ['trace', String(value)], value, timeMs });
      }
      if (lateMs !== undefined) isMixed = give(one, timeMs - lateMs) || isMixed;
    }
    for (const [one, at, meaning] of batch) {
      const times = ledger.attempted.get(one) ?? new Map<number, Set<string>>();
      ledger.attempted.set(one, times);
      times.set(at, (times.get(at) ?? new Set()).add(meaning));
    }
    try {
      appender.commit();
    } catch (error) {
      // A process that goes on has cut its log back: nothing of the batch is there, unless only the log of late samples failed.
      if (!goesOn || isMixed) {
        for (const [one, at, meaning] of batch) put(ledger.possible, one, at, meaning);
        if (help !== undefined) {
          ledger.possibleExemplars.add(timeMs);
          ledger.possibleHelps.add(help);
        }
      }
      throw error;
    }
    for (const [one, at, meaning] of batch) put(ledger.acknowledged, one, at, meaning);
    if (help === undefined) return;
    ledger.exemplars.add(timeMs);
    ledger.metadata = { help, timeMs };
    ledger.possibleHelps.clear();
  };

  const deleteSamples = (open: Db, series: number, mint: number, maxt: number): void => {
    const samples = ledger.acknowledged.get(String(series)) ?? new Map<number, string>();
    const hit = [...samples].filter(([time]) => time >= mint && time <= maxt);
    const times = ledger.deleted.get(String(series)) ?? new Set();
    ledger.deleted.set(String(series), times);
    for (const [time, meaning] of hit) {
      samples.delete(time);
      times.add(time);
      put(ledger.possible, String(series), time, meaning);
    }
    open.delete([createMatcher('=', 'i', String(series))], mint, maxt);
    for (const [time] of hit) ledger.possible.get(String(series))!.delete(time);
  };

  const attempt = (step: () => void): boolean => {
    try {
      step();
      return true;
    } catch (error) {
      if (!isFault(error)) throw error;
      ledger.failures++;
      onFailure?.();
      return false;
    }
  };
  const opened = (): Db => {
    if (db !== undefined) return db;
    refs.clear();
    db = openLife(fs, options);
    return db;
  };
  for (const step of [undefined, ...steps]) {
    const isDone = attempt(() => {
      if (step === undefined) opened();
      else if (step.do === 'compact') opened().compactHead({ force: step.force });
      else if (step.do === 'merge') opened().compactBlocks();
      else if (step.do === 'delete') deleteSamples(opened(), step.series, ledger.nowMs - step.fromMs, ledger.nowMs - step.toMs);
      else if (step.do === 'reopen') {
        const closing = db;
        db = undefined;
        closing?.close();
        opened();
      } else {
        const open = opened();
        ledger.nowMs += step.advanceMs;
        appendBatch(open, step.series, ledger.nowMs, step.lateMs);
      }
    });
    if (isDone) continue;
    if (!goesOn) break;
    if (step?.do !== 'append' || db === undefined) continue;
    const open = db;
    attempt(() => appendBatch(open, step.series, ledger.nowMs - 5, undefined));
    attempt(() => appendBatch(open, step.series, ledger.nowMs, undefined));
  }
  return { ledger, db };
}

/** Everything a database has: series → time → value. Fails when a time or a series comes twice. */
export async function readLife(db: Db): Promise<Map<string, Map<number, string>>> {
  const all = new Map<string, Map<number, string>>();
  const set = db.queryable.select({ matchers: [createMatcher('=', '__name__', 'm')], mint: -1e15, maxt: 1e15 });
  for await (const batch of set) {
    for (const [i, labels] of batch.labels.entries()) {
      const samples = new Map<number, string>();
      for (let s = batch.offsets[i]!; s < batch.offsets[i + 1]!; s++) {
        const id = batch.histograms?.ids[s] ?? -1;
        samples.set(batch.timestampsMs[s]!, id < 0 ? `float ${batch.values[s]}` : `histogram ${batch.histograms!.get(id).sum}`);
      }
      const count = batch.offsets[i + 1]! - batch.offsets[i]!;
      if (samples.size !== count || all.has(labels[3]!)) throw new Error(`series ${labels[3]}: ${count} samples at ${samples.size} times, seen before: ${all.has(labels[3]!)}`);
      all.set(labels[3]!, samples);
    }
  }
  expect(set.warnings()).toEqual([]);
  return all;
}

/** Where blocks of samples in order end, ms: from there on all is in the log. */
function blocksEndMs(db: Db): number {
  const inOrder = db.blocks().filter(({ meta }) => isInOrderBlock(meta));
  return Math.max(Number.NEGATIVE_INFINITY, ...inOrder.map(({ meta }) => meta.maxTime));
}

/** Every acknowledged sample is there, unless retention took it; what else is there was possible. The same of exemplars and metadata. */
export async function expectKept(db: Db, ledger: Ledger): Promise<void> {
  const got = await readLife(db);
  const wrong: string[] = [];
  const newestMs = Math.max(Number.NEGATIVE_INFINITY, ...db.blocks().map(({ meta }) => meta.maxTime));
  for (const [series, samples] of ledger.acknowledged) {
    const found = got.get(series);
    for (const [time, value] of samples) {
      const there = found?.get(time);
      const mayBeGone = there === undefined && time < newestMs - LIFE_RETENTION_MS;
      if (there !== value && !mayBeGone) wrong.push(`series ${series} at ${time}: got ${there}, acknowledged ${value}`);
    }
  }
  for (const [series, samples] of got) {
    for (const [time, value] of samples) {
      const allowed = ledger.acknowledged.get(series)?.get(time) ?? ledger.possible.get(series)?.get(time);
      if (value !== allowed) wrong.push(`series ${series} at ${time}: got ${value}, given ${allowed}`);
    }
  }
  const endMs = blocksEndMs(db);
  const exemplars = new Set(db.exemplars([[createMatcher('=', '__name__', 'm')]], -1e15, 1e15).flatMap((one) => one.exemplars.map(({ timeMs }) => timeMs)));
  for (const time of ledger.exemplars) if (time >= endMs && !exemplars.has(time)) wrong.push(`exemplar at ${time} is missing`);
  for (const time of exemplars) if (!ledger.exemplars.has(time) && !ledger.possibleExemplars.has(time)) wrong.push(`exemplar at ${time} was not acknowledged`);
  if (ledger.metadata !== undefined && ledger.metadata.timeMs >= endMs) {
    const help = db.metadata(lifeLabels(0))?.help ?? '';
    if (help !== ledger.metadata.help && !ledger.possibleHelps.has(help)) wrong.push(`metadata: got ${help}, acknowledged ${ledger.metadata.help}`);
  }
  expect(wrong.slice(0, 5)).toEqual([]);
}

/** Appends to the database and reads it back, to see that it is in working order. */
export async function expectWorks(db: Db, ledger: Ledger): Promise<void> {
  const timeMs = ledger.nowMs + 2 * LIFE_RANGE_MS;
  const appender = db.appender();
  appender.append(0, lifeLabels(1), timeMs, -1);
  appender.commit();
  db.compactHead();
  expect((await readLife(db)).get('1')!.get(timeMs)).toBe('float -1');
}

const append = (series: readonly number[], advanceMs: number, lateMs?: number): LifeStep => ({ do: 'append', series, advanceMs, ...(lateMs !== undefined && { lateMs }) });

/**
 * A life with floats, histograms, exemplars, metadata, late samples, series that come and go, deletions in head and blocks, several cuts,
 * checkpoints, compactions, restarts, retention and a forced cut.
 */
export function wholeLife(): LifeStep[] {
  const steps: LifeStep[] = [];
  for (let round = 0; round < 7; round++) {
    for (let i = 0; i < 4; i++) steps.push(append([0, 1, 50 + round * 2 + (i >> 1), 100, 200], 350, i === 2 ? 455 : undefined));
    if (round === 1) steps.push({ do: 'delete', series: 100, fromMs: 400, toMs: 0 });
    steps.push({ do: 'compact', force: false });
    if (round === 4) steps.push({ do: 'delete', series: 1, fromMs: 3600, toMs: 2600 });
    if (round === 3 || round === 5) steps.push({ do: 'merge' });
    if (round === 3) steps.push({ do: 'reopen' });
  }
  steps.push({ do: 'compact', force: true }, append([0, 99, 101], 100), append([0, 1], 100, 1005), { do: 'reopen' }, append([0, 99], 100));
  return steps;
}

/** Numbers of the operations to hit: all where GAUNTLET_FUZZ_RUNS asks for a long run, else every `stride`th. */
export function operationsToHit(first: number, operations: number, stride: number): number[] {
  const step = process.env['GAUNTLET_FUZZ_RUNS'] === undefined ? stride : 1;
  const numbers: number[] = [];
  for (let n = first; n < operations; n += step) numbers.push(n);
  return numbers;
}
