/**
 * `tools tsdb create-blocks-from openmetrics`: samples of a text file into blocks, one for each two hours (or longer ranges) that have any. Blocks
 * are those of `promtool tsdb create-blocks-from openmetrics`, index and chunks byte for byte.
 *
 *   pass 1    whole file: how many samples in which window
 *   pass 2 …  whole file: samples of the next windows, as many as fit ─► a head each ─► block
 *   end       all blocks ─► <output>/<ULID>
 *
 * Memory is that of a few windows at a time (`SAMPLES_PER_PASS`, a window at least), whatever the length of the file; promtool reads the file once per
 * window. Blocks are made in a folder aside and renamed into their place when all are there: it is all of the file or nothing. Source: Prometheus cmd/promtool/backfill.go.
 */
import { createKernels, type Kernels } from '@gauntlet/kernels';
import { type Labels, labelsFromPairs, ModelError, NORMAL_NAN_HI, NORMAL_NAN_LO, quoteGo } from '@gauntlet/model';
import { createNodeFileSystem } from '@gauntlet/service-kit';
import { type Appender, baseName, createDb, type Db, type FileHandle, type FileSystem, isTsdbError, joinPath } from '@gauntlet/tsdb';
import { ToolsError } from './errors.ts';
import { blockTable, findBlockFolders } from './tsdb-blocks.ts';
import { ForgetfulLog } from './tsdb-forgetful-log.ts';
import type { TsdbJobDeps } from './tsdb-job.ts';
import { readOpenMetrics, SERIES_REMEMBERED_MAX } from './tsdb-openmetrics-file.ts';

/** What to import. */
export interface ImportJob {
  readonly kind: 'import';
  readonly file: string;
  readonly outDir: string;
  /** Folder below `outDir` for what is under way; the caller removes it. */
  readonly workDir: string;
  /** Added to every series, in place of a label it has of that name. */
  readonly labels: readonly (readonly [name: string, value: string])[];
  /** Longest range of a block, ms; taken is the longest of 2 h, 6 h, 18 h, … that is not longer, 2 h at least. */
  readonly blockDurationMaxMs: number;
  readonly isReadable: boolean;
  /** Do not print the blocks. */
  readonly isQuiet: boolean;
  /** Samples of one pass, a window at least; for tests. Default {@link SAMPLES_PER_PASS}. */
  readonly samplesPerPass?: number;
}

/** Samples in memory, with their chunks some 2 to 9 bytes each. */
const SAMPLES_PER_PASS = 20_000_000;
/** Windows in memory: each has the labels of its series. */
const WINDOWS_PER_PASS = 24;
/** Samples of a commit, as promtool has it. */
const SAMPLES_PER_COMMIT = 5000;

const BLOCK_RANGE_MS = 7_200_000;
const BLOCK_RANGE_FACTOR = 3;
const BLOCK_RANGES = 10;
/** Blocks of one import: more is a file in another unit of time. */
const WINDOWS_MAX = 1_000_000;
/** No segment of a log that is not written is ever full. A multiple of 32 KiB. */
const LOG_SEGMENT_BYTES = 2 ** 50;
const KERNEL_BYTES_MAX = 256 << 20;

/** Imports, printing a line per block at the end. @throws ToolsError ERR_TSDB_IMPORT naming file and line or series; TsdbError, errors of the files */
export function importOpenMetrics(job: ImportJob, deps: TsdbJobDeps): void {
  const fs = createNodeFileSystem();
  const { file: path, outDir } = job;
  const windowMs = blockDuration(job.blockDurationMaxMs);
  fs.mkdir(outDir);
  const file = openInput(fs, path);
  try {
    const fileBytes = file.size();
    const counts = countWindows(file, path, windowMs, deps);
    const windows = [...counts.keys()].sort((a, b) => a - b);
    const kernels = createKernels({ maxMemoryBytes: KERNEL_BYTES_MAX });
    const made: string[] = [];
    for (let from = 0; from < windows.length; ) {
      const to = endOfPass(windows, counts, from, job.samplesPerPass ?? SAMPLES_PER_PASS);
      const label = to - from === windows.length ? 'read samples' : `read samples of blocks ${from + 1}–${to} of ${windows.length}`;
      const pass = new ImportPass(fs, kernels, job, windowMs, windows[from]!, windows[to - 1]!, deps);
      try {
        readOpenMetrics(file, path, {
          sample: (series, isNew, labels, timeMs, value) => pass.add(series, isNew, labels, timeMs, value),
          piece(doneBytes) {
            deps.poll();
            deps.progress(label, doneBytes, fileBytes, 'bytes');
          },
        });
        made.push(...pass.finish());
      } finally {
        pass.close();
      }
      from = to;
    }
    let hasHeader = true;
    for (const dir of made) {
      const place = joinPath(outDir, baseName(dir));
      fs.rename(dir, place);
      if (job.isQuiet) continue;
      deps.print(blockTable(findBlockFolders(fs, place).blocks, hasHeader, job.isReadable));
      hasHeader = false;
    }
    fs.fsyncDir(outDir);
  } finally {
    file.close();
  }
}

/** The range of blocks for a wish: the longest of 2 h, 6 h, 18 h, … that is not longer. */
function blockDuration(maxMs: number): number {
  let range = BLOCK_RANGE_MS;
  for (let i = 1; i < BLOCK_RANGES && range * BLOCK_RANGE_FACTOR <= maxMs; i++) range *= BLOCK_RANGE_FACTOR;
  return range;
}

/** Where a pass that begins with window `from` ends: as many windows as fit, one at least. */
function endOfPass(windows: readonly number[], counts: ReadonlyMap<number, number>, from: number, samplesMax: number): number {
  let samples = counts.get(windows[from]!)!;
  let to = from + 1;
  while (to < windows.length && to - from < WINDOWS_PER_PASS) {
    samples += counts.get(windows[to]!)!;
    if (samples > samplesMax) break;
    to++;
  }
  return to;
}

/** @throws ToolsError ERR_TSDB_IMPORT */
function openInput(fs: FileSystem, path: string): FileHandle {
  const kind = fs.stat(path)?.kind;
  if (kind !== 'file') throw new ToolsError('ERR_TSDB_IMPORT', `open ${path}: ${kind === undefined ? 'there is no such file' : 'it is a folder'}`);
  return fs.open(path, 'read');
}

/** Samples of each window that has any, by its number. @throws ToolsError ERR_TSDB_IMPORT */
function countWindows(file: FileHandle, path: string, windowMs: number, { poll, progress }: TsdbJobDeps): Map<number, number> {
  const counts = new Map<number, number>();
  const fileBytes = file.size();
  let window = Number.NaN;
  let count = 0;
  const put = (): void => {
    if (count > 0) counts.set(window, (counts.get(window) ?? 0) + count);
    if (counts.size > WINDOWS_MAX) throw new ToolsError('ERR_TSDB_IMPORT', `read ${path}: its samples are in more than ${WINDOWS_MAX} blocks of ${windowMs / 3_600_000} h; are its timestamps seconds?`);
  };
  readOpenMetrics(file, path, {
    sample(_series, _isNew, _labels, timeMs) {
      const at = Math.floor(timeMs / windowMs);
      if (at !== window) {
        put();
        window = at;
        count = 0;
      }
      count++;
    },
    piece(doneBytes) {
      poll();
      progress('look for times', doneBytes, fileBytes, 'bytes');
    },
  });
  put();
  return counts;
}

/** A window that is being filled. */
interface OpenWindow {
  readonly db: Db;
  readonly dir: string;
  appender: Appender;
  pending: number;
  /** References of series by their numbers; 0 for none. */
  refs: Float64Array;
}

/** The windows of one pass over the file. */
class ImportPass {
  readonly #fs: FileSystem;
  readonly #kernels: Kernels;
  readonly #job: ImportJob;
  readonly #deps: TsdbJobDeps;
  readonly #windowMs: number;
  readonly #first: number;
  readonly #last: number;
  readonly #windows: Map<number, OpenWindow> = new Map();
  /** Labels of series by their numbers. */
  readonly #labels: Labels[] = [];
  readonly #custom: ReadonlySet<string>;
  #atWindow = Number.NaN;
  #at: OpenWindow | undefined;

  /** @param first number of the first window; `last` likewise, inclusive */
  constructor(fs: FileSystem, kernels: Kernels, job: ImportJob, windowMs: number, first: number, last: number, deps: TsdbJobDeps) {
    this.#fs = fs;
    this.#kernels = kernels;
    this.#job = job;
    this.#deps = deps;
    this.#windowMs = windowMs;
    this.#first = first;
    this.#last = last;
    this.#custom = new Set(job.labels.map(([name]) => name));
  }

  add(series: number, isNew: boolean, labels: () => [name: string, value: string][], timeMs: number, value: number): void {
    if (isNew) this.#begin(series, labels());
    const number = Math.floor(timeMs / this.#windowMs);
    if (number < this.#first || number > this.#last) return;
    if (number !== this.#atWindow || this.#at === undefined) {
      this.#at = this.#windows.get(number) ?? this.#open(number);
      this.#atWindow = number;
    }
    const window = this.#at;
    if (series >= window.refs.length) window.refs = grown(window.refs, series + 1);
    const ref = window.refs[series]!;
    try {
      const one = this.#labels[series]!;
      window.refs[series] = value === value ? window.appender.append(ref, one, timeMs, value) : window.appender.appendBits(ref, one, timeMs, NORMAL_NAN_HI, NORMAL_NAN_LO);
    } catch (error) {
      if (!isTsdbError(error)) throw error;
      throw new ToolsError('ERR_TSDB_IMPORT', `import ${this.#job.file}: ${error.message}`, error);
    }
    if (++window.pending < SAMPLES_PER_COMMIT) return;
    window.appender.commit();
    window.appender = window.db.appender();
    window.pending = 0;
  }

  /** Cuts the blocks, oldest first. @returns their folders */
  finish(): string[] {
    const made: string[] = [];
    for (const [number, window] of [...this.#windows].sort(([a], [b]) => a - b)) {
      this.#deps.poll();
      window.appender.commit();
      const metas = window.db.compactHead({ force: true });
      window.db.close();
      this.#windows.delete(number);
      made.push(...metas.map(({ ulid }) => joinPath(window.dir, ulid)));
    }
    return made;
  }

  /** Lets go of what is not finished. */
  close(): void {
    for (const { db } of this.#windows.values()) db.close();
    this.#windows.clear();
  }

  #begin(series: number, pairs: [name: string, value: string][]): void {
    const kept = this.#custom.size === 0 ? pairs : pairs.filter(([name]) => !this.#custom.has(name));
    try {
      this.#labels[series] = labelsFromPairs([...kept, ...this.#job.labels]);
    } catch (error) {
      if (!(error instanceof ModelError)) throw error;
      throw new ToolsError('ERR_TSDB_IMPORT', `import ${this.#job.file}: series ${pairs.map(([name, value]) => `${name}=${quoteGo(value)}`).join(', ').slice(0, 500)}: ${error.message}`, error);
    }
    for (const window of this.#windows.values()) if (series < window.refs.length) window.refs[series] = 0;
  }

  #open(number: number): OpenWindow {
    const { clock, random } = this.#deps;
    const dir = joinPath(this.#job.workDir, `window-${number}`);
    // Twice the range, as promtool does it: samples of all of the window are then taken in any order of series, and chunks end where they end there.
    const options = { blockRangeMs: 2 * this.#windowMs, walCompression: 'none', walSegmentBytes: LOG_SEGMENT_BYTES } as const;
    const db = createDb({ fs: new ForgetfulLog(this.#fs, dir), dir, kernels: this.#kernels, clock: { now: clock }, random }, options);
    const window: OpenWindow = { db, dir, appender: db.appender(), pending: 0, refs: new Float64Array(1024) };
    this.#windows.set(number, window);
    return window;
  }
}

function grown(refs: Float64Array, length: number): Float64Array {
  const more = new Float64Array(Math.min(SERIES_REMEMBERED_MAX, Math.max(length, refs.length * 2)));
  more.set(refs);
  return more;
}
