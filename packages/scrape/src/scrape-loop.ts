/**
 * Scrapes one target again and again.
 *
 *   offset ─► scrape, append, report ─► wait for the next multiple of the interval ─► …
 *                 │ failed: stale markers for everything, up = 0
 *   removed: two intervals and a bit later, stale markers for everything and the reports, unless the target has come back meanwhile
 *   shut down: no markers; after a restart the series go on
 *
 * Offsets are spread over the interval by a hash of the target and a seed, so that targets, and replicas, are not all scraped at once.
 * Source: Prometheus scrape/scrape.go, scrapeLoop; scrape/target.go, offset.
 */
import { utf8Encode, xxhash64 } from '@gauntlet/bytes';
import type { Labels } from '@gauntlet/model';
import { appendExposition, appendNothing, appendStaleMarker, noCounts, ONLY_SAMPLES, type PassCounts, type ScrapeFeatures } from './append-exposition.ts';
import type { Appendable, ScrapeAppender } from './appender.ts';
import { type ScrapeClock, sleep } from './clock.ts';
import { type Exposition, type Fetch, fetchTarget } from './fetch-target.ts';
import { reportLabels } from './sample-labels.ts';
import { type FamilyMetadata, SeriesCache } from './series-cache.ts';
import type { ScrapeMetrics } from './scrape-metrics.ts';
import type { Target } from './target.ts';

/** Scrapes that start late by at most this, and at most 1 % of the interval, keep the even timestamp: it packs better. */
const ALIGN_TOLERANCE_MS = 10;

/** Log lines of a loop; service-kit's Logger fits. */
export interface ScrapeLog {
  debug(message: string, fields?: Readonly<Record<string, unknown>>): void;
  warn(message: string, fields?: Readonly<Record<string, unknown>>): void;
  error(message: string, fields?: Readonly<Record<string, unknown>>): void;
}

/** What a loop needs. */
export interface ScrapeLoopDeps {
  readonly appendable: Appendable;
  readonly clock: ScrapeClock;
  readonly fetch: Fetch;
  readonly log: ScrapeLog;
  readonly metrics: ScrapeMetrics;
  readonly userAgent: string;
  /** Uniform in [0, 1); for jitter. */
  readonly random: () => number;
}

/** How a loop runs. */
export interface ScrapeLoopOptions {
  /** Moves the offsets of all targets: give each replica another one. Default ''. */
  readonly offsetSeed?: string;
  /** Each scrape is delayed by a random time below this; timestamps are then not aligned. Default 0. */
  readonly jitterMs?: number;
  /** What is taken beside samples. Default nothing. */
  readonly features?: ScrapeFeatures;
}

/** How a target is doing. */
export interface TargetState {
  readonly target: Target;
  readonly health: 'unknown' | 'up' | 'down';
  /** When the last scrape began, ms since 1970; 0 if there was none. */
  readonly lastScrapeMs: number;
  readonly lastScrapeDurationMs: number;
  /** '' if the last scrape went well. */
  readonly lastError: string;
}

/** A running loop. */
export interface ScrapeLoop {
  readonly target: Target;
  state(): TargetState;
  /** What the target says about its metric families. */
  metadata(): ReadonlyMap<string, Readonly<FamilyMetadata>>;
  /** Scrapes once, now, besides the schedule: for tests and tools. */
  scrapeOnce(): Promise<void>;
  /** Shuts down: a scrape under way is given up and leaves nothing. */
  stop(): Promise<void>;
  /**
   * Ends because the target is gone: a scrape under way is finished, stale markers follow.
   * @returns resolves when they are written; `stop` may cut that short
   */
  remove(): Promise<void>;
}

/** The reports on every scrape, in the order written. */
const REPORTS = ['up', 'scrape_duration_seconds', 'scrape_samples_scraped', 'scrape_samples_post_metric_relabeling', 'scrape_series_added'] as const;

/** Time from `nowMs` to the next scrape of a target: the schedule depends on absolute time only, so restarts keep it. */
export function scrapeOffsetMs(target: Target, nowMs: number, seed: string): number {
  const hash = xxhash64(utf8Encode(JSON.stringify([target.url, target.labels, seed])));
  const interval = target.intervalMs;
  const offset = (hash.lo >>> 0) % interval;
  return (interval - (nowMs % interval) + offset) % interval;
}

/** Starts scraping a target. */
export function createScrapeLoop(target: Target, deps: ScrapeLoopDeps, options: ScrapeLoopOptions = {}): ScrapeLoop {
  return new Loop(target, deps, options);
}

class Loop implements ScrapeLoop {
  readonly target: Target;
  readonly #deps: ScrapeLoopDeps;
  readonly #options: ScrapeLoopOptions;
  readonly #cache = new SeriesCache();
  readonly #reports: { readonly labels: Labels; ref: number }[];
  /** No further scrape begins. */
  readonly #ended = new AbortController();
  /** Everything ends at once. */
  readonly #shutDown = new AbortController();
  readonly #running: Promise<void>;
  #removal: Promise<void> | undefined;
  #nextMs = 0;
  #state: Omit<TargetState, 'target'> = { health: 'unknown', lastScrapeMs: 0, lastScrapeDurationMs: 0, lastError: '' };

  constructor(target: Target, deps: ScrapeLoopDeps, options: ScrapeLoopOptions) {
    this.target = target;
    this.#deps = deps;
    this.#options = options;
    this.#reports = REPORTS.map((name) => ({ labels: reportLabels(name, target), ref: 0 }));
    this.#running = this.#run();
  }

  state(): TargetState {
    return { target: this.target, ...this.#state };
  }

  metadata(): ReadonlyMap<string, Readonly<FamilyMetadata>> {
    return this.#cache.metadata;
  }

  scrapeOnce(): Promise<void> {
    return this.#scrape(this.#deps.clock.now());
  }

  async stop(): Promise<void> {
    this.#shutDown.abort();
    this.#ended.abort();
    await this.#running;
    await this.#removal;
  }

  remove(): Promise<void> {
    this.#ended.abort();
    this.#removal ??= this.#running.then(() => this.#markEnd());
    return this.#removal;
  }

  async #run(): Promise<void> {
    const { clock } = this.#deps;
    const { intervalMs } = this.target;
    const ended = this.#ended.signal;
    const jitterMs = this.#options.jitterMs ?? 0;
    this.#nextMs = clock.now() + scrapeOffsetMs(this.target, clock.now(), this.#options.offsetSeed ?? '');
    for (;;) {
      if (!(await sleep(clock, this.#nextMs + jitterMs * this.#deps.random() - clock.now(), ended))) return;
      const nowMs = clock.now();
      // A tick that was missed altogether is not made up for.
      while (nowMs - this.#nextMs >= intervalMs) this.#nextMs += intervalMs;
      const isAligned = jitterMs === 0 && nowMs - this.#nextMs <= Math.min(ALIGN_TOLERANCE_MS, intervalMs / 100);
      const timeMs = isAligned ? this.#nextMs : nowMs;
      this.#nextMs += intervalMs;
      await this.#scrape(timeMs);
    }
  }

  async #scrape(timeMs: number): Promise<void> {
    const { appendable, clock, log } = this.#deps;
    const startMs = clock.now();
    const counts = noCounts();
    let exposition: Exposition | undefined;
    let failure: Error | undefined;
    try {
      exposition = await fetchTarget(this.target, this.#deps, this.#shutDown.signal);
    } catch (error) {
      failure = error as Error;
    }
    if (this.#shutDown.signal.aborted) return;
    let appender: ScrapeAppender | undefined;
    try {
      appender = appendable.appender();
      if (exposition !== undefined && exposition.body.length > 0) {
        try {
          appendExposition(exposition.body, exposition.format, timeMs, this.target, this.#cache, appender, counts, this.#options.features ?? ONLY_SAMPLES);
        } catch (error) {
          failure = error as Error;
          appender.rollback();
          appender = appendable.appender();
          appendNothing(timeMs, this.#cache, appender);
        }
      } else appendNothing(timeMs, this.#cache, appender);
      const durationMs = clock.now() - startMs;
      this.#state = { health: failure === undefined ? 'up' : 'down', lastScrapeMs: startMs, lastScrapeDurationMs: durationMs, lastError: failure?.message ?? '' };
      this.#report(appender, timeMs, [failure === undefined ? 1 : 0, durationMs / 1000, counts.scraped, counts.added, counts.seriesAdded]);
      appender.commit();
    } catch (error) {
      appender?.rollback();
      this.#state = { ...this.#state, health: 'down', lastError: `append scrape of ${this.target.url}: ${(error as Error).message}` };
      log.error('scrape not stored', { job: this.target.pool, target: this.target.url, err: error });
    }
    this.#note(counts, failure);
  }

  #report(appender: ScrapeAppender, timeMs: number, values: readonly number[]): void {
    for (let i = 0; i < REPORTS.length; i++) {
      const report = this.#reports[i]!;
      const ref = appender.tryAppend(report.ref, report.labels, timeMs, values[i]!);
      // Refused where another loop of the same target was here first.
      if (ref > 0) report.ref = ref;
    }
  }

  #note(counts: PassCounts, failure: Error | undefined): void {
    const { log, metrics } = this.#deps;
    const fields = { job: this.target.pool, target: this.target.url };
    metrics.noteScrape(counts, failure);
    if (failure !== undefined) log.debug('scrape failed', { ...fields, err: failure });
    if (counts.outOfOrder > 0) log.warn('samples out of order', { ...fields, numDropped: counts.outOfOrder });
    if (counts.duplicates > 0) log.warn('samples with different value but same timestamp', { ...fields, numDropped: counts.duplicates });
    if (counts.beyondSeriesLimit > 0) log.warn('samples of series beyond the limit of series', { ...fields, numDropped: counts.beyondSeriesLimit });
    if (counts.exemplarsRefused > 0) log.debug('exemplars that are too long or have bad labels', { ...fields, numDropped: counts.exemplarsRefused });
    if (counts.outOfBounds > 0) log.warn('samples too old or too far in the future', { ...fields, numDropped: counts.outOfBounds });
  }

  /** Stale markers after the target's end, dated when the next scrape would have been. */
  async #markEnd(): Promise<void> {
    if (this.#state.lastScrapeMs === 0) return;
    const { clock, appendable, log } = this.#deps;
    const { intervalMs } = this.target;
    const waitMs = this.#nextMs - clock.now() + intervalMs + intervalMs / 10;
    const staleMs = this.#nextMs;
    if (!(await sleep(clock, waitMs, this.#shutDown.signal))) return;
    let appender: ScrapeAppender | undefined;
    try {
      appender = appendable.appender();
      appendNothing(staleMs, this.#cache, appender);
      for (const report of this.#reports) appendStaleMarker(report, appender, staleMs);
      appender.commit();
    } catch (error) {
      appender?.rollback();
      log.warn('stale markers not stored', { job: this.target.pool, target: this.target.url, err: error });
    }
  }
}
