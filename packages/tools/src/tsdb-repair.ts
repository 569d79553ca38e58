/**
 * `tools tsdb repair`: makes a sound block of what can be kept of a faulty one, by tsdb's `repairBlock`, which also says what it did.
 *
 *   01M7YE52R52J657BX634MGZV5Q: damaged; 3 series, 2 chunks, 87 samples; 1 damaged, 0 faults, 0 notes
 *     damage CHUNK_UNREADABLE chunks/000001, offset 8, {…}: invalid checksum …
 *   repaired into /prometheus/01M7ZK0Q…: 2 series, 2 chunks, 87 samples; 1 change
 *     lost {…}: …
 *
 * The new block gets its name when it is whole and has been verified. The old one stays, unless told otherwise; then it goes last, by a name
 * that a database sweeps at its start.
 */
import { createKernels, type Kernels } from '@gauntlet/kernels';
import { createNodeFileSystem } from '@gauntlet/service-kit';
import { baseName, BLOCK_FILES, type BlockMeta, createUlid, dirName, type FileLock, type FileSystem, formatBlockReport, isTsdbError, isUlid, joinPath, readBlockMeta, repairBlock, type RepairReport, verifyBlock } from '@gauntlet/tsdb';
import { ToolsError } from './errors.ts';
import type { TsdbJobDeps } from './tsdb-job.ts';

/** What to repair. */
export interface RepairJob {
  readonly kind: 'repair';
  /** The block's folder. */
  readonly path: string;
  /** Folder for the new block; '' for that of the old one. */
  readonly outDir: string;
  /** Leaves out what cannot be read, instead of giving up. */
  readonly dropDamaged: boolean;
  /** Removes the old block once the new one is there. */
  readonly removeOriginal: boolean;
  /** Writes the new block here and nowhere else; the caller removes it. '' when the repair is meant. */
  readonly sandboxDir: string;
  /** Findings and changes printed. */
  readonly findingsMax: number;
}

/** A repair of which something is left. */
type Repaired = RepairReport & { readonly meta: BlockMeta };

const KERNEL_BYTES_MAX = 1 << 30;
const LOCK_FILE = 'lock';
/** As a database names a block that it deletes. */
const DELETION_SUFFIX = '.tmp-for-deletion';

/**
 * Prints what is wrong, and what was done. A block of which nothing is wrong is left alone.
 * @throws ToolsError ERR_REPAIR when it cannot be repaired, ERR_TSDB_FOLDER for what is no block; the medium's error
 */
export function repairDatabaseBlock(job: RepairJob, { print, poll, progress, clock, random }: TsdbJobDeps): void {
  const fs = createNodeFileSystem();
  const dir = job.path.replace(/(?<=.)\/+$/, '');
  const block = baseName(dir);
  const refuse = (what: string, cause?: unknown): ToolsError => new ToolsError('ERR_REPAIR', `repair block ${block}: ${what}`, cause);
  if (fs.stat(dir)?.kind !== 'directory') throw new ToolsError('ERR_TSDB_FOLDER', `look for a block in ${dir}: ${fs.stat(dir) === undefined ? 'there is no such folder' : 'it is no folder'}`);
  if (fs.stat(joinPath(dir, BLOCK_FILES.meta)) === undefined) throw new ToolsError('ERR_TSDB_FOLDER', `look for a block in ${dir}: there is no ${BLOCK_FILES.meta} in it`);
  if (!isUlid(block)) throw new ToolsError('ERR_TSDB_FOLDER', `look for a block in ${dir}: the folder is not named like a block`);
  const outDir = job.outDir === '' ? dirName(dir) : job.outDir;
  if (fs.stat(outDir)?.kind !== 'directory') throw new ToolsError('ERR_TSDB_FOLDER', `write the repaired block to ${outDir}: there is no such folder`);

  const kernels = createKernels({ maxMemoryBytes: KERNEL_BYTES_MAX });
  const shouldStop = (): boolean => {
    poll();
    return false;
  };
  const report = verifyBlock(fs, dir, { kernels, findingsMax: job.findingsMax, shouldStop, onProgress: (done, total) => progress('verify', done, total, 'series') });
  print(`${formatBlockReport(report).join('\n')}\n`);
  if (report.isSound) {
    print('nothing to repair\n');
    return;
  }
  const lock = job.removeOriginal ? claim(fs, dirName(dir), refuse) : undefined;
  try {
    const ulid = createUlid(clock(), random);
    const repaired = repair(fs, kernels, job, { dir, outDir, ulid, refuse });
    printChanges(repaired, job.sandboxDir === '' ? `repaired into ${joinPath(outDir, ulid)}` : 'would be repaired, nothing is written', print);
    if (!job.removeOriginal) return;
    fs.rename(dir, `${dir}${DELETION_SUFFIX}`);
    fs.fsyncDir(dirName(dir));
    fs.remove(`${dir}${DELETION_SUFFIX}`);
    print(`${block} is removed\n`);
  } finally {
    lock?.release();
  }
}

/** What was asked for, and where. */
interface Repair {
  readonly dir: string;
  readonly outDir: string;
  readonly ulid: string;
  readonly refuse: (what: string, cause?: unknown) => ToolsError;
}

function repair(fs: FileSystem, kernels: Kernels, job: RepairJob, { dir, outDir, ulid, refuse }: Repair): Repaired {
  let report: RepairReport;
  try {
    if (resolutionOf(readBlockMeta(fs, dir).thanos) > 0) throw refuse('downsampled blocks cannot be repaired');
    report = repairBlock({ fs, kernels }, dir, job.sandboxDir === '' ? outDir : job.sandboxDir, { ulid, dropDamaged: job.dropDamaged, changesMax: job.findingsMax });
  } catch (error) {
    if (!isTsdbError(error)) throw error;
    const isDroppable = !job.dropDamaged && (error.code === 'ERR_CHUNK_CORRUPT' || error.code === 'ERR_CHUNK_ENCODING' || error.place?.section === 'series') && error.place?.section !== 'header';
    throw refuse(`${error.message}${isDroppable ? '; --drop-damaged leaves out what cannot be read' : ''}`, error);
  }
  if (report.meta === undefined) throw refuse('nothing would be left of it');
  return { ...report, meta: report.meta };
}

function printChanges({ meta, changes, changeCount }: Repaired, into: string, print: (text: string) => void): void {
  const { numSeries, numChunks, numSamples } = meta.stats;
  print(`${into}: ${numSeries} series, ${numChunks} chunks, ${numSamples} samples; ${changeCount} ${changeCount === 1 ? 'change' : 'changes'}\n`);
  for (const { kind, series, message } of changes) print(`  ${kind} ${series === '' ? '' : `${series}: `}${message}\n`);
  if (changeCount > changes.length) print(`  … and ${changeCount - changes.length} more\n`);
}

/** Ms between samples of a downsampled block, 0 for another. */
function resolutionOf(thanos: unknown): number {
  const { downsample } = (thanos ?? {}) as { readonly downsample?: { readonly resolution?: number } };
  return downsample?.resolution ?? 0;
}

/** Claims the database that a block is in; undefined where it is in none. */
function claim(fs: FileSystem, dir: string, refuse: Repair['refuse']): FileLock | undefined {
  const path = joinPath(dir, LOCK_FILE);
  if (fs.stat(path) === undefined) return undefined;
  const lock = fs.lock(path);
  if (lock === undefined) throw refuse(`it cannot be removed: another process has the database (${path})`);
  return lock;
}
