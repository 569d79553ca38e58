/** Columns of numbers that have become too short. */

/** A column of numbers. */
export type Column = Float64Array | Uint32Array | Int32Array | Uint16Array | Uint8Array;

/** A column of another length with the same entries, and zeros behind. @param length not below that of `column`; twice it by default */
export function grownColumn<T extends Column>(column: T, length: number = column.length * 2): T {
  const grown = new (column.constructor as new (length: number) => T)(length);
  grown.set(column as never);
  return grown;
}
