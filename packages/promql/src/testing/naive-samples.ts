/**
 * What all files of the naive evaluator share: samples, label sets, the scope of an evaluation, and what is true of the vectors of several times
 * taken together. A node gives one vector per evaluation time; which series they make up matters in three places only, and those are here:
 *
 *   settle       at one time a label set occurs once; a series has one flag "drop the name", that of its first sample
 *   refuseTwins  series whose labels have become equal are refused even if they never meet at one time
 *   cleanUp      the end of a query: names that were to be dropped go
 */
import { type FloatHistogram, type Labels, labelsFromPairs } from '@gauntlet/model';
import type { Annotations } from '../annotations.ts';
import type { Expr } from '../parser/ast.ts';
import type { MemorySeries } from '../promqltest/memory-queryable.ts';

/** A float or a native histogram. */
export type NaiveValue = number | FloatHistogram;

/** One element of an instant vector. */
export interface Sample {
  readonly labels: Labels;
  readonly value: NaiveValue;
  /** With delayed name removal: the name goes at the end of the query. */
  readonly dropName: boolean;
}

/** One vector per evaluation time. */
export type Vectors = readonly (readonly Sample[])[];

/** Errors are equal when their kinds are: texts are compared by tables elsewhere. */
export class NaiveError extends Error {}

/** A query with the data it runs over. */
export interface NaiveQuery {
  readonly series: readonly MemorySeries[];
  readonly lookbackMs: number;
  readonly noStepSubqueryIntervalMs: number;
  readonly delayedNameRemoval: boolean;
  /** Times of the whole query, for `@ start()`, `range()` and the like; equal for an instant query, whose step is 0. */
  readonly startMs: number;
  readonly endMs: number;
  readonly stepMs: number;
  readonly annotations: Annotations;
}

/** Where an expression stands. */
export interface Scope {
  readonly query: NaiveQuery;
  readonly times: readonly number[];
  /** Where evaluation ends: the last of the times, or later than that. */
  readonly endMs: number;
  /** Whether histograms are read without buckets (`histogram_count` and the like around), and whether something further out forbids it. */
  readonly histograms: 'whole' | 'stats' | 'always whole';
  /** Evaluates operands. */
  readonly vectors: (expr: Expr, scope: Scope) => Vectors;
  readonly scalars: (expr: Expr, scope: Scope) => readonly number[];
}

/** Labels whose name passes. */
export function pick(labels: Labels, keep: (name: string) => boolean): Labels {
  return labelsFromPairs(toPairs(labels).filter(([name]) => keep(name)));
}

/** Name and value of each label. */
export function toPairs(labels: Labels): [string, string][] {
  const pairs: [string, string][] = [];
  for (let i = 0; i < labels.length; i += 2) pairs.push([labels[i]!, labels[i + 1]!]);
  return pairs;
}

/** Without the name, and the labels that say what the name measures. */
export function withoutName(labels: Labels): Labels {
  return pick(labels, (name) => name !== '__name__' && name !== '__type__' && name !== '__unit__');
}

/** With one label set, or removed if the value is empty. */
export function setLabel(labels: Labels, name: string, value: string): Labels {
  const others = toPairs(labels).filter(([other]) => other !== name);
  return labelsFromPairs(value === '' ? others : [...others, [name, value]]);
}

/** Equal for equal label sets only. */
export function keyOf(labels: Labels): string {
  return JSON.stringify(labels);
}

/** The sample with a new value that is no longer what its name says. */
export function renamed(sample: Sample, value: NaiveValue, query: NaiveQuery): Sample {
  return { labels: query.delayedNameRemoval ? sample.labels : withoutName(sample.labels), value, dropName: true };
}

function twins(): NaiveError {
  return new NaiveError('vector cannot contain metrics with the same labelset');
}

/** @throws NaiveError if a label set occurs twice at a time; with delayed names only where there are several times */
export function settle(vectors: Vectors, { query, times, endMs }: Scope): Vectors {
  if (query.delayedNameRemoval && endMs === times[0]) return vectors;
  const flags = new Map<string, boolean>();
  return vectors.map((samples) => {
    const seen = new Set<string>();
    return samples.map((sample) => {
      const key = keyOf(sample.labels);
      if (seen.has(key)) throw twins();
      seen.add(key);
      if (!flags.has(key)) flags.set(key, sample.dropName);
      return { ...sample, dropName: flags.get(key)! };
    });
  });
}

/** Series with the labels they had and have now. @throws NaiveError if two of them have become one; not with delayed names */
export function refuseTwins(series: Iterable<{ readonly before: Labels; readonly after: Labels }>, query: NaiveQuery): void {
  if (query.delayedNameRemoval) return;
  const known = new Map<string, string>();
  for (const { before, after } of series) {
    const first = known.get(keyOf(after)) ?? keyOf(before);
    if (first !== keyOf(before)) throw twins();
    known.set(keyOf(after), first);
  }
}

/** The answer as users see it. @throws NaiveError if labels become equal at a time */
export function cleanUp(vectors: Vectors, query: NaiveQuery): Vectors {
  return vectors.map((samples) => {
    const seen = new Set<string>();
    return samples.map((sample) => {
      const labels = query.delayedNameRemoval && sample.dropName ? withoutName(sample.labels) : sample.labels;
      const key = keyOf(labels);
      if (seen.has(key)) throw twins();
      seen.add(key);
      return { ...sample, labels };
    });
  });
}
