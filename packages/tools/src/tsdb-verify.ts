/**
 * `tools tsdb verify`: is every block of a folder what it should be? tsdb's `verifyBlock` reads every byte of each; beside it stand the time that blocks
 * share, which is no damage, and the write-ahead log, which is replayed over an overlay.
 *
 *   01M7YDXPQ8KB2D4XNGSNW2DAS1: sound; 62 series, 84 chunks, 3867 samples; 0 damaged, 0 faults, 0 notes
 *   01M7YDXR92VXDZ3D0A84Y0B5K4: damaged; 39 series, 49 chunks, 2298 samples; 1 damaged, 0 faults, 0 notes
 *     damage CHUNK_UNREADABLE chunks/000001, offset 8, {…}: invalid checksum …
 *   write-ahead log: sound; 62 series, 80 chunks
 */
import { createKernels, type Kernels } from '@gauntlet/kernels';
import { formatGoDuration } from '@gauntlet/model';
import { createNodeFileSystem } from '@gauntlet/service-kit';
import { baseName, createDb, describeReplay, type FileSystem, formatBlockReport, isTsdbError, joinPath, verifyBlock } from '@gauntlet/tsdb';
import { ToolsError } from './errors.ts';
import { type BlockFolder, findBlockFolders } from './tsdb-blocks.ts';
import type { TsdbJobDeps } from './tsdb-job.ts';
import { OverlayFiles } from './tsdb-overlay-files.ts';

/** What to verify. */
export interface VerifyJob {
  readonly kind: 'verify';
  readonly path: string;
  /** Only these; empty for all, and the write-ahead log. */
  readonly blockIds: readonly string[];
  /** Folder for what opening a log writes; the caller removes it. */
  readonly sandboxDir: string;
  /** Findings printed for each block. */
  readonly findingsMax: number;
}

const KERNEL_BYTES_MAX = 1 << 30;
const LOG_DIR = 'wal';

/** Prints the report. @throws ToolsError ERR_TSDB_DAMAGED when anything is wrong; ERR_TSDB_FOLDER, ERR_NO_BLOCK */
export function verifyDatabase(job: VerifyJob, deps: TsdbJobDeps): void {
  const { print } = deps;
  const fs = createNodeFileSystem();
  const found = findBlockFolders(fs, job.path);
  const isWanted = (dir: string): boolean => job.blockIds.length === 0 || job.blockIds.includes(baseName(dir));
  const dirs = [...found.blocks, ...found.unreadable].map(({ dir }) => dir).filter(isWanted);
  const missing = job.blockIds.find((id) => !dirs.some((dir) => baseName(dir) === id));
  if (missing !== undefined) throw new ToolsError('ERR_NO_BLOCK', `look for block ${missing} in ${job.path}: it is not there`);
  if (dirs.length === 0 && !hasLog(fs, job)) throw new ToolsError('ERR_TSDB_FOLDER', `verify ${job.path}: there are no blocks and no write-ahead log in it`);
  const kernels = createKernels({ maxMemoryBytes: KERNEL_BYTES_MAX });
  let unsound = 0;
  const shouldStop = (): boolean => {
    deps.poll();
    return false;
  };
  for (const [i, dir] of dirs.entries()) {
    deps.poll();
    const label = `verify block ${i + 1} of ${dirs.length}`;
    const report = verifyBlock(fs, dir, { kernels, findingsMax: job.findingsMax, shouldStop, onProgress: (done, total) => deps.progress(label, done, total, 'series') });
    if (!report.isSound) unsound++;
    print(`${formatBlockReport(report).join('\n')}\n`);
  }
  for (const text of sharedTimes(found.blocks.filter(({ dir }) => isWanted(dir)))) print(`${text}\n`);
  const isLogSound = job.blockIds.length > 0 || verifyLog(fs, job, kernels, deps);
  const wrong = [...(unsound > 0 ? [`${unsound} of ${dirs.length} blocks`] : []), ...(isLogSound ? [] : ['the write-ahead log'])].join(' and ');
  print(`${dirs.length} ${dirs.length === 1 ? 'block' : 'blocks'} verified; ${wrong === '' ? 'nothing is wrong' : `wrong: ${wrong}`}\n`);
  if (wrong !== '') throw new ToolsError('ERR_TSDB_DAMAGED', `verify ${job.path}: wrong: ${wrong}; see the report`);
}

/** Blocks that share time: no damage, but worth knowing. */
function sharedTimes(blocks: readonly BlockFolder[]): string[] {
  const texts: string[] = [];
  let reaching = blocks[0];
  for (const block of blocks.slice(1)) {
    if (reaching !== undefined && block.meta.minTime < reaching.meta.maxTime) texts.push(`note: ${block.meta.ulid} and ${reaching.meta.ulid} share ${formatGoDuration(Math.min(reaching.meta.maxTime, block.meta.maxTime) - block.meta.minTime)}`);
    if (reaching === undefined || block.meta.maxTime > reaching.meta.maxTime) reaching = block;
  }
  return texts;
}

/** Folder of the database without a slash at its end. */
const databaseDir = ({ path }: VerifyJob): string => (path === '' ? '.' : path.replace(/(?<=.)\/+$/, ''));

const hasLog = (fs: FileSystem, job: VerifyJob): boolean => fs.stat(joinPath(databaseDir(job), LOG_DIR))?.kind === 'directory';

/** Replays the log of a database over an overlay and prints what comes of it. @returns false for damage; a write that was cut off is none */
function verifyLog(fs: FileSystem, job: VerifyJob, kernels: Kernels, { print, clock, random }: TsdbJobDeps): boolean {
  if (!hasLog(fs, job)) return true;
  const { sandboxDir } = job;
  const dir = databaseDir(job);
  try {
    const db = createDb({ fs: new OverlayFiles(fs, dir, sandboxDir), dir, kernels, clock: { now: clock }, random });
    const { headSeries, headChunks } = db.stats();
    const notes = describeReplay(db.replay);
    db.close();
    const isSound = notes.every(({ kind }) => kind !== 'damage');
    print(`write-ahead log: ${isSound ? 'sound' : 'damaged'}; ${headSeries} series, ${headChunks} chunks\n`);
    for (const { kind, text } of notes) print(`  ${kind} ${text}\n`);
    return isSound;
  } catch (error) {
    if (!isTsdbError(error)) throw error;
    print(`write-ahead log: damaged; it cannot be read\n  damage ${error.message}\n`);
    return false;
  }
}
