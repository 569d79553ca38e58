/**
 * The data set of the query benchmarks, from a fixed seed: `http_requests_total` of 2,200 series (4 jobs, 10 instances each, 5
 * methods, 11 codes), one sample every 15 s with a few ms of jitter over 6 h: 3.17 M samples in three 2 h blocks, written by promtool
 * from OpenMetrics text. Made once and kept in .cache/.
 */
import { spawnSync } from 'node:child_process';
import { cpSync, createWriteStream, existsSync, mkdirSync, readFileSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { once } from 'node:events';
import { join } from 'node:path';
import { findPeer } from '../harness/peers.ts';
import { seededRandom } from '../harness/random.ts';

export interface Dataset {
  /** Folder with block folders. */
  readonly dir: string;
  /** Blocks cover [startMs, endMs). */
  readonly startMs: number;
  readonly endMs: number;
  readonly series: number;
  readonly samples: number;
}

const SEED = 20_261;
const STEP_MS = 15_000;
const HOUR_MS = 3_600_000;
/** Aligned to 2 h. */
export const DATASET_START_MS: number = Date.UTC(2026, 9, 1);

const CODES = ['200', '201', '204', '301', '302', '400', '401', '403', '404', '500', '503'];
const METHODS = ['DELETE', 'GET', 'PATCH', 'POST', 'PUT'];

async function writeOpenMetrics(path: string, hours: number, instances: number): Promise<void> {
  const random = seededRandom(SEED);
  const out = createWriteStream(path);
  const put = async (text: string): Promise<void> => {
    if (!out.write(text)) await once(out, 'drain');
  };
  await put('# TYPE http_requests counter\n');
  const steps = (hours * HOUR_MS) / STEP_MS;
  for (let job = 0; job < 4; job++) {
    for (let instance = 0; instance < instances; instance++) {
      const offsetMs = Math.floor(random() * STEP_MS);
      for (const method of METHODS) {
        for (const code of CODES) {
          const labels = `{code="${code}",instance="10.0.${job}.${instance}:8080",job="job-${job}",method="${method}"}`;
          const rate = random() * random() * 400;
          let value = Math.floor(random() * 1e5);
          let text = '';
          for (let step = 0; step < steps; step++) {
            // 3 % of the scrapes are a few ms late; a restart once in a while.
            const late = random() < 0.03 ? Math.floor(random() * 12) : 0;
            value = random() < 0.0002 ? 0 : value + Math.floor(rate * random() * 2);
            const tMs = DATASET_START_MS + offsetMs + step * STEP_MS + late;
            text += `http_requests_total${labels} ${value} ${(tMs / 1000).toFixed(3)}\n`;
          }
          await put(text);
        }
      }
    }
  }
  await put('# EOF\n');
  out.end();
  await once(out, 'finish');
}

/**
 * Makes the data set, or finds it made.
 * @param small a twentieth of it, for smoke runs
 */
export async function benchDataset(cacheDir: string, small: boolean): Promise<Dataset> {
  const hours = 6;
  const instances = small ? 1 : 10;
  const dir = join(cacheDir, `dataset-${SEED}-${hours}h-${instances}`);
  const series = 4 * instances * METHODS.length * CODES.length;
  const dataset = { dir, startMs: DATASET_START_MS, endMs: DATASET_START_MS + hours * HOUR_MS, series, samples: (series * hours * HOUR_MS) / STEP_MS };
  if (existsSync(dir)) return dataset;
  const promtool = findPeer('promtool');
  if (promtool === undefined) throw new Error('make the benchmark data set: promtool is not on PATH; scripts/install-peers.sh puts it there');
  const draft = `${dir}.draft`;
  rmSync(draft, { recursive: true, force: true });
  mkdirSync(draft, { recursive: true });
  const text = join(draft, 'input.om');
  await writeOpenMetrics(text, hours, instances);
  const result = spawnSync(promtool, ['tsdb', 'create-blocks-from', 'openmetrics', text, draft], { encoding: 'utf8' });
  if (result.status !== 0) throw new Error(`make the benchmark data set: promtool: ${result.stderr}`);
  rmSync(text);
  if (readdirSync(draft).length === 0) throw new Error('make the benchmark data set: promtool wrote no block');
  renameSync(draft, dir);
  return dataset;
}

/** Copies the blocks to a bucket folder, as a sidecar of `{replica="bucket"}` would have shipped them. */
export function copyToBucket({ dir }: Dataset, bucketDir: string): void {
  for (const block of readdirSync(dir)) {
    cpSync(join(dir, block), join(bucketDir, block), { recursive: true });
    const file = join(bucketDir, block, 'meta.json');
    const meta = JSON.parse(readFileSync(file, 'utf8')) as object;
    writeFileSync(file, JSON.stringify({ ...meta, thanos: { version: 1, labels: { replica: 'bucket' }, downsample: { resolution: 0 }, source: 'sidecar' } }));
  }
}
