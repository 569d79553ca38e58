/**
 * A bucket in memory with a clock that tests move, and the compactor's parts over it. Blocks consist of a true meta.json, a tiny index
 * and a tiny segment: whoever decides about blocks never looks into them.
 */
import { createThanosSection, formatThanosMeta, markBlock, readBucketMeta, readMarker } from '@gauntlet/block';
import type { MarkerKind, ThanosMeta, ThanosSection } from '@gauntlet/block';
import { createMemoryBucket } from '@gauntlet/objstore';
import type { Bucket, MemoryBucket } from '@gauntlet/objstore';
import { createMetrics, createNopLogger } from '@gauntlet/service-kit';
import type { Logger, Metrics } from '@gauntlet/service-kit';

import type { CareDeps } from '../collect-garbage.ts';
import { createCompactorMetrics } from '../compactor-metrics.ts';
import { groupBlocks } from '../group-blocks.ts';
import { mergeMetas, planGroup } from '../plan-group.ts';
import type { PlanOptions } from '../plan-group.ts';
import { createBlockSync } from '../sync-blocks.ts';
import type { BlockSync, BlockSyncOptions, SyncView } from '../sync-blocks.ts';

export const HOUR_MS: number = 3_600_000;
/** When tests begin, ms since 1970: later than the time in the ids. */
export const START_MS: number = Date.UTC(2027, 0, 1);

/** The n-th id of a test: valid, ascending. */
export function blockId(n: number): string {
  return `01M7YH8PRB5EGPCY8YH5HQ${String(n).padStart(4, '0')}`;
}

/** The n-th two-hour block of a stream, unless told otherwise. */
export function blockMeta(n: number, more: Partial<Omit<ThanosMeta, 'thanos'>> = {}, section: Partial<ThanosSection> = {}): ThanosMeta {
  const ulid = more.ulid ?? blockId(n);
  return {
    ulid, minTime: n * 2 * HOUR_MS, maxTime: (n + 1) * 2 * HOUR_MS, stats: { numSamples: 10, numSeries: 1, numChunks: 1 }, compaction: { level: 1, sources: [ulid] }, version: 1,
    ...more,
    thanos: createThanosSection({
      labels: ['cluster', 'eu'], source: 'sidecar', hasVersion: true,
      files: [{ relPath: 'chunks/000001', sizeBytes: 1 }, { relPath: 'index', sizeBytes: 1 }, { relPath: 'meta.json' }], ...section,
    }),
  };
}

/** Uploads what there is of a block besides meta.json. */
export async function putParts(bucket: Bucket, id: string): Promise<void> {
  await bucket.upload(`${id}/chunks/000001`, Buffer.from('c'));
  await bucket.upload(`${id}/index`, Buffer.from('i'));
}

/** Uploads a block, meta.json last. */
export async function putBlock(bucket: Bucket, meta: ThanosMeta): Promise<void> {
  await putParts(bucket, meta.ulid);
  await bucket.upload(`${meta.ulid}/meta.json`, formatThanosMeta(meta));
}

/** A log that remembers its warnings. */
export function createWarningLog(): { readonly log: Logger; readonly warnings: string[] } {
  const warnings: string[] = [];
  const log: Logger = {
    ...createNopLogger(),
    warn: (message, fields) => {
      const block = fields?.['block'];
      warnings.push(typeof block === 'string' ? `${message} (${block})` : message);
    },
    child: () => log,
  };
  return { log, warnings };
}

/** See the head of this file. */
export class BucketWorld {
  nowMs: number;
  readonly clock: () => number;
  readonly bucket: MemoryBucket;
  readonly warnings: string[];
  readonly log: Logger;
  readonly signal: AbortSignal = new AbortController().signal;
  #created = 0;

  constructor(nowMs: number = START_MS) {
    this.nowMs = nowMs;
    this.clock = () => this.nowMs;
    this.bucket = createMemoryBucket({ clock: this.clock });
    ({ log: this.log, warnings: this.warnings } = createWarningLog());
  }

  /** What garbage collection, retention and cleaning work with, as after a start of the process. */
  careDeps(bucket: Bucket = this.bucket, metrics: Metrics = createMetrics()): CareDeps {
    return { bucket, log: this.log, metrics: createCompactorMetrics(metrics), clock: this.clock };
  }

  createSync(options: Partial<BlockSyncOptions> = {}, bucket: Bucket = this.bucket, metrics: Metrics = createMetrics()): BlockSync {
    return createBlockSync({ bucket, log: this.log, metrics, clock: this.clock }, {
      consistencyDelayMs: 0, deleteDelayMs: 48 * HOUR_MS, minTime: { at: () => -Infinity }, maxTime: { at: () => Infinity }, relabel: [], concurrency: 4, discovery: 'recursive', ...options,
    });
  }

  /** A fresh look at the bucket. */
  view(options: Partial<BlockSyncOptions> = {}, bucket: Bucket = this.bucket): Promise<SyncView> {
    return this.createSync(options, bucket).sync(this.signal);
  }

  mark(id: string, kind: MarkerKind = 'deletion'): Promise<boolean> {
    return markBlock({ bucket: this.bucket, log: this.log, clock: this.clock }, id, kind, 'by hand');
  }

  isMarked(id: string): boolean {
    return this.bucket.keys().includes(`${id}/deletion-mark.json`);
  }

  /** Ids of directories in the bucket. */
  directories(): string[] {
    return [...new Set(this.bucket.keys().map((key) => key.slice(0, key.indexOf('/'))))];
  }

  /** Metas of the blocks in the bucket, by id. */
  async metas(): Promise<ThanosMeta[]> {
    const ids = this.directories().filter((id) => this.bucket.keys().includes(`${id}/meta.json`));
    return Promise.all(ids.map((id) => readBucketMeta(this.bucket, id)));
  }

  /** Time of a block's deletion mark, Unix seconds. */
  async markSeconds(id: string): Promise<number | undefined> {
    return (await readMarker(this.bucket, id, 'deletion'))?.timeSeconds;
  }

  /** Uploads the meta that compacting blocks gives, under the next id, and marks the blocks as the compactor does. */
  async compact(metas: readonly ThanosMeta[]): Promise<string> {
    const id = blockId(9000 + this.#created++);
    const merged = mergeMetas(metas, id);
    await putBlock(this.bucket, { ...merged, thanos: { ...merged.thanos, files: blockMeta(0).thanos.files } });
    for (const meta of metas) await this.mark(meta.ulid);
    return id;
  }

  /** Plans every group once and compacts what was planned, without data. @returns plans that were carried out */
  async compactOnce(view: SyncView, options: Partial<PlanOptions> = {}): Promise<number> {
    let done = 0;
    for (const group of groupBlocks(view.metas)) {
      const plan = planGroup(group, { noCompact: view.noCompact, maxIndexBytes: 64 * 2 ** 30, ...options });
      for (const { id } of plan?.mark ?? []) await this.mark(id, 'no-compact');
      if (plan === undefined || plan.metas.length === 0) continue;
      await this.compact(plan.metas);
      done++;
    }
    return done;
  }
}
