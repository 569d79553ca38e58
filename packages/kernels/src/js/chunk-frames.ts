/** Twin of as/chunk-frames.ts. */
import { crc32c, uvarintBytes, writeUvarint } from '@gauntlet/bytes';
import type { FrameKernels } from '../frame-kernels.ts';
import type { LinearMemory } from '../kernel-memory.ts';
import type { XorKernels } from '../kernels.ts';

const LENGTH_BYTES_MAX = 5;
const CRC_BYTES = 4;
const XOR = 1;
const NO_ROOM = -2;

/** Chunk frames in TypeScript. @param xor that encodes */
export function createFrameTwin(memory: LinearMemory, xor: XorKernels): FrameKernels {
  const describe = (framesPtr: number, frame: number, payload: number, payloadBytes: number, encoding: number): void => {
    const at = framesPtr >>> 2;
    memory.words[at] = frame;
    memory.words[at + 1] = payload;
    memory.words[at + 2] = payloadBytes;
    memory.words[at + 3] = encoding;
  };
  return {
    checkChunkFrames(bytesPtr, length, base, refsPtr, count, framesPtr) {
      const { bytes, data, doubles } = memory;
      const end = bytesPtr + length;
      for (let i = 0; i < count; i++) {
        const offset = doubles[(refsPtr >>> 3) + i]! - base;
        if (!(offset >= 0 && offset < length)) return i;
        const frame = bytesPtr + offset;
        let at = frame;
        let payloadBytes = 0;
        let isWhole = false;
        for (let scale = 1; scale < 2 ** (7 * LENGTH_BYTES_MAX) && at < end && !isWhole; scale *= 128) {
          const byte = bytes[at++]!;
          payloadBytes += (byte & 0x7f) * scale;
          isWhole = byte < 0x80;
        }
        if (!isWhole || payloadBytes + 1 + CRC_BYTES > end - at) return i;
        const crcAt = at + 1 + payloadBytes;
        if (crc32c(bytes.subarray(at, crcAt)) !== data.getUint32(crcAt)) return i;
        describe(framesPtr + i * 16, frame, at + 1, payloadBytes, bytes[at]!);
      }
      return count;
    },
    encodeXorFrames(timestampsPtr, valuesPtr, count, samplesMax, outPtr, outMax, framesPtr) {
      const { bytes, data } = memory;
      const outEnd = outPtr + outMax;
      let chunks = 0;
      for (let from = 0; from < count; from += samplesMax, chunks++) {
        const guess = outPtr + 3;
        if (guess + LENGTH_BYTES_MAX + CRC_BYTES > outEnd) return NO_ROOM;
        const room = outEnd - guess - LENGTH_BYTES_MAX - CRC_BYTES;
        const payloadBytes = xor.encodeXor(timestampsPtr + from * 8, valuesPtr + from * 8, Math.min(samplesMax, count - from), guess, room);
        if (payloadBytes < 0) return payloadBytes;
        const payload = outPtr + uvarintBytes(payloadBytes) + 1;
        bytes.copyWithin(payload, guess, guess + payloadBytes);
        writeUvarint(bytes, outPtr, payloadBytes);
        bytes[payload - 1] = XOR;
        data.setUint32(payload + payloadBytes, crc32c(bytes.subarray(payload - 1, payload + payloadBytes)));
        describe(framesPtr + chunks * 16, outPtr, payload, payloadBytes, XOR);
        outPtr = payload + payloadBytes + CRC_BYTES;
      }
      return chunks;
    },
  };
}
