/**
 * Brings the blocks of a plan to the local disk: `<work dir>/<group key>/<ulid>`.
 *
 *   what a killed run left whole stays ─► is there room for the rest and for the output? ─► download, some blocks at once
 *
 * A local directory with meta.json is a finished download (it is written last); it is used again if its meta.json is the bucket's and
 * every file has its size. What is in the files is checked when they are read, chunk by chunk.
 */
import { mkdir, readFile, rm, stat, statfs } from 'node:fs/promises';
import { join } from 'node:path';
import { BlockError, downloadBlock, formatThanosMeta, META_FILE, parseThanosMeta, type ThanosMeta } from '@gauntlet/block';
import type { Bucket } from '@gauntlet/objstore';
import { createGate, errorText, type Logger, showBytes } from '@gauntlet/service-kit';
import { CompactorError } from './errors.ts';

/** What fetching needs. */
export interface FetchDeps {
  readonly bucket: Bucket;
  readonly log: Logger;
  /** Bytes free on the disk a directory is on. */
  readonly freeDiskBytes: (dir: string) => Promise<number>;
}

/** How to fetch. */
export interface FetchOptions {
  /** Key of the group, for messages. */
  readonly group: string;
  /** Blocks at once: `--compact.blocks-fetch-concurrency`. */
  readonly blockConcurrency: number;
  /** Files of a block at once: `--block-files-concurrency`. */
  readonly fileConcurrency: number;
}

/** Free bytes on the disk of a directory, for those who are not root. */
export async function freeDiskBytes(dir: string): Promise<number> {
  const { bavail, bsize } = await statfs(dir);
  return bavail * bsize;
}

/** Whether `dir` holds the whole block. */
async function isFetched(dir: string, meta: ThanosMeta): Promise<boolean> {
  if (meta.thanos.files.length === 0) return false;
  let local: ThanosMeta;
  try {
    local = parseThanosMeta(await readFile(join(dir, META_FILE)), meta.ulid);
  } catch {
    return false;
  }
  // The view may have replica labels taken off; all else tells whether it is the same block.
  const text = (m: ThanosMeta): string => Buffer.from(formatThanosMeta({ ...m, thanos: { ...m.thanos, labels: [] } })).toString();
  if (text(local) !== text(meta)) return false;
  for (const file of meta.thanos.files) {
    if (file.relPath === META_FILE) continue;
    const found = await stat(join(dir, file.relPath)).catch(() => undefined);
    if (found === undefined || (file.sizeBytes !== undefined && found.size !== file.sizeBytes)) return false;
  }
  return true;
}

async function blockBytes(bucket: Bucket, meta: ThanosMeta, signal: AbortSignal): Promise<number> {
  let bytes = 0;
  if (meta.thanos.files.length > 0) {
    for (const file of meta.thanos.files) bytes += file.sizeBytes ?? 0;
    return bytes;
  }
  for await (const entry of bucket.iterEntries(meta.ulid, { recursive: true, signal })) bytes += entry.size ?? 0;
  return bytes;
}

/**
 * Makes sure that all blocks are whole below `dir`.
 * @returns ids of blocks that were there already
 * @throws CompactorError ERR_NO_SPACE (other), ERR_FETCH_BLOCK (retry), ERR_BLOCK_UNHEALTHY (other: the bucket's copy is not what its meta.json says); the signal's reason
 */
export async function fetchSources(deps: FetchDeps, metas: readonly ThanosMeta[], dir: string, options: FetchOptions, signal: AbortSignal): Promise<string[]> {
  const { bucket, log } = deps;
  await mkdir(dir, { recursive: true });
  const reused: string[] = [];
  const missing: ThanosMeta[] = [];
  for (const meta of metas) {
    if (await isFetched(join(dir, meta.ulid), meta)) reused.push(meta.ulid);
    else missing.push(meta);
  }
  if (reused.length > 0) log.info('blocks of an earlier run are used again', { group: options.group, blocks: reused });
  await reserveDisk(deps, metas, missing, dir, options.group, signal);

  const gate = createGate({ max: options.blockConcurrency });
  const failing = new AbortController();
  const both = AbortSignal.any([signal, failing.signal]);
  const results = await Promise.allSettled(missing.map((meta) => gate.run(async () => {
    try {
      both.throwIfAborted();
      const target = join(dir, meta.ulid);
      // meta.json away first: until the download ends the directory is not a finished one.
      await rm(join(target, META_FILE), { force: true });
      await downloadBlock(bucket, meta.ulid, target, { concurrency: options.fileConcurrency, signal: both });
      log.debug('downloaded block', { group: options.group, block: meta.ulid });
    } catch (error) {
      failing.abort(error);
      throw error;
    }
  }, both)));
  signal.throwIfAborted();
  const failed = results.find((result) => result.status === 'rejected');
  if (failed === undefined) return reused;
  throw fetchError(failing.signal.reason ?? failed.reason, options.group, missing);
}

function fetchError(error: unknown, group: string, metas: readonly ThanosMeta[]): CompactorError {
  const blocks = metas.map((meta) => meta.ulid);
  const isDamaged = error instanceof BlockError && (error.code === 'ERR_BLOCK_MISMATCH' || error.code === 'ERR_META_CORRUPT' || error.code === 'ERR_META_VERSION');
  if (isDamaged) return new CompactorError('ERR_BLOCK_UNHEALTHY', 'other', `compact group ${group}: ${error.message}`, { group, blocks, cause: error });
  return new CompactorError('ERR_FETCH_BLOCK', 'retry', `compact group ${group}: ${errorText(error)}`, { group, blocks, cause: error });
}

/** The output is at most as large as all inputs. */
async function reserveDisk(deps: FetchDeps, metas: readonly ThanosMeta[], missing: readonly ThanosMeta[], dir: string, group: string, signal: AbortSignal): Promise<void> {
  let needed = 0;
  const absent = new Set(missing);
  for (const meta of metas) {
    let bytes: number;
    try {
      bytes = await blockBytes(deps.bucket, meta, signal);
    } catch (error) {
      signal.throwIfAborted();
      throw fetchError(error, group, [meta]);
    }
    needed += absent.has(meta) ? 2 * bytes : bytes;
  }
  const free = await deps.freeDiskBytes(dir);
  if (free < needed) {
    throw new CompactorError('ERR_NO_SPACE', 'other', `compact group ${group}: ${metas.length} blocks and their output need ${showBytes(needed)} in ${dir}, free are ${showBytes(free)}; give --data-dir more room`, {
      group, blocks: metas.map((meta) => meta.ulid),
    });
  }
}
