// References by the bytes of a key. Contract in ../src/ingest-kernels.ts; the twin, with a hash of its own, is ../src/js/key-table.ts.
//
//   entry, 24 bytes   u32 key, 0 = none │ u32 key bytes │ u32 hash │ unused │ f64 reference

const ENTRY_BYTES: usize = 24;
const PROBES_MAX: i32 = 64;
const P1: u64 = 0x9e3779b185ebca87;
const P2: u64 = 0xc2b2ae3d27d4eb4f;
const P3: u64 = 0x165667b19e3779f9;

/** Where a search ended: an entry with the key, or a free one. */
let found: usize = 0;

/** See KeyTableKernels.findKeys. */
export function findKeys(bytesPtr: usize, rowsPtr: usize, count: i32, sampleFrom: u32, tablePtr: usize, entries: u32, seed: f64, refsPtr: usize): i32 {
  let unknown = 0;
  let sample = refsPtr;
  for (let i = 0; i < count; i++, rowsPtr += 12) {
    const start = load<u32>(rowsPtr);
    let ref: f64 = 0;
    if (search(bytesPtr + <usize>start, load<u32>(rowsPtr, 4) - start, tablePtr, entries, seed)) ref = load<f64>(found, 16);
    else unknown++;
    const end = refsPtr + (<usize>(load<u32>(rowsPtr, 8) - sampleFrom) << 3);
    while (sample < end) {
      store<f64>(sample, ref);
      sample += 8;
    }
  }
  return unknown;
}

/** See KeyTableKernels.putKey. */
export function putKey(keyPtr: usize, keyBytes: u32, tablePtr: usize, entries: u32, seed: f64, ref: f64): i32 {
  const isThere = search(keyPtr, keyBytes, tablePtr, entries, seed);
  if (found == 0) return -1;
  store<f64>(found, ref, 16);
  if (isThere) return 0;
  store<u32>(found, <u32>keyPtr);
  store<u32>(found, keyBytes, 4);
  store<u32>(found, <u32>hashOf(keyPtr, keyBytes, reinterpret<u64>(seed)), 8);
  return 1;
}

/** Points `found` at the entry of a key, at a free one, or at none; says whether it is the key's. */
function search(ptr: usize, length: u32, tablePtr: usize, entries: u32, seed: f64): bool {
  const hash = <u32>hashOf(ptr, length, reinterpret<u64>(seed));
  const mask = entries - 1;
  let place = hash & mask;
  for (let probe = 0; probe < PROBES_MAX; probe++) {
    const entry = tablePtr + <usize>place * ENTRY_BYTES;
    const key = <usize>load<u32>(entry);
    if (key == 0) {
      found = entry;
      return false;
    }
    if (load<u32>(entry, 8) == hash && load<u32>(entry, 4) == length && isSame(key, ptr, length)) {
      found = entry;
      return true;
    }
    place = (place + 1) & mask;
  }
  found = 0;
  return false;
}

// @ts-ignore: decorator
@inline
function isSame(a: usize, b: usize, length: u32): bool {
  const stop = a + length;
  while (a + 16 <= stop) {
    const differ = v128.xor(v128.load(a), v128.load(b));
    if (v128.any_true(differ)) return false;
    a += 16;
    b += 16;
  }
  while (a + 4 <= stop) {
    if (load<u32>(a) != load<u32>(b)) return false;
    a += 4;
    b += 4;
  }
  while (a < stop) if (load<u8>(a++) != load<u8>(b++)) return false;
  return true;
}

/** Two lanes of eight bytes each, so that one need not wait for the other. */
function hashOf(ptr: usize, length: u32, seed: u64): u64 {
  const end = ptr + length;
  let a = seed + <u64>length * P1;
  let b = seed ^ P2;
  while (ptr + 16 <= end) {
    a = rotl(a + load<u64>(ptr) * P2, 31) * P1;
    b = rotl(b + load<u64>(ptr, 8) * P1, 29) * P2;
    ptr += 16;
  }
  if (ptr + 8 <= end) {
    a = rotl(a + load<u64>(ptr) * P2, 31) * P1;
    ptr += 8;
  }
  let tail: u64 = 0;
  while (ptr < end) tail = (tail << 8) | <u64>load<u8>(ptr++);
  b = rotl(b + tail * P1, 29) * P2;
  a ^= rotl(b, 17);
  a ^= a >>> 33;
  a *= P3;
  return a ^ (a >>> 29);
}
