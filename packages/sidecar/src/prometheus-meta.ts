/**
 * What the sidecar knows of its Prometheus: version, external labels, first timestamp, whether it answers. One loop keeps it true:
 *
 *   flags fit uploads? ─► version ─► labels + first timestamp ─► up, ready ─┐
 *     (each retried every interval)                                         └─ every interval again: failure → down, not ready; success → up
 *
 * No external labels at the first look end the sidecar: its series could not be told from those of others.
 * Source of behaviour: Thanos cmd/thanos/sidecar.go.
 */
import { setTimeout as sleepFor } from 'node:timers/promises';
import { EMPTY_LABELS, formatLabels, type Labels, labelsFromMap } from '@gauntlet/model';
import { MAX_TIME_MS } from '@gauntlet/proto';
import { errorText, type Gauge, type Logger, parseDurationText, type TimeOrDuration } from '@gauntlet/service-kit';
import { normalize } from 'node:path';
import { parse as parseYaml } from 'yaml';
import { SidecarError } from './errors.ts';
import type { PrometheusClient } from './prometheus-client.ts';

const TWO_HOURS_MS = 7_200_000;

/** What {@link PrometheusMeta} needs. */
export interface PrometheusMetaDeps {
  readonly client: PrometheusClient;
  readonly log: Logger;
  /** `thanos_sidecar_prometheus_up`. */
  readonly up: Gauge;
  /** Unix ms. */
  readonly clock: () => number;
  /** Called when Prometheus answers (again), and when it does not, with the reason. */
  readonly onUp: () => void;
  readonly onDown: (reason: string) => void;
  /** Waits; rejects when the signal is aborted. Default: a timer. */
  readonly sleep?: (ms: number, signal: AbortSignal) => Promise<void>;
}

/** Options of {@link PrometheusMeta}. */
export interface PrometheusMetaOptions {
  /** `--prometheus.get_config_interval`. */
  readonly intervalMs: number;
  /** `--prometheus.get_config_timeout`. */
  readonly timeoutMs: number;
  /** `--min-time`. */
  readonly minTime: TimeOrDuration;
  /** Set when blocks are uploaded: flags of Prometheus are checked first. */
  readonly uploads: UploadCheck | undefined;
}

/** What uploading wants of Prometheus' flags. */
export interface UploadCheck {
  /** Path of our state file, which Prometheus must wait for if it waits for one. */
  readonly metaFilePath: string;
  /** `--shipper.ignore-unequal-block-size`. */
  readonly ignoreUnequalBlockSize: boolean;
}

/** See the head of this file. */
export class PrometheusMeta {
  readonly #deps: PrometheusMetaDeps;
  readonly #options: PrometheusMetaOptions;
  #labels: Labels = EMPTY_LABELS;
  #version = '';
  #lowestMs: number;

  constructor(deps: PrometheusMetaDeps, options: PrometheusMetaOptions) {
    this.#deps = deps;
    this.#options = options;
    this.#lowestMs = options.minTime.at(deps.clock());
  }

  /** External labels as last seen; empty before the first look. */
  get externalLabels(): Labels {
    return this.#labels;
  }

  /** As last seen. */
  get version(): string {
    return this.#version;
  }

  /** First and last timestamp announced, ms. */
  timeRange(): { readonly mint: number; readonly maxt: number } {
    return { mint: Math.max(this.#options.minTime.at(this.#deps.clock()), this.#lowestMs), maxt: MAX_TIME_MS };
  }

  /**
   * Runs until aborted.
   * @throws SidecarError ERR_SIDECAR_EXTERNAL_LABELS if Prometheus has none
   */
  async run(signal: AbortSignal): Promise<void> {
    const { log, up } = this.#deps;
    const { uploads } = this.#options;
    if (uploads !== undefined) {
      await this.#retry('validate prometheus flags', (s) => this.#checkFlags(uploads, s), signal);
      log.info('successfully validated prometheus flags');
    }
    await this.#retry('fetch prometheus version', async (s) => void (this.#version = await this.#deps.client.version(s)), signal);
    log.info('successfully loaded prometheus version', { version: this.#version });
    await this.#retry('fetch initial external labels', (s) => this.#refresh(s), signal);
    log.info('successfully loaded prometheus external labels', { external_labels: formatLabels(this.#labels) });
    if (this.#labels.length === 0) {
      throw new SidecarError(
        'ERR_SIDECAR_EXTERNAL_LABELS',
        'no external labels configured on Prometheus server, uniquely identifying external labels must be configured; set global.external_labels in its configuration file',
      );
    }
    up.set(1);
    this.#deps.onUp();
    for (;;) {
      await this.#sleep(signal);
      try {
        await this.#attempt((s) => this.#refresh(s), signal);
        up.set(1);
        this.#deps.onUp();
      } catch (error) {
        signal.throwIfAborted();
        log.warn('updating external labels and timestamps of prometheus failed', { err: error });
        up.set(0);
        this.#deps.onDown(errorText(error));
      }
    }
  }

  async #refresh(signal: AbortSignal): Promise<void> {
    const { client } = this.#deps;
    const [lowestMs, config] = await Promise.all([client.lowestTimestampMs(signal), client.config(signal)]);
    this.#labels = parseExternalLabels(config);
    this.#lowestMs = lowestMs;
  }

  async #checkFlags(uploads: UploadCheck, signal: AbortSignal): Promise<void> {
    const { client, log } = this.#deps;
    const flags = await client.flags(signal);
    if (flags === undefined) {
      log.warn('prometheus does not show its flags, it is probably old; they are not checked');
      return;
    }
    const delayFile = flags.get('storage.tsdb.delay-compact-file.path') ?? '';
    if (delayFile !== '' && normalize(delayFile) !== normalize(uploads.metaFilePath)) {
      throw new SidecarError(
        'ERR_SIDECAR_PROMETHEUS_FLAGS',
        `Prometheus waits for uploads in --storage.tsdb.delay-compact-file.path=${delayFile}, the sidecar writes to ${uploads.metaFilePath}: both must be the same file`,
      );
    }
    const min = flags.get('storage.tsdb.min-block-duration') ?? '';
    const max = flags.get('storage.tsdb.max-block-duration') ?? '';
    if (delayFile === '' && min !== max) {
      const text = `Prometheus compacts its blocks before they are uploaded: --storage.tsdb.min-block-duration is ${min}, --storage.tsdb.max-block-duration is ${max}; both must be the same`;
      if (!uploads.ignoreUnequalBlockSize) throw new SidecarError('ERR_SIDECAR_PROMETHEUS_FLAGS', text);
      log.warn('a block that Prometheus compacts before its upload succeeds will be missing in the bucket', { minBlockDuration: min, maxBlockDuration: max });
    }
    if (min !== '' && parseDurationText(min) !== TWO_HOURS_MS) log.warn('block duration of prometheus is not 2h, which is recommended', { minBlockDuration: min });
  }

  /** Tries until it works. */
  async #retry(what: string, attempt: (signal: AbortSignal) => Promise<void>, signal: AbortSignal): Promise<void> {
    for (;;) {
      try {
        return await this.#attempt(attempt, signal);
      } catch (error) {
        signal.throwIfAborted();
        this.#deps.log.warn(`${what}: no success, is Prometheus running? Retrying`, { err: error });
      }
      await this.#sleep(signal);
    }
  }

  async #attempt(attempt: (signal: AbortSignal) => Promise<void>, signal: AbortSignal): Promise<void> {
    const deadline = new AbortController();
    const timer = setTimeout(() => deadline.abort(new SidecarError('ERR_SIDECAR_PROMETHEUS', `no answer of Prometheus within ${this.#options.timeoutMs} ms`)), this.#options.timeoutMs);
    try {
      await attempt(AbortSignal.any([signal, deadline.signal]));
    } finally {
      clearTimeout(timer);
    }
  }

  async #sleep(signal: AbortSignal): Promise<void> {
    const sleep = this.#deps.sleep ?? ((ms: number, s: AbortSignal) => sleepFor(ms, undefined, { signal: s }));
    await sleep(this.#options.intervalMs, signal);
  }
}

/**
 * `global.external_labels` of a Prometheus configuration file.
 * @throws SidecarError ERR_SIDECAR_PROMETHEUS if it is not one
 */
export function parseExternalLabels(yaml: string): Labels {
  let config: unknown;
  try {
    config = parseYaml(yaml, { maxAliasCount: 100 });
  } catch (error) {
    throw new SidecarError('ERR_SIDECAR_PROMETHEUS', `read configuration of Prometheus: ${errorText(error)}`, { cause: error });
  }
  const global = (config as { global?: unknown } | null)?.global;
  const labels = (global as { external_labels?: unknown } | null | undefined)?.external_labels ?? {};
  if (typeof labels !== 'object' || Array.isArray(labels)) throw new SidecarError('ERR_SIDECAR_PROMETHEUS', 'read configuration of Prometheus: global.external_labels is not a map');
  return labelsFromMap(new Map(Object.entries(labels as Record<string, unknown>).map(([name, value]) => [name, String(value)])));
}
