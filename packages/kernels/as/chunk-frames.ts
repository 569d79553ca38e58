// Chunks as they lie in a segment file: found and checked where they were read, and written from columns. Contract in
// ../src/frame-kernels.ts; the twin with the same results is ../src/js/chunk-frames.ts.
//
//   frame   uvarint payload length │ encoding │ payload │ CRC-32C of encoding and payload
//
// Source: Prometheus tsdb/docs/format/chunks.md.
import { crc32c, hasChecksum } from './crc32c';
import { encodeXor } from './xor-encode';

/** Most bytes of a length. */
const LENGTH_BYTES_MAX: u32 = 5;
const CRC_BYTES: usize = 4;
const XOR: u8 = 1;
const NOT_ENCODABLE: i32 = -1;
const NO_ROOM: i32 = -2;

/** See Kernels.checkChunkFrames. */
export function checkChunkFrames(bytesPtr: usize, length: u32, base: f64, refsPtr: usize, count: i32, framesPtr: usize): i32 {
  const end = bytesPtr + length;
  for (let i: i32 = 0; i < count; i++, refsPtr += 8, framesPtr += 16) {
    const offset = load<f64>(refsPtr) - base;
    if (!(offset >= 0 && offset < <f64>length)) return i;
    const frame = bytesPtr + <usize>(<u32>offset);
    let at = frame;
    let payloadBytes: u64 = 0;
    let isWhole = false;
    for (let b: u32 = 0; b < LENGTH_BYTES_MAX && at < end; b++) {
      const byte = load<u8>(at++);
      payloadBytes |= <u64>(byte & 0x7f) << (7 * b);
      if (byte < 0x80) {
        isWhole = true;
        break;
      }
    }
    if (!isWhole || payloadBytes + 1 + CRC_BYTES > <u64>(end - at)) return i;
    const bytes = <u32>payloadBytes;
    if (!hasChecksum(at, bytes + 1, bswap(load<u32>(at + 1 + bytes)))) return i;
    store<u32>(framesPtr, <u32>frame);
    store<u32>(framesPtr, <u32>at + 1, 4);
    store<u32>(framesPtr, bytes, 8);
    store<u32>(framesPtr, load<u8>(at), 12);
  }
  return count;
}

/** See Kernels.encodeXorFrames. */
export function encodeXorFrames(timestampsPtr: usize, valuesPtr: usize, count: i32, samplesMax: i32, outPtr: usize, outMax: u32, framesPtr: usize): i32 {
  const outEnd = outPtr + outMax;
  let chunks: i32 = 0;
  for (let from: i32 = 0; from < count; from += samplesMax, chunks++, framesPtr += 16) {
    const samples = min(samplesMax, count - from);
    const column = <usize>from << 3;
    // Chunks mostly have 128 bytes or more: two bytes of length. Else the payload is moved.
    const guess = outPtr + 3;
    if (guess + LENGTH_BYTES_MAX + CRC_BYTES > outEnd) return NO_ROOM;
    const payloadBytes = encodeXor(timestampsPtr + column, valuesPtr + column, samples, guess, <u32>(outEnd - guess) - LENGTH_BYTES_MAX - <u32>CRC_BYTES);
    if (payloadBytes < 0) return payloadBytes == NOT_ENCODABLE ? NOT_ENCODABLE : NO_ROOM;
    store<u32>(framesPtr, <u32>outPtr);
    let rest: u32 = payloadBytes;
    for (; rest >= 0x80; rest >>= 7) store<u8>(outPtr++, rest | 0x80);
    // The last byte of the length waits: what is moved may lie there.
    const payload = outPtr + 2;
    if (payload != guess) memory.copy(payload, guess, payloadBytes);
    store<u8>(outPtr, rest);
    store<u8>(outPtr, XOR, 1);
    store<u32>(payload + payloadBytes, bswap(<u32>crc32c(payload - 1, payloadBytes + 1, 0)));
    store<u32>(framesPtr, <u32>payload, 4);
    store<u32>(framesPtr, payloadBytes, 8);
    store<u32>(framesPtr, XOR, 12);
    outPtr = payload + payloadBytes + CRC_BYTES;
  }
  return chunks;
}
