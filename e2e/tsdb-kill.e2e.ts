/**
 * SIGKILL at random moments of a process that writes unique samples into a database on disk: each acknowledged sample is there, once; of what
 * was not acknowledged only the batch that was being committed; and every start goes without a hand.
 *
 *   round:  start ─► (odd rounds) some batches ─► SIGKILL          the database is opened here, and all of it compared with the journal
 *                └─► (even rounds) a moment of the start-up ─► SIGKILL
 *
 * GAUNTLET_KILL_ROUNDS (default 3) and GAUNTLET_KILL_SEED (printed) choose how often and when.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleepFor } from 'node:timers/promises';
import { createKernels, type Kernels } from '@gauntlet/kernels';
import { createMatcher } from '@gauntlet/model';
import { createNodeFileSystem } from '@gauntlet/service-kit';
import { createDb } from '@gauntlet/tsdb';
import { expect, test } from '@jest/globals';
import { seededRandom } from './harness/random.ts';
import { startProcess, temporaryDir, waitFor } from './harness/process.ts';

const ROUNDS = Number(process.env['GAUNTLET_KILL_ROUNDS'] ?? 3);
const SEED = Number(process.env['GAUNTLET_KILL_SEED'] ?? Date.now() % 1_000_000);
const RETENTION_MS = 60_000;
/** Longest life of a writer after its start, ms. */
const LIFE_MS_MAX = 600;

/** Series → time → value. */
type Samples = Map<string, Map<number, number>>;

interface Journal {
  readonly acknowledged: Samples;
  /** Batches that were about to be committed when the process died. */
  readonly underWay: Samples;
  readonly batches: number;
}

function put(samples: Samples, [series, timeMs, value]: readonly [string, number, number]): void {
  let times = samples.get(series);
  if (times === undefined) samples.set(series, (times = new Map()));
  times.set(timeMs, value);
}

function readJournal(path: string): Journal {
  const journal = { acknowledged: new Map() as Samples, underWay: new Map() as Samples, batches: 0 };
  let pending: readonly [string, number, number][] = [];
  const end = (into: Samples): void => {
    for (const sample of pending) put(into, sample);
    pending = [];
  };
  for (const line of readFileSync(path, 'utf8').split('\n')) {
    let entry: { readonly samples?: readonly [string, number, number][]; readonly done?: number };
    try {
      entry = JSON.parse(line) as typeof entry;
    } catch {
      // Cut off by a kill: a batch that was not begun, or one whose end nobody was told.
      continue;
    }
    if (entry.samples !== undefined) {
      end(journal.underWay);
      pending = entry.samples;
    } else {
      end(journal.acknowledged);
      journal.batches++;
    }
  }
  end(journal.underWay);
  return journal;
}

/** Opens the database as any process would, and compares all of it with the journal. */
async function compare(kernels: Kernels, dir: string, journal: Journal): Promise<{ readonly compared: number; readonly isTorn: boolean }> {
  const deps = { fs: createNodeFileSystem(), dir, kernels, clock: Date, random: Math.random };
  const db = createDb(deps, { blockRangeMs: 2000, retentionMs: RETENTION_MS, blockRangeMaxMs: 18_000, outOfOrderWindowMs: 4000 });
  try {
    expect(db.damagedBlocks()).toEqual([]);
    const repairs = [db.replay.repair, db.replay.outOfOrder?.repair].filter((one) => one !== undefined);
    for (const repair of repairs) expect(repair).toMatchObject({ isTornTail: true });
    const stored: Samples = new Map();
    const set = db.queryable.select({ matchers: [createMatcher('=', '__name__', 'kill')], mint: -1e15, maxt: 1e15 });
    for await (const batch of set) {
      for (const [i, labels] of batch.labels.entries()) {
        expect(stored.has(labels[3]!)).toBe(false);
        for (let s = batch.offsets[i]!; s < batch.offsets[i + 1]!; s++) {
          const id = batch.histograms?.ids[s] ?? -1;
          put(stored, [labels[3]!, batch.timestampsMs[s]!, id < 0 ? batch.values[s]! : batch.histograms!.get(id).sum]);
        }
        // Once: as many times as samples.
        expect(stored.get(labels[3]!)!.size).toBe(batch.offsets[i + 1]! - batch.offsets[i]!);
      }
    }
    expect(set.warnings()).toEqual([]);
    const retainedMs = Math.max(...db.blocks().map(({ meta }) => meta.maxTime)) - RETENTION_MS;
    const wrong: string[] = [];
    let compared = 0;
    for (const [series, times] of journal.acknowledged) {
      for (const [timeMs, value] of times) {
        if (timeMs < retainedMs) continue;
        compared++;
        const there = stored.get(series)?.get(timeMs);
        if (there !== value) wrong.push(`${series} at ${timeMs}: acknowledged ${value}, there is ${there}`);
      }
    }
    for (const [series, times] of stored) {
      for (const [timeMs, value] of times) {
        const given = journal.acknowledged.get(series)?.get(timeMs) ?? journal.underWay.get(series)?.get(timeMs);
        if (given !== value) wrong.push(`${series} at ${timeMs}: there is ${value}, given was ${given}`);
      }
    }
    expect({ wrong: wrong.length, first: wrong.slice(0, 5) }).toEqual({ wrong: 0, first: [] });
    return { compared, isTorn: repairs.length > 0 };
  } finally {
    db.close();
  }
}

test(
  `a writer is killed ${ROUNDS} times, seed ${SEED}: what it acknowledged is there, once`,
  async () => {
    const random = seededRandom(SEED);
    const kernels = createKernels();
    const folder = temporaryDir('tsdb-kill');
    const [dir, journalPath] = [join(folder, 'data'), join(folder, 'journal')];
    let startMs = 300;
    const caught = { compared: 0, halfBlocks: 0, halfCheckpoints: 0, tornLogs: 0, starting: 0 };
    for (let round = 1; round <= ROUNDS; round++) {
      const begun = performance.now();
      const writer = startProcess({ name: 'writer', command: process.execPath, args: [join(import.meta.dirname, 'tsdb-writer.mjs'), dir, journalPath, String(round)] });
      if (round % 2 === 1) {
        await waitFor('the writer', async () => /^open/m.test(writer.output()), { process: writer });
        startMs = performance.now() - begun;
        await sleepFor(random() * LIFE_MS_MAX);
      } else await sleepFor(random() * startMs);
      expect([writer.output(), writer.isRunning()]).toEqual([writer.output(), true]);
      if (!/^open/m.test(writer.output())) caught.starting++;
      await writer.stop('SIGKILL');
      let names: string[] = [];
      try {
        names = readdirSync(dir, { recursive: true, encoding: 'utf8' });
      } catch {
        continue;
      }
      if (names.some((name) => name.endsWith('.tmp-for-creation'))) caught.halfBlocks++;
      if (names.some((name) => /checkpoint\.\d+\.tmp$/.test(name))) caught.halfCheckpoints++;
      const { compared, isTorn } = await compare(kernels, dir, readJournal(journalPath));
      if (isTorn) caught.tornLogs++;
      caught.compared += compared;
    }
    const { batches } = readJournal(journalPath);
    process.stderr.write(`${ROUNDS} kills, seed ${SEED}: ${batches} batches acknowledged, ${caught.compared} samples compared; killed at the start ${caught.starting}, with half a block ${caught.halfBlocks}, with half a checkpoint ${caught.halfCheckpoints}, torn logs ${caught.tornLogs}\n`);
    expect(caught.compared).toBeGreaterThan(0);
  },
  30_000 + ROUNDS * 10_000,
);
