/**
 * What history is generated, decided once, at the first start, and kept in <data-dir>/backfill.json. A start that finds the plan
 * unfinished goes on with the very same blocks (names included), so being killed half-way leaves neither gaps nor doubles.
 *
 *   | 2 h | 2 h | … | 2 h | part |◄ end: the moment of the first start; scraping begins here
 */
import type { HistoryBlock } from '@gauntlet/demo';
import { createUlid, type FileSystem, joinPath, readFile, replaceFile } from '@gauntlet/tsdb';
import { REPLICAS } from '../data-dir.ts';
import { StandaloneError } from '../errors.ts';

/** Contents of backfill.json. */
export interface BackfillPlan {
  readonly version: 1;
  /** Makes names of blocks unique among installations. */
  readonly seed: number;
  readonly createdMs: number;
  /** Range of the history, [startMs, endMs). */
  readonly startMs: number;
  readonly endMs: number;
  /** Time between samples. */
  readonly stepMs: number;
  readonly isComplete: boolean;
}

/** Length of the history. */
export const HISTORY_MS: number = 2 * 24 * 60 * 60 * 1000;
/** Range of a block. */
export const HISTORY_BLOCK_MS: number = 2 * 60 * 60 * 1000;
/** Time between samples of the history. */
export const HISTORY_STEP_MS = 15_000;

/** Makes a plan that ends now. @param random in [0, 1) */
export function createBackfillPlan(nowMs: number, random: () => number): BackfillPlan {
  return {
    version: 1,
    seed: Math.floor(random() * 0x1_0000_0000),
    createdMs: nowMs,
    startMs: nowMs - HISTORY_MS,
    endMs: nowMs,
    stepMs: HISTORY_STEP_MS,
    isComplete: false,
  };
}

/** Blocks of one replica, newest first: what is looked at first is there first. */
export function plannedBlocks(plan: BackfillPlan, replica: string): HistoryBlock[] {
  const random = seededRandom((plan.seed ^ Math.imul(REPLICAS.indexOf(replica) + 1, 0x9e3779b9)) >>> 0);
  const blocks: HistoryBlock[] = [];
  for (let start = Math.floor(plan.startMs / HISTORY_BLOCK_MS) * HISTORY_BLOCK_MS; start < plan.endMs; start += HISTORY_BLOCK_MS) {
    blocks.push({
      ulid: createUlid(plan.createdMs, random),
      minTime: Math.max(start, plan.startMs),
      maxTime: Math.min(start + HISTORY_BLOCK_MS, plan.endMs),
    });
  }
  return blocks.reverse();
}

/** mulberry32: the same numbers for the same seed. */
function seededRandom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

/** Reads the plan. @returns undefined when there is none @throws StandaloneError ERR_BACKFILL when the file is damaged */
export function readBackfillPlan(fs: FileSystem, path: string): BackfillPlan | undefined {
  if (fs.stat(path) === undefined) return undefined;
  const refuse = (why: string, cause?: unknown): StandaloneError =>
    new StandaloneError('ERR_BACKFILL', `read ${path}: ${why}; without the file no more history is generated`, cause === undefined ? {} : { cause });
  let plan: Partial<BackfillPlan> | null;
  try {
    plan = JSON.parse(new TextDecoder().decode(readFile(fs, path))) as Partial<BackfillPlan> | null;
  } catch (error) {
    throw refuse(`not JSON (${(error as Error).message})`, error);
  }
  if (typeof plan !== 'object' || plan === null || plan.version !== 1) throw refuse(`version ${JSON.stringify(plan?.version)}, want 1`);
  for (const key of ['seed', 'createdMs', 'startMs', 'endMs', 'stepMs'] as const) {
    if (!Number.isSafeInteger(plan[key])) throw refuse(`${key} is ${JSON.stringify(plan[key])}, want an integer`);
  }
  if (plan.stepMs! <= 0 || plan.startMs! > plan.endMs!) throw refuse('the range makes no sense');
  return { ...(plan as BackfillPlan), isComplete: plan.isComplete === true };
}

/** Writes the plan so that it survives whatever comes next. */
export function writeBackfillPlan(fs: FileSystem, path: string, plan: BackfillPlan): void {
  replaceFile(fs, path, new TextEncoder().encode(`${JSON.stringify(plan, undefined, 2)}\n`));
}

/** Where a replica prepares blocks of its history; swept before use. */
export function backfillStagingDir(replicaDir: string): string {
  return joinPath(replicaDir, 'backfill.tmp');
}
