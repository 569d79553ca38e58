/**
 * `stable` sample by sample, as one would first write it: every merged sample is decided on its own, with the windows and spacings found anew. For
 * comparison in speed, and as an oracle where nothing is out of order: it knows leaders and holes, not law 4.
 */
import type { ReplicaColumns } from '../replica-columns.ts';
import { WINDOW_MS } from '../stable-windows.ts';

/** One sample as an object. */
interface Sample {
  readonly ms: number;
  readonly value: number;
}

/** Merges replicas without law 4: leaders of windows, then holes inside a window filled with the other replicas' samples. */
export function mergeNaively(replicas: readonly ReplicaColumns[]): Sample[] {
  const all = replicas.map(({ timestampsMs, values }) => Array.from(timestampsMs, (ms, i): Sample => ({ ms, value: values[i]! })));
  const windows = new Map<number, Sample[][]>();
  all.forEach((samples, r) => {
    for (const sample of samples) {
      const id = Math.floor(sample.ms / WINDOW_MS);
      if (!windows.has(id)) windows.set(id, replicas.map(() => []));
      windows.get(id)![r]!.push(sample);
    }
  });
  const merged: Sample[] = [];
  for (const id of [...windows.keys()].sort((a, b) => a - b)) {
    const here = windows.get(id)!;
    const spacing = Math.min(...here.map((samples, r) => medianGap([...(windows.get(id - 1)?.[r] ?? []), ...samples, ...(windows.get(id + 1)?.[r] ?? [])])));
    const best = Math.max(...here.map(({ length }) => length));
    const leader = here.findIndex(({ length }) => length >= best - Math.max(1, 0.1 * best));
    let last = merged.at(-1);
    for (const sample of here[leader]!) {
      if (last !== undefined && sample.ms - last.ms > 1.5 * spacing) {
        const [from, to] = [last.ms, sample.ms];
        merged.push(...here.flatMap((samples, r) => (r === leader ? [] : samples.filter(({ ms }) => ms > from && ms < to))));
      }
      merged.push(sample);
      last = sample;
    }
  }
  return merged;
}

function medianGap(samples: readonly Sample[]): number {
  if (samples.length < 3) return Infinity;
  const gaps = samples.slice(1).map(({ ms }, i) => ms - samples[i]!.ms);
  return gaps.sort((a, b) => a - b)[(gaps.length - 1) >> 1]!;
}
