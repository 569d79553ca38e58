/**
 * Why `stable` shows what it shows at an instant: the window, who leads it and by what numbers, and what was filled, left out or disputed around it.
 */
import { DedupBuffer, type ReplicaColumns } from './replica-columns.ts';
import { firstAfter } from './stable-order.ts';
import { mergeStable, type StableOptions } from './stable.ts';
import { UNION, WINDOW_MS } from './stable-windows.ts';

/** Samples `from` … `to` − 1 of a replica, with the times of the first and the last. */
export interface SampleRange {
  readonly replica: number;
  readonly from: number;
  readonly to: number;
  readonly fromMs: number;
  readonly toMs: number;
}

/** An answer for one timestamp. */
export interface Explanation {
  /** The last sample shown at or before the timestamp; absent if there is none. */
  readonly shown?: { readonly timestampMs: number; readonly replica: number; readonly index: number };
  /**
   * How it came to be shown: `only` = there is one replica; `leader`, `fill` of a hole of the leader, `union` = the window has no spacing,
   * `stale marker` = every replica has ended.
   */
  readonly reason?: 'only' | 'leader' | 'fill' | 'union' | 'stale marker';
  /** The window of the sample shown. */
  readonly window?: {
    readonly startMs: number;
    /** Replica; UNION for none. */
    readonly leader: number;
    /** d, milliseconds; Infinity for none. */
    readonly spacingMs: number;
    /** Samples of each replica in the window, stale markers apart. */
    readonly samples: readonly number[];
  };
  /** Taken into holes that touch the window. */
  readonly filled: readonly SampleRange[];
  /** Left out because they are behind sample `otherIndex` of `other`. */
  readonly dropped: ReadonlyArray<SampleRange & { readonly other: number; readonly otherIndex: number }>;
  /** Lower than sample `otherIndex` of `other`, and shown all the same: these replicas disagree. */
  readonly disputed: ReadonlyArray<SampleRange & { readonly other: number; readonly otherIndex: number }>;
  /** Stale markers in the window, and whether they count. */
  readonly staleMarkers: ReadonlyArray<{ readonly timestampMs: number; readonly replica: number; readonly isShown: boolean }>;
  /** One English sentence of the above. */
  readonly sentence: string;
}

/**
 * Explains one timestamp. Takes what `mergeStable` takes; the replicas' samples within REACH_MS of it decide.
 * @param names of the replicas for the sentence, e.g. their label values
 */
export function explainStable(replicas: readonly ReplicaColumns[], options: StableOptions, atMs: number, names: readonly string[] = replicas.map((_, r) => `replica ${r}`)): Explanation {
  const windows = new Map<number, NonNullable<Explanation['window']>>();
  const filled: SampleRange[] = [];
  const dropped: Array<Explanation['dropped'][number]> = [];
  const disputed: Array<Explanation['disputed'][number]> = [];
  const staleMarkers: Array<Explanation['staleMarkers'][number]> = [];
  const rangeOf = (replica: number, from: number, to: number): SampleRange => {
    const { timestampsMs } = replicas[replica]!;
    return { replica, from, to, fromMs: timestampsMs[from]!, toMs: timestampsMs[to - 1]! };
  };
  const out = new DedupBuffer();
  mergeStable(
    replicas,
    {
      ...options,
      trace: {
        onWindow(startMs, leader, spacingMs, table, row) {
          windows.set(startMs, { startMs, leader, spacingMs, samples: replicas.map((_, r) => table.end(row, r) - table.start(row, r)) });
        },
        onFill: (replica, from, to) => void filled.push(rangeOf(replica, from, to)),
        onDrop: (replica, from, to, other, otherIndex) => void dropped.push({ ...rangeOf(replica, from, to), other, otherIndex }),
        onDispute: (replica, index, other, otherIndex) => void disputed.push({ ...rangeOf(replica, index, index + 1), other, otherIndex }),
        onStaleMarker: (replica, index, isShown) => void staleMarkers.push({ timestampMs: replicas[replica]!.timestampsMs[index]!, replica, isShown }),
      },
    },
    out,
  );
  const last = firstAfter(out.timestampsMs.subarray(0, out.length), atMs) - 1;
  if (last < 0) return { filled: [], dropped: [], disputed: [], staleMarkers: [], sentence: 'No replica has a sample by then.' };
  const shown = { timestampMs: out.timestampsMs[last]!, replica: out.replicas[last]!, index: out.indexes[last]! };
  const startMs = Math.floor(shown.timestampMs / WINDOW_MS) * WINDOW_MS;
  const touches = ({ fromMs, toMs }: SampleRange): boolean => toMs >= startMs && fromMs < startMs + WINDOW_MS;
  const window = windows.get(startMs);
  const isMarker = staleMarkers.some(({ timestampMs, isShown }) => isShown && timestampMs === shown.timestampMs);
  const isFill = filled.some(({ replica, from, to }) => replica === shown.replica && shown.index >= from && shown.index < to);
  const reason = replicas.length === 1 ? 'only' : isMarker ? 'stale marker' : isFill ? 'fill' : window?.leader === UNION ? 'union' : 'leader';
  const explanation = {
    shown,
    reason,
    ...(window !== undefined && { window }),
    filled: filled.filter(touches),
    dropped: withoutRepeats(dropped.filter(touches)),
    disputed: withoutRepeats(disputed.filter(touches)),
    staleMarkers: staleMarkers.filter(({ timestampMs }) => timestampMs >= startMs && timestampMs < startMs + WINDOW_MS),
  } as const;
  return { ...explanation, sentence: sentenceOf(explanation, names) };
}

/** A stretch may be looked at for several holes. */
function withoutRepeats<T extends SampleRange & { readonly other: number }>(ranges: readonly T[]): T[] {
  return ranges.filter((range, i) => ranges.findIndex(({ replica, from, to, other }) => replica === range.replica && from === range.from && to === range.to && other === range.other) === i);
}

function sentenceOf({ shown, reason, window, dropped, disputed }: Omit<Explanation, 'sentence'>, names: readonly string[]): string {
  const name = names[shown!.replica]!;
  const parts: string[] = [];
  if (reason === 'only') parts.push(`${name} is the only replica`);
  if (reason === 'stale marker') parts.push(`${name} ended, and every other replica had ended by then`);
  if (reason === 'union') parts.push(`the window has too few samples for a leader, all replicas' samples are shown; this one is from ${name}`);
  if (window !== undefined && window.leader >= 0) {
    const counts = window.samples.map((samples, r) => `${names[r]!} ${samples}`).join(', ');
    const leader = names[window.leader]!;
    if (reason === 'leader') parts.push(`${name} ${window.leader === shown!.replica ? 'leads the window' : 'led the window before'} (samples: ${counts})`);
    if (reason === 'fill') parts.push(`${name} fills a hole of ${leader}, which leads the window (samples: ${counts}; spacing ${(window.spacingMs / 1000).toFixed(1)} s)`);
  }
  if (dropped.length > 0) parts.push(`left out because they are behind what is shown: ${dropped.map(({ replica, from, to }) => `${to - from} of ${names[replica]!}`).join(', ')}`);
  if (disputed.length > 0) parts.push(`${[...new Set(disputed.flatMap(({ replica, other }) => [names[replica]!, names[other]!]))].join(' and ')} disagree for longer than a window`);
  return `${parts.join('; ')}.`;
}
