/**
 * The shipper: finds blocks a TSDB has cut and uploads them, oldest first.
 *
 *   for each <dir>/<ulid> by minTime:
 *     in thanos.shipper.json → done            no samples → skip            level > 1 → only with uploadCompacted
 *     meta.json in the bucket → done           level > 1 and overlapping a block of the same labels in the bucket → error
 *     upload (upload.ts): chunks, index, meta.json with external labels and source
 *   write thanos.shipper.json with what is still there
 *
 * A failure ends the round (newer blocks do not overtake older ones) unless out-of-order uploads are allowed; the next round goes on.
 * Killed after any single operation it leaves nothing a reader would take for a block, and loses and doubles nothing.
 * The files are read in place: upstream's hard links guard against retention removing a block under upload, which here is an
 * error of this round and no block in the next.
 */
import { readFile, readdir } from 'node:fs/promises';
import { join } from 'node:path';

import { labelsEqual, labelsFromMap } from '@gauntlet/model';
import type { Labels } from '@gauntlet/model';
import type { Bucket } from '@gauntlet/objstore';
import { errorText } from '@gauntlet/service-kit';
import type { Logger, Metrics } from '@gauntlet/service-kit';

import { META_FILE, blockIdOf } from './block-id.ts';
import { readBucketMeta } from './download.ts';
import { BlockError } from './errors.ts';
import { SHIPPER_STATE_FILE, readShipperState, writeShipperState } from './shipper-state.ts';
import { parseThanosMeta } from './thanos-meta.ts';
import type { BlockSource, ThanosMeta } from './thanos-meta.ts';
import { listSegments, uploadBlock } from './upload.ts';

/** What a shipper works with. */
export interface ShipperDeps {
  readonly bucket: Bucket;
  readonly log: Logger;
  readonly metrics: Metrics;
  /** Milliseconds since 1970. */
  readonly clock: () => number;
  /** External labels now; asked for every round. Empty: nothing is uploaded. */
  readonly labels: () => Labels;
}

/** How it ships; names of Thanos' flags in brackets. */
export interface ShipperOptions {
  /** Directory of the TSDB (`--tsdb.path`). */
  readonly dir: string;
  readonly source: BlockSource;
  /** Blocks of level 2 and more too (`--shipper.upload-compacted`); default false. */
  readonly uploadCompacted?: boolean;
  /** A failing block does not hold up newer ones (`--shipper.allow-out-of-order-uploads`); default false. */
  readonly allowOutOfOrderUploads?: boolean;
  /** A block whose meta.json cannot be read does not hold up others (`--shipper.skip-corrupted-blocks`); default false. */
  readonly skipCorruptedBlocks?: boolean;
  /** `--hash-func`; default none. */
  readonly hashFunc?: 'SHA256' | '';
  /** `--shipper.meta-file-name`, relative to `dir`; default thanos.shipper.json. */
  readonly metaFileName?: string;
  /** Segments under way at once (`--shipper.upload-concurrency`); default 1. */
  readonly uploadConcurrency?: number;
}

/** Ships the blocks of one directory. Rounds do not overlap: a second call waits for the first. */
export interface Shipper {
  /**
   * One round.
   * @returns number of blocks uploaded
   * @throws BlockError ERR_BLOCK_OVERLAP, ERR_BLOCK_LOCAL, ERR_META_CORRUPT, ERR_SHIP_INCOMPLETE; ObjstoreError; the signal's reason
   */
  sync(signal?: AbortSignal): Promise<number>;
  /** Ids the state file has. */
  uploadedBlocks(): Promise<ReadonlySet<string>>;
  /** Whether every local block is in the state file. */
  areAllBlocksUploaded(): Promise<boolean>;
}

interface LocalBlocks {
  readonly metas: readonly ThanosMeta[];
  readonly corrupted: readonly string[];
}

/** Creates a shipper; its metrics are there from now on. */
export function createShipper(deps: ShipperDeps, options: ShipperOptions): Shipper {
  const { bucket, log, clock } = deps;
  const { dir } = options;
  const statePath = join(dir, options.metaFileName ?? SHIPPER_STATE_FILE);
  const scope = deps.metrics.withPrefix('thanos_shipper_');
  const dirSyncs = scope.counter({ name: 'dir_syncs_total', help: 'Total number of dir syncs' });
  const dirSyncFailures = scope.counter({ name: 'dir_sync_failures_total', help: 'Total number of failed dir syncs' });
  const uploads = scope.counter({ name: 'uploads_total', help: 'Total number of uploaded blocks' });
  const uploadFailures = scope.counter({ name: 'upload_failures_total', help: 'Total number of block upload failures' });
  const corruptedBlocks = scope.counter({ name: 'corrupted_blocks_total', help: 'Total number of corrupted blocks' });
  const uploadedCompacted = scope.gauge({ name: 'upload_compacted_done', help: 'If 1 it means shipper uploaded all compacted blocks from the filesystem.' });

  async function localBlocks(): Promise<LocalBlocks> {
    const metas: ThanosMeta[] = [];
    const corrupted: string[] = [];
    for (const dirent of await readdir(dir, { withFileTypes: true })) {
      if (!dirent.isDirectory() || blockIdOf(dirent.name) === undefined) continue;
      try {
        metas.push(parseThanosMeta(await readFile(join(dir, dirent.name, META_FILE)), dirent.name));
      } catch (error) {
        if (options.skipCorruptedBlocks !== true) throw error instanceof BlockError ? error : new BlockError('ERR_BLOCK_LOCAL', `read meta.json of block ${dirent.name}: ${errorText(error)}`, error);
        log.error('reading meta.json of a block failed', { block: dirent.name, err: errorText(error) });
        corrupted.push(dirent.name);
      }
    }
    metas.sort((a, b) => a.minTime - b.minTime);
    return { metas, corrupted };
  }

  /** All complete blocks of these external labels in the bucket. */
  async function bucketBlocks(labels: Labels, signal: AbortSignal | undefined): Promise<ThanosMeta[]> {
    const found: ThanosMeta[] = [];
    for await (const name of bucket.iter('', signal === undefined ? {} : { signal })) {
      const id = blockIdOf(name);
      if (id === undefined || !name.endsWith('/')) continue;
      try {
        const meta = await readBucketMeta(bucket, id, signal);
        if (labelsEqual(meta.thanos.labels, labels)) found.push(meta);
      } catch (error) {
        // Half-uploaded blocks overlap nothing.
        if (!(error instanceof BlockError && error.code === 'ERR_META_NOT_FOUND')) throw error;
      }
    }
    return found;
  }

  function checkOverlap(meta: ThanosMeta, others: readonly ThanosMeta[]): void {
    const overlapping = others.filter((o) => o.ulid !== meta.ulid && o.thanos.resolutionMs === 0 && o.minTime < meta.maxTime && meta.minTime < o.maxTime);
    if (overlapping.length === 0) return;
    throw new BlockError('ERR_BLOCK_OVERLAP', `ship compacted block ${meta.ulid} [${meta.minTime}, ${meta.maxTime}): overlaps ${overlapping.map((o) => `${o.ulid} [${o.minTime}, ${o.maxTime})`).join(', ')} in bucket ${bucket.name}`);
  }

  async function upload(meta: ThanosMeta, labels: Labels, signal: AbortSignal | undefined): Promise<void> {
    const directory = join(dir, meta.ulid);
    log.info('upload new block', { block: meta.ulid });
    const merged = new Map<string, string>();
    for (const set of [meta.thanos.labels, labels]) for (let i = 0; i < set.length; i += 2) merged.set(set[i]!, set[i + 1]!);
    const segmentFiles = await listSegments(directory).catch(() => []);
    const shipped: ThanosMeta = { ...meta, thanos: { ...meta.thanos, labels: labelsFromMap(merged), source: options.source, segmentFiles } };
    await uploadBlock({ bucket, log, clock }, directory, shipped, {
      hashFunc: options.hashFunc ?? '', concurrency: options.uploadConcurrency ?? 1, ...(signal === undefined ? {} : { signal }),
    });
  }

  async function round(signal: AbortSignal | undefined): Promise<{ uploaded: number; failed: number; corrupted: number }> {
    const labels = deps.labels();
    const known = new Set(await readShipperState(statePath, log));
    const { metas, corrupted } = await localBlocks();
    const done: string[] = [];
    let others: ThanosMeta[] | undefined;
    let uploaded = 0;
    let failed = 0;
    try {
      for (const meta of metas) {
        signal?.throwIfAborted();
        if (known.has(meta.ulid)) {
          done.push(meta.ulid);
          continue;
        }
        if (meta.stats.numSamples === 0) {
          log.debug('ignoring empty block', { block: meta.ulid });
          continue;
        }
        const isCompacted = meta.compaction.level > 1;
        if (isCompacted && options.uploadCompacted !== true) continue;
        if (await bucket.exists(`${meta.ulid}/${META_FILE}`, signal === undefined ? {} : { signal })) {
          done.push(meta.ulid);
          continue;
        }
        if (labels.length === 0) {
          log.warn('no external labels configured, block is not uploaded', { block: meta.ulid });
          continue;
        }
        if (isCompacted && options.allowOutOfOrderUploads !== true) {
          others ??= await bucketBlocks(labels, signal);
          checkOverlap(meta, others);
        }
        try {
          await upload(meta, labels, signal);
        } catch (error) {
          if (options.allowOutOfOrderUploads !== true || signal?.aborted === true) throw error;
          log.error('shipping failed', { block: meta.ulid, err: errorText(error) });
          failed++;
          continue;
        }
        done.push(meta.ulid);
        others?.push(meta);
        uploaded++;
        uploads.inc();
      }
    } finally {
      // Also after a failure: what was shipped before it need not be asked for again. What was not reached keeps its entry.
      const reached = new Set(done);
      const kept = metas.map((m) => m.ulid).filter((id) => reached.has(id) || known.has(id));
      await writeShipperState(statePath, kept).catch((error: unknown) => { log.warn('updating shipper meta file failed', { path: statePath, err: errorText(error) }); });
    }
    return { uploaded, failed, corrupted: corrupted.length };
  }

  async function sync(signal: AbortSignal | undefined): Promise<number> {
    let result: { uploaded: number; failed: number; corrupted: number };
    try {
      result = await round(signal);
    } catch (error) {
      dirSyncFailures.inc();
      throw error;
    }
    dirSyncs.inc();
    if (result.failed > 0 || result.corrupted > 0) {
      uploadFailures.inc(result.failed);
      corruptedBlocks.inc(result.corrupted);
      throw new BlockError('ERR_SHIP_INCOMPLETE', `ship blocks of ${dir}: ${result.failed} could not be uploaded, ${result.corrupted} could not be read, ${result.uploaded} were uploaded`);
    }
    uploadedCompacted.set(options.uploadCompacted === true ? 1 : 0);
    return result.uploaded;
  }

  let tail: Promise<unknown> = Promise.resolve();
  return {
    sync: (signal) => {
      const own = tail.then(() => sync(signal));
      tail = own.catch(() => undefined);
      return own;
    },
    uploadedBlocks: async () => new Set(await readShipperState(statePath, log)),
    areAllBlocksUploaded: async () => {
      const { metas } = await localBlocks();
      const uploaded = new Set(metas.length === 0 ? [] : await readShipperState(statePath, log));
      return metas.every((m) => uploaded.has(m.ulid));
    },
  };
}
