/**
 * `penalty`: Thanos' default. Stay with a replica while it has samples; the one not chosen must come back with a sample later than
 * twice the last step, so a switch costs a gap, and two replicas never interleave.
 *
 *   1. both sides move to the first sample after the last one chosen, plus their penalty
 *   2. the earlier is chosen, the first side on a tie; its penalty is 0, the other's 2 · (step to the chosen sample), 5 s at the start
 *   3. a side that has ended leaves the other without penalty
 *   4. counter functions: on each switch, a side that shows less than the last value is raised to it from then on
 *
 * More than two replicas fold from the left: ((0, 1), 2), … Without adjustment the choice depends on times alone, so one merge after the
 * other is the same; with it a switch further right raises values further left while both go on, which takes a chain of nodes.
 *
 * Source: Thanos pkg/dedup/iter.go. Exact to the sample, quirks included: the adjustment also happens when the very first sample comes
 * from the second side, and then compares with the first side's first value.
 */
import { copyReplica, countSamples, type DedupBuffer, type ReplicaColumns, wordsOf } from './replica-columns.ts';

const INITIAL_PENALTY_MS = 5000;

/** Options of `mergePenalty`. */
export interface PenaltyOptions {
  /** The series is read by a counter function (`isCounterFunction`); values must have gone through `applyCounterResets`. */
  readonly isCounter: boolean;
}

/** True for the functions whose series upstream adjusts when replicas change. */
export function isCounterFunction(func: string): boolean {
  return func === 'increase' || func === 'rate' || func === 'irate' || func === 'resets';
}

/**
 * Merges replicas of one series into `out`.
 * @param replicas at least one, in label order of the unstripped series
 */
export function mergePenalty(replicas: readonly ReplicaColumns[], options: PenaltyOptions, out: DedupBuffer): void {
  if (replicas.length === 0) throw new RangeError('merge replicas: none given');
  if (replicas.length === 1) {
    copyReplica(replicas[0]!, out);
  } else if (replicas.length === 2) {
    mergeTwo(replicas[0]!, replicas[1]!, options.isCounter, out);
  } else if (options.isCounter) {
    mergeManyCounters(replicas, out);
  } else {
    foldMany(replicas, out);
  }
}

/** The loop for two replicas; called per sample of nearly every deduplicated query. */
function mergeTwo(a: ReplicaColumns, b: ReplicaColumns, isCounter: boolean, out: DedupBuffer): void {
  const aTimes = a.timestampsMs;
  const bTimes = b.timestampsMs;
  const aWords = wordsOf(a.values);
  const bWords = wordsOf(b.values);
  const aCount = aTimes.length;
  const bCount = bTimes.length;
  out.reset(aCount + bCount);
  const { timestampsMs, values, replicas, indexes, valueWords } = out;
  let ai = 0;
  let bi = 0;
  let aPenalty = 0;
  let bPenalty = 0;
  let last = -Infinity;
  let usesA = true;
  let aError = 0;
  let bError = 0;
  let length = 0;
  while (true) {
    const usedA: boolean = usesA;
    // The value to compare with after a switch: the sample shown last, before the sides move.
    const lastIsFloat = isCounter && (usedA ? ai < aCount && isFloat(a, ai) : bi < bCount && isFloat(b, bi));
    const lastValue = !lastIsFloat ? 0 : usedA ? a.values[ai]! + aError : b.values[bi]! + bError;

    const aTarget = last + 1 + aPenalty;
    const bTarget = last + 1 + bPenalty;
    while (ai < aCount && aTimes[ai]! < aTarget) ai++;
    while (bi < bCount && bTimes[bi]! < bTarget) bi++;

    if (ai >= aCount) {
      if (bi >= bCount) break;
      usesA = false;
      bPenalty = 0;
      last = bTimes[bi]!;
    } else if (bi >= bCount) {
      usesA = true;
      aPenalty = 0;
      last = aTimes[ai]!;
    } else {
      const aTime = aTimes[ai]!;
      const bTime = bTimes[bi]!;
      if (aTime <= bTime) {
        usesA = true;
        aPenalty = 0;
        bPenalty = last === -Infinity ? INITIAL_PENALTY_MS : 2 * (aTime - last);
        last = aTime;
      } else {
        usesA = false;
        bPenalty = 0;
        aPenalty = last === -Infinity ? INITIAL_PENALTY_MS : 2 * (bTime - last);
        last = bTime;
      }
    }
    if (usesA !== usedA && lastIsFloat) {
      if (ai < aCount && isFloat(a, ai) && lastValue > a.values[ai]! + aError) aError += lastValue - (a.values[ai]! + aError);
      if (bi < bCount && isFloat(b, bi) && lastValue > b.values[bi]! + bError) bError += lastValue - (b.values[bi]! + bError);
    }

    timestampsMs[length] = last;
    if (usesA) {
      valueWords[2 * length] = aWords[2 * ai]!;
      valueWords[2 * length + 1] = aWords[2 * ai + 1]!;
      if (aError !== 0 && isFloat(a, ai)) values[length] = a.values[ai]! + aError;
      replicas[length] = 0;
      indexes[length] = ai;
    } else {
      valueWords[2 * length] = bWords[2 * bi]!;
      valueWords[2 * length + 1] = bWords[2 * bi + 1]!;
      if (bError !== 0 && isFloat(b, bi)) values[length] = b.values[bi]! + bError;
      replicas[length] = 1;
      indexes[length] = bi;
    }
    length++;
  }
  out.length = length;
}

function isFloat(replica: ReplicaColumns, index: number): boolean {
  return replica.isHistogram === undefined || replica.isHistogram[index] === 0;
}

/** Merges two, then the result with the third, and so on, between two buffers of which the last written is `out`. */
function foldMany(replicas: readonly ReplicaColumns[], out: DedupBuffer): void {
  const other = out.scratch();
  let from = replicas.length % 2 === 0 ? out : other;
  mergeTwo(replicas[0]!, replicas[1]!, false, from);
  for (let r = 2; r < replicas.length; r++) {
    const to = from === out ? other : out;
    const merged = { timestampsMs: from.timestampsMs.subarray(0, from.length), values: from.values.subarray(0, from.length) };
    mergeTwo(merged, replicas[r]!, false, to);
    for (let i = 0; i < to.length; i++) {
      if (to.replicas[i] === 0) {
        const source = to.indexes[i]!;
        to.replicas[i] = from.replicas[source]!;
        to.indexes[i] = from.indexes[source]!;
      } else {
        to.replicas[i] = r;
      }
    }
    from = to;
  }
}

const NONE = 0;
const FLOAT = 1;
const HISTOGRAM = 2;
type Kind = typeof NONE | typeof FLOAT | typeof HISTOGRAM;

/** A side of a merge: a replica, or the merge of all replicas before. */
interface Side {
  /** Timestamp of the current sample; call only while there is one. */
  time(): number;
  /** Value of the current sample with its adjustment. */
  value(): number;
  /** Moves to the first sample at or after `target`; stays if it is there. Returns what it shows. */
  seek(target: number): Kind;
  /** A switch happened after this value was shown. */
  adjust(lastValue: number): void;
  /** The replica whose sample is shown. */
  leaf(): Leaf;
}

function mergeManyCounters(replicas: readonly ReplicaColumns[], out: DedupBuffer): void {
  out.reset(countSamples(replicas));
  const leaves = replicas.map((replica, i) => new Leaf(replica, i));
  let root = new Node(leaves[0]!, leaves[0]!.kind(), leaves[1]!);
  for (let i = 2; i < leaves.length; i++) root = new Node(root, root.next(), leaves[i]!);
  const { timestampsMs, values, replicas: sources, indexes, valueWords } = out;
  let length = 0;
  while (root.next() !== NONE) {
    const leaf = root.leaf();
    timestampsMs[length] = leaf.time();
    valueWords[2 * length] = leaf.words[2 * leaf.index]!;
    valueWords[2 * length + 1] = leaf.words[2 * leaf.index + 1]!;
    if (leaf.error !== 0 && leaf.kind() === FLOAT) values[length] = leaf.value();
    sources[length] = leaf.replica;
    indexes[length] = leaf.index;
    length++;
  }
  out.length = length;
}

/** A cursor over one replica. */
class Leaf implements Side {
  readonly replica: number;
  readonly words: Int32Array;
  index = 0;
  /** What the switches so far have added to every value from here on. */
  error = 0;
  readonly #columns: ReplicaColumns;

  constructor(columns: ReplicaColumns, replica: number) {
    this.#columns = columns;
    this.replica = replica;
    this.words = wordsOf(columns.values);
  }

  kind(): Kind {
    if (this.index >= this.#columns.timestampsMs.length) return NONE;
    return isFloat(this.#columns, this.index) ? FLOAT : HISTOGRAM;
  }

  time(): number {
    return this.#columns.timestampsMs[this.index]!;
  }

  value(): number {
    return this.#columns.values[this.index]! + this.error;
  }

  seek(target: number): Kind {
    const times = this.#columns.timestampsMs;
    while (this.index < times.length && times[this.index]! < target) this.index++;
    return this.kind();
  }

  adjust(lastValue: number): void {
    const value = this.value();
    if (lastValue > value) this.error += lastValue - value;
  }

  leaf(): Leaf {
    return this;
  }
}

/** The merge of the replicas so far (a) with the next one (b). */
class Node implements Side {
  readonly #a: Side;
  readonly #b: Leaf;
  #aKind: Kind;
  #bKind: Kind;
  #aPenalty = 0;
  #bPenalty = 0;
  #last = -Infinity;
  #usesA = true;

  /** @param aKind what `a` shows; `b` stands at its first sample */
  constructor(a: Side, aKind: Kind, b: Leaf) {
    this.#a = a;
    this.#b = b;
    this.#aKind = aKind;
    this.#bKind = b.kind();
  }

  next(): Kind {
    const usedA = this.#usesA;
    const lastIsFloat = (usedA ? this.#aKind : this.#bKind) === FLOAT;
    const lastValue = lastIsFloat ? this.value() : 0;
    const kind = this.#choose();
    if (this.#usesA !== usedA && lastIsFloat) this.adjust(lastValue);
    return kind;
  }

  #choose(): Kind {
    if (this.#aKind !== NONE) this.#aKind = this.#a.seek(this.#last + 1 + this.#aPenalty);
    if (this.#bKind !== NONE) this.#bKind = this.#b.seek(this.#last + 1 + this.#bPenalty);
    if (this.#aKind === NONE) {
      this.#usesA = false;
      if (this.#bKind !== NONE) {
        this.#last = this.#b.time();
        this.#bPenalty = 0;
      }
      return this.#bKind;
    }
    if (this.#bKind === NONE) {
      this.#usesA = true;
      this.#last = this.#a.time();
      this.#aPenalty = 0;
      return this.#aKind;
    }
    const aTime = this.#a.time();
    const bTime = this.#b.time();
    const penalty = (chosen: number): number => (this.#last === -Infinity ? INITIAL_PENALTY_MS : 2 * (chosen - this.#last));
    this.#usesA = aTime <= bTime;
    if (this.#usesA) {
      this.#bPenalty = penalty(aTime);
      this.#aPenalty = 0;
      this.#last = aTime;
      return this.#aKind;
    }
    this.#aPenalty = penalty(bTime);
    this.#bPenalty = 0;
    this.#last = bTime;
    return this.#bKind;
  }

  time(): number {
    return this.#usesA ? this.#a.time() : this.#b.time();
  }

  value(): number {
    return this.#usesA ? this.#a.value() : this.#b.value();
  }

  seek(target: number): Kind {
    // Step by step, so that the choices between stay the same as without a seek.
    while (this.time() < target) if (this.next() === NONE) return NONE;
    return this.#usesA ? this.#aKind : this.#bKind;
  }

  adjust(lastValue: number): void {
    if (this.#aKind === FLOAT) this.#a.adjust(lastValue);
    if (this.#bKind === FLOAT) this.#b.adjust(lastValue);
  }

  leaf(): Leaf {
    return this.#usesA ? this.#a.leaf() : this.#b;
  }
}
