/** A database that only remembers: every committed sample as a line, with tsdb's rules about time. */
import { type FloatHistogram, formatHistogram, formatLabels, fromIntegerHistogram, type IntegerHistogram, type Labels } from '@gauntlet/model';
import { type Exemplar, REFUSED, type SeriesMetadata, TsdbError } from '@gauntlet/tsdb';
import type { Appendable } from '../appender.ts';

/** A sample as it was committed. */
export interface RecordedSample {
  readonly series: string;
  readonly timeMs: number;
  readonly value: number | string;
  /** Since when it counts, if that was said. */
  readonly startMs?: number;
}

/** An appendable whose samples can be looked at. */
export interface RecordingAppendable extends Appendable {
  /** Committed samples in order: series, time in ms, value; a stale marker is 'stale', a histogram its text. */
  readonly samples: RecordedSample[];
  /** Committed histograms as they were given, beside their samples. */
  readonly histograms: { readonly series: string; readonly histogram: FloatHistogram | IntegerHistogram }[];
  /** Committed exemplars and metadata in order. */
  readonly exemplars: { readonly series: string; readonly exemplar: Exemplar }[];
  readonly metadata: { readonly series: string; readonly metadata: SeriesMetadata }[];
  /** How often a batch was committed or rolled back. */
  commits: number;
  rollbacks: number;
  /** If set, the next commit throws it. */
  failNextCommit: Error | undefined;
}

/** Makes an empty one. */
export function createRecordingAppendable(): RecordingAppendable {
  const refs = new Map<string, number>();
  const names: string[] = [''];
  const lastMs = new Map<number, number>();
  const recorded: RecordingAppendable = {
    samples: [],
    histograms: [],
    exemplars: [],
    metadata: [],
    commits: 0,
    rollbacks: 0,
    failNextCommit: undefined,
    appender() {
      const batch: { ref: number; timeMs: number; value: number | string; startMs: number; histogram?: FloatHistogram | IntegerHistogram }[] = [];
      const exemplars: { ref: number; exemplar: Exemplar }[] = [];
      const metadata: { ref: number; metadata: SeriesMetadata }[] = [];
      const add = (ref: number, labels: Labels, timeMs: number, value: number | string, startMs = 0): number => {
        let own = ref;
        if (own === 0) {
          const series = formatLabels(labels);
          own = refs.get(series) ?? names.push(series) - 1;
          refs.set(series, own);
        }
        const last = Math.max(lastMs.get(own) ?? Number.NEGATIVE_INFINITY, ...batch.filter((sample) => sample.ref === own).map((sample) => sample.timeMs));
        if (timeMs < last) return REFUSED.outOfOrder;
        if (timeMs === last) return REFUSED.duplicate;
        batch.push({ ref: own, timeMs, value, startMs });
        return own;
      };
      return {
        tryAppend: add,
        tryAppendHistogram(ref, labels, timeMs, histogram, startMs) {
          const answer = add(ref, labels, timeMs, formatHistogram('positiveDeltas' in histogram ? fromIntegerHistogram(histogram) : histogram), startMs);
          if (answer > 0) batch.at(-1)!.histogram = histogram;
          return answer;
        },
        appendExemplar(ref, _labels, exemplar) {
          if (exemplar.labels.join('').length > 128) throw new TsdbError('ERR_EXEMPLAR', 'too long');
          exemplars.push({ ref, exemplar });
          return true;
        },
        setMetadata: (ref, _labels, one) => void metadata.push({ ref, metadata: one }),
        tryAppendStale: (ref, labels, timeMs) => add(ref, labels, timeMs, 'stale'),
        commit() {
          const failure = recorded.failNextCommit;
          recorded.failNextCommit = undefined;
          if (failure !== undefined) throw failure;
          recorded.commits++;
          for (const { ref, timeMs, value, startMs, histogram } of batch) {
            const series = names[ref]!;
            lastMs.set(ref, timeMs);
            recorded.samples.push({ series, timeMs, value, ...(startMs === 0 ? {} : { startMs }) });
            if (histogram !== undefined) recorded.histograms.push({ series, histogram });
          }
          for (const { ref, exemplar } of exemplars) recorded.exemplars.push({ series: names[ref]!, exemplar });
          for (const { ref, metadata: one } of metadata) recorded.metadata.push({ series: names[ref]!, metadata: one });
        },
        rollback() {
          recorded.rollbacks++;
        },
      };
    },
  };
  return recorded;
}
