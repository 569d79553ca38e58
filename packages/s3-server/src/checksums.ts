/**
 * Body checksums a client may send as `x-amz-checksum-<algorithm>`, in a header or as a trailer after an aws-chunked body.
 * CRC-64/NVME is refused by name: nothing here needs it.
 */
import { createHash } from 'node:crypto';
import type { Hash } from 'node:crypto';
import { crc32 } from 'node:zlib';

import { crc32c } from '@gauntlet/bytes';

import { S3ServerError } from './errors.ts';

/** Checksum algorithms, as they end the header name. */
export const CHECKSUM_ALGORITHMS = ['crc32', 'crc32c', 'sha1', 'sha256'] as const;
/** One of {@link CHECKSUM_ALGORITHMS}. */
export type ChecksumAlgorithm = (typeof CHECKSUM_ALGORITHMS)[number];

/** A checksum being computed over a body; `digest` gives the base64 the header carries. */
export interface RunningChecksum {
  update(bytes: Uint8Array): void;
  digest(): string;
}

function bigEndianBase64(value: number): string {
  const out = Buffer.alloc(4);
  out.writeUInt32BE(value >>> 0);
  return out.toString('base64');
}

/** Starts a checksum. */
export function startChecksum(algorithm: ChecksumAlgorithm): RunningChecksum {
  if (algorithm === 'sha1' || algorithm === 'sha256') {
    const hash: Hash = createHash(algorithm);
    return { update: (bytes) => void hash.update(bytes), digest: () => hash.digest('base64') };
  }
  let state = 0;
  const step = algorithm === 'crc32' ? (bytes: Uint8Array) => crc32(bytes, state) : (bytes: Uint8Array) => crc32c(bytes, state);
  return { update: (bytes) => { state = step(bytes); }, digest: () => bigEndianBase64(state) };
}

/**
 * Reads the algorithm out of a header or trailer name.
 * @returns undefined if the name is no checksum header
 * @throws S3ServerError NotImplemented for an algorithm this server does not compute
 */
export function checksumAlgorithmOf(headerName: string): ChecksumAlgorithm | undefined {
  if (!headerName.startsWith('x-amz-checksum-')) return undefined;
  const name = headerName.slice('x-amz-checksum-'.length);
  if (name === 'mode' || name === 'type' || name === 'algorithm') return undefined;
  const found = CHECKSUM_ALGORITHMS.find((a) => a === name);
  if (found === undefined) throw new S3ServerError('NotImplemented', `verify body: checksum algorithm ${name} is not supported, use one of ${CHECKSUM_ALGORITHMS.join(', ')}`);
  return found;
}
