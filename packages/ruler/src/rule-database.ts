/**
 * What evaluation needs of the local database: appending results, durable when it returns, and finding `for` states again.
 * Series are stored without external labels; the StoreAPI and meta.json of blocks carry them.
 */
import { createMatcher, type Labels, labelsEqual, STALE_NAN_HI, STALE_NAN_LO } from '@gauntlet/model';
import { type Appender, type Db, isTsdbError, REFUSED } from '@gauntlet/tsdb';
import type { AckLog } from './ack-log.ts';
import type { ForStateSource, RefusedSample, RuleAppender } from './types.ts';

const REASONS: ReadonlyMap<number, string> = new Map([
  [REFUSED.outOfOrder, 'out of order sample'],
  [REFUSED.outOfBounds, 'out of bounds'],
  [REFUSED.tooOld, 'too old sample'],
  [REFUSED.seriesLimit, 'too many series'],
  [REFUSED.duplicate, 'duplicate sample for timestamp'],
]);

/** Appends results of rules. What one series refuses does not hold back the others. */
export function createRuleAppender(db: Db, ackLog?: AckLog): RuleAppender {
  return {
    append(samples) {
      const refused: RefusedSample[] = [];
      const appender = db.appender();
      try {
        for (const sample of samples) {
          const reason = sample.stale ? appendStale(appender, sample.labels, sample.timestampMs) : REASONS.get(appender.tryAppend(0, sample.labels, sample.timestampMs, sample.value));
          if (reason !== undefined) refused.push({ sample, reason });
        }
        appender.commit();
      } catch (error) {
        appender.rollback();
        throw error;
      }
      if (ackLog !== undefined) {
        const lost = new Set(refused.map(({ sample }) => sample));
        ackLog.write(lost.size === 0 ? samples : samples.filter((sample) => !lost.has(sample)));
      }
      return { refused };
    },
  };
}

function appendStale(appender: Appender, labels: Labels, timestampMs: number): string | undefined {
  try {
    appender.appendBits(0, labels, timestampMs, STALE_NAN_HI, STALE_NAN_LO);
    return undefined;
  } catch (error) {
    if (!isTsdbError(error)) throw error;
    switch (error.code) {
      case 'ERR_SAMPLE_OUT_OF_ORDER':
        return REASONS.get(REFUSED.outOfOrder);
      case 'ERR_SAMPLE_OUT_OF_BOUNDS':
        return REASONS.get(REFUSED.outOfBounds);
      case 'ERR_SAMPLE_TOO_OLD':
        return REASONS.get(REFUSED.tooOld);
      case 'ERR_SERIES_LIMIT':
        return REASONS.get(REFUSED.seriesLimit);
      case 'ERR_SAMPLE_DUPLICATE':
        return REASONS.get(REFUSED.duplicate);
      default:
        throw error;
    }
  }
}

/** `for` states of an earlier run. */
export function createForStateSource(db: Db): ForStateSource {
  return {
    async lastForState(alertLabels, sinceMs, untilMs) {
      const matchers: ReturnType<typeof createMatcher>[] = [];
      for (let i = 0; i < alertLabels.length; i += 2) matchers.push(createMatcher('=', alertLabels[i]!, alertLabels[i + 1]!));
      for await (const batch of db.queryable.select({ matchers, mint: sinceMs, maxt: untilMs })) {
        for (let i = 0; i < batch.labels.length; i++) {
          const end = batch.offsets[i + 1]!;
          // Series with further labels match too, and are others.
          if (end === batch.offsets[i]! || !labelsEqual(batch.labels[i]!, alertLabels)) continue;
          return { timestampMs: batch.timestampsMs[end - 1]!, value: batch.values[end - 1]! };
        }
      }
      return undefined;
    },
  };
}
