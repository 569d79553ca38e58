/**
 * MD5, because the relabel action `hashmod` is defined by it. Not for secrets.
 *
 *   message, 0x80, zeros, length in bits (64-bit little-endian)   in blocks of 64 bytes, 64 rounds each over four words
 *
 * Source: RFC 1321.
 */

const SHIFTS = [7, 12, 17, 22, 5, 9, 14, 20, 4, 11, 16, 23, 6, 10, 15, 21];
const CONSTANTS = Int32Array.from({ length: 64 }, (_, i) => Math.floor(Math.abs(Math.sin(i + 1)) * 4294967296));

/** The 16 bytes of the digest. */
export function md5(message: Uint8Array): Uint8Array {
  const padded = new DataView(new ArrayBuffer(((message.length + 8) >> 6) * 64 + 64));
  new Uint8Array(padded.buffer).set(message);
  padded.setUint8(message.length, 0x80);
  padded.setUint32(padded.byteLength - 8, (message.length << 3) >>> 0, true);
  padded.setUint32(padded.byteLength - 4, Math.floor(message.length / 0x20000000), true);
  const state = Int32Array.of(0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476);
  for (let block = 0; block < padded.byteLength; block += 64) addBlock(state, padded, block);
  const digest = new DataView(new ArrayBuffer(16));
  for (let i = 0; i < 4; i++) digest.setInt32(4 * i, state[i]!, true);
  return new Uint8Array(digest.buffer);
}

function addBlock(state: Int32Array, message: DataView, block: number): void {
  let a = state[0]!;
  let b = state[1]!;
  let c = state[2]!;
  let d = state[3]!;
  for (let i = 0; i < 64; i++) {
    let mixed: number;
    let word: number;
    if (i < 16) {
      mixed = (b & c) | (~b & d);
      word = i;
    } else if (i < 32) {
      mixed = (d & b) | (~d & c);
      word = (5 * i + 1) & 15;
    } else if (i < 48) {
      mixed = b ^ c ^ d;
      word = (3 * i + 5) & 15;
    } else {
      mixed = c ^ (b | ~d);
      word = (7 * i) & 15;
    }
    const sum = (a + mixed + CONSTANTS[i]! + message.getInt32(block + 4 * word, true)) | 0;
    const shift = SHIFTS[(i >> 4) * 4 + (i & 3)]!;
    a = d;
    d = c;
    c = b;
    b = (b + ((sum << shift) | (sum >>> (32 - shift)))) | 0;
  }
  state[0] = (state[0]! + a) | 0;
  state[1] = (state[1]! + b) | 0;
  state[2] = (state[2]! + c) | 0;
  state[3] = (state[3]! + d) | 0;
}
