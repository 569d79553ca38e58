/**
 * Tells Prometheus to reload when its configuration or rules change.
 *
 *   look every interval: hash of all watched files changed? ─► write the file with $(VARIABLES) replaced ─► POST /-/reload
 *                                                              a failure is tried again every retry interval until the next look
 *
 * Source of behaviour: Thanos pkg/reloader/reloader.go (method http).
 */
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync, renameSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleepFor } from 'node:timers/promises';
import { gunzipSync } from 'node:zlib';
import { type Logger, type Metrics, substituteEnvironment } from '@gauntlet/service-kit';
import { SidecarError } from './errors.ts';

/** What {@link createReloader} needs. */
export interface ReloaderDeps {
  readonly log: Logger;
  readonly metrics: Metrics;
  /** Unix ms. */
  readonly clock: () => number;
  /** Makes Prometheus reload; rejects if it does not. */
  readonly trigger: (signal: AbortSignal) => Promise<void>;
  /** Default: the process's. */
  readonly environment?: Readonly<Record<string, string | undefined>>;
}

/** Flags `--reloader.*`. */
export interface ReloaderOptions {
  /** `''` for none. */
  readonly configFile: string;
  /** `''`: the configuration is only watched. */
  readonly envsubstFile: string;
  readonly ruleDirs: readonly string[];
  /** 0: apply once. */
  readonly watchIntervalMs: number;
  readonly retryIntervalMs: number;
}

/** A running reloader. */
export interface Reloader {
  /** Runs until aborted; returns at once if nothing is to be watched. */
  run(signal: AbortSignal): Promise<void>;
}

/** Creates a reloader; its metrics are there from now on. */
export function createReloader(deps: ReloaderDeps, options: ReloaderOptions): Reloader {
  const metrics = deps.metrics.withPrefix('thanos_sidecar_');
  const reloads = metrics.counter({ name: 'reloader_reloads_total', help: 'Total number of reload requests.' });
  const reloadsFailed = metrics.counter({ name: 'reloader_reloads_failed_total', help: 'Total number of reload requests that failed.' });
  const lastSuccessful = metrics.gauge({ name: 'reloader_last_reload_successful', help: 'Whether the last reload attempt was successful.' });
  const lastSuccess = metrics.gauge({ name: 'reloader_last_reload_success_timestamp_seconds', help: 'Timestamp of the last successful reload.' });
  const applies = metrics.counter({ name: 'reloader_config_apply_operations_total', help: 'Total number of config apply operations.' });
  const appliesFailed = metrics.counter({ name: 'reloader_config_apply_operations_failed_total', help: 'Total number of config apply operations that failed.' });
  let applied = '';

  /** One look: writes and reloads if something changed. */
  const apply = async (signal: AbortSignal): Promise<void> => {
    const hash = hashFiles([options.configFile, ...options.ruleDirs].filter((path) => path !== ''));
    if (options.configFile !== '' && options.envsubstFile !== '') writeSubstituted(options, deps.environment ?? process.env);
    if (hash === applied) return;
    reloads.inc();
    try {
      await deps.trigger(signal);
    } catch (error) {
      reloadsFailed.inc();
      lastSuccessful.set(0);
      throw error;
    }
    applied = hash;
    lastSuccessful.set(1);
    lastSuccess.set(deps.clock() / 1000);
    deps.log.info('reload triggered', { configFile: options.configFile, ruleDirs: options.ruleDirs.join(',') });
  };

  /** Looks, and tries again until `untilMs`. */
  const applyWithRetries = async (untilMs: number, signal: AbortSignal): Promise<void> => {
    for (;;) {
      applies.inc();
      try {
        return await apply(signal);
      } catch (error) {
        signal.throwIfAborted();
        appliesFailed.inc();
        deps.log.error('applying configuration of prometheus, retrying', { err: error });
      }
      if (deps.clock() + options.retryIntervalMs >= untilMs) return;
      await sleepFor(options.retryIntervalMs, undefined, { signal });
    }
  };

  return {
    run: async (signal) => {
      if (options.configFile === '' && options.ruleDirs.length === 0) return;
      if (options.watchIntervalMs === 0) {
        await applyWithRetries(Infinity, signal);
        return;
      }
      for (;;) {
        await applyWithRetries(deps.clock() + options.watchIntervalMs, signal);
        await sleepFor(options.watchIntervalMs, undefined, { signal });
      }
    },
  };
}

/** SHA-256 over paths and contents of files, and of all files below folders. */
function hashFiles(paths: readonly string[]): string {
  const hash = createHash('sha256');
  const add = (path: string): void => {
    if (statSync(path).isDirectory()) {
      for (const name of readdirSync(path).toSorted()) add(join(path, name));
      return;
    }
    hash.update('\xff', 'latin1').update(path).update('\xff', 'latin1').update(readFileSync(path));
  };
  for (const path of paths) add(path);
  return hash.digest('hex');
}

function writeSubstituted({ configFile, envsubstFile }: ReloaderOptions, environment: Readonly<Record<string, string | undefined>>): void {
  const bytes = readFileSync(configFile);
  const isGzip = bytes[0] === 0x1f && bytes[1] === 0x8b && bytes[2] === 0x08;
  const text = substituteEnvironment((isGzip ? gunzipSync(bytes) : bytes).toString('utf8'), environment, configFile);
  const temporary = `${envsubstFile}.tmp`;
  writeFileSync(temporary, text);
  renameSync(temporary, envsubstFile);
}

/** Refuses what the reloader cannot do. @throws SidecarError ERR_SIDECAR_CONFIG */
export function checkReloaderMethod(method: 'http' | 'signal'): void {
  if (method === 'signal') throw new SidecarError('ERR_SIDECAR_CONFIG', '--reloader.method=signal is not supported yet, use http');
}
