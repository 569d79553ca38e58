/** A rule manager over a manual clock, a scripted query, and lists that remember what was written and sent. */
import { formatLabels, type Labels, labelsFromMap, labelsEqual } from '@gauntlet/model';
import { createMetrics, createNopLogger, type Metrics } from '@gauntlet/service-kit';
import { createRuleManager } from '../rule-manager.ts';
import type { ForStateSource, OutgoingAlert, RuleManager, RuleManagerDeps, RuleManagerOptions, RuleSample, VectorSample } from '../types.ts';
import { createManualClock, type ManualClock } from './manual-clock.ts';

/** Options with which tests begin. */
export const TEST_OPTIONS: RuleManagerOptions = {
  defaultIntervalMs: 10_000,
  queryOffsetMs: 0,
  resendDelayMs: 60_000,
  forOutageToleranceMs: 3_600_000,
  forGracePeriodMs: 600_000,
  concurrency: 1,
};

/** Answers a query; may throw. */
export type ScriptedQuery = (expr: string, timeMs: number, signal: AbortSignal) => readonly VectorSample[] | Promise<readonly VectorSample[]>;

/** See the head of this file. */
export interface RuleBench {
  readonly clock: ManualClock;
  readonly manager: RuleManager;
  readonly metrics: Metrics;
  /** Samples in the order they were taken. */
  readonly written: RuleSample[];
  /** Alerts with the time they were sent. */
  readonly sent: (OutgoingAlert & { readonly atMs: number })[];
  /** Runs the manager until `end`. */
  start(): void;
  /** Aborts and waits. */
  end(): Promise<void>;
  /** One line per sample of a series: `time value`, `stale` for markers; times relative to the beginning in seconds. */
  linesOf(metric: string): string[];
}

/** Makes one. @param overrides parts of the dependencies that a test brings itself */
export function createRuleBench(startMs: number, query: ScriptedQuery, options: Partial<RuleManagerOptions> = {}, overrides: Partial<RuleManagerDeps> = {}): RuleBench {
  const clock = createManualClock(startMs);
  const written: RuleSample[] = [];
  const sent: (OutgoingAlert & { atMs: number })[] = [];
  const metrics = createMetrics(clock.now);
  const abort = new AbortController();
  let run: Promise<void> | undefined;
  const manager = createRuleManager(
    {
      query: async (expr, timeMs, { signal }) => ({ samples: await query(expr, timeMs, signal), warnings: [] }),
      appender: {
        append(samples) {
          written.push(...samples);
          return { refused: [] };
        },
      },
      alerts: { send: (alerts) => void sent.push(...alerts.map((alert) => ({ ...alert, atMs: clock.now() }))) },
      forState: forStateOf(written),
      clock: clock.now,
      setTimer: clock.setTimer,
      log: createNopLogger(),
      metrics,
      externalLabels: labelsFromMap({ region: 'eu' }),
      externalUrl: 'http://ruler.example.org',
      ...overrides,
    },
    { ...TEST_OPTIONS, ...options },
  );
  return {
    clock,
    manager,
    metrics,
    written,
    sent,
    start() {
      run = manager.run(abort.signal);
    },
    async end() {
      abort.abort();
      await run;
    },
    linesOf: (metric) =>
      written.filter(({ labels }) => formatLabels(labels).includes(`__name__="${metric}"`)).map(({ timestampMs, value, stale }) => `${(timestampMs - startMs) / 1000} ${stale ? 'stale' : value}`),
  };
}

/** `for` states as they were written. */
export function forStateOf(written: readonly RuleSample[]): ForStateSource {
  return {
    async lastForState(alertLabels, sinceMs, untilMs) {
      const last = written.findLast(({ labels, timestampMs }) => timestampMs >= sinceMs && timestampMs <= untilMs && labelsEqual(labels, alertLabels));
      return last === undefined ? undefined : { timestampMs: last.timestampMs, value: last.value };
    },
  };
}

/** One element of a vector. */
export function element(labels: Readonly<Record<string, string>>, value: number): VectorSample {
  return { labels: labelsFromMap(labels) satisfies Labels, value };
}
