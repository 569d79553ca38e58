/**
 * SIGKILL at random moments of a ruler's life: whatever it has acknowledged is there after the next start, once, in its StoreAPI or in the
 * bucket; blocks that were being cut or shipped are completed; and `for` of alerts goes on counting. Blocks span 2 s here.
 *
 *   round:  start ─► ready: all that was ever acknowledged is asked for ─► wait for the moment ─► SIGKILL
 *                                          a block is being cut · a block is being shipped · any time
 *           start ─► a moment of the start-up ─► SIGKILL
 *
 * In the end a querier over ruler and bucket is asked all along while blocks go over from the one to the other: nothing is missing at any moment.
 * The querier of the rules gives no two equal values, so that a sample that is found is the one that was acknowledged.
 * GAUNTLET_KILL_ROUNDS (default 3) and GAUNTLET_KILL_SEED (printed) choose how often and when.
 */
import { existsSync, mkdirSync, readdirSync, watch, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleepFor } from 'node:timers/promises';
import { CHUNK_SLACK_BYTES, createKernels, type Kernels } from '@gauntlet/kernels';
import { STALE_NAN_HI, STALE_NAN_LO } from '@gauntlet/model';
import { createNodeFileSystem, openGrpcChannel } from '@gauntlet/service-kit';
import { GrpcStoreClient } from '@gauntlet/storeapi';
import { readSeries, seriesOf } from '@gauntlet/storeapi/testing';
import { CREATION_SUFFIX, isUlid, openBlock } from '@gauntlet/tsdb';
import { bitsOfNumber, readSampleBlock } from '@gauntlet/tsdb/testing';
import { expect, test } from '@jest/globals';
import { type Acknowledged, readAckLog, seriesKey, seriesKeyOf } from './harness/ack-log.ts';
import { getApi, instantAnswer } from './harness/api.ts';
import { type Service, startGauntlet, startService } from './harness/gauntlet.ts';
import { type RunningProcess, temporaryDir, waitFor } from './harness/process.ts';
import { type ApiAlert, startUniqueQuerier } from './harness/rules.ts';
import { seededRandom } from './harness/random.ts';

const ROUNDS = Number(process.env['GAUNTLET_KILL_ROUNDS'] ?? 3);
const SEED = Number(process.env['GAUNTLET_KILL_SEED'] ?? Date.now() % 1_000_000);
/** Series of each rule. */
const SERIES = 6;
const MOMENTS = ['cutting', 'shipping', 'starting', 'any'] as const;
const EXTERNAL = { cluster: 'kill', ruler: '0' };
/** Two blocks: what keeps uploaded blocks longer is the hand-over alone. */
const RETENTION = '4s';
/** Stay of a block after its upload: longer than the store and the querier (which asks its stores every 5 s) take to learn of it. */
const KEEP_UPLOADED = '15s';
const STORE_SYNC = '1s';
/** Pieces in which the querier is asked, as narrow as blocks. */
const PIECE_MS = 2_000;
/** What is older than this has been handed over for long. */
const HAND_OVER_MS = 40_000;
/** Blocks that are watched while they go over, and the longest wait for it. */
const HANDED_OVER = 3;
const HANDED_OVER_MS_MAX = 90_000;
/** Longest wait for a block to be cut or shipped: a few block ranges on a slow machine. */
const BLOCK_MS_MAX = 60_000;

const RULES = `groups:
- name: first
  interval: 200ms
  rules:
  - {record: 'kill:a', expr: source_a}
  - {record: 'kill:b', expr: source_b, labels: {tier: x}}
  - {alert: Held, expr: source_c, for: 1h, labels: {severity: page}}
- name: second
  interval: 300ms
  rules:
  - {record: 'kill:c', expr: source_d}
`;

/** Series key → time in ms → bits of the value; a time that comes twice is a failure at once. */
type Stored = Map<string, Map<number, string>>;

interface Folders {
  readonly data: string;
  readonly bucket: string;
}

/** Adds samples. @throws when one of them is there already */
function store(stored: Stored, where: string, key: string, samples: Iterable<readonly [number, string]>): void {
  let found = stored.get(key);
  if (found === undefined) stored.set(key, (found = new Map()));
  for (const [timeMs, bits] of samples) {
    if (found.has(timeMs)) throw new Error(`${where}: ${key} has two samples at ${timeMs}: ${found.get(timeMs)} and ${bits}`);
    found.set(timeMs, bits);
  }
}

/** Samples of an XOR chunk. */
function decodeChunk(kernels: Kernels, data: Uint8Array): [number, string][] {
  const { memory } = kernels;
  const count = (data[0]! << 8) | data[1]!;
  const [dataPtr, timesPtr, valuesPtr] = [memory.alloc(data.length + CHUNK_SLACK_BYTES), memory.alloc(count * 8), memory.alloc(count * 8)];
  memory.u8(dataPtr, data.length).set(data);
  const decoded = kernels.decodeXor(dataPtr, data.length, timesPtr, valuesPtr, count);
  const values = memory.f64(valuesPtr, decoded);
  const words = memory.i32(valuesPtr, decoded * 2);
  const samples = Array.from(memory.f64(timesPtr, decoded), (timeMs, i): [number, string] => {
    const isStale = words[i * 2 + 1]! >>> 0 === STALE_NAN_HI && words[i * 2]! >>> 0 === STALE_NAN_LO;
    return [timeMs, isStale ? 'stale' : bitsOfNumber(values[i]!)];
  });
  for (const pointer of [dataPtr, timesPtr, valuesPtr]) memory.free(pointer);
  return samples;
}

/** Labels less external ones, which must be there. */
function ownKey(labels: readonly string[]): string {
  const pairs = labels.flatMap((name, i) => (i % 2 === 0 ? [[name, labels[i + 1]!] as const] : []));
  const external = Object.fromEntries(pairs.filter(([name]) => name in EXTERNAL));
  expect(external).toEqual(EXTERNAL);
  return seriesKey(pairs.filter(([name]) => !(name in EXTERNAL)));
}

/** All that the ruler's StoreAPI has. */
async function readStoreApi(kernels: Kernels, { grpc }: Service): Promise<Stored> {
  const channel = openGrpcChannel({ address: grpc });
  try {
    const { series, warnings } = await readSeries(new GrpcStoreClient(channel).series(seriesOf(['n=~.+'], { minTime: 0, maxTime: Date.now() + 3_600_000 })));
    expect(warnings).toEqual([]);
    const stored: Stored = new Map();
    for (const { labels, chunks } of series) for (const [, , , hex] of chunks) store(stored, 'StoreAPI', ownKey(labels), decodeChunk(kernels, Buffer.from(hex, 'hex')));
    return stored;
  } finally {
    channel.close();
  }
}

/** The blocks of the bucket that are whole, read as they come. */
class BucketSamples {
  readonly stored: Stored = new Map();
  readonly #known = new Set<string>();
  readonly #folder: string;
  readonly #kernels: Kernels;

  constructor(folder: string, kernels: Kernels) {
    this.#folder = folder;
    this.#kernels = kernels;
  }

  get blocks(): number {
    return this.#known.size;
  }

  /** Blocks whose upload was not finished. */
  partial(): readonly string[] {
    return readdirSync(this.#folder).filter((name) => isUlid(name) && !existsSync(join(this.#folder, name, 'meta.json')));
  }

  /** Reads blocks that are new. @throws when two blocks have the same sample */
  read(): void {
    for (const name of readdirSync(this.#folder)) {
      if (this.#known.has(name) || !existsSync(join(this.#folder, name, 'meta.json'))) continue;
      const block = openBlock(createNodeFileSystem(), join(this.#folder, name));
      for (const { labels, chunks } of readSampleBlock(this.#kernels, block)) store(this.stored, `bucket, block ${name}`, seriesKeyOf(labels), chunks.flat());
      block.close();
      this.#known.add(name);
    }
  }
}

/** Every acknowledged sample is in one of the two. @returns how many there were */
function expectAllThere({ series }: Acknowledged, places: readonly Stored[]): number {
  let compared = 0;
  const missing: string[] = [];
  for (const [key, samples] of series) {
    for (const [timeMs, value] of samples) {
      const found = places.map((place) => place.get(key)?.get(timeMs)).filter((bits) => bits !== undefined);
      const wanted = bitsOfNumber(Number(value));
      if (found.length === 0 || found.some((bits) => bits !== wanted)) missing.push(`${key} at ${timeMs}: acknowledged ${value} (${wanted}), there is ${found.join(', ') || 'nothing'}`);
      compared++;
    }
  }
  expect({ missing: missing.length, first: missing.slice(0, 5) }).toEqual({ missing: 0, first: [] });
  return compared;
}

/** What was acknowledged between two times, both included, ms. */
function between({ series, bytes }: Acknowledged, fromMs: number, toMs: number): Acknowledged {
  const within = [...series].map(([key, samples]) => [key, new Map([...samples].filter(([timeMs]) => timeMs >= fromMs && timeMs <= toMs))] as const);
  return { series: new Map(within), fromMs, toMs, bytes };
}

/** Asks a querier for all that was acknowledged. @returns how many samples were compared */
async function expectAllShown(querierUrl: string, acknowledged: Acknowledged): Promise<number> {
  const rangeMs = acknowledged.toMs - acknowledged.fromMs + 1;
  const { result, warnings } = await instantAnswer(querierUrl, `{n=~".+"}[${rangeMs}ms]`, acknowledged.toMs / 1000, { dedup: 'false', partial_response: 'false' });
  expect(warnings).toEqual([]);
  const shown: Stored = new Map();
  for (const { metric, values } of result) store(shown, 'querier', ownKey(Object.entries(metric).flat()), values!.map(([s, value]) => [Math.round(s * 1000), bitsOfNumber(Number(value))]));
  return expectAllThere(acknowledged, [shown]);
}

/** The last acknowledged state of `for` by series `n`: when it was written, and since when the alert was active, ms. */
function lastForStates({ series }: Acknowledged): Map<string, { readonly atMs: number; readonly activeMs: number }> {
  const states = new Map<string, { atMs: number; activeMs: number }>();
  for (const [key, samples] of series) {
    const labels = Object.fromEntries(JSON.parse(key) as [string, string][]);
    if (labels['__name__'] !== 'ALERTS_FOR_STATE') continue;
    const atMs = Math.max(...samples.keys());
    states.set(labels['n']!, { atMs, activeMs: Number(samples.get(atMs)) * 1000 });
  }
  return states;
}

/**
 * `for` goes on where it was: what was active before counts, the time down does not.
 *
 *   activeAt = active before + (time of restoring − last sample before)
 */
async function expectForStates(ruler: Service, before: Acknowledged, startedMs: number): Promise<void> {
  const states = lastForStates(before);
  if (states.size === 0) return;
  // States are cut to seconds; one more evaluation may have been written than was acknowledged.
  const slackMs = 2_500;
  await waitFor('restored states of for', async () => {
    const { data } = await getApi<{ readonly Alerts: readonly ApiAlert[] | null }>(ruler.url, 'alerts');
    const nowMs = Date.now();
    const alerts = data.Alerts ?? [];
    if (alerts.length < SERIES) return false;
    for (const { labels, activeAt, state } of alerts) {
      const { atMs, activeMs } = states.get(labels['n']!)!;
      const activeAtMs = Date.parse(activeAt);
      if (state !== 'pending' || activeAtMs > activeMs + (nowMs - atMs) || activeAtMs < activeMs + (startedMs - atMs) - slackMs) throw new Error(`alert ${labels['n']} is ${state} since ${activeAtMs}; before the kill it was active since ${activeMs} at ${atMs}; started at ${startedMs}, now ${nowMs}`);
    }
    return true;
  }, { process: ruler.process });
}

/** Kills it at the moment. @returns when it is gone */
async function killAt(moment: (typeof MOMENTS)[number], running: RunningProcess, { data, bucket }: Folders, random: () => number): Promise<void> {
  const kill = (): Promise<void> => running.stop('SIGKILL');
  switch (moment) {
    case 'any':
      await sleepFor(random() * 3000);
      return kill();
    case 'starting':
      await sleepFor(random() * 2500);
      return kill();
    case 'cutting':
    case 'shipping': {
      const [folder, isIt] = moment === 'cutting' ? [data, (name: string) => name.endsWith(CREATION_SUFFIX)] : [bucket, (name: string) => isUlid(name)];
      // Mostly at once: both take a few milliseconds.
      const delayMs = Math.floor(random() ** 3 * 25);
      await new Promise<void>((resolve, reject) => {
        const watcher = watch(folder, (_event, name) => {
          if (name === null || !isIt(name)) return;
          watcher.close();
          clearTimeout(deadline);
          if (delayMs === 0) resolve(kill());
          else setTimeout(() => resolve(kill()), delayMs);
        });
        const deadline = setTimeout(() => {
          watcher.close();
          reject(new Error(`no ${moment} of a block within ${BLOCK_MS_MAX} ms\n${running.output().slice(-6000)}`));
        }, BLOCK_MS_MAX);
      });
    }
  }
}

test(`a ruler killed ${ROUNDS} times at random moments: nothing acknowledged is lost or doubled, start-up recovers by itself, for goes on`, async () => {
  process.stderr.write(`ruler-kill: seed ${SEED}, ${ROUNDS} rounds\n`);
  const random = seededRandom(SEED);
  const kernels = createKernels();
  const root = temporaryDir('ruler-kill');
  const folders: Folders = { data: join(root, 'data'), bucket: join(root, 'bucket') };
  mkdirSync(folders.bucket);
  writeFileSync(join(root, 'rules.yml'), RULES);
  const objstore = `{type: FILESYSTEM, config: {directory: ${folders.bucket}}}`;
  const querier = await startUniqueQuerier(SERIES);
  const argv = [
    `--query=${querier.url}`, `--rule-file=${join(root, 'rules.yml')}`, `--data-dir=${folders.data}`, `--objstore.config=${objstore}`, ...Object.entries(EXTERNAL).map(([name, value]) => `--label=${name}="${value}"`),
    '--tsdb.block-duration=2s', `--tsdb.retention=${RETENTION}`, `--shipper.keep-uploaded=${KEEP_UPLOADED}`, '--shipper.interval=500ms', '--debug.ack-log',
  ];
  const ackLog = join(folders.data, 'ack.log');
  const bucket = new BucketSamples(folders.bucket, kernels);
  const landed = { cutting: 0, shipping: 0 };
  let compared = 0;

  const startAndVerify = async (): Promise<Service> => {
    const before = readAckLog(ackLog);
    const halfCut = existsSync(folders.data) ? readdirSync(folders.data).filter((name) => name.endsWith(CREATION_SUFFIX)) : [];
    const startedMs = Date.now();
    const ruler = await startService('rule', argv);
    for (const name of halfCut) expect(existsSync(join(folders.data, name))).toBe(false);
    // The StoreAPI first: what leaves it in between is in the bucket by then.
    const local = await readStoreApi(kernels, ruler);
    bucket.read();
    compared += expectAllThere(before, [local, bucket.stored]);
    await expectForStates(ruler, before, startedMs);
    return ruler;
  };

  try {
    for (let round = 0; round < ROUNDS; round++) {
      const moment = MOMENTS[round % MOMENTS.length]!;
      const running = moment === 'starting' ? startGauntlet(['rule', '--http-address=127.0.0.1:0', '--grpc-address=127.0.0.1:0', ...argv]) : (await startAndVerify()).process;
      await killAt(moment, running, folders, random);
      // It was the kill, not an end of its own.
      expect((await running.exited).signal).toBe('SIGKILL');
      if (readdirSync(folders.data).some((name) => name.endsWith(CREATION_SUFFIX))) landed.cutting++;
      if (bucket.partial().length > 0) landed.shipping++;
    }

    const ruler = await startAndVerify();
    const services: Service[] = [ruler];
    try {
      expect(readAckLog(ackLog).series.size).toBe(SERIES * 5);
      await waitFor('the end of every upload that was interrupted', async () => bucket.partial().length === 0, { process: ruler.process });
      // As users see it: one querier over the ruler and the bucket.
      const storeGateway = await startService('store', [`--objstore.config=${objstore}`, `--data-dir=${join(root, 'store')}`, `--sync-block-duration=${STORE_SYNC}`]);
      services.push(storeGateway);
      const top = await startService('query', [`--endpoint=${ruler.grpc}`, `--endpoint=${storeGateway.grpc}`]);
      services.push(top);
      await waitFor('both endpoints', async () => {
        const { data } = await getApi<Record<string, readonly unknown[]>>(top.url, 'stores');
        return Object.values(data).flat().length === 2;
      }, { process: top.process });
      const blocks = (folder: string): string[] => readdirSync(folder).filter((name) => isUlid(name) && existsSync(join(folder, name, 'meta.json')));
      const before = new Set([...blocks(folders.data), ...blocks(folders.bucket)]);
      const deadlineMs = performance.now() + HANDED_OVER_MS_MAX;
      let handedOver = 0;
      let questions = 0;
      do {
        if (performance.now() > deadlineMs) throw new Error(`${handedOver} blocks handed over after ${HANDED_OVER_MS_MAX} ms\n${ruler.process.output().slice(-6000)}`);
        const acknowledged = readAckLog(ackLog);
        compared += await expectAllShown(top.url, acknowledged);
        // Narrow ones as well: the querier leaves out stores that it takes to have nothing of that time.
        for (let toMs = acknowledged.toMs; toMs > acknowledged.toMs - HAND_OVER_MS; toMs -= PIECE_MS) compared += await expectAllShown(top.url, between(acknowledged, toMs - PIECE_MS + 1, toMs));
        questions += 1 + HAND_OVER_MS / PIECE_MS;
        const local = new Set(blocks(folders.data));
        handedOver = blocks(folders.bucket).filter((name) => !before.has(name) && !local.has(name)).length;
      } while (handedOver < HANDED_OVER);
      bucket.read();
      process.stderr.write(`ruler-kill: ${compared} acknowledged samples compared, ${bucket.blocks} blocks in the bucket, ${handedOver} handed over during ${questions} questions, ${landed.cutting} kills left a block half cut, ${landed.shipping} one half shipped\n`);
    } finally {
      for (const service of services.reverse()) await service.stop();
    }
    expect(await ruler.process.exited).toEqual({ code: 0, signal: null });
  } finally {
    await querier.stop();
  }
}, 120_000 + ROUNDS * 30_000);
