/** The three algorithms by name, for who has it from a flag. */
import { DedupError } from './errors.ts';
import { mergeChain } from './merge-chain.ts';
import { mergePenalty } from './merge-penalty.ts';
import type { DedupBuffer, ReplicaColumns } from './replica-columns.ts';
import { mergeStable, type StableOptions } from './stable.ts';

/** Names of the algorithms, the default first. */
export const DEDUP_FUNCTIONS = ['stable', 'penalty', 'chain'] as const;

/** One of DEDUP_FUNCTIONS. */
export type DedupFunction = (typeof DEDUP_FUNCTIONS)[number];

/** What the algorithms need to know of a series and its query. */
export interface DeduplicateOptions extends StableOptions {
  /** For `penalty`: the series is read by a counter function (`isCounterFunction`), and went through `applyCounterResets`. */
  readonly isCounter: boolean;
}

/**
 * Merges replicas of one series into `out`.
 * @param replicas at least one, in order of their replica labels; for `stable` with REACH_MS more on both sides than is wanted
 */
export function deduplicate(func: DedupFunction, replicas: readonly ReplicaColumns[], options: DeduplicateOptions, out: DedupBuffer): void {
  if (func === 'stable') mergeStable(replicas, options, out);
  else if (func === 'penalty') mergePenalty(replicas, options, out);
  else mergeChain(replicas, out);
}

/**
 * The algorithm of a name.
 * @throws DedupError ERR_DEDUP_FUNCTION for any other
 */
export function parseDedupFunction(name: string): DedupFunction {
  const found = DEDUP_FUNCTIONS.find((known) => known === name);
  if (found === undefined) throw new DedupError('ERR_DEDUP_FUNCTION', `choose deduplication function: got "${name}", want ${DEDUP_FUNCTIONS.join(', ')}`);
  return found;
}
