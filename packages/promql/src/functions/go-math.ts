/**
 * Floating-point functions where Go's results differ from JavaScript's.
 * Source: the special cases documented in Go's package math; IEEE 754 for `pow` of ±1 and NaN.
 */

/** Go's math.Pow: 1 to anything and −1 to ±Inf are 1; JavaScript says NaN. */
export function pow(x: number, y: number): number {
  if (x === 1 || y === 0) return 1;
  if (x === -1 && (y === Infinity || y === -Infinity)) return 1;
  if (y === 0.5) return Math.sqrt(x);
  if (y === -0.5) return 1 / Math.sqrt(x);
  return x ** y;
}

/** Go's math.Max: +Inf wins over NaN. */
export function max(x: number, y: number): number {
  return x === Infinity || y === Infinity ? Infinity : Math.max(x, y);
}

/** Go's math.Min: −Inf wins over NaN. */
export function min(x: number, y: number): number {
  return x === -Infinity || y === -Infinity ? -Infinity : Math.min(x, y);
}
