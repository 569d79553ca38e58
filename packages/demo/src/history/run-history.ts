/** `gauntlet demo history`: the shop's past, as blocks of two replicas in a bucket, so that there is something to see from the first minute. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createMetaLoader } from '@gauntlet/block';
import { createKernels } from '@gauntlet/kernels';
import { labelsFromPairs } from '@gauntlet/model';
import { createBucketFromConfig } from '@gauntlet/objstore';
import { createLogger, createMetrics, createNodeFileSystem } from '@gauntlet/service-kit';
import { DemoError } from '../errors.ts';
import type { HistoryConfig } from '../flags.ts';
import { planHistory } from './plan-history.ts';
import { generatedLabels, uploadHistory } from './upload-history.ts';
import { historySeries } from './write-history-block.ts';

/** What a run works with. */
export interface RunHistoryDeps {
  readonly say: (line: string) => void;
  /** Milliseconds since 1970. */
  readonly clock: () => number;
  readonly signal: AbortSignal;
}

/**
 * Fills the bucket up.
 * @returns blocks made
 * @throws DemoError ERR_HISTORY for flags that make no sense or a bucket that cannot be read; errors of the bucket; the signal's reason
 */
export async function runHistory(config: HistoryConfig, { say, clock, signal }: RunHistoryDeps): Promise<number> {
  if (config.replicas.length === 0 || new Set(config.replicas).size < config.replicas.length) throw new DemoError('ERR_HISTORY', `make a history: wanted --replica with different names, got '${config.replicas.join(',')}'`);
  if (config.lengthMs <= 0 || config.stepMs <= 0) throw new DemoError('ERR_HISTORY', `make a history: wanted a --length and a --step above 0, got ${config.lengthMs} ms and ${config.stepMs} ms`);
  const log = createLogger({ level: config.logLevel, format: config.logFormat });
  const bucket = await createBucketFromConfig(config.objstoreConfig.content(), { component: 'demo', source: config.objstoreConfig.source, log });
  const staging = mkdtempSync(join(tmpdir(), 'gauntlet-history-'));
  let made = 0;
  try {
    const view = await createMetaLoader({ bucket, log, metrics: createMetrics() }).load(signal);
    if (view.failures.length > 0) throw new DemoError('ERR_HISTORY', `make a history: ${view.failures.length} blocks of the bucket cannot be read`, { cause: view.failures[0] });
    const series = historySeries(config.targetLabels);
    for (const [index, replica] of config.replicas.entries()) {
      const externalLabels = labelsFromPairs([...config.labels, ['replica', replica]]);
      const blocks = planHistory(view.metas, { labels: generatedLabels(externalLabels), lengthMs: config.lengthMs, nowMs: clock() });
      const deps = { fs: createNodeFileSystem(), kernels: createKernels(), bucket, log, clock, onProgress: () => undefined };
      // Replicas scrape at different moments.
      const offsetMs = Math.floor(((index + 0.3) / config.replicas.length) * config.stepMs);
      await uploadHistory(deps, { blocks, series, stagingDir: join(staging, 'blocks'), externalLabels, stepMs: config.stepMs, offsetMs, signal });
      made += blocks.length;
      say(`history of replica ${replica}: ${blocks.length === 0 ? 'there already' : `${blocks.length} blocks generated (not measured)`}`);
    }
  } finally {
    rmSync(staging, { recursive: true, force: true });
    await bucket.close();
  }
  return made;
}
