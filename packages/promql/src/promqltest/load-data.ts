/** What `load` statements put into storage: columns per series, from sequences of values one step apart. */
import { compareLabels, getLabel, type Labels, labelsFromPairs, wordsOf, writeStaleNaN } from '@gauntlet/model';
import type { MemorySeries } from './memory-queryable.ts';
import type { LoadStatement } from './parse-script.ts';

type Sample = { readonly kind: 'float'; readonly value: number } | { readonly kind: 'stale' | 'histogram' };

interface Draft {
  readonly labels: Labels;
  /** By time in ms; a later load of the same time wins. */
  readonly samples: Map<number, Sample>;
}

/** The series of all loads in force, in label order. */
export function loadSeries(loads: readonly LoadStatement[]): MemorySeries[] {
  const drafts = new Map<string, Draft>();
  const draftOf = (labels: Labels): Draft => {
    const key = JSON.stringify(labels);
    let draft = drafts.get(key);
    if (draft === undefined) drafts.set(key, (draft = { labels, samples: new Map() }));
    return draft;
  };
  for (const { series, stepMs, withNhcb } of loads) {
    for (const { labels, values } of series) {
      const { samples } = draftOf(labels);
      values.forEach((value, i) => {
        if (value.kind === 'float') samples.set(i * stepMs, { kind: 'float', value: value.value });
        else if (value.kind !== 'omitted') samples.set(i * stepMs, { kind: value.kind });
      });
      const base = withNhcb ? classicBase(labels) : undefined;
      if (base === undefined) continue;
      const derived = draftOf(base).samples;
      values.forEach((value, i) => {
        if (value.kind === 'float') derived.set(i * stepMs, { kind: 'histogram' });
      });
    }
  }
  return [...drafts.values()].map(finish).sort((a, b) => compareLabels(a.labels, b.labels));
}

/** Labels of the native histogram a classic series belongs to; undefined for other series. */
function classicBase(labels: Labels): Labels | undefined {
  const name = getLabel(labels, '__name__');
  const base = /^(.+)_(bucket|count|sum)$/.exec(name);
  if (base === null || (base[2] === 'bucket' && !/^[+-]?(inf|[\d.]+(e[+-]?\d+)?)$/i.test(getLabel(labels, 'le')))) return undefined;
  const pairs: [string, string][] = [['__name__', base[1]!]];
  for (let i = 0; i < labels.length; i += 2) {
    if (labels[i] !== '__name__' && !(base[2] === 'bucket' && labels[i] === 'le')) pairs.push([labels[i]!, labels[i + 1]!]);
  }
  return labelsFromPairs(pairs);
}

function finish({ labels, samples }: Draft): MemorySeries {
  const ordered = [...samples].sort(([a], [b]) => a - b);
  const floats = ordered.filter(([, { kind }]) => kind !== 'histogram');
  const values = new Float64Array(floats.length);
  const words = wordsOf(values);
  floats.forEach(([, sample], i) => {
    if (sample.kind === 'float') values[i] = sample.value;
    else writeStaleNaN(words, i);
  });
  return {
    labels,
    timestampsMs: Float64Array.from(floats, ([time]) => time),
    values,
    histogramTimesMs: Float64Array.from(
      ordered.filter(([, { kind }]) => kind === 'histogram'),
      ([time]) => time,
    ),
  };
}
