/** What `load` statements put into storage: columns per series, from sequences of values one step apart. */
import { compareLabels, type FloatHistogram, getLabel, type Labels, labelsFromPairs, wordsOf, writeStaleNaN } from '@gauntlet/model';
import type { MemorySeries } from './memory-queryable.ts';
import type { LoadStatement } from './parse-script.ts';
import type { SequenceValue } from './parse-series.ts';
import { type ClassicHistogram, storedHistograms, toCustomBuckets } from './stored-histograms.ts';

type Sample = { readonly kind: 'float'; readonly value: number } | { readonly kind: 'stale' } | { readonly kind: 'histogram'; readonly histogram: FloatHistogram };

interface Draft {
  readonly labels: Labels;
  /** By time in ms; a later load of the same time wins. */
  readonly samples: Map<number, Sample>;
  /** Since when samples count, by their time in ms; only where that is known. */
  readonly starts: Map<number, number>;
}

/** Native histograms to be made of classic series: what is known of each by time. */
interface ClassicDraft {
  readonly labels: Labels;
  readonly histograms: Map<number, ClassicHistogram>;
}

/** The series of all loads in force, in label order. */
export function loadSeries(loads: readonly LoadStatement[]): MemorySeries[] {
  const drafts = new Map<string, Draft>();
  const draftOf = (labels: Labels): Draft => {
    const key = JSON.stringify(labels);
    let draft = drafts.get(key);
    if (draft === undefined) drafts.set(key, (draft = { labels, samples: new Map(), starts: new Map() }));
    return draft;
  };
  for (const { series, stepMs, withNhcb } of loads) {
    const classics = new Map<string, ClassicDraft>();
    for (const { labels, values, startOffsetsMs } of series) {
      const { samples, starts } = draftOf(labels);
      values.forEach((value, i) => {
        if (value.kind === 'omitted') return;
        const time = i * stepMs;
        const offset = startOffsetsMs?.[i];
        samples.set(time, value);
        if (offset === undefined) starts.delete(time);
        else starts.set(time, time + offset);
      });
      if (withNhcb) addClassic(classics, labels, values, stepMs);
    }
    for (const { labels, histograms } of classics.values()) {
      const { samples } = draftOf(labels);
      for (const [time, classic] of histograms) samples.set(time, { kind: 'histogram', histogram: toCustomBuckets(classic) });
    }
  }
  return [...drafts.values()].map(finish).sort((a, b) => compareLabels(a.labels, b.labels));
}

/** Notes what a series says of the native histogram it belongs to, if it belongs to one. */
function addClassic(classics: Map<string, ClassicDraft>, labels: Labels, values: readonly SequenceValue[], stepMs: number): void {
  const name = /^(.+)_(bucket|count|sum)$/.exec(getLabel(labels, '__name__'));
  if (name === null) return;
  const isBucket = name[2] === 'bucket';
  const bound = isBucket ? boundOf(getLabel(labels, 'le')) : NaN;
  if (isBucket && Number.isNaN(bound)) return;
  const pairs: [string, string][] = [['__name__', name[1]!]];
  for (let i = 0; i < labels.length; i += 2) {
    if (labels[i] !== '__name__' && labels[i] !== 'le') pairs.push([labels[i]!, labels[i + 1]!]);
  }
  const base = labelsFromPairs(pairs);
  const key = JSON.stringify(base);
  let draft = classics.get(key);
  if (draft === undefined) classics.set(key, (draft = { labels: base, histograms: new Map() }));
  for (const [i, value] of values.entries()) {
    if (value.kind !== 'float') continue;
    let classic = draft.histograms.get(i * stepMs);
    if (classic === undefined) draft.histograms.set(i * stepMs, (classic = { buckets: new Map(), count: undefined, sum: 0 }));
    if (isBucket) classic.buckets.set(bound, value.value);
    else if (name[2] === 'count') classic.count = value.value;
    else classic.sum = value.value;
  }
}

/** A bucket's upper bound; NaN if it is no number. */
function boundOf(le: string): number {
  if (/^[+-]?inf$/i.test(le)) return le.startsWith('-') ? -Infinity : Infinity;
  return /^[+-]?[\d.]+(e[+-]?\d+)?$/i.test(le) ? Number(le) : NaN;
}

function finish({ labels, samples, starts }: Draft): MemorySeries {
  const ordered = [...samples].sort(([a], [b]) => a - b);
  const values = new Float64Array(ordered.length);
  const words = wordsOf(values);
  ordered.forEach(([, sample], i) => {
    if (sample.kind === 'float') values[i] = sample.value;
    else if (sample.kind === 'stale') writeStaleNaN(words, i);
  });
  const plain = { labels, timestampsMs: Float64Array.from(ordered, ([time]) => time), values };
  const series = starts.size === 0 ? plain : { ...plain, startTimestamps: Float64Array.from(ordered, ([time]) => starts.get(time) ?? 0) };
  if (ordered.every(([, { kind }]) => kind !== 'histogram')) return series;
  return { ...series, histograms: storedHistograms(ordered.map(([, sample]) => (sample.kind === 'histogram' ? sample.histogram : undefined))) };
}
