/** Files of `chunks_head`, as Prometheus writes them. For tests. */
import { crc32c, GrowableBytes } from '@gauntlet/bytes';
import { type HeadChunk, HEAD_CHUNKS_MAGIC } from '../chunks/head-chunks.ts';

/** Header alone. */
export function headChunksHeader(): Uint8Array {
  const out = new GrowableBytes(8);
  out.putBE32(HEAD_CHUNKS_MAGIC);
  out.putU8(1);
  out.putZeros(3);
  return out.copy();
}

/** One chunk with its checksum. */
export function headChunkBytes({ ref, mint, maxt, encoding, isOutOfOrder, data }: HeadChunk): Uint8Array {
  const out = new GrowableBytes(data.length + 40);
  out.putBE64(ref);
  out.putBE64(mint);
  out.putBE64(maxt);
  out.putU8(encoding | (isOutOfOrder ? 0x80 : 0));
  out.putUvarintBytes(data);
  out.putBE32(crc32c(out.bytes()));
  return out.copy();
}

/** A file with some zeros at its end. */
export function headChunksFile(chunks: readonly HeadChunk[], zeros: number = 100): Uint8Array {
  const parts = [headChunksHeader(), ...chunks.map(headChunkBytes), new Uint8Array(zeros)];
  const file = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    file.set(part, at);
    at += part.length;
  }
  return file;
}
