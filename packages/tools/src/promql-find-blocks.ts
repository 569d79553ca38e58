/**
 * Where the blocks of a local query come from: folders of this machine, or a bucket. Finding reads `meta.json` alone; a block's data is opened or
 * downloaded when a selector turns out to need it.
 */
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';
import { createDeduplicateFilter, createDeletionMarkFilter, downloadBlock, META_FILE, parseThanosMeta, type ThanosMeta } from '@gauntlet/block';
import { getLabel } from '@gauntlet/model';
import type { Bucket } from '@gauntlet/objstore';
import { errorText, type Logger } from '@gauntlet/service-kit';
import { isUlid } from '@gauntlet/tsdb';
import { createBlockFinder } from './bucket-blocks.ts';
import { ToolsError } from './errors.ts';
import type { ToolDeps } from './tool.ts';

/** A block there is. */
export interface FoundBlock {
  readonly meta: ThanosMeta;
  /** What `fetch` would download, bytes; 0 for a block of this machine. */
  downloadBytes(signal: AbortSignal): Promise<number>;
  /** Makes the block's folder be there. @returns its path */
  fetch(signal: AbortSignal): Promise<string>;
}

/** How long blocks are still read after they were marked for deletion: half of what the compactor waits before it deletes them, as a store gateway does. */
const DELETION_MARK_DELAY_MS = 24 * 3_600_000;

/**
 * Blocks of folders: each is a block, or has blocks in it, as the data folder of a Prometheus does.
 * @throws ToolsError ERR_QUERY_BLOCKS for a folder that is not there or has no block; BlockError for a meta.json that is damaged
 */
export function findLocalBlocks(dirs: readonly string[], log: Logger): FoundBlock[] {
  const found = new Map<string, FoundBlock>();
  for (const dir of dirs) {
    const folders = foldersOf(dir);
    if (folders.length === 0) throw new ToolsError('ERR_QUERY_BLOCKS', `look for blocks in ${dir}: it is no block and has none in it`);
    if (folders[0] !== dir && hasHead(dir)) log.warn('samples that are in no block yet are not read', { dir });
    for (const folder of folders) {
      const path = resolve(folder);
      found.set(path, { meta: parseThanosMeta(readFileSync(join(path, META_FILE)), basename(path)), downloadBytes: () => Promise.resolve(0), fetch: () => Promise.resolve(path) });
    }
  }
  return [...found.values()];
}

function foldersOf(dir: string): string[] {
  try {
    if (isFile(join(dir, META_FILE))) return [dir];
    return readdirSync(dir).filter((name) => isUlid(name) && isFile(join(dir, name, META_FILE))).sort().map((name) => join(dir, name));
  } catch (error) {
    throw new ToolsError('ERR_QUERY_BLOCKS', `look for blocks in ${dir}: ${errorText(error)}`, error);
  }
}

function isFile(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isFile() === true;
}

/** Whether the folder has a write-ahead log with something in it. */
function hasHead(dir: string): boolean {
  const wal = join(dir, 'wal');
  return statSync(wal, { throwIfNoEntry: false })?.isDirectory() === true && readdirSync(wal).some((name) => (statSync(join(wal, name), { throwIfNoEntry: false })?.size ?? 0) > 0);
}

/**
 * Blocks of a bucket, without those that others replace or that were marked for deletion a day ago.
 * @param folder where blocks are downloaded to
 * @throws ToolsError ERR_INCOMPLETE_VIEW
 */
export async function findBucketBlocks(bucket: Bucket, folder: string, deps: Pick<ToolDeps, 'log' | 'metrics' | 'clock' | 'signal'>): Promise<FoundBlock[]> {
  const { log, clock } = deps;
  const finder = createBlockFinder(bucket, deps, [createDeletionMarkFilter({ bucket, log, clock }, DELETION_MARK_DELAY_MS), createDeduplicateFilter()]);
  const { metas, partial } = await finder.find();
  for (const [id, error] of partial) log.warn('block left out', { id, err: errorText(error) });
  return metas.map((meta) => ({
    meta,
    async downloadBytes(signal) {
      let bytes = 0;
      for await (const { size } of bucket.iterEntries(meta.ulid, { recursive: true, signal })) bytes += size ?? 0;
      return bytes;
    },
    async fetch(signal) {
      const dir = join(folder, meta.ulid);
      await downloadBlock(bucket, meta.ulid, dir, { signal });
      return dir;
    },
  }));
}

/** Blocks whose external labels have all of these values. */
export function withExternalLabels(blocks: readonly FoundBlock[], wanted: readonly (readonly [name: string, value: string])[]): FoundBlock[] {
  return blocks.filter(({ meta }) => wanted.every(([name, value]) => getLabel(meta.thanos.labels, name) === value));
}
