/** What the compactor is doing and what it could not do: kept by the run loop, shown by the page, /api/v1/compact and the log. */
import type { ThanosMeta } from '@gauntlet/block';
import { formatLabels } from '@gauntlet/model';
import type { CompactStep } from './compact-group.ts';
import type { CompactorErrorKind } from './errors.ts';
import type { BlockGroup } from './group-blocks.ts';
import type { SyncView } from './sync-blocks.ts';

/** Why a group is not compacted. */
export interface GroupProblem {
  readonly message: string;
  /** `other` and `halt`: somebody has to look; `retry`: the next iteration may do. */
  readonly kind: CompactorErrorKind;
  readonly code: string;
  /** Blocks it is about. */
  readonly blocks: readonly string[];
  /** When it was seen first, ms since 1970. */
  readonly sinceMs: number;
}

/** A group as it is shown. */
export interface GroupStatus {
  readonly key: string;
  /** As PromQL writes them. */
  readonly labels: string;
  readonly resolutionMs: number;
  readonly blocks: readonly BlockStatus[];
  /** Blocks of the plan that is carried out or comes next; empty when there is nothing to do. */
  readonly planned: readonly string[];
  readonly planReason: string | undefined;
  /** What is being done now; undefined when nothing. */
  readonly step: string | undefined;
  readonly problem: GroupProblem | undefined;
}

/** A block as it is shown. */
export interface BlockStatus {
  readonly ulid: string;
  readonly minTime: number;
  readonly maxTime: number;
  readonly level: number;
  readonly samples: number;
  /** `deletion`, `no-compact`, `no-downsample` */
  readonly marks: readonly string[];
}

/** Everything that is shown. */
export interface CompactorOverview {
  readonly phase: string;
  readonly iterations: number;
  /** When the bucket was looked at, ms since 1970; undefined before the first time. */
  readonly syncedMs: number | undefined;
  readonly partialBlocks: readonly { readonly ulid: string; readonly reason: string }[];
  readonly groups: readonly GroupStatus[];
  /** What keeps the run as a whole: a bucket that does not answer, deletions that do not succeed. */
  readonly problems: readonly GroupProblem[];
}

interface GroupWork {
  planned: readonly string[];
  planReason: string | undefined;
  step: string | undefined;
}

/** Mutable state; each method is called by the run loop, `overview` by whoever shows it. */
export class CompactorStatus {
  readonly #clock: () => number;
  readonly #work = new Map<string, GroupWork>();
  readonly #problems = new Map<string, GroupProblem>();
  #runProblems: readonly GroupProblem[] = [];
  #phase = 'starting';
  #iterations = 0;
  #view: SyncView | undefined;
  #groups: readonly BlockGroup[] = [];
  #syncedMs: number | undefined;

  /** @param clock ms since 1970 */
  constructor(clock: () => number) {
    this.#clock = clock;
  }

  /** What the run loop is at, in words. */
  setPhase(phase: string): void {
    this.#phase = phase;
  }

  /** An iteration has ended. */
  endIteration(): void {
    this.#iterations++;
  }

  /** The bucket was looked at. Problems of groups that are gone are forgotten. */
  setView(view: SyncView, groups: readonly BlockGroup[]): void {
    this.#view = view;
    this.#groups = groups;
    this.#syncedMs = this.#clock();
    const keys = new Set(groups.map((group) => group.key));
    for (const map of [this.#work, this.#problems]) for (const key of map.keys()) if (!keys.has(key)) map.delete(key);
  }

  /** The last look at the bucket. */
  get view(): SyncView | undefined {
    return this.#view;
  }

  /** When that was. */
  get syncedMs(): number | undefined {
    return this.#syncedMs;
  }

  /** What is planned for a group; no ids when nothing is. */
  setPlan(key: string, planned: readonly string[], reason: string | undefined): void {
    this.#work.set(key, { planned, planReason: reason, step: undefined });
  }

  /** What is being done in a group; undefined when nothing. */
  setStep(key: string, step: CompactStep | undefined): void {
    const work = this.#work.get(key);
    if (work !== undefined) work.step = step === undefined ? undefined : stepText(step);
  }

  /** A group could not be compacted, or can be again. @returns the number of groups with problems that need somebody to look */
  setProblem(key: string, problem: Omit<GroupProblem, 'sinceMs'> | undefined): number {
    const before = this.#problems.get(key);
    if (problem === undefined) this.#problems.delete(key);
    else this.#problems.set(key, { ...problem, sinceMs: before?.message === problem.message ? before.sinceMs : this.#clock() });
    return [...this.#problems.values()].filter(({ kind }) => kind !== 'retry').length;
  }

  /** Problems of groups. */
  get problems(): ReadonlyMap<string, GroupProblem> {
    return this.#problems;
  }

  /** What kept the last iteration as a whole. */
  setRunProblems(problems: readonly Omit<GroupProblem, 'sinceMs'>[]): void {
    this.#runProblems = problems.map((problem) => ({ ...problem, sinceMs: this.#runProblems.find(({ message }) => message === problem.message)?.sinceMs ?? this.#clock() }));
  }

  /** Everything, as it is now. */
  overview(): CompactorOverview {
    const view = this.#view;
    return {
      phase: this.#phase,
      iterations: this.#iterations,
      syncedMs: this.#syncedMs,
      partialBlocks: [...(view?.partial ?? [])].map(([ulid, error]) => ({ ulid, reason: error instanceof Error ? error.message : String(error) })).toSorted((a, b) => (a.ulid < b.ulid ? -1 : 1)),
      groups: this.#groups.map((group) => ({
        key: group.key,
        labels: formatLabels(group.labels),
        resolutionMs: group.resolutionMs,
        blocks: group.metas.map((meta) => blockStatus(meta, view!)),
        ...(this.#work.get(group.key) ?? { planned: [], planReason: undefined, step: undefined }),
        problem: this.#problems.get(group.key),
      })),
      problems: this.#runProblems,
    };
  }
}

function blockStatus(meta: ThanosMeta, view: SyncView): BlockStatus {
  const { ulid, minTime, maxTime } = meta;
  const isDeleted = view.deletionMarks.has(ulid);
  const marks = isDeleted ? ['deletion'] : [...(view.noCompact.has(ulid) ? ['no-compact'] : []), ...(view.noDownsample.has(ulid) ? ['no-downsample'] : [])];
  return { ulid, minTime, maxTime, level: meta.compaction.level, samples: meta.stats.numSamples, marks };
}

function stepText(step: CompactStep): string {
  if (step.kind !== 'work') return { fetch: 'fetching blocks', upload: 'uploading', mark: 'marking sources' }[step.kind];
  const { phase, seriesDone, seriesTotal } = step.progress;
  const name = { check: 'checking indexes', compact: 'compacting', verify: 'verifying' }[phase];
  return seriesTotal === 0 || seriesDone === 0 ? name : `${name}, series ${seriesDone} of ${seriesTotal}`;
}
