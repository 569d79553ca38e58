/**
 * When groups are evaluated: on a grid of their interval, moved by a hash of file and name, so that groups do not all run at once and a
 * restarted ruler keeps the rhythm.
 *
 *   offset = hash of {file, name} mod interval        0 ──┼──────offset──────┼─────► slots at k × interval + offset
 *
 * Source: Prometheus rules/group.go (EvalTimestamp), where the offset has nanoseconds.
 */
import { hashLabels, labelsFromMap } from '@gauntlet/model';

/** Offset of a group's slots, whole ms. */
export function slotOffsetMs(file: string, name: string, intervalMs: number): number {
  const { hi, lo } = hashLabels(labelsFromMap({ file, name }));
  const hash = (BigInt(hi >>> 0) << 32n) | BigInt(lo >>> 0);
  return Number((hash % BigInt(intervalMs * 1_000_000)) / 1_000_000n);
}

/** The last slot at or before a time, whole ms. */
export function slotBefore(timeMs: number, intervalMs: number, offsetMs: number): number {
  const wholeMs = Math.floor(timeMs);
  return wholeMs - ((((wholeMs - offsetMs) % intervalMs) + intervalMs) % intervalMs);
}

/** How an evaluation follows on another. */
export interface NextSlot {
  /** Slot of the next evaluation. */
  readonly slotMs: number;
  /** Slots that went by meanwhile. */
  readonly missed: number;
}

/**
 * The slot to evaluate when the timer for the next one has run, or when the last evaluation took longer than the interval.
 * @param lastMs slot of the last evaluation
 */
export function nextSlot(lastMs: number, nowMs: number, intervalMs: number): NextSlot {
  const elapsed = Math.floor((nowMs - lastMs) / intervalMs);
  // The clock was set back: the slots follow it. Samples older than what is there are refused for that long.
  if (elapsed < 0) return { slotMs: lastMs + elapsed * intervalMs, missed: 0 };
  const steps = Math.max(1, elapsed);
  return { slotMs: lastMs + steps * intervalMs, missed: steps - 1 };
}
