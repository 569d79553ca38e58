/**
 * All loops of a configuration.
 *
 *   applyConfig(jobs) ── targets that stay keep their loop and cache ── those gone are removed ── new ones start
 *
 * A target stays if URL, labels and everything that shapes its samples are the same.
 */
import type { Labels } from '@gauntlet/model';
import type { Appendable } from './appender.ts';
import { type ScrapeClock, systemClock } from './clock.ts';
import type { Fetch } from './fetch-target.ts';
import type { ScrapeConfig } from './scrape-config.ts';
import { createScrapeLoop, type ScrapeLog, type ScrapeLoop, type ScrapeLoopDeps, type ScrapeLoopOptions, type TargetState } from './scrape-loop.ts';
import type { ScrapeMetrics } from './scrape-metrics.ts';
import { createTargets, type TargetSet } from './target.ts';

/** What the scraper needs; clock, fetch and randomness are the process' own unless given. */
export interface ScraperDeps {
  readonly appendable: Appendable;
  readonly log: ScrapeLog;
  readonly metrics: ScrapeMetrics;
  readonly clock?: ScrapeClock;
  readonly fetch?: Fetch;
  readonly random?: () => number;
  /** Default `Gauntlet`. */
  readonly userAgent?: string;
}

/** A running scraper. */
export interface Scraper {
  /** Goes over to these jobs. @throws ScrapeError ERR_SCRAPE_TARGET, and changes nothing */
  applyConfig(jobs: readonly ScrapeConfig[]): void;
  /** State of every target scraped, in the order of the configuration. */
  targets(): readonly TargetState[];
  /** Targets that relabelling dropped. */
  droppedTargets(): readonly { readonly pool: string; readonly discoveredLabels: Labels }[];
  /** The loops, for metadata and tests. */
  loops(): readonly ScrapeLoop[];
  /** Ends everything, without stale markers. */
  stop(): Promise<void>;
}

/**
 * Starts scraping.
 * @throws ScrapeError ERR_SCRAPE_TARGET if a target is no good
 */
export function createScraper(jobs: readonly ScrapeConfig[], deps: ScraperDeps, options: ScrapeLoopOptions = {}): Scraper {
  const loopDeps: ScrapeLoopDeps = {
    appendable: deps.appendable,
    log: deps.log,
    metrics: deps.metrics,
    clock: deps.clock ?? systemClock,
    fetch: deps.fetch ?? ((url, init) => fetch(url, init)),
    random: deps.random ?? Math.random,
    userAgent: deps.userAgent ?? 'Gauntlet',
  };
  let loops = new Map<string, ScrapeLoop>();
  let dropped: TargetSet['dropped'] = [];
  /** Loops that still owe stale markers. */
  const leaving = new Set<ScrapeLoop>();

  const scraper: Scraper = {
    applyConfig(newJobs) {
      const sets = newJobs.map(createTargets);
      const before = loops;
      loops = new Map();
      for (const target of sets.flatMap((set) => set.active)) {
        const key = targetKey(target);
        loops.set(key, before.get(key) ?? createScrapeLoop(target, loopDeps, options));
      }
      dropped = sets.flatMap((set) => set.dropped);
      for (const [key, loop] of before) {
        if (loops.has(key)) continue;
        leaving.add(loop);
        void loop.remove().finally(() => leaving.delete(loop));
      }
    },
    targets: () => [...loops.values()].map((loop) => loop.state()),
    droppedTargets: () => dropped,
    loops: () => [...loops.values()],
    async stop() {
      await Promise.all([...loops.values(), ...leaving].map((loop) => loop.stop()));
    },
  };
  scraper.applyConfig(jobs);
  return scraper;
}

/** Equal for targets whose samples would be the same. */
function targetKey(target: TargetState['target']): string {
  const settings = { ...target.config, staticConfigs: [], relabelConfigs: [], metricRelabelConfigs: [], params: [] };
  const rules = target.config.metricRelabelConfigs.map((rule) => [rule.action, rule.sourceLabels, rule.separator, rule.regex.pattern, rule.isDefaultRegex, rule.modulus, rule.targetLabel.text, rule.replacement.text]);
  return JSON.stringify([target.url, target.labels, target.intervalMs, target.timeoutMs, settings, rules]);
}
