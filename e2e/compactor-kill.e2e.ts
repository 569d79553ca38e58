/**
 * SIGKILL of `gauntlet compact` at random moments: no sample of the bucket is lost or doubled, the next start goes on by itself, and
 * nothing is left lying about in the end.
 *
 *   round:  new blocks of every group ─► start ─► a moment ─► SIGKILL ─► every sample is read from the blocks that are whole, unmarked
 *                                                                        and not part of another one: each there, each once
 *
 * Moments, in turn: a write to the bucket that is never answered (uploading, marking), shortly after a plan (fetching, compacting,
 * proving), a deletion or any request that is never answered, anywhere in the time a run takes. Some rounds run with --wait, where
 * cleaning goes on beside compaction. The value of every sample follows from its series and time. One group has blocks that overlap:
 * there, samples are each there, and each once in the end.
 *
 * GAUNTLET_KILL_ROUNDS (default 3) and GAUNTLET_KILL_SEED (printed) choose how often and when.
 */
import { existsSync, readFileSync, readdirSync, rmSync, statSync, utimesSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleepFor } from 'node:timers/promises';
import { type ThanosMeta, blockIdOf, parseThanosMeta } from '@gauntlet/block';
import { createKernels } from '@gauntlet/kernels';
import { getLabel } from '@gauntlet/model';
import { type Bucket, createBucketFromConfig } from '@gauntlet/objstore';
import { type TestS3, startTestS3 } from '@gauntlet/s3-server/testing';
import { createNodeFileSystem, createNopLogger } from '@gauntlet/service-kit';
import { createUlid } from '@gauntlet/tsdb';
import { buildBlock } from '@gauntlet/tsdb/testing';
import { afterEach, expect, test } from '@jest/globals';
import { readBlock, shipBlock } from './harness/blocks.ts';
import { startGauntlet } from './harness/gauntlet.ts';
import { type RunningProcess, temporaryDir, waitFor } from './harness/process.ts';
import { seededRandom } from './harness/random.ts';

const ROUNDS = Number(process.env['GAUNTLET_KILL_ROUNDS'] ?? 3);
const SEED = Number(process.env['GAUNTLET_KILL_SEED'] ?? Date.now() % 1_000_000);
const HOUR_MS = 3_600_000;
/** Where all compaction ranges begin. */
const START_MS = Math.floor(Date.UTC(2026, 0, 1) / (336 * HOUR_MS)) * 336 * HOUR_MS;
const STEP_MS = 60_000;
const STEPS_PER_HOUR = HOUR_MS / STEP_MS;
const SERIES = 40;
const GROUPS = ['a', 'b', 'c'];
/** The group with blocks that overlap. */
const OVERLAPPING = 'overlap';
/** How long a run is: requests to the bucket, and time. */
interface RunLength {
  readonly requests: number;
  readonly puts: number;
  readonly deletes: number;
  readonly ms: number;
}
/** One that nobody has measured yet. */
const FIRST_RUN: RunLength = { requests: 200, puts: 32, deletes: 60, ms: 2500 };

/** The bucket in a folder, what was written to it, and a look at what is there. */
class World {
  readonly #fs = createNodeFileSystem();
  readonly #kernels = createKernels();
  readonly #local = temporaryDir('compactor-kill-blocks');
  readonly #folder: string;
  readonly #state: string;
  readonly #bucket: Bucket;
  readonly #random: () => number;
  #hours = 0;

  constructor(folder: string, s3: TestS3, bucket: Bucket, random: () => number) {
    this.#folder = join(folder, s3.bucket);
    this.#state = join(folder, '.gauntlet-s3', 'meta', s3.bucket);
    this.#bucket = bucket;
    this.#random = random;
  }

  async #ship(group: string, fromHour: number, hours: number, seriesIds: readonly number[]): Promise<void> {
    const startMs = START_MS + fromHour * HOUR_MS;
    const notation = seriesIds.map((id) => `m{id='${id}'} ${id * 1e6 + fromHour * STEPS_PER_HOUR}+1x${hours * STEPS_PER_HOUR - 1}`).join('\n');
    const { dir } = buildBlock(this.#fs, this.#local, notation, {
      kernels: this.#kernels, startMs, stepMs: STEP_MS, maxTime: startMs + hours * HOUR_MS, ulid: createUlid(startMs + hours * HOUR_MS, this.#random),
    });
    await shipBlock(this.#bucket, dir, ['group', group]);
    rmSync(dir, { recursive: true });
  }

  /** Eight more hours in blocks of two, and in one group a block of four of half of the series across them. */
  async addBlocks(): Promise<void> {
    const all = Array.from({ length: SERIES }, (_, id) => id);
    for (const group of [...GROUPS, OVERLAPPING]) for (let hour = 0; hour < 8; hour += 2) await this.#ship(group, this.#hours + hour, 2, all);
    await this.#ship(OVERLAPPING, this.#hours + 1, 4, all.filter((id) => id % 2 === 0));
    this.#hours += 8;
  }

  /** Names of directories of blocks. */
  blocks(): readonly string[] {
    return readdirSync(this.#folder).filter((name) => blockIdOf(`${name}/`) === name);
  }

  /** Blocks that a reader would take: whole, not marked for deletion, and not all in another one of them. */
  live(): readonly ThanosMeta[] {
    const metas = this.blocks()
      .filter((id) => existsSync(join(this.#folder, id, 'meta.json')) && !existsSync(join(this.#folder, id, 'deletion-mark.json')))
      .map((id) => parseThanosMeta(readFileSync(join(this.#folder, id, 'meta.json')), id));
    const covers = (a: ThanosMeta, b: ThanosMeta): boolean =>
      a !== b && getLabel(a.thanos.labels, 'group') === getLabel(b.thanos.labels, 'group') && b.compaction.sources.every((source) => a.compaction.sources.includes(source));
    for (const meta of metas) {
      const twin = metas.find((other) => covers(meta, other) && covers(other, meta));
      if (twin !== undefined) throw new Error(`blocks ${meta.ulid} and ${twin.ulid} are made of the same sources`);
    }
    return metas.filter((meta) => !metas.some((other) => covers(other, meta)));
  }

  /** Reads everything. @returns samples seen; how many came twice, in the group with overlaps. @throws if one is missing, wrong, or twice elsewhere */
  verify(): { readonly samples: number; readonly twice: number } {
    const steps = this.#hours * STEPS_PER_HOUR;
    const seen = new Map([...GROUPS, OVERLAPPING].map((group) => [group, Array.from({ length: SERIES }, () => new Uint8Array(steps))]));
    for (const meta of this.live()) {
      const group = getLabel(meta.thanos.labels, 'group');
      for (const { relPath, sizeBytes } of meta.thanos.files) {
        if (sizeBytes !== undefined) expect({ block: meta.ulid, relPath, bytes: statSync(join(this.#folder, meta.ulid, relPath)).size }).toEqual({ block: meta.ulid, relPath, bytes: sizeBytes });
      }
      let samples = 0;
      readBlock(join(this.#folder, meta.ulid), this.#kernels, (labels, timesMs, values) => {
        const id = Number(getLabel(labels, 'id'));
        const counts = seen.get(group)![id]!;
        samples += timesMs.length;
        for (let i = 0; i < timesMs.length; i++) {
          const step = (timesMs[i]! - START_MS) / STEP_MS;
          if (values[i] !== id * 1e6 + step || timesMs[i]! < meta.minTime || timesMs[i]! >= meta.maxTime) throw new Error(`block ${meta.ulid}: series ${id} of group ${group} has ${values[i]} at ${timesMs[i]}`);
          counts[step]!++;
        }
      });
      expect({ block: meta.ulid, samples }).toEqual({ block: meta.ulid, samples: meta.stats.numSamples });
    }
    let samples = 0;
    let twice = 0;
    for (const [group, series] of seen) {
      for (const [id, counts] of series.entries()) {
        for (const [step, count] of counts.entries()) {
          if (count === 0 || (count > 1 && group !== OVERLAPPING)) throw new Error(`series ${id} of group ${group} at step ${step}: ${count} samples in live blocks, wanted 1`);
          samples++;
          if (count > 1) twice++;
        }
      }
    }
    return { samples, twice };
  }

  /** What an upload of somebody else leaves that is killed before meta.json. @returns the name of the directory */
  async abortUpload(): Promise<string> {
    const id = createUlid(START_MS, this.#random);
    await this.#bucket.upload(`${id}/chunks/000001`, new Uint8Array(100));
    return id;
  }

  /** Makes everything in directories without meta.json three days old. @returns their names */
  ageAbortedUploads(): readonly string[] {
    const aborted = this.blocks().filter((id) => !existsSync(join(this.#folder, id, 'meta.json')));
    const threeDaysAgo = Date.now() / 1000 - 3 * 86_400;
    for (const id of aborted) {
      for (const name of readdirSync(join(this.#folder, id), { recursive: true, encoding: 'utf8' })) {
        const path = join(this.#folder, id, name);
        if (statSync(path).isFile()) utimesSync(path, threeDaysAgo, threeDaysAgo);
      }
    }
    // What the server keeps beside the files: without it, it goes by the files themselves.
    if (aborted.length > 0) rmSync(this.#state, { recursive: true });
    return aborted;
  }

  /** Objects of the bucket. */
  async objects(): Promise<readonly string[]> {
    const names: string[] = [];
    for await (const name of this.#bucket.iter('', { recursive: true })) names.push(name);
    return names;
  }
}

function start(s3: TestS3, dataDir: string, extra: readonly string[]): RunningProcess {
  return startGauntlet([
    'compact', `--objstore.config=${s3.configYaml}`, `--data-dir=${dataDir}`, '--http-address=127.0.0.1:0', '--http-grace-period=1s', '--consistency-delay=0s', '--delete-delay=0s',
    '--downsampling.disable', '--compact.concurrency=2', ...extra,
  ]);
}

/** Runs until nothing is left to do. */
async function runToEnd(s3: TestS3, dataDir: string): Promise<RunLength> {
  const beginMs = performance.now();
  s3.server.ledger.reset();
  const running = start(s3, dataDir, []);
  await waitFor('the end of the run', async () => !running.isRunning(), { timeoutMs: 120_000 });
  expect({ ...(await running.exited), output: '' }).toEqual({ code: 0, signal: null, output: (await running.exited).code === 0 ? '' : running.output().slice(-3000) });
  const { ledger } = s3.server;
  return { requests: ledger.entries().length, puts: ledger.select({ method: 'PUT' }).length, deletes: ledger.select({ method: 'DELETE' }).length, ms: performance.now() - beginMs };
}

/** What the log said last, and the last request: where a kill fell. */
function whereabouts(running: RunningProcess, s3: TestS3): string {
  const said = [...running.output().matchAll(/msg="?([^"\n]*?)"?(?: \w+=|\n|$)/g)].at(-1)?.[1] ?? 'nothing said yet';
  const last = s3.server.ledger.entries().at(-1);
  return `${said} | ${last === undefined ? 'no request' : `${last.operation} ${last.key.replace(/^[0-9A-Z]{26}\//, '')}`}`;
}

type Moment = { readonly kind: 'request'; readonly n: number; readonly method?: 'PUT' | 'DELETE' } | { readonly kind: 'plan'; readonly n: number; readonly ms: number } | { readonly kind: 'time'; readonly ms: number };

/** Lets the process run up to the moment, or to its end if that is before. */
async function reach(moment: Moment, running: RunningProcess, s3: TestS3): Promise<void> {
  const times = (said: string): number => running.output().split(said).length - 1;
  // With --wait it goes on, but there is nothing more to do.
  const isDone = (): boolean => !running.isRunning() || times('compaction iteration done') > 1;
  switch (moment.kind) {
    case 'request':
      await waitFor('the request', async () => isDone() || s3.server.ledger.entries().some(({ fault }) => fault === 'hang'), { timeoutMs: 60_000 });
      return;
    case 'plan':
      await waitFor('the plan', async () => isDone() || times('compaction available and planned') >= moment.n, { timeoutMs: 60_000 });
      return sleepFor(moment.ms);
    case 'time':
      return sleepFor(moment.ms);
  }
}

/** Ends with the test, however it went. */
const closing: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0).toReversed()) await close();
});

test(`killed ${ROUNDS} times at random moments: every sample stays, once, and nothing is left over`, async () => {
  const random = seededRandom(SEED);
  process.stderr.write(`compactor-kill: seed ${SEED}, ${ROUNDS} rounds\n`);
  const folder = temporaryDir('compactor-kill');
  const s3 = await startTestS3({ folder });
  closing.push(() => s3.close());
  const bucket = await createBucketFromConfig(s3.configYaml, { component: 'test', source: 'test', log: createNopLogger() });
  closing.push(() => bucket.close());
  const dataDir = temporaryDir('compactor-kill-data');
  const world = new World(folder, s3, bucket, random);
  let length: RunLength = FIRST_RUN;
  let killed = 0;
  let samples = 0;
  const places = new Map<string, number>();
  const abortedUpload = await world.abortUpload();
  for (let round = 0; round < ROUNDS; round++) {
    await world.addBlocks();
    const upTo = (count: number): number => Math.floor(random() * count);
    const moments: readonly Moment[] = [
      { kind: 'request', method: 'PUT', n: upTo(length.puts) },
      { kind: 'plan', n: 1 + upTo(4), ms: random() * 400 },
      { kind: 'request', method: 'DELETE', n: upTo(length.deletes) },
      { kind: 'request', n: upTo(length.requests) },
      { kind: 'time', ms: 300 + random() * length.ms },
    ];
    const moment = moments[round % moments.length]!;
    s3.server.ledger.reset();
    if (moment.kind === 'request') s3.server.faults.add({ action: { kind: 'hang' }, skip: moment.n, ...(moment.method === undefined ? {} : { method: moment.method }) });
    const isWaiting = random() < 0.4;
    const running = start(s3, dataDir, isWaiting ? ['--wait', '--wait-interval=500ms', '--compact.cleanup-interval=300ms', '--compact.progress-interval=300ms'] : []);
    try {
      await reach(moment, running, s3);
    } finally {
      const place = whereabouts(running, s3);
      if (running.isRunning()) {
        killed++;
        places.set(place, (places.get(place) ?? 0) + 1);
      }
      await running.stop('SIGKILL');
    }
    s3.server.faults.clear();
    const { code, signal } = await running.exited;
    // A run that was done before its moment must have gone well.
    if (signal === null) expect({ code, output: code === 0 ? '' : running.output().slice(-3000) }).toEqual({ code: 0, output: '' });
    ({ samples } = world.verify());
    // Every so often one run is let through, so that there are long blocks too, and to know how long a run is by now.
    if (round % 5 === 4) length = await runToEnd(s3, dataDir);
  }

  await world.addBlocks();
  await runToEnd(s3, dataDir);
  // An upload may still be under way; one in which nothing has happened for three days is not.
  const aborted = world.ageAbortedUploads();
  expect(aborted).toContain(abortedUpload);
  const { requests } = await runToEnd(s3, dataDir);
  expect(world.verify().twice).toBe(0);
  // Per group: what the planner leaves alone, nothing that could be compacted further.
  const live = world.live();
  expect(world.blocks().toSorted()).toEqual(live.map(({ ulid }) => ulid).toSorted());
  for (const group of [...GROUPS, OVERLAPPING]) {
    const own = live.filter(({ thanos }) => getLabel(thanos.labels, 'group') === group).toSorted((x, y) => x.minTime - y.minTime);
    expect(own.some(({ compaction }) => compaction.level > 1)).toBe(true);
    for (const [i, { minTime }] of own.entries()) if (i > 0) expect(minTime).toBe(own[i - 1]!.maxTime);
  }
  // The bucket has the files of live blocks and nothing else; the work directory is empty.
  const wanted = live.flatMap(({ ulid, thanos }) => thanos.files.map(({ relPath }) => `${ulid}/${relPath}`));
  expect((await world.objects()).filter((name) => name !== 'gauntlet-conditional-write-probe').toSorted()).toEqual(wanted.toSorted());
  expect(readdirSync(join(dataDir, 'compact'), { recursive: true })).toEqual([]);
  process.stderr.write(
    `compactor-kill: ${killed} of ${ROUNDS} killed at work, ${samples} samples after the last, ${aborted.length} aborted uploads cleaned, ${requests} requests of a run with nothing to do\n` +
      [...places].map(([place, count]) => `  ${count} × ${place}\n`).join(''),
  );
}, 120_000 + ROUNDS * 20_000);
