/**
 * The local database: a head with its log, and the blocks cut from it, in one data directory that Prometheus could open too.
 *
 *   <dir>/lock            claimed while open
 *   <dir>/wal/            log of the head
 *   <dir>/wbl/            log of its samples out of order
 *   <dir>/<ULID>/         blocks
 *   <dir>/chunks_head/, <dir>/chunk_snapshot.*   Prometheus' copies of what the logs hold: gone when these are shortened; the first is read
 *                                                where a log is damaged
 *
 * Life of a sample: appender → log → head; two hours and more later `compactHead` moves it into a block, in this order, so that a crash
 * at any point loses nothing and shows nothing twice: block written and renamed, block opened, head truncated, log truncated.
 * Everything is synchronous but the iteration of query results; one database belongs to one thread.
 */
import type { Kernels } from '@gauntlet/kernels';
import type { ChunkQueryable, Labels, Matcher, Queryable } from '@gauntlet/model';
import type { Block } from './block/block-reader.ts';
import type { BlockMeta } from './block/block-meta.ts';
import { createUlid, type Random } from './block/ulid.ts';
import { cutBlock } from './compact/cut-block.ts';
import { cutOutOfOrderBlock } from './compact/cut-out-of-order.ts';
import { BlockSet, type DamagedBlock, type DeletionReason } from './db/block-set.ts';
import { Compaction, type CompactionOutcome, type CompactionPlan, levelRanges, runCompaction, type RunCompactionOptions } from './db/compaction.ts';
import { deleteFromBlock } from './db/delete-from-block.ts';
import { diskBytes } from './db/disk-bytes.ts';
import { beyondRetention, isInOrderBlock } from './db/retention.ts';
import { TsdbError } from './errors.ts';
import { dirName, type FileLock, type FileSystem, joinPath } from './file-system.ts';
import type { SeriesExemplars } from './head/exemplar-buffer.ts';
import { deleteFromHead } from './head/delete-from-head.ts';
import { type Appender, createAppender, createAppendScratch } from './head/head-append.ts';
import { Head } from './head/head.ts';
import type { SeriesMetadata } from './head/metadata-table.ts';
import { replayWal, type ReplayReport } from './head/replay.ts';
import { STALE_SERIES_HINT, StaleSeries } from './head/stale-series.ts';
import { rangeEnd } from './head/series-table.ts';
import { createBlockSource } from './query/block-source.ts';
import { createHeadSource } from './query/head-source.ts';
import type { SeriesSource } from './query/series-source.ts';
import { createQueryables, overlappingBlocks, type SourceView } from './query/tsdb-queryable.ts';
import { createCheckpoint } from './wal/checkpoint.ts';
import { walSegmentName } from './wal/layout.ts';
import { listSegments } from './wal/wal-reader.ts';
import { createWalWriter, type WalCompression, type ZstdEncode } from './wal/wal-writer.ts';

/** What a database works with. */
export interface DbDeps {
  readonly fs: FileSystem;
  /** Data directory; made when missing. */
  readonly dir: string;
  readonly kernels: Kernels;
  /** Wall clock, ms since 1970, for names of blocks. `Date` will do. */
  readonly clock: { now(): number };
  /** In [0, 1), for names of blocks. `Math.random` will do. */
  readonly random: Random;
  /** Encoder of the runtime for a log in zstd; without one such a log is written in snappy. Reading zstd needs nothing. */
  readonly zstdEncode?: ZstdEncode;
  readonly hooks?: DbHooks;
}

/** Calls out of the database. */
export interface DbHooks {
  /** A block was cut from the head and is open. */
  onBlockCut?(meta: BlockMeta): void;
  /** Asked before retention deletes a block; false keeps it until asked again, for example until it has been uploaded. */
  canDeleteBlock?(meta: BlockMeta): boolean;
  /** A block was deleted. */
  onBlockDeleted?(meta: BlockMeta, reason: DeletionReason): void;
}

/** Options of a database. */
export interface DbOptions {
  /** Range of a block cut from the head, ms; default 2 h. Prometheus: `--storage.tsdb.min-block-duration`. */
  readonly blockRangeMs?: number;
  /**
   * Longest range of a block that compaction makes of others, ms; default a tenth of `retentionMs`, at most 31 days, and 31 days where all is
   * kept. `--storage.tsdb.max-block-duration`.
   */
  readonly blockRangeMaxMs?: number;
  /** Age at which blocks are deleted, ms, measured from the newest block; 0 keeps all, the default. `--storage.tsdb.retention.time`. */
  readonly retentionMs?: number;
  /**
   * Bytes that blocks and the head's files may take; what passes it goes, oldest blocks first. 0, the default, keeps all.
   * `--storage.tsdb.retention.size`.
   */
  readonly retentionBytes?: number;
  /** Default snappy. `--storage.tsdb.wal-compression-type`. */
  readonly walCompression?: WalCompression;
  /**
   * How far behind the newest sample of all a sample may be that is not newer than the last of its series, ms; default 0, none is taken.
   * `storage.tsdb.out_of_order_time_window` of the configuration file.
   */
  readonly outOfOrderWindowMs?: number;
  /**
   * Part of the head's series, in (0, 1], that have ended, from which on `compactHead` takes these out of it; default 0, never.
   * `storage.tsdb.stale_series_compaction_threshold` of the configuration file.
   */
  readonly staleSeriesPart?: number;
  /** Series the head has at most; samples of further ones are refused. 0, the default: no limit. */
  readonly seriesMax?: number;
  /**
   * Whether to store since when samples count: in the log, and in chunks of encodings 4 to 6, which older programs do not read. Default false:
   * start timestamps are passed over. `--enable-feature=st-storage,xor2-encoding,histograms-st-encoding`.
   */
  readonly startTimestamps?: boolean;
  /** Exemplars kept in memory, the newest of all series; default 0, none. `--storage.exemplars.max-exemplars` of the configuration file. */
  readonly exemplars?: number;
  /** Limit of a WAL segment, bytes, a multiple of 32 KiB; default 128 MiB. `--storage.tsdb.wal-segment-size`. */
  readonly walSegmentBytes?: number;
}

/** Sizes and bounds at a moment. */
export interface DbStats {
  readonly headSeries: number;
  /** Series of the head whose last sample says that they have ended. */
  readonly headStaleSeries: number;
  readonly headChunks: number;
  /** Bytes of the head's chunk memory. */
  readonly headChunkBytes: number;
  /** +Infinity when the head has no sample. */
  readonly headMinTimeMs: number;
  readonly headMaxTimeMs: number;
  /** Series that have samples out of order in the head. */
  readonly headOutOfOrderSeries: number;
  readonly walSegment: number;
  /** Bytes of both logs and of mapped chunks, as retention by size counts them. */
  readonly headDiskBytes: number;
  readonly blocks: number;
  /** Bytes of index and chunks. */
  readonly blockBytes: number;
  /** Blocks deleted since the database was opened, by reason. */
  readonly blocksDeleted: Readonly<Record<DeletionReason, number>>;
}

/** An open database. */
export interface Db {
  /** What the replay at opening found. */
  readonly replay: ReplayReport;
  /** Opens a batch of appends. */
  appender(): Appender;
  readonly queryable: Queryable;
  readonly chunkQueryable: ChunkQueryable;
  /** Exemplars in [mint, maxt] of the series that match all matchers of at least one list; series in label order, exemplars oldest first. */
  exemplars(matchers: readonly (readonly Matcher[])[], mint: number, maxt: number): SeriesExemplars[];
  /** Type, unit and help of a series of the head, where they were set. */
  metadata(labels: Labels): SeriesMetadata | undefined;
  /**
   * Cuts blocks while the head spans more than 1.5 block ranges; with `force`, until the head is empty. Then shortens the log and applies
   * retention.
   * @returns metas of the blocks cut
   */
  compactHead(options?: { readonly force?: boolean }): BlockMeta[];
  /**
   * Takes series that have ended out of the head, into a block of their own for each range, which lies beside the blocks of the other series. Their
   * memory is free at once, or, where somebody reads the head, with the next call of this or `compactHead` when nobody does.
   * @returns metas of the blocks cut
   */
  compactStaleSeries(): BlockMeta[];
  /**
   * Compacts blocks with one another until nothing is to be done, the head has a block to cut, or `shouldStop`: overlapping ones first, then
   * level by level, then those with many deletions; a block that `canDeleteBlock` holds back waits, with all that it is to be compacted
   * with. Blocks the thread meanwhile; where appends must go on, `planCompaction`, `runCompaction` in a worker, and `finishCompaction`.
   * @returns metas of the new blocks
   * @throws TsdbError for damaged blocks; the medium's error. Blocks are as they were then
   */
  compactBlocks(options?: RunCompactionOptions): BlockMeta[];
  /** The next compaction, for `runCompaction`; undefined when there is none, or another is out. Every plan must be finished. */
  planCompaction(): CompactionPlan | undefined;
  /**
   * Puts the outcome of `runCompaction` in the place of the blocks it was made of.
   * @returns false when it was thrown away, because these have changed meanwhile
   * @throws the outcome's error
   */
  finishCompaction(plan: CompactionPlan, outcome: CompactionOutcome): boolean;
  /**
   * Deletes the samples in [mint, maxt] of the series that match all matchers: queries that begin later do not see them. Their bytes go when
   * their blocks are cut or compacted.
   * @returns series of the head and of each block that had any
   */
  delete(matchers: readonly Matcher[], mint: number, maxt: number): number;
  /** Rewrites blocks that have deleted samples, without these; those that `canDeleteBlock` holds back wait. @returns metas of the new blocks */
  cleanTombstones(options?: RunCompactionOptions): BlockMeta[];
  /** Looks for blocks that came or went, and applies retention. */
  reloadBlocks(): void;
  /** Open blocks, oldest first. */
  blocks(): readonly Block[];
  damagedBlocks(): readonly DamagedBlock[];
  stats(): DbStats;
  /** Syncs and closes; queries that are running keep their files until they end. Idempotent. */
  close(): void;
}

/** Default range of a block. */
export const BLOCK_RANGE_MS: number = 2 * 60 * 60 * 1000;

/** Longest range of a compacted block where nothing says otherwise. */
const BLOCK_RANGE_MAX_MS = 31 * 24 * 60 * 60 * 1000;

const WAL_DIR = 'wal';
const WBL_DIR = 'wbl';
/** Chunks that Prometheus' head has mapped from disk. */
const CHUNKS_HEAD_DIR = 'chunks_head';
/** Snapshots of its head that Prometheus may leave at the end. */
const SNAPSHOT_PREFIX = 'chunk_snapshot.';
const LOCK_FILE = 'lock';

/**
 * Opens a database, replaying its log.
 * @throws TsdbError ERR_DB_LOCKED when another process has it, ERR_WAL_CORRUPT for a damaged checkpoint
 */
export function createDb(deps: DbDeps, options: DbOptions = {}): Db {
  const { fs, dir } = deps;
  makeDurableDir(fs, dir);
  const lock = fs.lock(joinPath(dir, LOCK_FILE));
  if (lock === undefined) throw new TsdbError('ERR_DB_LOCKED', `open database ${dir}: another process has it (${joinPath(dir, LOCK_FILE)})`);
  try {
    return openLocked(deps, options, lock);
  } catch (error) {
    lock.release();
    throw error;
  }
}

/** Makes a folder whose name survives the machine, with those above it. */
function makeDurableDir(fs: FileSystem, dir: string): void {
  const missing: string[] = [];
  for (let path = dir; path !== '.' && path !== '/' && fs.stat(path) === undefined; path = dirName(path)) missing.push(path);
  fs.mkdir(dir);
  for (const path of missing) fs.fsyncDir(dirName(path));
}

function openLocked(deps: DbDeps, options: DbOptions, lock: FileLock): Db {
  const { fs, dir, kernels, hooks = {} } = deps;
  const blockRangeMs = options.blockRangeMs ?? BLOCK_RANGE_MS;
  const staleSeriesPart = options.staleSeriesPart ?? 0;
  const retention = { retentionMs: options.retentionMs ?? 0, retentionBytes: options.retentionBytes ?? 0 };
  const logOptions = {
    compression: options.walCompression ?? 'snappy',
    kernels,
    ...(deps.zstdEncode === undefined ? {} : { zstdEncode: deps.zstdEncode }),
    ...(options.walSegmentBytes === undefined ? {} : { segmentBytesMax: options.walSegmentBytes }),
  };
  const walDir = joinPath(dir, WAL_DIR);
  const wblDir = joinPath(dir, WBL_DIR);
  const set = new BlockSet(fs, dir, (meta, reason) => hooks.onBlockDeleted?.(meta, reason));
  let isOpen = true;

  const assertOpen = (): void => {
    if (!isOpen) throw new TsdbError('ERR_DB_CLOSED', `use database ${dir}: it is closed`);
  };
  const headDiskBytes = (): number => [WAL_DIR, WBL_DIR, CHUNKS_HEAD_DIR].reduce((sum, name) => sum + diskBytes(fs, joinPath(dir, name)), 0);
  const applyRetention = (): void => {
    if (retention.retentionMs <= 0 && retention.retentionBytes <= 0) return;
    const beyond = beyondRetention(
      set.blocks.map((block) => ({ meta: block.meta, bytes: set.bytesOf(block) })),
      retention.retentionBytes > 0 ? headDiskBytes() : 0,
      retention,
    );
    for (const block of set.blocks) {
      const reason = beyond.get(block.meta.ulid);
      if (reason !== undefined && hooks.canDeleteBlock?.(block.meta) !== false) set.remove(block, reason);
    }
  };

  const head = new Head({ chunkRangeMs: blockRangeMs, exemplars: options.exemplars ?? 0, outOfOrderWindowMs: options.outOfOrderWindowMs ?? 0, seriesMax: options.seriesMax ?? 0, startTimestamps: options.startTimestamps ?? false });
  const stale = new StaleSeries(head);
  /** Closes whatever is open; the first error counts. */
  const closeFiles = (): void => {
    try {
      head.wal?.close();
    } finally {
      try {
        head.wbl?.close();
      } finally {
        set.close();
        lock.release();
      }
    }
  };
  const openFiles = (): ReplayReport => {
    set.sweep();
    set.load();
    for (const meta of [...set.blocks.map((block) => block.meta), ...set.damaged.flatMap(({ meta }) => meta ?? [])]) {
      if (isInOrderBlock(meta)) head.minValidTimeMs = Math.max(head.minValidTimeMs, meta.maxTime);
    }
    fs.mkdir(walDir);
    const report = replayWal(fs, walDir, wblDir, head, { fs, dir: joinPath(dir, CHUNKS_HEAD_DIR), kernels, logOptions });
    // Whoever read one of these later would begin at its place in the log, and segments may get such numbers again.
    if (report.repair !== undefined || report.outOfOrder?.repair !== undefined) removeSnapshots(fs, dir);
    head.wal = createWalWriter(fs, walDir, report.nextSegment, logOptions);
    if (head.outOfOrderWindowMs > 0) {
      fs.mkdir(wblDir);
      head.wbl = createWalWriter(fs, wblDir, report.outOfOrder?.nextSegment ?? 0, logOptions);
    }
    fs.fsyncDir(dir);
    return report;
  };
  let replay: ReplayReport;
  try {
    replay = openFiles();
  } catch (error) {
    try {
      closeFiles();
    } catch {
      // The first error is the one to report.
    }
    throw error;
  }
  const wal = head.wal!;

  const warningsFor = (mint: number, maxt: number): string[] => {
    return set.damaged
      .filter(({ meta }) => meta === undefined || (meta.minTime <= maxt && meta.maxTime - 1 >= mint))
      .map(({ ulid, error }) => `block ${ulid} is not read: ${(error as Error).message}`);
  };
  const view = (mint: number, maxt: number): SourceView => {
    assertOpen();
    const sources: SeriesSource[] = overlappingBlocks(set.blocks, mint, maxt).map((block) => createBlockSource(block, kernels));
    if ((head.isInitialized && maxt >= head.minTimeMs) || maxt >= head.outOfOrder.minTimeMs) sources.push(createHeadSource(head));
    return { sources, warnings: warningsFor(mint, maxt) };
  };
  const compaction = new Compaction({
    fs,
    dir,
    set,
    rangesMs: levelRanges(blockRangeMs, options.blockRangeMaxMs ?? Math.min(BLOCK_RANGE_MAX_MS, retention.retentionMs > 0 ? retention.retentionMs / 10 : BLOCK_RANGE_MAX_MS)),
    newUlid: () => createUlid(deps.clock.now(), deps.random),
    canDelete: (meta) => hooks.canDeleteBlock?.(meta) !== false,
  });
  /** Runs a plan in this thread. @returns the new block's meta; undefined when there is none */
  const runHere = (plan: CompactionPlan, runOptions: RunCompactionOptions, adjust?: (meta: BlockMeta) => BlockMeta): BlockMeta | undefined => {
    compaction.finish(plan, runCompaction({ fs, kernels }, plan, runOptions), adjust);
    return set.blocks.find(({ meta }) => meta.ulid === plan.ulid)?.meta;
  };
  const { queryable, chunkQueryable } = createQueryables(view, kernels);
  const scratch = createAppendScratch();
  let walTruncatedTo = Number.NEGATIVE_INFINITY;

  /** Replaces the older two thirds of the log by a checkpoint; the newest segments are left alone. */
  const truncateWal = (mint: number): void => {
    if (mint <= walTruncatedTo) return;
    walTruncatedTo = mint;
    const segments = listSegments(fs, walDir);
    wal.nextSegment();
    const first = segments[0]!;
    const last = segments.at(-1)! - 1;
    const to = first + Math.floor(((last - first) * 2) / 3);
    if (last < 0 || to <= first) return;
    createCheckpoint(fs, walDir, to, { keep: (ref) => head.isNeededInCheckpoint(ref, mint), mint, ...logOptions });
    head.forgetExpired(mint);
  };

  /** Opens blocks that were just written. @throws TsdbError ERR_BLOCK_CORRUPT when they cannot be read back */
  const openCut = (meta: BlockMeta): void => {
    set.load();
    const damage = set.damaged.find(({ ulid }) => ulid === meta.ulid);
    if (damage !== undefined) throw new TsdbError('ERR_BLOCK_CORRUPT', `cut block ${meta.ulid}: it cannot be read back; the head keeps its samples`, { cause: damage.error });
  };

  /**
   * Moves samples out of order into blocks, one for each range. A crash before their log is removed shows them in both, which is the same to
   * every reader.
   */
  const cutOutOfOrder = (): BlockMeta[] => {
    const { outOfOrder } = head;
    const cut: BlockMeta[] = [];
    if (outOfOrder.seriesCount === 0) return cut;
    for (let mint = Math.floor(outOfOrder.minTimeMs / blockRangeMs) * blockRangeMs; mint <= outOfOrder.maxTimeMs; mint += blockRangeMs) {
      const meta = cutOutOfOrderBlock(fs, head, kernels, { dir, ulid: createUlid(deps.clock.now(), deps.random), mint, maxt: mint + blockRangeMs });
      if (meta === undefined) continue;
      openCut(meta);
      cut.push(meta);
    }
    head.truncateOutOfOrder();
    const segments = listSegments(fs, wblDir);
    head.wbl?.nextSegment();
    for (const segment of segments) fs.remove(joinPath(wblDir, walSegmentName(segment)));
    fs.fsyncDir(wblDir);
    return cut;
  };

  /** Moves series that have ended into blocks. */
  const cutStaleSeries = (): BlockMeta[] => {
    const cut: BlockMeta[] = [];
    const slots = stale.find();
    if (slots.size === 0) return cut;
    const takes = (slot: number): boolean => slots.has(slot);
    // What chunks have before the head's bound is in blocks, and may be deleted there.
    for (let mint = head.minTimeMs; mint <= head.maxTimeMs; mint = rangeEnd(mint, blockRangeMs)) {
      const meta = cutBlock(fs, head, kernels, { dir, ulid: createUlid(deps.clock.now(), deps.random), mint, maxt: rangeEnd(mint, blockRangeMs), takes, hint: STALE_SERIES_HINT });
      if (meta === undefined) continue;
      openCut(meta);
      cut.push(meta);
      hooks.onBlockCut?.(meta);
    }
    stale.wrote(slots);
    stale.remove();
    return cut;
  };

  /** What Prometheus has mapped from disk or left as a snapshot is in the logs too; once they are shortened it would only get older. */
  const removeCopiesOfLog = (): void => {
    if (head.outOfOrder.seriesCount > 0) return;
    fs.remove(joinPath(dir, CHUNKS_HEAD_DIR));
    removeSnapshots(fs, dir);
  };

  return {
    replay,
    queryable,
    chunkQueryable,
    appender() {
      assertOpen();
      return createAppender(head, scratch, assertOpen);
    },
    exemplars(matchers, mint, maxt) {
      assertOpen();
      return head.exemplars.select(matchers, mint, maxt);
    },
    metadata(labels) {
      assertOpen();
      const slot = head.findSeries(labels);
      return slot < 0 ? undefined : head.metadata.get(slot);
    },
    compactHead({ force = false } = {}) {
      assertOpen();
      stale.remove();
      const cut: BlockMeta[] = [];
      let truncatedTo = Number.NEGATIVE_INFINITY;
      // Not the head's upper bound, which a truncation may have moved past the last sample.
      const newestMs = force ? head.table.newestTimeMs() : Number.NEGATIVE_INFINITY;
      while (head.isCompactable || (head.isInitialized && head.minTimeMs <= newestMs)) {
        const mint = head.minTimeMs;
        const rangeMaxt = rangeEnd(mint, blockRangeMs);
        // The newest range of a forced cut ends behind the last sample, so that later samples of it are still taken.
        const maxt = head.isCompactable ? rangeMaxt : Math.min(rangeMaxt, newestMs + 1);
        const meta = cutBlock(fs, head, kernels, { dir, ulid: createUlid(deps.clock.now(), deps.random), mint, maxt });
        if (meta !== undefined) {
          openCut(meta);
          cut.push(meta);
        }
        head.truncate(maxt);
        truncatedTo = maxt;
        if (meta !== undefined) hooks.onBlockCut?.(meta);
      }
      if (truncatedTo !== Number.NEGATIVE_INFINITY || force) {
        for (const meta of cutOutOfOrder()) {
          cut.push(meta);
          hooks.onBlockCut?.(meta);
        }
        removeCopiesOfLog();
      }
      if (truncatedTo !== Number.NEGATIVE_INFINITY) truncateWal(truncatedTo);
      if (staleSeriesPart > 0 && head.table.seriesCount > 0 && stale.count() / head.table.seriesCount >= staleSeriesPart) cut.push(...cutStaleSeries());
      applyRetention();
      return cut;
    },
    compactStaleSeries() {
      assertOpen();
      stale.remove();
      const cut = cutStaleSeries();
      applyRetention();
      return cut;
    },
    compactBlocks(runOptions = {}) {
      assertOpen();
      const made: BlockMeta[] = [];
      while (!head.isCompactable && runOptions.shouldStop?.() !== true) {
        const plan = compaction.plan();
        if (plan === undefined) break;
        const meta = runHere(plan, runOptions);
        if (meta !== undefined) made.push(meta);
      }
      applyRetention();
      return made;
    },
    planCompaction() {
      assertOpen();
      return compaction.plan();
    },
    finishCompaction(plan, outcome) {
      assertOpen();
      const isTaken = compaction.finish(plan, outcome);
      applyRetention();
      return isTaken;
    },
    delete(matchers, mint, maxt) {
      assertOpen();
      // A block that was made, and then could not be opened for a moment, is there too.
      set.load();
      let series = deleteFromHead(head, matchers, mint, maxt);
      for (const block of overlappingBlocks(set.blocks, mint, maxt)) {
        const inBlock = deleteFromBlock(fs, block, matchers, mint, maxt);
        if (inBlock > 0) set.reopen(block);
        series += inBlock;
      }
      return series;
    },
    cleanTombstones(runOptions = {}) {
      assertOpen();
      const made: BlockMeta[] = [];
      for (const { meta: old, tombstones } of set.blocks) {
        const plan = tombstones.size === 0 ? undefined : compaction.begin([old]);
        if (plan === undefined) continue;
        // Less of the same data: level and sources stay what they were.
        const { level, sources } = old.compaction;
        const meta = runHere(plan, runOptions, (fresh) => ({ ...fresh, compaction: { ...fresh.compaction, level, sources } }));
        if (meta !== undefined) made.push(meta);
      }
      return made;
    },
    reloadBlocks() {
      assertOpen();
      set.load();
      applyRetention();
    },
    blocks: () => set.blocks,
    damagedBlocks: () => set.damaged,
    stats: () => ({
      headSeries: head.table.seriesCount,
      headStaleSeries: stale.count(),
      headChunks: head.table.chunkCount,
      headChunkBytes: head.table.chunkBytes,
      headMinTimeMs: head.minTimeMs,
      headMaxTimeMs: head.maxTimeMs,
      headOutOfOrderSeries: head.outOfOrder.seriesCount,
      walSegment: wal.segment,
      headDiskBytes: headDiskBytes(),
      blocks: set.blocks.length,
      blockBytes: set.blocks.reduce((sum, block) => sum + block.bytes, 0),
      blocksDeleted: { ...set.deleted },
    }),
    close() {
      if (!isOpen) return;
      isOpen = false;
      closeFiles();
    },
  };
}

function removeSnapshots(fs: FileSystem, dir: string): void {
  for (const name of fs.list(dir)) if (name.startsWith(SNAPSHOT_PREFIX)) fs.remove(joinPath(dir, name));
}
