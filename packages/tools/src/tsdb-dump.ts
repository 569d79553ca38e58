/**
 * `tools tsdb dump` and `dump-openmetrics`: every sample of a folder, log included, or every series, as promtool prints them.
 *
 *   prom          {__name__="up", job="a"} 1 1772409600000
 *   openmetrics   up{job="a"} 1 1772409600.000          … # EOF
 *   seriesjson    {"__name__":"up","job":"a"}
 *
 * The database is opened through an overlay (tsdb-overlay-files.ts), so that one that is in use stays as it is. Source: Prometheus cmd/promtool/tsdb.go.
 */
import { createKernels } from '@gauntlet/kernels';
import { compareLabels, formatGoFloat, formatHistogram, formatLabels, type HistogramColumn, type Labels, type Matcher, METRIC_NAME, type Queryable, quoteGo, type SeriesBatch } from '@gauntlet/model';
import { parseMetricSelector } from '@gauntlet/promql';
import { createNodeFileSystem, errorText } from '@gauntlet/service-kit';
import { BLOCK_FILES, createBlockQueryable, createDb, describeReplay, type FileSystem, joinPath, openBlock } from '@gauntlet/tsdb';
import { ToolsError } from './errors.ts';
import { findBlockFolders, refuseUnreadable } from './tsdb-blocks.ts';
import type { TsdbJobDeps } from './tsdb-job.ts';
import { OverlayFiles } from './tsdb-overlay-files.ts';

/** Formats of a dump. */
export const DUMP_FORMATS = ['prom', 'seriesjson'] as const;

/** What to dump. */
export interface DumpJob {
  readonly kind: 'dump';
  readonly path: string;
  /** Folder for what opening a log writes; the caller removes it. */
  readonly sandboxDir: string;
  /** Both inclusive, Unix ms. */
  readonly mint: number;
  readonly maxt: number;
  /** Selectors: series that match any of them. */
  readonly match: readonly string[];
  readonly format: (typeof DUMP_FORMATS)[number] | 'openmetrics';
}

/** Most memory of decoded columns, bytes. */
const KERNEL_BYTES_MAX = 1 << 30;
const SERIES_PER_POLL = 16;

/** Prints the dump. @throws ToolsError ERR_TSDB_FOLDER; PromqlError; TsdbError */
export async function dumpDatabase(job: DumpJob, deps: TsdbJobDeps): Promise<void> {
  const selectors = job.match.map((text) => parseMetricSelector(text));
  const opened = openReadOnly(job, deps);
  try {
    const write = WRITERS[job.format];
    let count = 0;
    for await (const one of mergedSeries(opened.queryable, selectors, job.mint, job.maxt)) {
      if (count % SERIES_PER_POLL === 0) deps.poll();
      deps.progress('dump', ++count, 0, 'series');
      write(one, deps.print);
    }
    if (job.format === 'openmetrics') deps.print('# EOF\n');
  } finally {
    opened.close();
  }
}

interface ReadOnly {
  readonly queryable: Queryable;
  close(): void;
}

/** Opens a database or a block without changing it. @throws ToolsError ERR_TSDB_FOLDER for what cannot be read */
function openReadOnly({ path, sandboxDir }: DumpJob, { log, clock, random }: TsdbJobDeps): ReadOnly {
  const fs: FileSystem = createNodeFileSystem();
  const dir = path === '' ? '.' : path.replace(/(?<=.)\/+$/, '');
  refuseUnreadable(findBlockFolders(fs, dir), log);
  const kernels = createKernels({ maxMemoryBytes: KERNEL_BYTES_MAX });
  if (fs.stat(joinPath(dir, BLOCK_FILES.meta)) !== undefined) {
    const block = openBlock(fs, dir);
    return { queryable: createBlockQueryable([block], kernels), close: () => block.close() };
  }
  const db = createDb({ fs: new OverlayFiles(fs, dir, sandboxDir), dir, kernels, clock: { now: clock }, random }, {});
  const [damaged] = db.damagedBlocks();
  if (damaged !== undefined) {
    db.close();
    throw new ToolsError('ERR_TSDB_FOLDER', `open block ${damaged.ulid} of ${dir}: ${errorText(damaged.error)}`, damaged.error);
  }
  for (const { text } of describeReplay(db.replay)) log.warn('not all of the write-ahead log is dumped', { dir, reason: text });
  return { queryable: db.queryable, close: () => db.close() };
}

/** One series with its samples; columns are valid until the next series is asked for. */
export interface DumpedSeries {
  readonly labels: Labels;
  readonly timestampsMs: Float64Array;
  readonly values: Float64Array;
  /** Beside the samples, as in SeriesBatch; undefined when all are floats. */
  readonly ids: Int32Array | undefined;
  readonly histograms: HistogramColumn | undefined;
}

/** Series that match any of the selectors, each once, in label order. */
async function* mergedSeries(queryable: Queryable, selectors: readonly (readonly Matcher[])[], mint: number, maxt: number): AsyncGenerator<DumpedSeries> {
  const cursors = selectors.map((matchers) => seriesOf(queryable.select({ matchers, mint, maxt })));
  try {
    const heads: (DumpedSeries | undefined)[] = [];
    // One after the other: a batch is copied before another selection can grow the memory.
    for (const cursor of cursors) heads.push((await cursor.next()).value);
    for (;;) {
      let least: DumpedSeries | undefined;
      for (const head of heads) if (head !== undefined && (least === undefined || compareLabels(head.labels, least.labels) < 0)) least = head;
      if (least === undefined) return;
      yield least;
      for (const [i, head] of heads.entries()) {
        if (head !== undefined && (head === least || compareLabels(head.labels, least.labels) === 0)) heads[i] = (await cursors[i]!.next()).value;
      }
    }
  } finally {
    for (const cursor of cursors) await cursor.return(undefined);
  }
}

/** Series of a selection one by one. Their columns are copies: other selections of the same kernels may grow the memory they lie in. */
async function* seriesOf(batches: AsyncIterable<SeriesBatch>): AsyncGenerator<DumpedSeries, undefined, undefined> {
  for await (const { labels, offsets, timestampsMs, values, histograms } of batches) {
    const [times, floats] = [timestampsMs.slice(0, offsets[labels.length]), values.slice(0, offsets[labels.length])];
    for (const [i, one] of labels.entries()) {
      const [from, to] = [offsets[i]!, offsets[i + 1]!];
      if (from === to) continue;
      yield { labels: one, timestampsMs: times.subarray(from, to), values: floats.subarray(from, to), ids: histograms?.ids.subarray(from, to), histograms };
    }
  }
  return undefined;
}

type WriteSeries = (series: DumpedSeries, print: (text: string) => void) => void;

const WRITERS: Readonly<Record<DumpJob['format'], WriteSeries>> = {
  prom(series, print) {
    const name = formatLabels(series.labels);
    const { timestampsMs, values, ids, histograms } = series;
    for (let i = 0; i < timestampsMs.length; i++) {
      const id = ids?.[i] ?? -1;
      print(`${name} ${id < 0 ? formatGoFloat(values[i]!) : histogramText(histograms!, id)} ${timestampsMs[i]!}\n`);
    }
  },
  openmetrics({ labels, timestampsMs, values, ids }, print) {
    let name = '';
    const pairs: string[] = [];
    for (let i = 0; i < labels.length; i += 2) {
      if (labels[i] === METRIC_NAME) name = labels[i + 1]!;
      else pairs.push(`${labels[i]!}=${quoteGo(labels[i + 1]!)}`);
    }
    // As promtool: what follows the first histogram of a series is left out.
    for (let i = 0; i < timestampsMs.length && (ids?.[i] ?? -1) < 0; i++) print(`${name}{${pairs.join(',')}} ${formatGoFloat(values[i]!)} ${(timestampsMs[i]! / 1000).toFixed(3)}\n`);
  },
  seriesjson({ labels }, print) {
    const pairs: string[] = [];
    for (let i = 0; i < labels.length; i += 2) pairs.push(`${goJson(labels[i]!)}:${goJson(labels[i + 1]!)}`);
    print(`{${pairs.join(',')}}\n`);
  },
};

function histogramText(column: HistogramColumn, id: number): string {
  return column.isInteger?.(id) === true ? formatHistogram(column.get(id), wholeText) : formatHistogram(column.get(id));
}

/** A count without exponent. */
function wholeText(count: number): string {
  return Number.isSafeInteger(count) ? String(count) : BigInt(count).toString();
}

/** A JSON string with the escapes of Go. */
function goJson(text: string): string {
  return JSON.stringify(text).replaceAll(/[<>&\u2028\u2029]/g, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`);
}
