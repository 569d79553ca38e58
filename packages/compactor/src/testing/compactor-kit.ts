/**
 * A whole compactor over any bucket, with compactions in the calling thread; recorded blocks to put into buckets; and a reader that
 * sees what a store gateway would: every sample of every block that has a meta.json.
 */
import { createHash } from 'node:crypto';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { META_FILE, parseThanosMeta, type ThanosMeta } from '@gauntlet/block';
import { CHUNK_SLACK_BYTES, createKernels, type Kernels } from '@gauntlet/kernels';
import { CHUNK_ENCODING, formatLabels } from '@gauntlet/model';
import type { Bucket } from '@gauntlet/objstore';
import { createMetrics, createNopLogger, type Logger, type Metrics, parseFlags } from '@gauntlet/service-kit';
import { createSeriesEntry, openBlock } from '@gauntlet/tsdb';
import { createMemoryFileSystem } from '@gauntlet/tsdb/testing';
import { type CompactRunner, createInlineRunner } from '../compact-runner.ts';
import { type Compactor, createCompactor } from '../compactor.ts';
import { type CompactorConfig, compactorFlags } from '../flags.ts';

/** Recorded two-hour blocks of two replicas; see testdata/README.md. */
export const BLOCKS: string = resolve(import.meta.dirname, '../../testdata/blocks');
/** Ids of the nine blocks of replica a, oldest first. */
export const REPLICA_A: readonly string[] = readdirSync(BLOCKS).filter((id) => id.startsWith('01M7YH8M')).sort();

/** Puts a recorded block into a bucket. @param rename another id, also as its source */
export async function putRecorded(bucket: Bucket, id: string, rename: string = id): Promise<void> {
  const dir = join(BLOCKS, id);
  for (const name of readdirSync(join(dir, 'chunks'))) await bucket.upload(`${rename}/chunks/${name}`, readFileSync(join(dir, 'chunks', name)));
  await bucket.upload(`${rename}/index`, readFileSync(join(dir, 'index')));
  await bucket.upload(`${rename}/${META_FILE}`, Buffer.from(readFileSync(join(dir, META_FILE), 'utf8').replaceAll(id, rename)));
}

/** Unless given otherwise. */
const DEFAULTS: readonly string[] = ['--objstore.config=type: FILESYSTEM', '--http-address=127.0.0.1:0', '--consistency-delay=0s'];

/** The configuration that a command line gives. @throws Error with what the user would see */
export function configOf(argv: readonly string[]): CompactorConfig {
  const given = new Set(argv.map((flag) => flag.split('=', 1)[0]));
  const more = DEFAULTS.filter((flag) => !given.has(flag.split('=', 1)[0]));
  const outcome = parseFlags({ name: 'compact', help: '', flags: compactorFlags }, [...more, ...argv]);
  if (outcome.kind !== 'run') throw new Error(outcome.stderr);
  return outcome.values;
}

/** What a test may set of a compactor. */
export interface TestCompactorOptions {
  readonly flags?: readonly string[];
  /** Default: a directory of its own, removed by `removeTestDirs`. */
  readonly dataDir?: string;
  readonly clock?: () => number;
  readonly log?: Logger;
  readonly metrics?: Metrics;
  readonly runner?: CompactRunner;
  readonly freeDiskBytes?: (dir: string) => Promise<number>;
}

const dirs: string[] = [];

/** In memory where there is such a place: hundreds of runs sync every file they write. */
const TEMPORARY = existsSync('/dev/shm') ? '/dev/shm' : tmpdir();

/** A directory of the test's own. */
export function createTestDir(): string {
  const dir = mkdtempSync(join(TEMPORARY, 'gauntlet-compactor-'));
  dirs.push(dir);
  return dir;
}

/** Removes what tests have made on disk. */
export function removeTestDirs(): void {
  for (const dir of dirs.splice(0)) rmSync(dir, { recursive: true, force: true });
}

/** A compactor that was not started; fresh blocks are compacted at once. */
export function createTestCompactor(bucket: Bucket, options: TestCompactorOptions = {}): Promise<Compactor> {
  const config = configOf([`--data-dir=${options.dataDir ?? createTestDir()}`, ...(options.flags ?? [])]);
  return createCompactor(config, {
    log: options.log ?? createNopLogger(),
    metrics: options.metrics ?? createMetrics(),
    clock: options.clock ?? Date.now,
    bucket,
    runner: options.runner ?? createInlineRunner(),
    freeDiskBytes: options.freeDiskBytes ?? (() => Promise.resolve(2 ** 40)),
  });
}

/** What a directory of a bucket is. */
export interface SeenBlock {
  readonly meta: ThanosMeta;
  /** Marker files, sorted. */
  readonly marks: readonly string[];
}

/** Blocks with a meta.json, by id. */
export async function seeBlocks(bucket: Bucket): Promise<Map<string, SeenBlock>> {
  const names: string[] = [];
  for await (const name of bucket.iter('', { recursive: true })) names.push(name);
  const blocks = new Map<string, SeenBlock>();
  for (const name of names) {
    if (!name.endsWith(`/${META_FILE}`)) continue;
    const ulid = name.slice(0, -META_FILE.length - 1);
    const marks = names.filter((other) => other.startsWith(`${ulid}/`) && other.endsWith('-mark.json')).map((other) => other.slice(ulid.length + 1)).sort();
    blocks.set(ulid, { meta: parseThanosMeta(await bucket.get(name), ulid), marks });
  }
  return blocks;
}

/**
 * All samples of a bucket as a reader gets them, each once: `labels time value-bits`, histogram chunks by their bytes. Blocks that are
 * marked for deletion count, unless told otherwise.
 * @throws whatever is wrong with a block that says it is whole
 */
export async function readSamples(bucket: Bucket, options: { readonly marked?: boolean } = {}): Promise<Set<string>> {
  const samples = new Set<string>();
  const fs = createMemoryFileSystem();
  const kernels = createKernels();
  for (const [id, { meta, marks }] of await seeBlocks(bucket)) {
    if (options.marked === false && marks.includes('deletion-mark.json')) continue;
    for await (const name of bucket.iter(id, { recursive: true })) fs.seed(`/${name}`, await bucket.get(name));
    const block = openBlock(fs, `/${id}`);
    const external = formatLabels(meta.thanos.labels);
    const entry = createSeriesEntry();
    for (const ref of block.index.allPostings()) {
      block.index.readSeries(ref, entry);
      const series = `${external}${formatLabels(block.index.labelsOf(entry))}`;
      for (let i = 0; i < entry.chunkCount; i++) {
        const { encoding, data } = block.chunks.readChunk(entry.refs[i]!);
        if (encoding === CHUNK_ENCODING.xor) for (const sample of decodeXor(kernels, data)) samples.add(`${series} ${sample}`);
        else samples.add(`${series} ${entry.mint[i]} ${createHash('sha1').update(data).digest('hex')}`);
      }
    }
    block.close();
  }
  return samples;
}

function decodeXor({ memory, decodeXor: decode }: Kernels, data: Uint8Array): string[] {
  const count = (data[0]! << 8) | data[1]!;
  const pointers = [memory.alloc(data.length + CHUNK_SLACK_BYTES), memory.alloc(count * 8), memory.alloc(count * 8)] as const;
  const [dataPtr, timesPtr, valuesPtr] = pointers;
  memory.u8(dataPtr, data.length).set(data);
  const decoded = decode(dataPtr, data.length, timesPtr, valuesPtr, count);
  const words = memory.i32(valuesPtr, decoded * 2);
  const samples = Array.from(memory.f64(timesPtr, decoded), (time, i) => `${time} ${(words[i * 2 + 1]! >>> 0).toString(16)}.${(words[i * 2]! >>> 0).toString(16)}`);
  for (const pointer of pointers) memory.free(pointer);
  return samples;
}
