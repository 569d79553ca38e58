/**
 * Retries with exponential backoff and full jitter. Which failures are worth another attempt is the caller's judgement; the
 * waiting ends at once when the signal is aborted.
 */
import { setTimeout as delay } from 'node:timers/promises';

import { throwIfAborted } from './object-key.ts';

/** How often and how patiently. */
export interface RetryPolicy {
  /** Attempts in all, at least 1. */
  readonly attemptsMax: number;
  /** Upper bound of the first wait, doubled each time up to 100 times itself. */
  readonly baseDelayMs: number;
  /** Uniform in [0, 1). */
  readonly random: () => number;
}

/** Waits before attempt `attempt + 1`, where `attempt` counts from 1. */
export async function waitBeforeRetry(policy: RetryPolicy, attempt: number, signal: AbortSignal | undefined): Promise<void> {
  throwIfAborted(signal);
  const most = policy.baseDelayMs * Math.min(100, 2 ** (attempt - 1));
  await delay(most * policy.random(), undefined, signal === undefined ? {} : { signal }).catch(() => undefined);
  throwIfAborted(signal);
}

/**
 * Runs `work` until it succeeds, fails for good, or the attempts are used up.
 * @param isRetryable judges a failure; the last one is thrown as it is
 */
export async function withRetries<T>(policy: RetryPolicy, signal: AbortSignal | undefined, isRetryable: (error: unknown) => boolean, work: (attempt: number) => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    throwIfAborted(signal);
    try {
      return await work(attempt);
    } catch (error) {
      throwIfAborted(signal);
      if (attempt >= policy.attemptsMax || !isRetryable(error)) throw error;
    }
    await waitBeforeRetry(policy, attempt, signal);
  }
}
