/**
 * Request ids: ULIDs, sortable by time, as Thanos makes them for requests that carry none (`X-Request-ID`, gRPC metadata `request-id`).
 *
 *   10 characters of time (48 bits of Unix milliseconds) · 16 characters of randomness (80 bits), Crockford base 32
 */
import { randomFillSync } from 'node:crypto';

const ALPHABET = '0123456789ABCDEFGHJKMNPQRSTVWXYZ';
const random = new Uint8Array(16);

/** A fresh ULID. @param nowMs Unix milliseconds */
export function createRequestId(nowMs: number): string {
  let text = '';
  for (let i = 9; i >= 0; i--) text += ALPHABET[Math.floor(nowMs / 32 ** i) % 32]!;
  randomFillSync(random);
  for (const byte of random) text += ALPHABET[byte & 31]!;
  return text;
}
