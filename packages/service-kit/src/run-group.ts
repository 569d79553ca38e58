/**
 * The run group owns the order in which the parts of a process start and stop.
 *
 *   start: first added first; when one fails, those already started are stopped
 *   run:   until a signal, an abort, or the end of a part that was not asked to end
 *   stop:  last added first, each within the grace period; a second SIGINT or SIGTERM stops waiting
 */
import { ServiceKitError, errorText } from './errors.ts';
import type { Logger } from './log.ts';

/** A part of a process. */
export interface RunPart {
  readonly name: string;
  /** Brings the part up; resolves when it is up. */
  start?(): Promise<void> | void;
  /** Ends the part; resolves when it has ended. Called only after a `start` that succeeded. */
  stop?(reason: string): Promise<void> | void;
  /** Work that goes on until stopped: resolves or rejects when it ends, either of which ends the group. Called after all have started. */
  run?(signal: AbortSignal): Promise<void>;
}

/** What {@link createRunGroup} needs. */
export interface RunGroupDeps {
  readonly log: Logger;
  /** Time each part has to stop; default 2 minutes. */
  readonly gracePeriodMs?: number;
  /** Where SIGINT, SIGTERM and SIGHUP come from; default the process. `undefined` listens to none. */
  readonly signals?: SignalSource | undefined;
  /** Called at SIGHUP. */
  readonly onReload?: () => void;
}

/** The part of `process` that delivers signals. */
export interface SignalSource {
  on(signal: 'SIGINT' | 'SIGTERM' | 'SIGHUP', listener: () => void): unknown;
  off(signal: 'SIGINT' | 'SIGTERM' | 'SIGHUP', listener: () => void): unknown;
}

/** See {@link createRunGroup}. */
export interface RunGroup {
  /** Adds a part; before `run`. */
  add(part: RunPart): void;
  /** Starts, runs and stops everything. @throws the first error of a part */
  run(signal?: AbortSignal): Promise<void>;
}

/** Makes an empty run group. */
export function createRunGroup(deps: RunGroupDeps): RunGroup {
  const parts: RunPart[] = [];
  return {
    add: (part) => void parts.push(part),
    run: (signal) => runParts(parts, deps, signal),
  };
}

async function runParts(parts: readonly RunPart[], deps: RunGroupDeps, outer: AbortSignal | undefined): Promise<void> {
  const { log } = deps;
  const ending = new AbortController();
  const impatient = new AbortController();
  const end = (reason: string): void => {
    if (ending.signal.aborted) impatient.abort();
    else ending.abort(reason);
  };
  const onInterrupt = (): void => {
    log.info('caught signal. Exiting.', { signal: 'interrupt' });
    end('interrupt');
  };
  const onTerminate = (): void => {
    log.info('caught signal. Exiting.', { signal: 'terminated' });
    end('terminated');
  };
  const onHangup = (): void => {
    log.info('caught signal. Reloading.', { signal: 'hangup' });
    deps.onReload?.();
  };
  const onAbort = (): void => end('stopped');
  const signals = 'signals' in deps ? deps.signals : process;
  signals?.on('SIGINT', onInterrupt);
  signals?.on('SIGTERM', onTerminate);
  signals?.on('SIGHUP', onHangup);
  if (outer?.aborted === true) onAbort();
  else outer?.addEventListener('abort', onAbort, { once: true });

  const started: RunPart[] = [];
  let firstError: unknown;
  try {
    for (const part of parts) {
      if (ending.signal.aborted) break;
      await part.start?.();
      started.push(part);
    }
    if (!ending.signal.aborted) await runUntilEnd(started, ending, log);
  } catch (error) {
    firstError = error;
  }
  if (!ending.signal.aborted) ending.abort(firstError === undefined ? 'ended' : errorText(firstError));
  for (const part of started.reverse()) {
    try {
      await stopPart(part, String(ending.signal.reason), deps.gracePeriodMs ?? 120_000, impatient.signal);
    } catch (error) {
      log.error('stopping part', { part: part.name, err: error });
      firstError ??= error;
    }
  }
  signals?.off('SIGINT', onInterrupt);
  signals?.off('SIGTERM', onTerminate);
  signals?.off('SIGHUP', onHangup);
  outer?.removeEventListener('abort', onAbort);
  if (firstError !== undefined) throw firstError as Error;
}

/** Resolves when asked to end, or when any part's work ends; then waits until all have noticed. */
async function runUntilEnd(parts: readonly RunPart[], ending: AbortController, log: Logger): Promise<void> {
  const runs = parts.map(async (part) => {
    if (part.run === undefined) return;
    try {
      await part.run(ending.signal);
      if (!ending.signal.aborted) log.info('part ended', { part: part.name });
    } catch (error) {
      if (!ending.signal.aborted) throw error;
      if (error !== ending.signal.reason && !(error instanceof Error && error.name === 'AbortError')) throw error;
    } finally {
      if (!ending.signal.aborted) ending.abort(`${part.name} ended`);
    }
  });
  const asked = new Promise<void>((resolve) => {
    if (ending.signal.aborted) resolve();
    else ending.signal.addEventListener('abort', () => resolve(), { once: true });
  });
  const results = Promise.allSettled(runs);
  await asked;
  const outcomes = await results;
  const failed = outcomes.find((outcome) => outcome.status === 'rejected');
  if (failed !== undefined) throw failed.reason as Error;
}

async function stopPart(part: RunPart, reason: string, gracePeriodMs: number, impatient: AbortSignal): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  let giveUp: (() => void) | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    giveUp = () => reject(new ServiceKitError('ERR_CANCELLED', `stop ${part.name}: not finished, and asked again to stop`));
    timer = setTimeout(() => reject(new ServiceKitError('ERR_CANCELLED', `stop ${part.name}: not finished within the grace period of ${gracePeriodMs} ms`)), gracePeriodMs);
  });
  late.catch(() => undefined);
  if (impatient.aborted) giveUp!();
  else impatient.addEventListener('abort', giveUp!, { once: true });
  try {
    await Promise.race([Promise.resolve(part.stop?.(reason)), late]);
  } finally {
    clearTimeout(timer);
    impatient.removeEventListener('abort', giveUp!);
  }
}
