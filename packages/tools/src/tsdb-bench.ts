/**
 * `tools tsdb bench write`: how many samples a second the database takes, written as scrapes are: the same series again and again, 30 s apart,
 * a thousand at a time. Flags, stages and the file of series as `promtool tsdb bench write`; without a file series are made up.
 *
 *   series ─► 100 scrapes of 1,000 series ─► 100 scrapes of the next 1,000 ─► … ─► the next 100 scrapes
 */
import { createKernels } from '@gauntlet/kernels';
import { formatGoDuration, formatGoFloat, type Labels, labelsFromPairs } from '@gauntlet/model';
import { createNodeFileSystem } from '@gauntlet/service-kit';
import { createDb, type Db, type FileSystem, joinPath, readFile } from '@gauntlet/tsdb';
import { ToolsError } from './errors.ts';
import type { TsdbJobDeps } from './tsdb-job.ts';

/** What to write. */
export interface BenchJob {
  readonly kind: 'bench-write';
  /** Folder that is made, or emptied if an earlier run left it. */
  readonly outDir: string;
  readonly metrics: number;
  readonly scrapes: number;
  /** Series, one per line as `{"name":"value",…}`; '' for made-up ones. */
  readonly seriesFile: string;
}

const SCRAPE_INTERVAL_MS = 30_000;
const SCRAPES_PER_SHARD = 100;
const SERIES_PER_SHARD = 1000;
const VALUE_FIRST = 123_456_789;
const VALUE_STEP = 1000;
const STORAGE_DIR = 'storage';

/** Writes and prints the rate. @throws ToolsError ERR_TOOL_FLAGS, ERR_TSDB_FOLDER; TsdbError */
export function benchWrite(job: BenchJob, deps: TsdbJobDeps): void {
  const { print, clock, random } = deps;
  const fs = createNodeFileSystem();
  emptyFolder(fs, job.outDir);
  const stage = <T>(name: string, work: () => T): { readonly result: T; readonly durationMs: number; readonly cpuMs: number } => {
    print(`>> start stage=${name}\n`);
    const started = performance.now();
    const cpu = process.cpuUsage();
    const result = work();
    const { user, system } = process.cpuUsage(cpu);
    const durationMs = performance.now() - started;
    print(`>> completed stage=${name} duration=${formatGoDuration(durationMs)}\n`);
    return { result, durationMs, cpuMs: (user + system) / 1000 };
  };
  const db = createDb({ fs, dir: joinPath(job.outDir, STORAGE_DIR), kernels: createKernels({ maxMemoryBytes: 256 << 20 }), clock: { now: clock }, random });
  try {
    const { result: series } = stage('readData', () => (job.seriesFile === '' ? madeUpSeries(job.metrics) : readSeries(fs, job.seriesFile, job.metrics)));
    const { result: total, durationMs, cpuMs } = stage('ingestScrapes', () => ingestScrapes(db, series, job.scrapes, deps));
    print(` > total samples: ${total}\n > samples/sec: ${formatGoFloat((total * 1000) / durationMs)}\n > samples/CPU second: ${formatGoFloat((total * 1000) / cpuMs)}\n`);
    stage('stopStorage', () => db.close());
  } finally {
    db.close();
  }
}

/** Takes away what an earlier run left, and nothing else. */
function emptyFolder(fs: FileSystem, dir: string): void {
  const kind = fs.stat(dir)?.kind;
  if (kind === 'file') throw new ToolsError('ERR_TSDB_FOLDER', `write to ${dir}: it is no folder`);
  if (kind === undefined) return;
  const foreign = fs.list(dir).filter((name) => name !== STORAGE_DIR);
  if (foreign.length > 0) throw new ToolsError('ERR_TSDB_FOLDER', `empty ${dir}: it holds ${foreign[0]!}, which no benchmark wrote; choose another --out`);
  fs.remove(joinPath(dir, STORAGE_DIR));
}

function ingestScrapes(db: Db, series: readonly Labels[], scrapes: number, { poll, progress, print }: TsdbJobDeps): number {
  const rounds = Math.ceil(scrapes / SCRAPES_PER_SHARD);
  const refs = new Float64Array(series.length);
  let total = 0;
  for (let round = 0; round < rounds; round++) {
    const baseMs = round * SCRAPES_PER_SHARD * SCRAPE_INTERVAL_MS;
    for (let from = 0; from < series.length; from += SERIES_PER_SHARD) {
      const to = Math.min(from + SERIES_PER_SHARD, series.length);
      for (let scrape = 1; scrape <= SCRAPES_PER_SHARD; scrape++) {
        const appender = db.appender();
        for (let i = from; i < to; i++) refs[i] = appender.append(refs[i]!, series[i]!, baseMs + scrape * SCRAPE_INTERVAL_MS, VALUE_FIRST + scrape * VALUE_STEP);
        total += appender.commit().samples;
      }
      poll();
      progress('ingest', total, rounds * SCRAPES_PER_SHARD * series.length, 'samples');
    }
  }
  print('ingestion completed\n');
  return total;
}

/** Series like those of a web service in a cluster. */
function madeUpSeries(count: number): Labels[] {
  const series: Labels[] = [];
  for (let i = 0; i < count; i++) {
    const pod = Math.floor(i / 100);
    series.push(
      labelsFromPairs([
        ['__name__', `http_requests_${i % 100}_total`],
        ['cluster', 'eu-1'],
        ['instance', `10.${pod >> 16}.${(pod >> 8) & 255}.${pod & 255}:8080`],
        ['job', 'api'],
        ['namespace', `team-${pod % 20}`],
        ['pod', `api-${pod}-7d9c5b4f8`],
      ]),
    );
  }
  return series;
}

/** Reads series; lines that say the same count once. @throws ToolsError ERR_TSDB_IMPORT naming the line */
function readSeries(fs: FileSystem, path: string, count: number): Labels[] {
  const lines = new TextDecoder().decode(readFile(fs, path)).split('\n');
  const seen = new Set<string>();
  const series: Labels[] = [];
  for (const [i, line] of lines.entries()) {
    if (series.length >= count) break;
    if (line.trim() === '') continue;
    const pairs = line.replaceAll(/["{}]/g, '').split(',').map((part) => {
      const colon = part.indexOf(':');
      if (colon < 1) throw new ToolsError('ERR_TSDB_IMPORT', `read series of ${path}: line ${i + 1}: ${JSON.stringify(part.slice(0, 80))} is no label, wanted {"name":"value",…}`);
      return [part.slice(0, colon), part.slice(colon + 1)] as const;
    });
    const labels = labelsFromPairs(pairs);
    const key = JSON.stringify(labels);
    if (seen.has(key)) continue;
    seen.add(key);
    series.push(labels);
  }
  if (series.length === 0) throw new ToolsError('ERR_TSDB_IMPORT', `read series of ${path}: there are none`);
  return series;
}
