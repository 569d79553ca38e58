/**
 * Twelve buckets before and after a run of `thanos compact` (testdata/README.md): with merging left out, looking, marking, planning,
 * retention and cleaning must leave the same blocks and marks. Where we differ on purpose, the expected outcome is written here.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

import { parseSelector } from '@gauntlet/block';
import type { MarkerKind, ThanosMeta } from '@gauntlet/block';
import { labelsFromMap } from '@gauntlet/model';
import { parseDurationText } from '@gauntlet/service-kit';
import { describe, expect, test } from '@jest/globals';

import { deleteMarkedBlocks, deletePartialUploads } from './clean-bucket.ts';
import { markDuplicates } from './collect-garbage.ts';
import { applyRetention } from './retention.ts';
import type { BlockSyncOptions } from './sync-blocks.ts';
import { BucketWorld, HOUR_MS, blockId, blockMeta, putBlock, putParts } from './testing/bucket-world.ts';

interface RecordedBlock {
  readonly ulid: string;
  readonly partial?: true;
  readonly marks: readonly string[];
  readonly minTime: number;
  readonly maxTime: number;
  readonly level: number;
  readonly sources: readonly string[];
  readonly parents?: readonly string[];
  readonly labels: Readonly<Record<string, string>>;
  readonly resolution: number;
  readonly source: string;
  readonly stats: ThanosMeta['stats'];
}
interface Scenario {
  readonly flags: readonly string[];
  readonly exit: number;
  readonly before: readonly RecordedBlock[];
  readonly after: readonly RecordedBlock[];
}

const SCENARIOS = JSON.parse(readFileSync(join(import.meta.dirname, '../testdata/scenarios.json'), 'utf8')) as Readonly<Record<string, Scenario>>;
const KINDS: Readonly<Record<string, MarkerKind>> = { 'deletion-mark.json': 'deletion', 'no-compact-mark.json': 'no-compact', 'no-downsample-mark.json': 'no-downsample' };

/** What a block is apart from its id: a new block's parents may be new too. */
function describeBlock(block: RecordedBlock, all: ReadonlyMap<string, RecordedBlock>, old: ReadonlySet<string>): string {
  if (block.partial === true) return `${block.ulid} partial ${block.marks.join()}`;
  const parents = (block.parents ?? []).map((id) => (old.has(id) ? id : `${all.get(id)?.minTime}-${all.get(id)?.maxTime}`));
  const name = old.has(block.ulid) ? block.ulid : 'new';
  return [name, `${block.minTime}-${block.maxTime}`, `level ${block.level}`, JSON.stringify(block.labels), block.resolution, block.source, `of ${block.sources.join()}`, `from ${parents.join()}`, block.marks.join()].join(' ');
}
function describeAll(blocks: readonly RecordedBlock[], before: readonly RecordedBlock[]): string[] {
  const all = new Map(blocks.map((b) => [b.ulid, b]));
  const old = new Set(before.map((b) => b.ulid));
  return blocks.map((b) => describeBlock(b, all, old)).sort();
}

async function fill(world: BucketWorld, blocks: readonly RecordedBlock[]): Promise<void> {
  for (const block of blocks) {
    if (block.partial === true) await putParts(world.bucket, block.ulid);
    else {
      await putBlock(world.bucket, blockMeta(0, {
        ulid: block.ulid, minTime: block.minTime, maxTime: block.maxTime, stats: block.stats, compaction: { level: block.level, sources: block.sources },
      }, { labels: labelsFromMap(block.labels), resolutionMs: block.resolution, source: block.source }));
    }
    for (const mark of block.marks) await world.mark(block.ulid, KINDS[mark]!);
  }
}

async function read(world: BucketWorld): Promise<RecordedBlock[]> {
  const metas = new Map((await world.metas()).map((meta) => [meta.ulid, meta]));
  const keys = new Set(world.bucket.keys());
  return world.directories().map((ulid) => {
    const meta = metas.get(ulid);
    const marks = Object.keys(KINDS).filter((file) => keys.has(`${ulid}/${file}`));
    if (meta === undefined) return { ulid, partial: true, marks } as unknown as RecordedBlock;
    const labels: Record<string, string> = {};
    for (let i = 0; i < meta.thanos.labels.length; i += 2) labels[meta.thanos.labels[i]!] = meta.thanos.labels[i + 1]!;
    const parents = meta.compaction.parents?.map((p) => p.ulid);
    return {
      ulid, marks, minTime: meta.minTime, maxTime: meta.maxTime, level: meta.compaction.level, sources: meta.compaction.sources, labels,
      resolution: meta.thanos.resolutionMs, source: meta.thanos.source, stats: meta.stats, ...(parents === undefined ? {} : { parents }),
    };
  });
}

/** One run of the compactor without `--wait`. */
async function run(world: BucketWorld, flags: readonly string[]): Promise<void> {
  const given = new Map(flags.map((flag) => [flag.split('=', 1)[0]!, flag.slice(flag.indexOf('=') + 1)]));
  const duration = (name: string): number => parseDurationText(given.get(name) ?? '0s');
  const deleteDelayMs = duration('--delete-delay');
  const maxTime = given.get('--max-time');
  const options: Partial<BlockSyncOptions> = {
    consistencyDelayMs: duration('--consistency-delay'), deleteDelayMs,
    relabel: parseSelector(given.get('--selector.relabel-config') ?? '[]', 'flag'),
    replicaLabels: given.has('--deduplication.replica-label') ? [given.get('--deduplication.replica-label')!] : [],
    ...(maxTime === undefined ? {} : { maxTime: { at: () => Date.parse(maxTime) } }),
  };
  const sync = world.createSync(options);
  const deps = world.careDeps();
  let view = await sync.sync(world.signal);
  for (let round = 0, done = 1; done > 0; round++) {
    if (round > 20) throw new Error('compaction does not come to an end');
    world.nowMs += 1500;
    view = await sync.sync(world.signal);
    await deleteMarkedBlocks(deps, view, { deleteDelayMs }, world.signal);
    await markDuplicates(deps, view, world.signal);
    done = await world.compactOnce(view);
  }
  world.nowMs += 1500;
  view = await sync.sync(world.signal);
  await applyRetention(deps, view, { rawMs: duration('--retention.resolution-raw'), fiveMinMs: 0, oneHourMs: 0, isDownsamplingOff: given.has('--downsampling.disable') }, world.signal);
  await deletePartialUploads(deps, view, {}, world.signal);
}

const outcome = async (scenario: Scenario): Promise<{ got: string[]; world: BucketWorld }> => {
  const world = new BucketWorld();
  await fill(world, scenario.before);
  await run(world, scenario.flags);
  return { got: describeAll(await read(world), scenario.before), world };
};

const DIFFERENT = ['deletion-mark-fresh', 'overlap-without-vertical-halts'];

describe('as Thanos', () => {
  test.each(Object.keys(SCENARIOS).filter((name) => !DIFFERENT.includes(name)))('%s', async (name) => {
    const scenario = SCENARIOS[name]!;
    expect(scenario.exit).toBe(0);
    expect((await outcome(scenario)).got).toEqual(describeAll(scenario.after, scenario.before));
  });
  test('all twelve are there', () => {
    expect(Object.keys(SCENARIOS)).toHaveLength(12);
  });
});

describe('other than Thanos', () => {
  const short = (lines: readonly string[]): string[] => lines.map((line) => line.replace(/^(\S+) (\d+)-(\d+) level (\d).* (\S*)$/, (_, id: string, mint: string, maxt: string, level: string, marks: string) =>
    [id === 'new' ? 'new' : id.slice(-3), Math.floor((Number(mint) - 1776009600000) / HOUR_MS), '-', (Number(maxt) - 1776009600000) / HOUR_MS, `level${level}`, marks].join(' ').trim()));
  const only = (lines: readonly string[], pattern: RegExp): string[] => short(lines).filter((line) => pattern.test(line)).sort();

  test('a block freshly marked for deletion is left out, and nothing is compacted over its place; Thanos takes it in', async () => {
    const scenario = SCENARIOS['deletion-mark-fresh']!;
    expect(only(describeAll(scenario.after, scenario.before), /^new/)).toEqual(['new 0 - 8 level2']);
    const { got, world } = await outcome(scenario);
    expect(only(got, /new|mark/)).toEqual(['DWE 6 - 8 level1 deletion-mark.json', 'FCR 2 - 4 level1 deletion-mark.json', 'R8A 4 - 6 level1 deletion-mark.json', 'new 4 - 8 level2']);
    // A day later no replacement has come: the rest of the window is compacted without it.
    world.nowMs += 25 * HOUR_MS;
    await run(world, scenario.flags);
    expect(only(describeAll(await read(world), scenario.before), /new/)).toEqual(['new 0 - 8 level3', 'new 4 - 8 level2 deletion-mark.json']);
  });
  test('overlapping blocks of one stream are merged; Thanos halts', async () => {
    const scenario = SCENARIOS['overlap-without-vertical-halts']!;
    expect(scenario.exit).toBe(1);
    const { got } = await outcome(scenario);
    expect(only(got, /./)).toEqual([
      'FAV 2 - 4 level1 deletion-mark.json', 'FCR 2 - 4 level1 deletion-mark.json', 'FS9 0 - 2 level1', 'R8A 4 - 6 level1', 'new 2 - 4 level2',
    ]);
  });
  test('what the partial upload of the recording is after two days', async () => {
    const scenario = SCENARIOS['partial-upload']!;
    const { world } = await outcome(scenario);
    const partial = scenario.before.find((b) => b.partial === true)!.ulid;
    expect(world.directories()).toContain(partial);
    world.nowMs += 49 * HOUR_MS;
    await run(world, scenario.flags);
    expect(world.directories()).not.toContain(partial);
    expect(world.directories()).not.toContain(blockId(9000));
  });
});
