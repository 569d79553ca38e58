/**
 * Random histories of a bucket: uploads (whole, begun, finished), marks set and removed by hand, compactions (also killed before they
 * marked their sources), garbage collection, retention, cleaning, time; every actor may work with a view that is out of date.
 *
 *   nothing is deleted against the rules (testing/deletion-guard.ts)
 *   data is lost only if somebody marked by hand the last unmarked block that had it, or it is past its retention
 */
import type { ThanosMeta } from '@gauntlet/block';
import { unmarkBlock } from '@gauntlet/block';
import type { Bucket } from '@gauntlet/objstore';
import { expect, test } from '@jest/globals';
import fc from 'fast-check';

import { deleteMarkedBlocks, deletePartialUploads } from './clean-bucket.ts';
import { markDuplicates } from './collect-garbage.ts';
import { groupBlocks } from './group-blocks.ts';
import { planGroup } from './plan-group.ts';
import { applyRetention } from './retention.ts';
import type { SyncView } from './sync-blocks.ts';
import { BucketWorld, HOUR_MS, blockId, blockMeta, putBlock, putParts } from './testing/bucket-world.ts';
import { createGuardedBucket } from './testing/deletion-guard.ts';

const DELAY_MS = 48 * HOUR_MS;
const RETENTION_MS = 20 * 24 * HOUR_MS;
const RUNS = Number(process.env['GAUNTLET_STATE_RUNS'] ?? 80);
const ACTIONS = [
  'upload', 'upload', 'beginUpload', 'mark', 'mark', 'unmark', 'compact', 'killedCompact', 'killedCompact', 'look', 'collect', 'collect', 'clean', 'clean', 'cleanPartial', 'retain', 'wait', 'wait',
] as const;

class History {
  readonly world: BucketWorld = new BucketWorld();
  readonly violations: string[] = [];
  readonly #bucket: Bucket;
  readonly #baseMs: number;
  /** Ends of level-1 blocks that were uploaded whole, by id. */
  readonly #uploaded = new Map<string, number>();
  /** Level-1 blocks whose data somebody gave up. */
  readonly #givenUp = new Set<string>();
  #view: SyncView | undefined;
  #next = 0;

  constructor() {
    this.#baseMs = this.world.nowMs;
    this.#bucket = createGuardedBucket(this.world.bucket, { clock: this.world.clock, deleteDelayMs: DELAY_MS, uploadThresholdMs: DELAY_MS }, this.violations);
  }

  async step(action: (typeof ACTIONS)[number], pick: number, isStale: boolean): Promise<void> {
    const { world } = this;
    const deps = world.careDeps(this.#bucket);
    const view = isStale && this.#view !== undefined ? this.#view : await world.view({}, this.#bucket);
    const metas = await world.metas();
    const compacted = metas.filter((meta) => meta.compaction.level > 1);
    const eligible = pick % 3 === 0 || compacted.length === 0 ? metas : compacted;
    const chosen = eligible[pick % Math.max(1, eligible.length)];
    if (action === 'upload' || action === 'beginUpload') await this.#upload(action === 'upload', pick);
    else if (action === 'mark' && chosen !== undefined) {
      if (await world.mark(chosen.ulid)) await this.#reconsider(chosen.compaction.sources);
    } else if (action === 'unmark') await this.#unmark(pick);
    else if (action === 'compact' || action === 'killedCompact') await this.#compact(view, action === 'killedCompact');
    else if (action === 'look') this.#view = view;
    else if (action === 'collect') await markDuplicates(deps, view, world.signal);
    else if (action === 'clean') await deleteMarkedBlocks(deps, view, { deleteDelayMs: DELAY_MS, concurrency: 3 }, world.signal);
    else if (action === 'cleanPartial') await deletePartialUploads(deps, view, {}, world.signal);
    else if (action === 'retain') await applyRetention(deps, view, { rawMs: RETENTION_MS, fiveMinMs: 0, oneHourMs: 0, isDownsamplingOff: true }, world.signal);
    else world.nowMs += (pick % 60) * HOUR_MS + 1000;
  }

  /** Sources whose data nobody may have lost, but that no block has. */
  async lost(): Promise<string[]> {
    const held = new Set((await this.world.metas()).flatMap((meta) => meta.compaction.sources));
    return [...this.#uploaded].filter(([id, endMs]) => !held.has(id) && !this.#givenUp.has(id) && endMs + RETENTION_MS >= this.world.nowMs).map(([id]) => id);
  }

  async #upload(isWhole: boolean, pick: number): Promise<void> {
    const begun = this.world.directories().filter((id) => !this.#uploaded.has(id) && !this.world.bucket.keys().includes(`${id}/meta.json`));
    // Half of the time an upload that was begun is finished, where there is one.
    const id = begun.length > 0 && pick % 2 === 0 ? begun[pick % begun.length]! : blockId(this.#next++);
    if (this.world.isMarked(id)) return;
    if (!isWhole) return putParts(this.world.bucket, id);
    const minTime = this.#baseMs + (pick % 12) * 2 * HOUR_MS;
    const meta = blockMeta(0, { ulid: id, minTime, maxTime: minTime + 2 * HOUR_MS, compaction: { level: 1, sources: [id] } });
    await putBlock(this.world.bucket, meta);
    this.#uploaded.set(id, meta.maxTime);
  }

  async #unmark(pick: number): Promise<void> {
    const marked = this.world.directories().filter((id) => this.world.isMarked(id));
    if (marked.length === 0) return;
    await unmarkBlock(this.world.bucket, marked[pick % marked.length]!, 'deletion');
    await this.#reconsider([...this.#givenUp]);
  }

  /** What no unmarked block has after somebody set a mark is given up; what one has again is not. */
  async #reconsider(sources: readonly string[]): Promise<void> {
    const held = new Set((await this.world.metas()).filter((meta) => !this.world.isMarked(meta.ulid)).flatMap((meta) => meta.compaction.sources));
    for (const source of sources) {
      if (held.has(source)) this.#givenUp.delete(source);
      else this.#givenUp.add(source);
    }
  }

  async #compact(view: SyncView, isKilled: boolean): Promise<void> {
    const present = new Set((await this.world.metas()).map((meta) => meta.ulid));
    for (const group of groupBlocks(view.metas)) {
      const plan = planGroup(group, { noCompact: view.noCompact, maxIndexBytes: 1e12 });
      // Whoever fetches the blocks notices that one is gone.
      if (plan === undefined || !plan.metas.every((meta: ThanosMeta) => present.has(meta.ulid))) continue;
      const id = await this.world.compact(plan.metas);
      if (isKilled) for (const meta of plan.metas) await unmarkBlock(this.world.bucket, meta.ulid, 'deletion');
      present.add(id);
    }
  }
}

test('no history loses data that nobody asked to delete, or deletes what must stay', async () => {
  let deletions = 0;
  await fc.assert(fc.asyncProperty(
    fc.array(fc.tuple(fc.constantFrom(...ACTIONS), fc.nat(1000), fc.boolean()), { minLength: 20, maxLength: 120 }),
    async (steps) => {
      const history = new History();
      for (const [action, pick, isStale] of steps) {
        const before = history.world.directories().length;
        await history.step(action, pick, isStale);
        if (history.world.directories().length < before) deletions++;
        expect(history.violations).toEqual([]);
        expect(await history.lost()).toEqual([]);
      }
    },
  ), { numRuns: RUNS });
  // The property says something only if blocks were deleted at all.
  expect(deletions).toBeGreaterThan(RUNS / 10);
}, 600_000);
