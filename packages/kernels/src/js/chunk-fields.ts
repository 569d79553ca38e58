/** Twin of as/chunk-fields.ts. */
import { uvarintBytes, writeUvarint, writeUvarintWords, xxhash64 } from '@gauntlet/bytes';
import type { ChunkFieldKernels } from '../chunk-field-kernels.ts';
import type { LinearMemory } from '../kernel-memory.ts';

/** A 64-bit number in two words. */
interface Words {
  readonly hi: number;
  readonly lo: number;
}

/** Chunk fields in TypeScript. */
export function createChunkFieldTwin(memory: LinearMemory): ChunkFieldKernels {
  return {
    writeChunkFields(framesPtr, mintsPtr, maxtsPtr, count, outPtr, fieldsPtr) {
      const { bytes, words, doubles } = memory;
      let out = outPtr;
      for (let i = 0; i < count; i++) {
        const frame = (framesPtr >>> 2) + 4 * i;
        const payload = words[frame + 1]! >>> 0;
        const dataBytes = words[frame + 2]! >>> 0;
        const encoding = words[frame + 3]!;
        const mint = wordsOf(doubles[(mintsPtr >>> 3) + i]!);
        const maxt = wordsOf(doubles[(maxtsPtr >>> 3) + i]!);
        const hash = xxhash64(bytes.subarray(payload, payload + dataBytes));
        const part = (encoding > 1 ? 2 : 0) + (dataBytes > 0 ? 1 + uvarintBytes(dataBytes) + dataBytes : 0) + fieldBytes(hash);
        const length = fieldBytes(mint) + fieldBytes(maxt) + 1 + uvarintBytes(part) + part;
        bytes[out] = 0x12;
        out = writeUvarint(bytes, out + 1, length);
        out = writeField(bytes, out, 0x08, mint);
        out = writeField(bytes, out, 0x10, maxt);
        bytes[out] = 0x1a;
        out = writeUvarint(bytes, out + 1, part);
        if (encoding > 1) {
          bytes[out++] = 0x08;
          bytes[out++] = encoding - 1;
        }
        if (dataBytes > 0) {
          bytes[out] = 0x12;
          out = writeUvarint(bytes, out + 1, dataBytes);
          bytes.copyWithin(out, payload, payload + dataBytes);
        }
        words[(fieldsPtr >>> 2) + 2 * i + 1] = out - outPtr;
        out = writeField(bytes, out + dataBytes, 0x18, hash);
        words[(fieldsPtr >>> 2) + 2 * i] = out - outPtr;
      }
      return out - outPtr;
    },
  };
}

/** Two's complement. */
function wordsOf(value: number): Words {
  return { hi: Math.floor(value / 4294967296) >>> 0, lo: value >>> 0 };
}

function fieldBytes({ hi, lo }: Words): number {
  if (hi !== 0) return 1 + Math.ceil((64 - Math.clz32(hi)) / 7);
  return lo === 0 ? 0 : 1 + uvarintBytes(lo);
}

/** A varint field; nothing for 0. */
function writeField(bytes: Uint8Array, at: number, tag: number, { hi, lo }: Words): number {
  if (hi === 0 && lo === 0) return at;
  bytes[at] = tag;
  return writeUvarintWords(bytes, at + 1, hi, lo);
}
