/**
 * `tools tsdb verify`: is every block of a folder what it should be? Every checksum, order, range and count, the index against the chunks and both
 * against meta.json; blocks against each other: time they share.
 *
 *   01M7YDXPQ8KB2D4XNGSNW2DAS1  ok       62 series, 84 chunks, 3867 samples
 *   01M7YDXR92VXDZ3D0A84Y0B5K4  damaged  39 series, 49 chunks, 2298 samples
 *     chunk 0 of series {…} (segment 1, offset 8): invalid checksum …
 */
import { BlockError, gatherIndexHealth, verifyBlockData } from '@gauntlet/block';
import { createKernels, type Kernels } from '@gauntlet/kernels';
import { formatGoDuration, formatLabels, quoteGo } from '@gauntlet/model';
import { createNodeFileSystem, errorText } from '@gauntlet/service-kit';
import { baseName, type Block, createDb, createSeriesEntry, type FileSystem, type IndexReader, isTsdbError, joinPath, openBlock, type SeriesEntry } from '@gauntlet/tsdb';
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

/** What was found in a block. */
interface BlockVerdict {
  /** Figures, for people. */
  readonly summary: string;
  readonly findings: readonly string[];
  readonly findingCount: number;
}

const KERNEL_BYTES_MAX = 1 << 30;
const LOG_DIR = 'wal';

/** Prints the report. @throws ToolsError ERR_TSDB_DAMAGED when anything is wrong; ERR_TSDB_FOLDER, ERR_NO_BLOCK */
export async function verifyDatabase(job: VerifyJob, deps: TsdbJobDeps): Promise<void> {
  const { print } = deps;
  const fs = createNodeFileSystem();
  const found = findBlockFolders(fs, job.path);
  const isWanted = (id: string): boolean => job.blockIds.length === 0 || job.blockIds.includes(id);
  const known = new Set([...found.blocks.map(({ meta }) => meta.ulid), ...found.unreadable.map(({ dir }) => baseName(dir))]);
  const missing = job.blockIds.find((id) => !known.has(id));
  if (missing !== undefined) throw new ToolsError('ERR_NO_BLOCK', `look for block ${missing} in ${job.path}: it is not there`);
  const kernels = createKernels({ maxMemoryBytes: KERNEL_BYTES_MAX });
  let damaged = 0;
  let verified = 0;
  const report = (name: string, { summary, findings, findingCount }: BlockVerdict): void => {
    if (findingCount > 0) damaged++;
    print(`${name}  ${findingCount === 0 ? 'ok     ' : 'damaged'}  ${summary}\n`);
    for (const finding of findings) print(`  ${finding}\n`);
    if (findingCount > findings.length) print(`  … and ${findingCount - findings.length} more\n`);
  };
  for (const { dir, error } of found.unreadable) {
    if (!isWanted(baseName(dir))) continue;
    verified++;
    report(baseName(dir), { summary: 'meta.json cannot be read', findings: [errorText(error)], findingCount: 1 });
  }
  const blocks = found.blocks.filter(({ meta }) => isWanted(meta.ulid));
  for (const [i, block] of blocks.entries()) {
    deps.poll();
    deps.progress('verify blocks', i, blocks.length, 'blocks');
    verified++;
    report(block.meta.ulid, await verifyOne(fs, block, kernels, job.findingsMax, deps));
  }
  for (const text of sharedTimes(blocks)) print(`${text}\n`);
  if (job.blockIds.length === 0) {
    const log = verifyLog(fs, job, kernels, deps);
    if (log !== undefined) report('write-ahead log           ', log);
  }
  print(`${verified} blocks verified, ${damaged === 0 ? 'nothing is damaged' : `${damaged} damaged`}\n`);
  if (damaged > 0) throw new ToolsError('ERR_TSDB_DAMAGED', `verify ${job.path}: ${damaged} damaged, see the report`);
}

async function verifyOne(fs: FileSystem, { dir, meta }: BlockFolder, kernels: Kernels, findingsMax: number, { poll }: TsdbJobDeps): Promise<BlockVerdict> {
  const findings: string[] = [];
  let findingCount = 0;
  const add = (text: string): void => {
    findingCount++;
    if (findings.length < findingsMax) findings.push(text);
  };
  let summary = `${meta.stats.numSeries} series, ${meta.stats.numChunks} chunks, ${meta.stats.numSamples} samples by meta.json`;
  try {
    const block = openBlock(fs, dir);
    try {
      const health = gatherIndexHealth(block, meta.minTime, meta.maxTime);
      for (const error of [health.criticalError(), health.outOfOrderChunksError(), health.issue347Error(), health.outOfOrderLabelsError()]) if (error !== undefined) add(error.message);
      if (health.duplicatedChunks > 0) add(`${health.duplicatedChunks} chunks have the time range of the chunk before them`);
      poll();
      for (const text of postingsFindings(block)) add(text);
      poll();
      const data = await verifyBlockData(block, kernels, { findingsMax });
      for (const text of data.findings) add(text);
      findingCount += data.findingCount - data.findings.length;
      summary = `${data.series} series, ${data.chunks} chunks, ${data.samples} samples`;
      if (block.tombstones.size > 0) summary += `, deletions in ${block.tombstones.size} series`;
    } finally {
      block.close();
    }
  } catch (error) {
    if (!isTsdbError(error) && !(error instanceof BlockError)) throw error;
    add(error.message);
  }
  return { summary, findings, findingCount };
}

/** Whether the postings lists say the same as the series: every label of every series in exactly the list of its pair. */
function postingsFindings({ index }: Block): string[] {
  const entry = createSeriesEntry();
  const all = index.allPostings();
  const findings: string[] = [];
  let labels = 0;
  for (const ref of all) {
    index.readSeries(ref, entry, false);
    labels += entry.labelCount;
  }
  let listed = 0;
  for (const name of index.labelNames()) {
    const [first, end] = index.postingsTable.range(name);
    for (let at = first; at < end; at++) {
      const value = index.postingsTable.valueAt(at);
      const list = index.postings(name, value);
      listed += list.length;
      for (const ref of list) {
        index.readSeries(ref, entry, false);
        if (!hasPair(index, entry, name, value)) {
          findings.push(`postings of ${name}=${quoteGo(value)} name series ${formatLabels(index.labelsOf(entry))}, which has no such label`);
          break;
        }
      }
    }
  }
  if (listed !== labels) findings.push(`the series have ${labels} labels, the postings lists ${listed} entries`);
  return findings;
}

function hasPair(index: IndexReader, { symbols, labelCount }: SeriesEntry, name: string, value: string): boolean {
  for (let i = 0; i < labelCount * 2; i += 2) if (index.symbols.lookup(symbols[i]!) === name) return index.symbols.lookup(symbols[i + 1]!) === value;
  return false;
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

/** Replays the log of a database over an overlay. */
function verifyLog(fs: FileSystem, { path, sandboxDir }: VerifyJob, kernels: Kernels, { clock, random }: TsdbJobDeps): BlockVerdict | undefined {
  const dir = path === '' ? '.' : path.replace(/(?<=.)\/+$/, '');
  if (fs.stat(joinPath(dir, LOG_DIR))?.kind !== 'directory') return undefined;
  try {
    const db = createDb({ fs: new OverlayFiles(fs, dir, sandboxDir), dir, kernels, clock: { now: clock }, random });
    const { headSeries, headChunks } = db.stats();
    const repairs = [db.replay.repair, db.replay.outOfOrder?.repair].filter((repair) => repair !== undefined);
    db.close();
    const findings = repairs.map(
      ({ segment, goodBytes, lostBytes, lostSegments, isTornTail, reason }) =>
        `segment ${segment}, offset ${goodBytes}: ${reason}; ${isTornTail ? 'a write that was cut off' : 'damage'}, ${lostBytes} bytes${lostSegments > 0 ? ` and ${lostSegments} segments` : ''} after it would be lost`,
    );
    return { summary: `${headSeries} series, ${headChunks} chunks`, findings, findingCount: repairs.filter(({ isTornTail }) => !isTornTail).length };
  } catch (error) {
    if (!isTsdbError(error)) throw error;
    return { summary: 'it cannot be read', findings: [error.message], findingCount: 1 };
  }
}
