// Chunks → fields of a Series message of the Store API. Contract in ../src/chunk-field-kernels.ts; the twin with the same results is
// ../src/js/chunk-fields.ts.
//
//   12 length │ 08 mint │ 10 maxt │ 1a length │ [08 encoding − 1] │ [12 length data] │ [18 xxhash64 of the data]      zeros are left out
//
// Sources: Thanos pkg/store/storepb/types.proto; xxHash doc/xxhash_spec.md, "XXH64".

const P1: u64 = 0x9e3779b185ebca87;
const P2: u64 = 0xc2b2ae3d27d4eb4f;
const P3: u64 = 0x165667b19e3779f9;
const P4: u64 = 0x85ebca77c2b2ae63;
const P5: u64 = 0x27d4eb2f165667c5;

/** See Kernels.writeChunkFields. */
export function writeChunkFields(framesPtr: usize, mintsPtr: usize, maxtsPtr: usize, count: i32, outPtr: usize, fieldsPtr: usize): u32 {
  let out = outPtr;
  for (let i: i32 = 0; i < count; i++, framesPtr += 16, mintsPtr += 8, maxtsPtr += 8, fieldsPtr += 8) {
    const payload = <usize>load<u32>(framesPtr, 4);
    const bytes = load<u32>(framesPtr, 8);
    const encoding = load<u32>(framesPtr, 12);
    const mint = <u64>(<i64>load<f64>(mintsPtr));
    const maxt = <u64>(<i64>load<f64>(maxtsPtr));
    const hash = xxhash64(payload, bytes);
    let part: u32 = encoding > 1 ? 2 : 0;
    if (bytes > 0) part += 1 + varintBytes(bytes) + bytes;
    if (hash != 0) part += 1 + varintBytes(hash);
    let length = 1 + varintBytes(part) + part;
    if (mint != 0) length += 1 + varintBytes(mint);
    if (maxt != 0) length += 1 + varintBytes(maxt);
    store<u8>(out, 0x12);
    out = writeVarint(out + 1, length);
    if (mint != 0) {
      store<u8>(out, 0x08);
      out = writeVarint(out + 1, mint);
    }
    if (maxt != 0) {
      store<u8>(out, 0x10);
      out = writeVarint(out + 1, maxt);
    }
    store<u8>(out, 0x1a);
    out = writeVarint(out + 1, part);
    if (encoding > 1) {
      store<u8>(out, 0x08);
      store<u8>(out, encoding - 1, 1);
      out += 2;
    }
    if (bytes > 0) {
      store<u8>(out, 0x12);
      out = writeVarint(out + 1, bytes);
      memory.copy(out, payload, bytes);
    }
    store<u32>(fieldsPtr, <u32>(out - outPtr), 4);
    out += bytes;
    if (hash != 0) {
      store<u8>(out, 0x18);
      out = writeVarint(out + 1, hash);
    }
    store<u32>(fieldsPtr, <u32>(out - outPtr));
  }
  return <u32>(out - outPtr);
}

// @ts-ignore: decorator
@inline
function varintBytes(value: u64): u32 {
  return (<u32>(70 - clz<u64>(value | 1))) / 7;
}

// @ts-ignore: decorator
@inline
function writeVarint(at: usize, value: u64): usize {
  while (value >= 0x80) {
    store<u8>(at++, <u8>(value | 0x80));
    value >>= 7;
  }
  store<u8>(at, <u8>value);
  return at + 1;
}

/** Hash with seed 0. */
function xxhash64(ptr: usize, length: u32): u64 {
  const end = ptr + length;
  let hash: u64;
  if (length >= 32) {
    let a: u64 = P1 + P2;
    let b: u64 = P2;
    let c: u64 = 0;
    let d: u64 = 0 - P1;
    for (const stop = end - 32; ptr <= stop; ptr += 32) {
      a = round(a, load<u64>(ptr));
      b = round(b, load<u64>(ptr, 8));
      c = round(c, load<u64>(ptr, 16));
      d = round(d, load<u64>(ptr, 24));
    }
    hash = rotl<u64>(a, 1) + rotl<u64>(b, 7) + rotl<u64>(c, 12) + rotl<u64>(d, 18);
    hash = mergeLane(hash, a);
    hash = mergeLane(hash, b);
    hash = mergeLane(hash, c);
    hash = mergeLane(hash, d);
  } else hash = P5;
  hash += length;
  for (; ptr + 8 <= end; ptr += 8) hash = rotl<u64>(hash ^ round(0, load<u64>(ptr)), 27) * P1 + P4;
  if (ptr + 4 <= end) {
    hash = rotl<u64>(hash ^ (<u64>load<u32>(ptr) * P1), 23) * P2 + P3;
    ptr += 4;
  }
  for (; ptr < end; ptr++) hash = rotl<u64>(hash ^ (<u64>load<u8>(ptr) * P5), 11) * P1;
  hash = (hash ^ (hash >> 33)) * P2;
  hash = (hash ^ (hash >> 29)) * P3;
  return hash ^ (hash >> 32);
}

// @ts-ignore: decorator
@inline
function round(lane: u64, input: u64): u64 {
  return rotl<u64>(lane + input * P2, 31) * P1;
}

// @ts-ignore: decorator
@inline
function mergeLane(hash: u64, lane: u64): u64 {
  return (hash ^ round(0, lane)) * P1 + P4;
}
