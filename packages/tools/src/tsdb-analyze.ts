/**
 * `tools tsdb analyze`: which labels a block's series are made of, and which of them come and go. Output as `promtool tsdb analyze`; equal counts
 * are in the order of their names, where promtool has none.
 *
 *   churn of a label pair = Σ over its series (block range − time from the first to the last sample of the series) / block range
 *
 * Two passes, both over columns: series in the order of the index for their times (12 bytes a series), then every postings list against them. What
 * grows with the number of label pairs is only read. Source: Prometheus cmd/promtool/tsdb.go.
 */
import { compareUtf8 } from '@gauntlet/bytes';
import { formatGoDuration, type Matcher } from '@gauntlet/model';
import { parseMetricSelector } from '@gauntlet/promql';
import { createNodeFileSystem } from '@gauntlet/service-kit';
import { type Block, createSeriesEntry, matchPostings, openBlock, type Postings } from '@gauntlet/tsdb';
import { chooseBlock, findBlockFolders } from './tsdb-blocks.ts';
import { printChunkSizes } from './tsdb-chunk-sizes.ts';
import type { TsdbJobDeps } from './tsdb-job.ts';

/** What to analyze. */
export interface AnalyzeJob {
  readonly kind: 'analyze';
  readonly path: string;
  /** '' for the block made last. */
  readonly blockId: string;
  /** Entries of each list. */
  readonly limit: number;
  /** Sizes of chunks too. */
  readonly isExtended: boolean;
  /** Selector of the series to look at; '' for all. */
  readonly match: string;
}

/** Between two looks at whether the user wants it to end. */
const SERIES_PER_POLL = 1000;

/** Prints the analysis. @throws ToolsError ERR_NO_BLOCK, ERR_TSDB_FOLDER; PromqlError; TsdbError */
export function analyzeDatabase(job: AnalyzeJob, deps: TsdbJobDeps): void {
  const matchers = job.match === '' ? undefined : parseMetricSelector(job.match);
  const fs = createNodeFileSystem();
  const { dir } = chooseBlock(findBlockFolders(fs, job.path), job.path, job.blockId);
  const block = openBlock(fs, dir, { outsideChunks: 'allow' });
  try {
    analyzeBlock(block, matchers, job, deps);
  } finally {
    block.close();
  }
}

function analyzeBlock(block: Block, matchers: readonly Matcher[] | undefined, job: AnalyzeJob, deps: TsdbJobDeps): void {
  const { index, meta } = block;
  const { print } = deps;
  const rangeMs = meta.maxTime - meta.minTime;
  const refs = matchers === undefined ? index.allPostings() : matchPostings(index, matchers);
  const uncoveredMs = uncoveredTimes(block, refs, deps);
  const limit = Math.max(0, job.limit);
  const churnByPair = new TopList(limit);
  const churnByName = new TopList(limit);
  const seriesByPair = new TopList(limit);
  const valueBytesByName = new TopList(limit);
  const valuesByName = new TopList(limit);
  const seriesByMetric = new TopList(limit);
  const found = { series: 0, uncoveredMs: 0 };
  let names = 0;
  let pairs = 0;
  let entries = 0;
  const table = index.postingsTable;
  for (const name of index.labelNames()) {
    const [first, end] = table.range(name);
    let nameUncoveredMs = 0;
    let values = 0;
    let valueBytes = 0;
    for (let entry = first; entry < end; entry++) {
      if (entry % SERIES_PER_POLL === 0) {
        deps.poll();
        deps.progress('read postings', entry, table.count, 'label pairs');
      }
      const value = table.valueAt(entry);
      sumFound(index.postings(name, value), refs, uncoveredMs, found);
      if (found.series === 0) continue;
      pairs++;
      values++;
      valueBytes += table.valueBytesAt(entry).length;
      entries += found.series;
      nameUncoveredMs += found.uncoveredMs;
      churnByPair.add(Math.floor(found.uncoveredMs / rangeMs), name, value);
      seriesByPair.add(found.series, name, value);
      if (name === '__name__') seriesByMetric.add(found.series, value);
    }
    if (values === 0) continue;
    names++;
    churnByName.add(Math.floor(nameUncoveredMs / rangeMs), name);
    valueBytesByName.add(valueBytes, name);
    valuesByName.add(values, name);
  }
  print(`Block ID: ${meta.ulid}\nDuration: ${formatGoDuration(rangeMs)}\nTotal Series: ${meta.stats.numSeries}\n`);
  if (matchers !== undefined) print(`Matcher: ${job.match}\n`);
  print(`Label names: ${names}\n`);
  if (matchers !== undefined) print(`Matched series: ${refs.length}\n`);
  print(`Postings (unique label pairs): ${pairs}\nPostings entries (total label pairs): ${entries}\n`);
  for (const [title, list] of [
    ['Label pairs most involved in churning', churnByPair],
    ['Label names most involved in churning', churnByName],
    ['Most common label pairs', seriesByPair],
    ['Label names with highest cumulative label value length', valueBytesByName],
    ['Highest cardinality labels', valuesByName],
    ['Highest cardinality metric names', seriesByMetric],
  ] as const) {
    print(`\n${title}:\n${list.lines()}`);
  }
  if (job.isExtended) printChunkSizes(block, refs, deps);
}

/** Of each series, the part of the block's range it has no samples for, ms. */
function uncoveredTimes({ index, meta }: Block, refs: Postings, { poll, progress }: TsdbJobDeps): Float64Array {
  const entry = createSeriesEntry();
  const rangeMs = meta.maxTime - meta.minTime;
  const uncoveredMs = new Float64Array(refs.length);
  for (let i = 0; i < refs.length; i++) {
    if (i % SERIES_PER_POLL === 0) {
      poll();
      progress('read series', i, refs.length, 'series');
    }
    index.readSeries(refs[i]!, entry);
    uncoveredMs[i] = entry.chunkCount === 0 ? rangeMs : rangeMs - (entry.maxt[entry.chunkCount - 1]! - entry.mint[0]!);
  }
  return uncoveredMs;
}

/** Counts the references of a list that are among `refs`, and sums what they have in `uncoveredMs`. Both ascend: each search begins where the last ended, in growing steps. */
function sumFound(list: Postings, refs: Postings, uncoveredMs: Float64Array, out: { series: number; uncoveredMs: number }): void {
  let series = 0;
  let sum = 0;
  let at = 0;
  for (let i = 0; i < list.length && at < refs.length; i++) {
    const ref = list[i]!;
    let step = 1;
    while (at + step < refs.length && refs[at + step]! <= ref) step *= 2;
    let low = at + (step >> 1);
    let high = Math.min(at + step, refs.length - 1);
    while (low < high) {
      const middle = (low + high + 1) >>> 1;
      if (refs[middle]! <= ref) low = middle;
      else high = middle - 1;
    }
    if (refs[low]! > ref) continue;
    at = low;
    if (refs[at] !== ref) continue;
    series++;
    sum += uncoveredMs[at]!;
    at++;
  }
  out.series = series;
  out.uncoveredMs = sum;
}

/** The largest of many counts, each with its names. Keeps no more than twice what is wanted. */
class TopList {
  readonly #limit: number;
  #entries: { readonly count: number; readonly key: string }[] = [];
  #least = -1;

  constructor(limit: number) {
    this.#limit = limit;
  }

  add(count: number, name: string, value?: string): void {
    if (this.#limit === 0 || count < this.#least) return;
    this.#entries.push({ count, key: value === undefined ? name : `${name}=${value}` });
    if (this.#entries.length >= this.#limit * 2 + 100) this.#shrink();
  }

  lines(): string {
    this.#shrink();
    return this.#entries.map(({ count, key }) => `${count} ${key}\n`).join('');
  }

  #shrink(): void {
    this.#entries.sort((a, b) => b.count - a.count || compareUtf8(a.key, b.key));
    this.#entries.length = Math.min(this.#entries.length, this.#limit);
    if (this.#entries.length === this.#limit && this.#limit > 0) this.#least = this.#entries.at(-1)!.count;
  }
}
