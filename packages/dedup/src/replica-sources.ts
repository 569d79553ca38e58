/**
 * Before replicas are merged: the same replica may come from two stores (sidecar and bucket), and a series says by its name or type whether it is a
 * counter.
 */
import { getLabel, type Labels, METRIC_NAME } from '@gauntlet/model';
import { countSamples, type DedupBuffer, type ReplicaColumns, wordsOf } from './replica-columns.ts';

const COUNTER_NAME = /_(?:total|count|sum|bucket)$/;

/** Whether a series is a counter by its name's ending or its `__type__`. Native histograms tell by themselves. */
export function isCounterSeries(labels: Labels): boolean {
  const type = getLabel(labels, '__type__');
  return type === 'counter' || type === 'histogram' || COUNTER_NAME.test(getLabel(labels, METRIC_NAME));
}

/**
 * Unites what several sources have of one replica, by timestamp. Where they differ, a histogram wins over a float, then the larger value bits, so
 * that the order of sources does not matter.
 * @param out `replicas` holds the source of each sample, `indexes` its index there
 */
export function uniteSources(sources: readonly ReplicaColumns[], out: DedupBuffer): void {
  out.reset(countSamples(sources));
  const words = sources.map(({ values }) => wordsOf(values));
  const at = new Int32Array(sources.length);
  let length = 0;
  while (true) {
    let best = -1;
    let time = Infinity;
    for (let s = 0; s < sources.length; s++) {
      if (at[s]! >= sources[s]!.timestampsMs.length) continue;
      const ms = sources[s]!.timestampsMs[at[s]!]!;
      if (ms < time || (ms === time && isLarger(sources, words, s, at[s]!, best, at[best]!))) {
        best = s;
        time = ms;
      }
    }
    if (best < 0) break;
    const index = at[best]!;
    out.timestampsMs[length] = time;
    out.valueWords[2 * length] = words[best]![2 * index]!;
    out.valueWords[2 * length + 1] = words[best]![2 * index + 1]!;
    out.replicas[length] = best;
    out.indexes[length] = index;
    length++;
    for (let s = 0; s < sources.length; s++) if (sources[s]!.timestampsMs[at[s]!] === time) at[s]!++;
  }
  out.length = length;
}

function isLarger(sources: readonly ReplicaColumns[], words: readonly Int32Array[], a: number, ai: number, b: number, bi: number): boolean {
  const kindA = sources[a]!.isHistogram?.[ai] ?? 0;
  const kindB = sources[b]!.isHistogram?.[bi] ?? 0;
  if ((kindA !== 0) !== (kindB !== 0)) return kindA !== 0;
  const [low, high] = LITTLE_ENDIAN ? [0, 1] : [1, 0];
  const highA = words[a]![2 * ai + high]! >>> 0;
  const highB = words[b]![2 * bi + high]! >>> 0;
  return highA === highB ? words[a]![2 * ai + low]! >>> 0 > words[b]![2 * bi + low]! >>> 0 : highA > highB;
}

const LITTLE_ENDIAN: boolean = new Uint8Array(new Uint32Array([1]).buffer)[0] === 1;
