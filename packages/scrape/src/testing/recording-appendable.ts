/** A database that only remembers: every committed sample as a line, with tsdb's rules about time. */
import { formatLabels, type Labels, STALE_NAN_HI, STALE_NAN_LO } from '@gauntlet/model';
import { REFUSED, TsdbError } from '@gauntlet/tsdb';
import type { Appendable } from '../appender.ts';

/** An appendable whose samples can be looked at. */
export interface RecordingAppendable extends Appendable {
  /** Committed samples in order: series, time in ms, value; a stale marker is 'stale'. */
  readonly samples: { readonly series: string; readonly timeMs: number; readonly value: number | 'stale' }[];
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
    commits: 0,
    rollbacks: 0,
    failNextCommit: undefined,
    appender() {
      const batch: { ref: number; timeMs: number; value: number | 'stale' }[] = [];
      const add = (ref: number, labels: Labels, timeMs: number, value: number | 'stale'): number => {
        let own = ref;
        if (own === 0) {
          const series = formatLabels(labels);
          own = refs.get(series) ?? names.push(series) - 1;
          refs.set(series, own);
        }
        const last = Math.max(lastMs.get(own) ?? Number.NEGATIVE_INFINITY, ...batch.filter((sample) => sample.ref === own).map((sample) => sample.timeMs));
        if (timeMs < last) return REFUSED.outOfOrder;
        if (timeMs === last) return REFUSED.duplicate;
        batch.push({ ref: own, timeMs, value });
        return own;
      };
      return {
        tryAppend: add,
        appendBits(ref, labels, timeMs, high, low) {
          if (high !== STALE_NAN_HI || low !== STALE_NAN_LO) throw new RangeError('appendBits: only stale markers are expected here');
          const answer = add(ref, labels, timeMs, 'stale');
          if (answer < 0) throw new TsdbError(answer === REFUSED.duplicate ? 'ERR_SAMPLE_DUPLICATE' : 'ERR_SAMPLE_OUT_OF_ORDER', 'refused');
          return answer;
        },
        commit() {
          const failure = recorded.failNextCommit;
          recorded.failNextCommit = undefined;
          if (failure !== undefined) throw failure;
          recorded.commits++;
          for (const { ref, timeMs, value } of batch) {
            lastMs.set(ref, timeMs);
            recorded.samples.push({ series: names[ref]!, timeMs, value });
          }
        },
        rollback() {
          recorded.rollbacks++;
        },
      };
    },
  };
  return recorded;
}
