/** Counts of decisions, for the receipt of a query or a compaction. */
import type { StableTrace } from './stable-trace.ts';
import { UNION } from './stable-windows.ts';

/** How often `stable` decided what, over all series that were merged with one counter. */
export interface StableCounts {
  /** Windows of series, and those without a spacing, where all samples are shown. */
  windows: number;
  unionWindows: number;
  /** Windows with another leader than the one before. */
  leaderChanges: number;
  /** Samples taken into holes. */
  filledSamples: number;
  /** Samples left out because they were behind what is shown. */
  droppedSamples: number;
  /** Samples that are lower than another replica's and stay, because the replicas disagree. */
  disputedSamples: number;
  /** Stale markers left out because another replica goes on. */
  droppedStaleMarkers: number;
}

/** A trace that counts; call `startSeries` before each series. */
export class DecisionCounter implements StableTrace {
  readonly counts: StableCounts = { windows: 0, unionWindows: 0, leaderChanges: 0, filledSamples: 0, droppedSamples: 0, disputedSamples: 0, droppedStaleMarkers: 0 };
  #leader = -2;
  // A sample may be looked at for several holes. Only what was left out or disputed is in here.
  readonly #dropped: Set<string> = new Set();
  readonly #disputed: Set<string> = new Set();

  /** Forgets the series before. */
  startSeries(): void {
    this.#leader = -2;
    this.#dropped.clear();
    this.#disputed.clear();
  }

  onWindow(_startMs: number, leader: number): void {
    this.counts.windows++;
    if (leader === UNION) this.counts.unionWindows++;
    if (this.#leader !== -2 && leader !== this.#leader) this.counts.leaderChanges++;
    this.#leader = leader;
  }

  onFill(replica: number, from: number, to: number): void {
    this.counts.filledSamples += to - from;
    // Left out of one hole, taken into a smaller one.
    for (let i = from; i < to; i++) if (this.#dropped.delete(`${replica}:${i}`)) this.counts.droppedSamples--;
  }

  onDrop(replica: number, from: number, to: number): void {
    for (let i = from; i < to; i++) {
      const key = `${replica}:${i}`;
      if (this.#dropped.has(key)) continue;
      this.#dropped.add(key);
      this.counts.droppedSamples++;
    }
  }

  onDispute(replica: number, index: number): void {
    const key = `${replica}:${index}`;
    if (this.#disputed.has(key)) return;
    this.#disputed.add(key);
    this.counts.disputedSamples++;
  }

  onStaleMarker(_replica: number, _index: number, isShown: boolean): void {
    if (!isShown) this.counts.droppedStaleMarkers++;
  }
}
