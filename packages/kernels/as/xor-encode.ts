// Columns → XOR chunk, byte for byte as Prometheus 3.14 writes it (no byte after a full last one).
//
// Bits collect left-aligned in a 64-bit word of which at most seven are pending between puts; each put stores all eight bytes and
// moves on by the full ones, so nothing branches on byte borders.
import { storeBE64 } from './memory';

const NOT_ENCODABLE: i32 = -1;
const NO_ROOM: i32 = -2;
const SAFE_MAX_F64: f64 = 9007199254740991.0;
/** Room demanded before each sample: 68 timestamp bits, 13 control bits, 64 value bits, and a whole store behind them. */
const SAMPLE_ROOM: usize = 32;
const NO_WINDOW: u64 = 0xff;

let outAt: usize = 0;
let pending: u64 = 0;
let used: u64 = 0;

/** See Kernels.encodeXor. */
export function encodeXor(timestampsPtr: usize, valuesPtr: usize, count: i32, outPtr: usize, outMax: u32): i32 {
  if (count > 65535 || count < 0) return NOT_ENCODABLE;
  if (outMax < 2) return NO_ROOM;
  store<u8>(outPtr, count >> 8);
  store<u8>(outPtr, count, 1);
  if (count == 0) return 2;
  const outEnd = outPtr + outMax;
  outAt = outPtr + 2;
  pending = 0;
  used = 0;

  let previous = load<f64>(timestampsPtr);
  if (!isSafe(previous)) return NOT_ENCODABLE;
  if (outAt + SAMPLE_ROOM > outEnd) return NO_ROOM;
  const first = <i64>previous;
  outAt = writeUvarint(outAt, (<u64>first << 1) ^ <u64>(first >> 63));
  let bits = load<u64>(valuesPtr);
  storeBE64(outAt, bits);
  outAt += 8;

  let leading: u64 = NO_WINDOW;
  let trailing: u64 = 0;
  let delta: f64 = 0;
  for (let i: i32 = 1; i < count; i++) {
    if (outAt + SAMPLE_ROOM > outEnd) return NO_ROOM;
    const column = <usize>i << 3;
    const timestamp = load<f64>(timestampsPtr + column);
    const nextDelta = timestamp - previous;
    const change = nextDelta - delta;
    if (!isSafe(timestamp) || !isSafe(nextDelta)) return NOT_ENCODABLE;
    previous = timestamp;
    delta = nextDelta;
    if (i == 1) {
      outAt = writeUvarint(outAt, <u64><i64>nextDelta);
    } else if (change == 0) {
      put(0, 1);
    } else if (change >= -8191 && change <= 8192) {
      put(0x8000 | (<u64><i64>change & 0x3fff), 16);
    } else if (change >= -65535 && change <= 65536) {
      put(0xc0000 | (<u64><i64>change & 0x1ffff), 20);
    } else if (change >= -524287 && change <= 524288) {
      put(0xe00000 | (<u64><i64>change & 0xfffff), 24);
    } else {
      if (!isSafe(change)) return NOT_ENCODABLE;
      put(0xf, 4);
      putWide(<u64><i64>change, 64);
    }

    const next = load<u64>(valuesPtr + column);
    const xor = next ^ bits;
    bits = next;
    if (xor == 0) {
      put(0, 1);
      continue;
    }
    const zeros = clz(xor);
    const nextLeading: u64 = zeros > 31 ? 31 : zeros;
    const nextTrailing: u64 = ctz(xor);
    if (leading != NO_WINDOW && nextLeading >= leading && nextTrailing >= trailing) {
      put(2, 2);
    } else {
      leading = nextLeading;
      trailing = nextTrailing;
      // 64 significant bits are written as 0: six bits do not hold 64, and 0 never occurs.
      put(0x1800 | (leading << 6) | ((64 - leading - trailing) & 63), 13);
    }
    putWide(xor >> trailing, 64 - leading - trailing);
  }
  if (used > 0) {
    // The pending bits were stored by the last put; only their byte is not counted yet.
    outAt++;
  }
  return <i32>(outAt - outPtr);
}

/** Appends the `width` (1 to 56) low bits; the bits above them are zero. */
// @ts-ignore: decorator
@inline
function put(value: u64, width: u64): void {
  const word = pending | (value << (64 - used - width));
  storeBE64(outAt, word);
  const total = used + width;
  outAt += <usize>(total >> 3);
  // A shift by 64 would be one by 0; total is at most 63 here.
  pending = word << (total & 56);
  used = total & 7;
}

/** Appends 1 to 64 bits. */
// @ts-ignore: decorator
@inline
function putWide(value: u64, width: u64): void {
  if (width <= 56) {
    put(value, width);
  } else {
    put(value >> 32, width - 32);
    put(value & 0xffffffff, 32);
  }
}

function writeUvarint(ptr: usize, value: u64): usize {
  while (value >= 0x80) {
    store<u8>(ptr++, <u8>value | 0x80);
    value >>= 7;
  }
  store<u8>(ptr, <u8>value);
  return ptr + 1;
}

/** An integer within ±(2^53 − 1); not NaN. */
// @ts-ignore: decorator
@inline
function isSafe(value: f64): bool {
  return abs(value) <= SAFE_MAX_F64 && trunc(value) == value;
}
