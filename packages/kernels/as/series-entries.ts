// Series entries of a TSDB index → columns, checksums compared. Contract in ../src/kernels.ts; the twin with the same results is
// ../src/js/series-entries.ts.
//
//   uvarint body length │ uvarint label count │ (uvarint name, uvarint value)… │ uvarint chunk count │ chunks │ CRC-32C of the body
//   first chunk   varint mint                 │ uvarint maxt − mint │ uvarint ref
//   next chunks   uvarint mint − last maxt    │ uvarint maxt − mint │ varint ref − last ref
//
// Source: Prometheus tsdb/docs/format/index.md, "Series".
import { hasChecksum } from './crc32c';

const SAFE_MAX: i64 = 9007199254740991;
/** What `uvarint` gives for one that is cut or beyond SAFE_MAX. */
const NONE: i64 = -1;

/** Where the varint that `uvarint` has read ends. In the loops below the place is a variable of theirs: a global is stored and loaded each time. */
let varintEnd: usize = 0;

/** See Kernels.decodeSeriesEntries. */
export function decodeSeriesEntries(
  bytesPtr: usize,
  length: u32,
  offsetsPtr: usize,
  count: i32,
  mint: f64,
  maxt: f64,
  symbolsPtr: usize,
  symbolMax: i32,
  chunksPtr: usize,
  chunkMax: i32,
  endsPtr: usize,
): i32 {
  const end = bytesPtr + length;
  const column = <usize>chunkMax << 3;
  let symbols: i32 = 0;
  let chunks: i32 = 0;
  for (let i: i32 = 0; i < count; i++, offsetsPtr += 4, endsPtr += 8) {
    let at = bytesPtr + <usize>load<u32>(offsetsPtr);
    const bodyBytes = uvarint(at, end);
    at = varintEnd;
    if (bodyBytes < 0 || bodyBytes + 4 > <i64>end - <i64>at) return i;
    const bodyEnd = at + <usize>bodyBytes;
    if (!hasChecksum(at, <u32>bodyBytes, bswap(load<u32>(bodyEnd)))) return i;

    const labelCount = uvarint(at, bodyEnd);
    at = varintEnd;
    if (labelCount < 0 || labelCount * 2 > <i64>bodyEnd - <i64>at || labelCount * 2 > <i64>(symbolMax - symbols)) return i;
    let symbol = symbolsPtr + (<usize>symbols << 2);
    for (const stop = symbol + (<usize>labelCount << 3); symbol < stop; symbol += 4) {
      // Most ordinals have one or two bytes. The checksum lies behind the body, so two may be read.
      if (at >= bodyEnd) return i;
      const pair = load<u16>(at);
      if ((pair & 0x80) == 0) {
        store<u32>(symbol, pair & 0x7f);
        at++;
      } else if ((pair & 0x8000) == 0 && at + 1 < bodyEnd) {
        store<u32>(symbol, (pair & 0x7f) | ((pair >> 1) & 0x3f80));
        at += 2;
      } else {
        const ordinal = uvarint(at, bodyEnd);
        at = varintEnd;
        if (ordinal < 0 || ordinal > 0xffffffff) return i;
        store<u32>(symbol, <u32>ordinal);
      }
    }

    const chunkCount = uvarint(at, bodyEnd);
    at = varintEnd;
    if (chunkCount < 0 || chunkCount * 3 > <i64>bodyEnd - <i64>at) return i;
    let from: i64 = 0;
    let to: i64 = 0;
    let ref: i64 = 0;
    let kept = chunks;
    for (let left = <i32>chunkCount, isFirst = true; left > 0; left--, isFirst = false) {
      const a = uvarint(at, bodyEnd);
      at = varintEnd;
      const b = uvarint(at, bodyEnd);
      at = varintEnd;
      const c = uvarint(at, bodyEnd);
      at = varintEnd;
      if (a < 0 || b < 0 || c < 0) return i;
      from = isFirst ? zigzag(a) : to + a;
      to = from + b;
      ref = isFirst ? c : ref + zigzag(c);
      if (from < -SAFE_MAX || to > SAFE_MAX || ref < 0 || ref > SAFE_MAX) return i;
      if (<f64>to < mint || <f64>from > maxt) continue;
      if (kept == chunkMax) return i;
      const out = chunksPtr + (<usize>kept << 3);
      store<f64>(out, <f64>from);
      store<f64>(out + column, <f64>to);
      store<f64>(out + 2 * column, <f64>ref);
      kept++;
    }
    symbols += <i32>labelCount * 2;
    chunks = kept;
    store<i32>(endsPtr, symbols);
    store<i32>(endsPtr, chunks, 4);
  }
  return count;
}

/** Reads a varint of at most eight bytes and SAFE_MAX that ends before `limit`; NONE for any other. Sets `varintEnd`. */
function uvarint(ptr: usize, limit: usize): i64 {
  let value: i64 = 0;
  for (let shift: i64 = 0; shift < 56; shift += 7) {
    if (ptr >= limit) return NONE;
    const byte = <i64>load<u8>(ptr++);
    value |= (byte & 0x7f) << shift;
    if (byte < 0x80) {
      varintEnd = ptr;
      return value > SAFE_MAX ? NONE : value;
    }
  }
  return NONE;
}

/** The signed number behind an unsigned one: 0, −1, 1, −2, … */
// @ts-ignore: decorator
@inline
function zigzag(value: i64): i64 {
  return (value >> 1) ^ -(value & 1);
}
