/** A clock that stands still until it is told to move: timers run in order of their time, and what they start is waited for. */

/** A clock for tests. */
export interface ManualClock {
  /** Milliseconds since 1970. */
  now(): number;
  /** Runs a function once, later. @returns a function that cancels it */
  setTimer(delayMs: number, run: () => void): () => void;
  /** Moves to a time, running every timer on the way at its own time. */
  moveTo(timeMs: number): Promise<void>;
  /** Moves on by a time. */
  pass(durationMs: number): Promise<void>;
  /** Shows another time without any timer running, as when a clock is set or work takes long. */
  set(timeMs: number): void;
  /** Timers waiting. */
  pending(): number;
}

/** Makes a clock that shows `startMs`. */
export function createManualClock(startMs: number): ManualClock {
  let nowMs = startMs;
  let sequence = 0;
  const timers = new Map<number, { readonly atMs: number; readonly run: () => void }>();
  const clock: ManualClock = {
    now: () => nowMs,
    setTimer(delayMs, run) {
      const id = sequence++;
      timers.set(id, { atMs: nowMs + delayMs, run });
      return () => void timers.delete(id);
    },
    async moveTo(timeMs) {
      await settle();
      for (;;) {
        const due = [...timers].filter(([, timer]) => timer.atMs <= timeMs).sort((a, b) => a[1].atMs - b[1].atMs || a[0] - b[0])[0];
        if (due === undefined) break;
        timers.delete(due[0]);
        nowMs = Math.max(nowMs, due[1].atMs);
        due[1].run();
        await settle();
      }
      nowMs = Math.max(nowMs, timeMs);
    },
    pass: (durationMs) => clock.moveTo(nowMs + durationMs),
    set(timeMs) {
      nowMs = timeMs;
    },
    pending: () => timers.size,
  };
  return clock;
}

/** Waits until promises, and the callbacks they lead to, have run: enough where nothing but promises is involved. */
async function settle(): Promise<void> {
  for (let i = 0; i < 3; i++) await new Promise((resolve) => setImmediate(resolve));
}
