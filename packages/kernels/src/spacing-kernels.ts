/**
 * Contract of the kernel that replica deduplication begins with: one series' samples by window of absolute time, with the smallest and the largest
 * distance between neighbours, so that evenly spaced windows are told without a look at each sample again.
 *
 *   out, 32 bytes a row   window number │ index of its first sample │ smallest distance │ largest distance     all float64
 */

/** Bytes of a row of `summarizeSpacing`. */
export const SPACING_ROW_BYTES = 32;

/** See the head of this file. */
export interface SpacingKernels {
  /**
   * Sums up one series by window; a row per window with samples.
   * @param timestampsPtr `count` float64 milliseconds, strictly ascending
   * @param windowMs length of a window; windows begin at its multiples
   * @param outPtr rows; room for min(count, windows between the first and the last sample) always suffices
   * @returns rows
   */
  summarizeSpacing(timestampsPtr: number, count: number, windowMs: number, outPtr: number): number;
}
