// Snappy blocks ⇄ bytes. Contract in ../src/ingest-kernels.ts, format in packages/bytes/src/snappy.ts, which is the twin behind
// ../src/js/snappy.ts: the same refusals, the same compressed bytes. Copies go by 16 bytes, past the end of what is to be copied.

const WINDOW_BYTES: usize = 65536;
const HASH_BITS_MIN: u32 = 8;
const HASH_BITS_MAX: u32 = 14;
const MATCH_INPUT_MIN: usize = 16;

/** See SnappyKernels.snappyDecode. */
export function snappyDecode(blockPtr: usize, blockBytes: u32, outPtr: usize, plainBytes: u32): i32 {
  let at = blockPtr;
  const end = blockPtr + blockBytes;
  while (at < end && load<u8>(at) >= 0x80) at++;
  at++;
  let to = outPtr;
  const stop = outPtr + plainBytes;
  while (at < end) {
    const tag: u32 = load<u8>(at++);
    const kind = tag & 3;
    if (kind == 0) {
      let length: usize = <usize>(tag >>> 2);
      if (length >= 60) {
        const extra = length - 59;
        if (extra > end - at) return -1;
        // Up to four bytes of the slack are read and masked away.
        length = load<u32>(at) & <u32>((<u64>1 << (extra << 3)) - 1);
        at += extra;
        if (length == 0xffffffff) return -1;
      }
      length++;
      if (length > end - at || length > stop - to) return -1;
      let from = at;
      at += length;
      const after = to + length;
      do {
        v128.store(to, v128.load(from));
        from += 16;
        to += 16;
      } while (to < after);
      to = after;
      continue;
    }
    let length: usize = (tag >>> 2) + 1;
    let offset: usize;
    if (kind == 1) {
      if (at >= end) return -1;
      length = ((tag >>> 2) & 7) + 4;
      offset = ((tag >>> 5) << 8) | <u32>load<u8>(at);
      at += 1;
    } else if (kind == 2) {
      if (end - at < 2) return -1;
      offset = load<u16>(at);
      at += 2;
    } else {
      if (end - at < 4) return -1;
      offset = load<u32>(at);
      at += 4;
    }
    if (offset == 0 || offset > to - outPtr || length > stop - to) return -1;
    const after = to + length;
    let from = to - offset;
    if (offset >= 16) {
      do {
        v128.store(to, v128.load(from));
        from += 16;
        to += 16;
      } while (to < after);
    } else if (offset >= 8) {
      do {
        store<u64>(to, load<u64>(from));
        from += 8;
        to += 8;
      } while (to < after);
    } else {
      // Source and target overlap, which repeats the last `offset` bytes.
      do store<u8>(to++, load<u8>(from++));
      while (to < after);
    }
    to = after;
  }
  return to == stop ? <i32>plainBytes : -1;
}

/** See SnappyKernels.snappyEncode. */
export function snappyEncode(ptr: usize, length: u32, outPtr: usize, tablePtr: usize): i32 {
  let to = outPtr;
  let rest = length;
  while (rest >= 0x80) {
    store<u8>(to++, (rest & 0x7f) | 0x80);
    rest >>>= 7;
  }
  store<u8>(to++, rest);
  for (let done: usize = 0; done < length; done += WINDOW_BYTES) {
    to = encodeWindow(ptr + done, min<usize>(<usize>length - done, WINDOW_BYTES), tablePtr, to);
  }
  return <i32>(to - outPtr);
}

/** Encodes at most 64 KiB; table entries are offsets from `start`. Returns the new end of the output. */
function encodeWindow(start: usize, length: usize, tablePtr: usize, to: usize): usize {
  const end = start + length;
  let literalStart = start;
  if (length >= MATCH_INPUT_MIN) {
    let bits = HASH_BITS_MIN;
    while (bits < HASH_BITS_MAX && (<usize>1 << bits) < length) bits++;
    memory.fill(tablePtr, 0, <usize>2 << bits);
    const shift = 32 - bits;
    const stop = end - 15;
    let at = start + 1;
    // The longer nothing matched, the larger the stride: incompressible input stays cheap.
    let skip: usize = 32;
    while (at < stop) {
      const word = load<u32>(at);
      const slot = tablePtr + (<usize>((word * 0x1e35a7bd) >>> shift) << 1);
      const candidate = start + <usize>load<u16>(slot);
      store<u16>(slot, <u16>(at - start));
      if (candidate >= at || load<u32>(candidate) != word) {
        at += skip++ >>> 5;
        continue;
      }
      if (at > literalStart) to = writeLiteral(literalStart, at, to);
      let a = candidate + 4;
      let b = at + 4;
      while (b + 8 <= end) {
        const differ = load<u64>(a) ^ load<u64>(b);
        if (differ != 0) {
          b += <usize>(ctz(differ) >>> 3);
          a = end;
          break;
        }
        a += 8;
        b += 8;
      }
      if (a != end) {
        while (b < end && load<u8>(a) == load<u8>(b)) {
          a++;
          b++;
        }
      }
      to = writeCopy(<u32>(at - candidate), <u32>(b - at), to);
      at = b;
      literalStart = b;
      skip = 32;
      if (at < stop) store<u16>(tablePtr + (<usize>((load<u32>(at - 1) * 0x1e35a7bd) >>> shift) << 1), <u16>(at - 1 - start));
    }
  }
  return end > literalStart ? writeLiteral(literalStart, end, to) : to;
}

function writeLiteral(start: usize, end: usize, to: usize): usize {
  const last = <u32>(end - start) - 1;
  if (last < 60) {
    store<u8>(to, last << 2);
    to += 1;
  } else if (last < 256) {
    store<u8>(to, 60 << 2);
    store<u8>(to, last, 1);
    to += 2;
  } else {
    store<u8>(to, 61 << 2);
    store<u16>(to, last, 1);
    to += 3;
  }
  const after = to + (end - start);
  do {
    v128.store(to, v128.load(start));
    start += 16;
    to += 16;
  } while (to < after);
  return after;
}

function writeCopy(offset: u32, length: u32, to: usize): usize {
  while (length >= 68) {
    to = writeCopy16(offset, 64, to);
    length -= 64;
  }
  // Leave at least four bytes for the last copy, so that it may use the short form.
  if (length > 64) {
    to = writeCopy16(offset, 60, to);
    length -= 60;
  }
  if (length >= 12 || offset >= 2048) return writeCopy16(offset, length, to);
  store<u8>(to, 1 | ((length - 4) << 2) | ((offset >>> 8) << 5));
  store<u8>(to, offset, 1);
  return to + 2;
}

// @ts-ignore: decorator
@inline
function writeCopy16(offset: u32, length: u32, to: usize): usize {
  store<u8>(to, 2 | ((length - 1) << 2));
  store<u16>(to, offset, 1);
  return to + 3;
}
