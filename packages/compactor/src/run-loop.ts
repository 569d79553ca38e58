/**
 * What the compactor does, again and again:
 *
 *   ┌► look at the bucket ─► delete what is due ─► mark duplicates ─► one compaction in each group, some groups at once ─┐
 *   └──────────────────────────────── while something was compacted ◄──────────────────────────────────────────────────┘
 *      then: retention ─► delete what aborted uploads left
 *
 * A group that cannot be compacted is left alone for the rest of the iteration and named; all others go on. A failure of one of the
 * other steps does not keep the steps after it, unless these would act on what was not seen.
 */
import { mkdir, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { fileBytes, INDEX_FILE, markBlock, type ThanosMeta } from '@gauntlet/block';
import type { Bucket } from '@gauntlet/objstore';
import { createGate, errorText, type Gauge, type Logger, type Metrics } from '@gauntlet/service-kit';
import { deleteMarkedBlocks, deletePartialUploads } from './clean-bucket.ts';
import { markDuplicates } from './collect-garbage.ts';
import { compactGroup, type CompactGroupOptions } from './compact-group.ts';
import type { CompactRunner } from './compact-runner.ts';
import type { CompactorMetrics } from './compactor-metrics.ts';
import { CompactorStatus } from './compactor-status.ts';
import { CompactorError, errorKind } from './errors.ts';
import { type BlockGroup, groupBlocks } from './group-blocks.ts';
import { type GroupPlan, planGroup, type PlanOptions, progressOfGroups } from './plan-group.ts';
import { applyRetention, planRetention, type RetentionPolicy } from './retention.ts';
import type { BlockSync, SyncView } from './sync-blocks.ts';

/** What the loop works with. */
export interface RunLoopDeps {
  readonly bucket: Bucket;
  readonly sync: BlockSync;
  readonly runner: CompactRunner;
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly own: CompactorMetrics;
  /** Milliseconds since 1970. */
  readonly clock: () => number;
  readonly freeDiskBytes: (dir: string) => Promise<number>;
}

/** How it works. */
export interface RunLoopOptions {
  readonly compaction: CompactGroupOptions;
  /** Groups at once: `--compact.concurrency`. */
  readonly concurrency: number;
  readonly ranges: readonly number[];
  /** `--compact.block-max-index-size` */
  readonly maxIndexBytes: number;
  readonly retention: RetentionPolicy;
  readonly deleteDelayMs: number;
}

/** What an iteration came to. */
export interface IterationReport {
  /** Compactions that ended in a block, or found it made. */
  readonly compacted: number;
  /** What could not be done: groups that are blocked, steps that failed. */
  readonly errors: readonly Error[];
}

/** A plan that fails again waits so long, then twice as long each time: every try may fetch all its blocks. */
const BLOCKED_RETRY_MS = 5 * 60_000;
const BLOCKED_RETRY_MS_MAX = 60 * 60_000;

/** A plan that did not succeed. */
interface FailedPlan {
  /** Ids of its blocks. */
  readonly plan: string;
  readonly failures: number;
  readonly retryAtMs: number;
  readonly error: unknown;
}

/** Index sizes that meta.json does not tell are asked for, this many at once. */
const ATTRIBUTES_CONCURRENCY = 32;

/** See the head of this file. */
export class RunLoop {
  readonly status: CompactorStatus;
  readonly #deps: RunLoopDeps;
  readonly #options: RunLoopOptions;
  readonly #blockedGroups: Gauge;
  /** One look at a time: a sync keeps state. */
  readonly #syncGate = createGate({ max: 1 });
  /** One cleaning at a time: the loop's own and that of the interval. */
  readonly #cleanGate = createGate({ max: 1 });
  readonly #indexBytes = new Map<string, number>();
  readonly #reportedKept = new Set<string>();
  /** By key of the group. */
  readonly #failedPlans = new Map<string, FailedPlan>();

  constructor(deps: RunLoopDeps, options: RunLoopOptions) {
    this.#deps = deps;
    this.#options = options;
    this.status = new CompactorStatus(deps.clock);
    this.#blockedGroups = deps.metrics.gauge({ name: 'gauntlet_compact_blocked_groups', help: 'Groups that cannot be compacted until somebody looks; the page and the log say why.' });
    this.#blockedGroups.set(0);
    deps.own.halted.set(0);
    deps.own.deleteDelaySeconds.set(options.deleteDelayMs / 1000);
  }

  /**
   * Does all there is to do.
   * @throws the signal's reason; nothing else: what failed is in the report
   */
  async iterate(signal: AbortSignal): Promise<IterationReport> {
    const { log, own } = this.#deps;
    const failures: unknown[] = [];
    const groupErrors = new Map<string, unknown>();
    const step = async <T>(phase: string, work: () => Promise<T>): Promise<T | undefined> => {
      this.status.setPhase(phase);
      try {
        return await work();
      } catch (error) {
        signal.throwIfAborted();
        log.error(phase, { err: errorText(error) });
        failures.push(error);
        return undefined;
      }
    };
    let compacted = 0;
    let view: SyncView | undefined;
    for (;;) {
      view = await step('looking at the bucket', () => this.look(signal));
      if (view === undefined) break;
      const seen = view;
      await step('deleting marked blocks', () => this.#deleteMarked(seen, signal));
      await step('marking duplicate blocks', () => markDuplicates({ ...this.#deps, metrics: own }, seen, signal));
      const done = await step('compacting', () => this.#compactGroups(seen, groupErrors, signal));
      compacted += done?.compacted ?? 0;
      if (done?.isProgress !== true) break;
    }
    // Blocks that were fetched in vain may be of use to the next try; nothing else is.
    if (groupErrors.size === 0) await step('clearing the data directory', () => this.#tidyWorkDir([]));
    // The last look found nothing to compact, so it still holds: what follows looks again itself at whatever it would touch.
    if (view !== undefined) {
      const seen = view;
      await step('applying retention', () => applyRetention({ ...this.#deps, metrics: own, reported: this.#reportedKept }, seen, this.#options.retention, signal));
      await step('deleting aborted uploads', () => this.#deletePartial(seen, signal));
    }
    this.status.setPhase('waiting');
    this.status.endIteration();
    this.status.setRunProblems(failures.map((error) => ({ message: errorText(error), kind: errorKind(error), code: error instanceof CompactorError ? error.code : 'ERR_COMPACTION', blocks: [] })));
    const errors = [...failures, ...groupErrors.values()].map((error) => (error instanceof Error ? error : new Error(errorText(error))));
    if (errors.some((error) => errorKind(error) === 'retry')) own.retries.inc();
    if (errors.length === 0) own.iterations.inc();
    return { compacted, errors };
  }

  /** Something beside an iteration did not succeed and is tried again. */
  countRetry(): void {
    this.#deps.own.retries.inc();
  }

  /** Looks at the bucket. @throws CompactorError ERR_SYNC */
  async look(signal: AbortSignal): Promise<SyncView> {
    const view = await this.#syncGate.run(() => this.#deps.sync.sync(signal), signal);
    this.status.setView(view, groupBlocks(view.metas));
    return view;
  }

  /** What was seen not longer ago than this, or a new look. */
  async #recentView(maxAgeMs: number, signal: AbortSignal): Promise<SyncView> {
    const { view, syncedMs } = this.status;
    return view !== undefined && this.#deps.clock() - syncedMs! <= maxAgeMs ? view : this.look(signal);
  }

  /**
   * Deletes blocks whose mark is due, and what aborted uploads left.
   * @param maxAgeMs how old the view may be: whatever is deleted is looked at again anyway
   * @throws CompactorError ERR_SYNC, ERR_DELETE_BLOCK, kind retry
   */
  async clean(maxAgeMs: number, signal: AbortSignal): Promise<void> {
    const view = await this.#recentView(maxAgeMs, signal);
    await this.#deleteMarked(view, signal);
    await this.#deletePartial(view, signal);
  }

  /**
   * Counts what is left to do, for `thanos_compact_todo_*`.
   * @param maxAgeMs how old the view may be
   * @throws CompactorError ERR_SYNC
   */
  async updateProgress(maxAgeMs: number, signal: AbortSignal): Promise<void> {
    const { own, clock } = this.#deps;
    const view = await this.#recentView(maxAgeMs, signal);
    await this.#learnIndexSizes(view.metas, signal);
    let compactions = 0;
    let blocks = 0;
    for (const group of groupBlocks(view.metas)) {
      const todo = progressOfGroups([group], this.#planOptions(view));
      compactions += todo.compactions;
      blocks += todo.blocks;
      // Playing a long history through takes a while: others get their turn between groups.
      await new Promise(setImmediate);
    }
    own.todoCompactions.set(compactions);
    own.todoCompactionBlocks.set(blocks);
    own.todoDeletionBlocks.set(planRetention(view, this.#options.retention, clock()).expired.length);
  }

  #planOptions(view: SyncView): PlanOptions {
    const { ranges, maxIndexBytes } = this.#options;
    return { noCompact: view.noCompact, ranges, maxIndexBytes, indexBytes: (meta) => this.#indexBytes.get(meta.ulid) };
  }

  async #deleteMarked(view: SyncView, signal: AbortSignal): Promise<void> {
    await this.#cleanGate.run(() => deleteMarkedBlocks({ ...this.#deps, metrics: this.#deps.own }, view, { deleteDelayMs: this.#options.deleteDelayMs }, signal), signal);
  }

  async #deletePartial(view: SyncView, signal: AbortSignal): Promise<void> {
    await this.#cleanGate.run(() => deletePartialUploads({ ...this.#deps, metrics: this.#deps.own }, view, {}, signal), signal);
    this.#deps.own.cleanupLoops.inc();
  }

  /** One compaction in each group that is not known to be blocked. */
  async #compactGroups(view: SyncView, errors: Map<string, unknown>, signal: AbortSignal): Promise<{ readonly compacted: number; readonly isProgress: boolean }> {
    const groups = groupBlocks(view.metas);
    await this.#tidyWorkDir(groups);
    await this.#learnIndexSizes(view.metas, signal);
    const gate = createGate({ max: this.#options.concurrency });
    let compacted = 0;
    let isProgress = false;
    const results = await Promise.allSettled(groups.filter(({ key }) => !errors.has(key)).map((group) => gate.run(async () => {
      signal.throwIfAborted();
      try {
        const outcome = await this.#compactOne(group, view, signal);
        isProgress ||= outcome !== 'nothing';
        if (outcome === 'compacted') compacted++;
        this.#report(group, undefined);
      } catch (error) {
        signal.throwIfAborted();
        errors.set(group.key, error);
        this.#report(group, error);
      } finally {
        this.status.setStep(group.key, undefined);
      }
    }, signal)));
    signal.throwIfAborted();
    for (const result of results) if (result.status === 'rejected') throw result.reason as Error;
    return { compacted, isProgress };
  }

  async #compactOne(group: BlockGroup, view: SyncView, signal: AbortSignal): Promise<'nothing' | 'changed' | 'compacted'> {
    const { bucket, log, clock, own } = this.#deps;
    const plan = group.metas.length < 2 ? undefined : planGroup(group, this.#planOptions(view));
    this.status.setPlan(group.key, plan?.metas.map((meta) => meta.ulid) ?? [], plan?.reason);
    if (group.metas.length < 2) return 'nothing';
    const counters = own.group(group.resolutionMs);
    counters.runsStarted.inc();
    try {
      for (const { id, reason, details } of plan?.mark ?? []) await markBlock({ bucket, log, clock, marked: own.marked('no-compact', reason) }, id, 'no-compact', details, reason, signal);
      let outcome: 'nothing' | 'changed' | 'compacted' = (plan?.mark ?? []).length > 0 ? 'changed' : 'nothing';
      if (plan !== undefined && plan.metas.length > 0) {
        this.#throwIfWaiting(group.key, planText(plan));
        const result = await compactGroup({ ...this.#deps, metrics: own, onStep: (at) => this.status.setStep(group.key, at) }, group, plan, this.#options.compaction, signal);
        outcome = result.kind === 'compacted' ? 'compacted' : 'changed';
      }
      counters.runsCompleted.inc();
      this.#failedPlans.delete(group.key);
      return outcome;
    } catch (error) {
      if (!signal.aborted && this.#noteFailure(group.key, plan === undefined ? '' : planText(plan), error)) counters.failures.inc();
      throw error;
    }
  }

  /** @throws the plan's last error while it waits for its next try */
  #throwIfWaiting(key: string, plan: string): void {
    const failed = this.#failedPlans.get(key);
    if (failed?.plan === plan && this.#deps.clock() < failed.retryAtMs) throw failed.error as Error;
  }

  /** @returns whether it has failed now; false if its last error was thrown again because it waits */
  #noteFailure(key: string, plan: string, error: unknown): boolean {
    const before = this.#failedPlans.get(key);
    if (before?.error === error) return false;
    const isCheap = errorKind(error) === 'retry' || (error instanceof CompactorError && error.code === 'ERR_NO_SPACE');
    const failures = before?.plan === plan && !isCheap ? before.failures + 1 : 1;
    const waitMs = failures < 2 ? 0 : Math.min(BLOCKED_RETRY_MS * 2 ** (failures - 2), BLOCKED_RETRY_MS_MAX);
    this.#failedPlans.set(key, { plan, failures, retryAtMs: this.#deps.clock() + waitMs, error });
    return true;
  }

  #report(group: BlockGroup, error: unknown): void {
    const { log, own } = this.#deps;
    const code = error instanceof CompactorError ? error.code : 'ERR_COMPACTION';
    const kind = errorKind(error);
    const blocked = this.status.setProblem(group.key, error === undefined ? undefined : { message: errorText(error), kind, code, blocks: error instanceof CompactorError ? error.blocks : [] });
    this.#blockedGroups.set(blocked);
    own.halted.set([...this.status.problems.values()].some((problem) => problem.kind === 'halt') ? 1 : 0);
    if (error === undefined) return;
    if (kind === 'retry') log.warn('group will be tried again', { group: group.key, code, err: errorText(error) });
    else log.error('group is blocked; others go on', { group: group.key, code, err: errorText(error) });
  }

  /** Asks the bucket for index sizes that metas do not tell; each once. A block that is gone has none. */
  async #learnIndexSizes(metas: readonly ThanosMeta[], signal: AbortSignal): Promise<void> {
    const gate = createGate({ max: ATTRIBUTES_CONCURRENCY });
    const unknown = metas.filter((meta) => fileBytes(meta, INDEX_FILE) === undefined && !this.#indexBytes.has(meta.ulid));
    await Promise.all(unknown.map((meta) => gate.run(async () => {
      try {
        this.#indexBytes.set(meta.ulid, (await this.#deps.bucket.attributes(`${meta.ulid}/${INDEX_FILE}`, { signal })).size);
      } catch (error) {
        signal.throwIfAborted();
        this.#deps.log.warn('size of an index is not known', { block: meta.ulid, err: errorText(error) });
      }
    }, signal)));
  }

  /** Removes all but the blocks of present groups: what a killed run has fetched may be of use. */
  async #tidyWorkDir(groups: readonly BlockGroup[]): Promise<void> {
    const { workDir } = this.#options.compaction;
    await mkdir(workDir, { recursive: true });
    const wanted = new Map(groups.map((group) => [group.key, new Set(group.metas.map((meta) => meta.ulid))]));
    for (const key of await readdir(workDir)) {
      const names = await readdir(join(workDir, key)).catch(() => []);
      const kept = names.filter((name) => wanted.get(key)?.has(name) === true);
      if (kept.length === 0) await rm(join(workDir, key), { recursive: true, force: true });
      else for (const name of names) if (!kept.includes(name)) await rm(join(workDir, key, name), { recursive: true, force: true });
    }
  }
}

function planText(plan: GroupPlan): string {
  return plan.metas.map((meta) => meta.ulid).join();
}
