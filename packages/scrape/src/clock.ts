/** Time as the scraper sees it: injected, so that tests need not wait. */

/** Current time and timers. */
export interface ScrapeClock {
  /** Milliseconds since 1970. */
  now(): number;
  /** Runs a function once, later. @returns a function that cancels it */
  setTimer(delayMs: number, run: () => void): () => void;
}

/** The process' clock. */
export const systemClock: ScrapeClock = {
  now: Date.now,
  setTimer(delayMs, run) {
    const timer = setTimeout(run, delayMs);
    return () => clearTimeout(timer);
  },
};

/** Waits; comes back early, with false, when the signal is aborted. */
export function sleep(clock: ScrapeClock, delayMs: number, signal: AbortSignal): Promise<boolean> {
  if (signal.aborted) return Promise.resolve(false);
  return new Promise((resolve) => {
    const end = (slept: boolean): void => {
      cancel();
      signal.removeEventListener('abort', abort);
      resolve(slept);
    };
    const abort = (): void => end(false);
    const cancel = clock.setTimer(Math.max(0, delayMs), () => end(true));
    signal.addEventListener('abort', abort);
  });
}
