/** A clock that stands still until it is told to move: timers run in order of their time, and what they start is waited for. */
import type { ScrapeClock } from '../clock.ts';

/** A clock for tests. */
export interface FakeClock extends ScrapeClock {
  /** Moves to a time, running every timer on the way at its own time. */
  moveTo(timeMs: number): Promise<void>;
  /** By how much timers are late, as on a busy machine. Default 0. */
  latenessMs: number;
  /** Timers waiting. */
  pending(): number;
}

/** Makes a clock that shows `startMs`. @param settle waits until everything that the last timer started has come to rest */
export function createFakeClock(startMs: number, settle: () => Promise<void>): FakeClock {
  let nowMs = startMs;
  let sequence = 0;
  const timers = new Map<number, { atMs: number; run: () => void }>();
  const clock: FakeClock = {
    latenessMs: 0,
    now: () => nowMs,
    setTimer(delayMs, run) {
      const id = sequence++;
      timers.set(id, { atMs: nowMs + delayMs, run });
      return () => void timers.delete(id);
    },
    async moveTo(timeMs) {
      await settle();
      for (;;) {
        const due = [...timers].filter(([, timer]) => timer.atMs + clock.latenessMs <= timeMs).sort((a, b) => a[1].atMs - b[1].atMs || a[0] - b[0])[0];
        if (due === undefined) break;
        const [id, timer] = due;
        timers.delete(id);
        nowMs = Math.max(nowMs, timer.atMs + clock.latenessMs);
        timer.run();
        await settle();
      }
      nowMs = timeMs;
    },
    pending: () => timers.size,
  };
  return clock;
}

/** Waits until promises, and the callbacks they lead to, have run: enough where nothing but promises is involved. */
export async function settlePromises(): Promise<void> {
  for (let i = 0; i < 5; i++) await new Promise((resolve) => setImmediate(resolve));
}
