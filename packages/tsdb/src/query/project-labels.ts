/**
 * Labels of series of a block, as far as they are wanted. Symbol ordinals are compared, and strings made only where the wanted labels are not those of
 * the series before: a sum by job has one array for each run of series of a job.
 *
 *   wanted   {job}
 *   series   __name__=up instance=a job=x │ __name__=up instance=b job=x │ __name__=up instance=c job=y
 *   labels   [job x]  ─────────────────────►  the same array             │  [job y]
 */
import type { Labels } from '@gauntlet/model';
import type { Symbols } from '../index-file/symbols.ts';
import type { Projection } from './series-source.ts';

/** See the head of this file. */
export class LabelProjection {
  readonly #symbols: Symbols;
  readonly #isIncluding: boolean;
  /** Ordinals of the names; those that the block has not are missing. */
  readonly #names: readonly number[];
  /** Ordinals of the labels made last. */
  readonly #last: number[] = [];
  #labels: Labels | undefined;

  constructor(symbols: Symbols, { include, labels }: NonNullable<Projection>) {
    this.#symbols = symbols;
    this.#isIncluding = include;
    this.#names = labels.map((name) => symbols.indexOf(name)).filter((ordinal) => ordinal >= 0);
  }

  /** The wanted ones of the labels whose ordinals, name and value in turns, are [from, end) of `ordinals`. */
  labelsOf(ordinals: Uint32Array, from: number, end: number): Labels {
    const last = this.#last;
    let count = 0;
    let isSame = this.#labels !== undefined;
    for (let at = from; at < end; at += 2) {
      const name = ordinals[at]!;
      if (this.#isNamed(name) !== this.#isIncluding) continue;
      const value = ordinals[at + 1]!;
      if (last[count] !== name || last[count + 1] !== value) {
        isSame = false;
        last[count] = name;
        last[count + 1] = value;
      }
      count += 2;
    }
    if (isSame && last.length === count) return this.#labels!;
    last.length = count;
    this.#labels = last.map((ordinal) => this.#symbols.lookup(ordinal));
    return this.#labels;
  }

  #isNamed(ordinal: number): boolean {
    const names = this.#names;
    for (let i = 0; i < names.length; i++) if (names[i] === ordinal) return true;
    return false;
  }
}
