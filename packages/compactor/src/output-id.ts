/**
 * Names of compacted blocks. A name is computed from what goes into the block, so that a run that is killed and repeated, and a second
 * compactor over the same bucket, arrive at the same name and never at a second copy (docs/decisions/0003-outputs-are-named-by-their-inputs.md).
 *
 *   ULID = time   newest time among the inputs' names, plus 1 ms: an output sorts behind everything in it
 *          random the first 80 bits of SHA-256 over recipe, group, inputs, attempt
 *
 * `attempt` counts on when a name is spent: its block is marked for deletion, or its remains lie about.
 */
import { createHash } from 'node:crypto';
import type { ThanosMeta } from '@gauntlet/block';
import { createUlid, ulidTimeMs } from '@gauntlet/tsdb';

/** Changes with everything that changes the bytes made of the same inputs: two versions of the program must not fill one name together. */
const RECIPE = 'compact 1';
const TIME_MAX_MS = 2 ** 48 - 1;

/**
 * The name of the block that compaction makes of these.
 * @param inputs metas of one group, in any order
 * @param attempt from 0
 */
export function compactionOutputId(inputs: readonly ThanosMeta[], attempt: number): string {
  const first = inputs[0]!;
  const newestMs = Math.max(...inputs.map((meta) => ulidTimeMs(meta.ulid)));
  const ids = inputs.map((meta) => meta.ulid).sort();
  const digest = createHash('sha256').update(JSON.stringify([RECIPE, first.thanos.resolutionMs, first.thanos.labels, ids, attempt])).digest();
  let position = 0;
  return createUlid(Math.min(newestMs + 1, TIME_MAX_MS), () => (digest[position++]! & 31) / 32);
}
