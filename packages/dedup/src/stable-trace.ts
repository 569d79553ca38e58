/** Who wants to know how `stable` decided: `explain`, the counts of a receipt, tests. Called only where something is decided, not per sample. */
import type { Hole } from './stable-fill.ts';
import type { WindowTable } from './stable-windows.ts';

/** All optional. Replicas and indexes are those of the merge's input. */
export interface StableTrace {
  /** A window's leader (UNION: none) and its spacing d in milliseconds (Infinity: none). `row` is the window's in `windows`. */
  onWindow?(startMs: number, leader: number, spacingMs: number, windows: WindowTable, row: number): void;
  /** Samples `from` … `to` − 1 of a replica were chosen for a hole. Holes that are left are filled with others, after this call. */
  onFill?(replica: number, from: number, to: number, hole: Hole): void;
  /** Samples `from` … `to` − 1 of a replica were out of order with sample `otherIndex` of another (law 4). One stretch may be told more than once. */
  onDrop?(replica: number, from: number, to: number, other: number, otherIndex: number): void;
  /** A sample was lower than another replica's before it, and stays: its replica does not catch up, so the replicas disagree. */
  onDispute?(replica: number, index: number, other: number, otherIndex: number): void;
  /** A stale marker was shown or left out because another replica goes on. */
  onStaleMarker?(replica: number, index: number, isShown: boolean): void;
}
