// References by the bytes of a key. Contract in ../src/ingest-kernels.ts; the twin, with a hash of its own, is ../src/js/key-table.ts.
//
//   entry, 8 bytes   u32 record, 0 = none │ u32 hash
//   record           f64 reference │ u32 key bytes │ unused │ key, padded to 16 bytes
//
// Series mostly come in the same order again and again, which is that of their records: the record behind the last one found is looked at first. What
// lies behind the last record of a run looks like that of an empty key.

const ENTRY_BYTES: usize = 8;
const HEADER_BYTES: usize = 16;
const PROBES_MAX: i32 = 64;
const P1: u64 = 0x9e3779b185ebca87;
const P2: u64 = 0xc2b2ae3d27d4eb4f;
const P3: u64 = 0x165667b19e3779f9;


/** Where a search ended: an entry with the key, a free one, or 0. */
let found: usize = 0;

/** See KeyTableKernels.findKeys. */
export function findKeys(bytesPtr: usize, rowsPtr: usize, count: i32, sampleFrom: u32, tablePtr: usize, entries: u32, seed: f64, refsPtr: usize): i32 {
  let unknown = 0;
  let sample = refsPtr;
  let next: usize = 0;
  for (let i = 0; i < count; i++, rowsPtr += 12) {
    const start = load<u32>(rowsPtr);
    const key = bytesPtr + <usize>start;
    const length = load<u32>(rowsPtr, 4) - start;
    let record = next;
    if (next == 0 || length == 0 || load<u32>(next, 8) != length || !isSame(next + HEADER_BYTES, key, length)) {
      record = search(key, length, tablePtr, entries, hashOf(key, length, reinterpret<u64>(seed))) ? <usize>load<u32>(found) : 0;
    }
    let ref: f64 = 0;
    if (record != 0) {
      ref = load<f64>(record);
      next = record + HEADER_BYTES + ((<usize>length + 15) & ~15);
    } else unknown++;
    const end = refsPtr + (<usize>(load<u32>(rowsPtr, 8) - sampleFrom) << 3);
    while (sample < end) {
      store<f64>(sample, ref);
      sample += 8;
    }
  }
  return unknown;
}

/** See KeyTableKernels.putKey. */
export function putKey(recordPtr: usize, tablePtr: usize, entries: u32, seed: f64): i32 {
  const key = recordPtr + HEADER_BYTES;
  const length = load<u32>(recordPtr, 8);
  const hash = hashOf(key, length, reinterpret<u64>(seed));
  if (search(key, length, tablePtr, entries, hash)) {
    store<f64>(<usize>load<u32>(found), load<f64>(recordPtr));
    return 0;
  }
  if (found == 0) return -1;
  store<u32>(found, <u32>recordPtr);
  store<u32>(found, hash, 4);
  return 1;
}

/** Points `found` at the entry of a key, at a free one, or at none; says whether it is the key's. */
function search(key: usize, length: u32, tablePtr: usize, entries: u32, hash: u32): bool {
  const mask = entries - 1;
  let place = hash & mask;
  for (let probe = 0; probe < PROBES_MAX; probe++) {
    const entry = tablePtr + <usize>place * ENTRY_BYTES;
    const record = <usize>load<u32>(entry);
    found = entry;
    if (record == 0) return false;
    if (load<u32>(entry, 4) == hash && load<u32>(record, 8) == length && isSame(record + HEADER_BYTES, key, length)) return true;
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
function hashOf(ptr: usize, length: u32, seed: u64): u32 {
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
  return <u32>(a ^ (a >>> 29));
}
