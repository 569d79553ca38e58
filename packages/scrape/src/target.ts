/**
 * Targets: from what a configuration lists to what is scraped.
 *
 *   static target + group labels + job, __scheme__, __metrics_path__, __scrape_interval__, __scrape_timeout__, __param_*   = discovered labels
 *   → relabel_configs → drop, or: __address__ must be there, `instance` defaults to it, __meta_* go
 *   → URL from __scheme__, __address__, __metrics_path__ and __param_*; labels without __ go onto every series
 *
 * Source: Prometheus docs/configuration "relabel_config"; scrape/target.go.
 */
import { type Labels, LabelsBuilder, ModelError, parseDuration, formatDuration, quoteGo, relabelBuilder } from '@gauntlet/model';
import { ScrapeError } from './errors.ts';
import type { ScrapeConfig } from './scrape-config.ts';

/** One endpoint to scrape. */
export interface Target {
  /** Job of the configuration it comes from (the label may say otherwise). */
  readonly pool: string;
  readonly config: ScrapeConfig;
  /** Before relabelling. */
  readonly discoveredLabels: Labels;
  /** After it: what every series gets. */
  readonly labels: Labels;
  readonly url: string;
  readonly intervalMs: number;
  readonly timeoutMs: number;
}

/** Targets of a configuration. */
export interface TargetSet {
  readonly active: readonly Target[];
  /** Discovered labels of those that relabelling dropped. */
  readonly dropped: readonly { readonly pool: string; readonly discoveredLabels: Labels }[];
}

/**
 * Makes the targets of one job.
 * @throws ScrapeError ERR_SCRAPE_TARGET naming the target that is no good
 */
export function createTargets(config: ScrapeConfig): TargetSet {
  const active = new Map<string, Target>();
  const dropped: { pool: string; discoveredLabels: Labels }[] = [];
  for (const group of config.staticConfigs) {
    for (const address of group.targets) {
      const discoveredLabels = discoverLabels(config, address, group.labels);
      try {
        const target = createTarget(config, discoveredLabels);
        // The same endpoint with the same labels listed twice is scraped once.
        if (target === undefined) dropped.push({ pool: config.jobName, discoveredLabels });
        else active.set(JSON.stringify([target.url, target.labels]), target);
      } catch (error) {
        if (!(error instanceof ScrapeError || error instanceof ModelError)) throw error;
        throw new ScrapeError('ERR_SCRAPE_TARGET', `target ${quoteGo(address)} of job ${quoteGo(config.jobName)}: ${error.message}`, { cause: error });
      }
    }
  }
  return { active: [...active.values()], dropped };
}

function discoverLabels(config: ScrapeConfig, address: string, groupLabels: Labels): Labels {
  const builder = new LabelsBuilder(groupLabels).set('__address__', address);
  const defaults: (readonly [string, string])[] = [
    ['job', config.jobName],
    ['__scrape_interval__', formatDuration(config.scrapeIntervalMs)],
    ['__scrape_timeout__', formatDuration(config.scrapeTimeoutMs)],
    ['__metrics_path__', config.metricsPath],
    ['__scheme__', config.scheme],
  ];
  for (const [name, values] of config.params) if (values.length > 0) defaults.push([`__param_${name}`, values[0]!]);
  for (const [name, value] of defaults) if (builder.get(name) === '') builder.set(name, value);
  return builder.labels();
}

function createTarget(config: ScrapeConfig, discoveredLabels: Labels): Target | undefined {
  const builder = new LabelsBuilder(discoveredLabels);
  if (!relabelBuilder(builder, config.relabelConfigs)) return undefined;
  const address = builder.get('__address__');
  if (address === '') throw refuse('no address');
  if (address.includes('/')) throw refuse(`${quoteGo(address)} is not a valid hostname`);
  const intervalMs = readDuration(builder, '__scrape_interval__', 'scrape interval');
  const timeoutMs = readDuration(builder, '__scrape_timeout__', 'scrape timeout');
  if (timeoutMs > intervalMs) {
    throw refuse(`scrape timeout cannot be greater than scrape interval (${quoteGo(builder.get('__scrape_timeout__'))} > ${quoteGo(builder.get('__scrape_interval__'))})`);
  }
  if (builder.get('instance') === '') builder.set('instance', address);
  const url = targetUrl(config, builder);
  const all = builder.labels();
  for (let i = 0; i < all.length; i += 2) if (all[i]!.startsWith('__')) builder.delete(all[i]!);
  return { pool: config.jobName, config, discoveredLabels, labels: builder.labels(), url, intervalMs, timeoutMs };
}

function readDuration(builder: LabelsBuilder, label: string, what: string): number {
  let durationMs: number;
  try {
    durationMs = parseDuration(builder.get(label));
  } catch (error) {
    throw refuse(`error parsing ${what}: ${(error as Error).message}`);
  }
  if (durationMs === 0) throw refuse(`${what} cannot be 0`);
  return durationMs;
}

function targetUrl(config: ScrapeConfig, builder: LabelsBuilder): string {
  const params = new Map<string, string[]>([...config.params].map(([name, values]) => [name, [...values]]));
  const labels = builder.labels();
  for (let i = 0; i < labels.length; i += 2) {
    if (!labels[i]!.startsWith('__param_')) continue;
    const name = labels[i]!.slice('__param_'.length);
    params.set(name, [labels[i + 1]!, ...(params.get(name) ?? []).slice(1)]);
  }
  const query = new URLSearchParams();
  for (const name of [...params.keys()].sort()) for (const value of params.get(name)!) query.append(name, value);
  const scheme = builder.get('__scheme__');
  if (scheme !== 'http' && scheme !== 'https') throw refuse(`unsupported scheme ${quoteGo(scheme)}: wanted http or https`);
  let url: URL;
  try {
    url = new URL(`${scheme}://${builder.get('__address__')}`);
  } catch {
    throw refuse(`${quoteGo(builder.get('__address__'))} is not a valid hostname`);
  }
  url.pathname = builder.get('__metrics_path__');
  url.search = query.toString();
  // Not `href`, which leaves out default ports: the URL is shown as configured.
  return `${scheme}://${builder.get('__address__')}${url.pathname}${url.search}`;
}

function refuse(message: string): ScrapeError {
  return new ScrapeError('ERR_SCRAPE_TARGET', message);
}
