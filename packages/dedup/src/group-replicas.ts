/**
 * Which series are replicas of one another: those that are equal once the replica labels are gone; and, where a store has already
 * joined them, which chunks of one series belong to different replicas.
 */
import { compareLabels, type Labels, labelsEqual, withoutLabels } from '@gauntlet/model';

/** Series grouped by their labels without the replica labels. */
export interface ReplicaGroups {
  /** One entry per merged series, ascending, without replica labels. */
  readonly labels: readonly Labels[];
  /** `labels.length + 1` offsets into `members`. */
  readonly offsets: Int32Array;
  /** Indexes of the input series; within a group in their order of input. */
  readonly members: Int32Array;
}

/**
 * Strips the replica labels, sorts by what is left, and groups what became equal.
 * @param series in label order (replicas of a group then come in the order of their replica labels)
 */
export function groupReplicas(series: readonly Labels[], replicaLabels: ReadonlySet<string>): ReplicaGroups {
  const stripped = replicaLabels.size === 0 ? series : series.map((labels) => withoutLabels(labels, replicaLabels));
  const members = Int32Array.from(series.keys());
  members.sort((a, b) => compareLabels(stripped[a]!, stripped[b]!) || a - b);
  const labels: Labels[] = [];
  const offsets: number[] = [];
  members.forEach((member, i) => {
    const current = stripped[member]!;
    if (labels.length > 0 && labelsEqual(labels.at(-1)!, current)) return;
    labels.push(current);
    offsets.push(i);
  });
  offsets.push(members.length);
  return { labels, offsets: Int32Array.from(offsets), members };
}

/**
 * Takes overlapping chunks of one series apart, as upstream does before it merges: a chunk goes to the first replica whose last chunk
 * ends before it begins, else to a replica of its own.
 * @param mints first timestamps of the chunks, ascending; `maxts` their last ones, inclusive
 * @param replicaOf out, replica index per chunk
 * @returns replicas
 */
export function splitOverlappingChunks(mints: ArrayLike<number>, maxts: ArrayLike<number>, replicaOf: Int32Array): number {
  const ends: number[] = [];
  for (let i = 0; i < mints.length; i++) {
    let replica = 0;
    while (replica < ends.length && !(ends[replica]! < mints[i]!)) replica++;
    ends[replica] = maxts[i]!;
    replicaOf[i] = replica;
  }
  return ends.length;
}
