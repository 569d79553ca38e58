/**
 * xxHash64 on 32-bit words, without BigInt: Prometheus hashes labels with it, Thanos shards by it.
 *
 *   ≥ 32 bytes   four lanes, each takes 8 bytes per 32-byte stripe; then the lanes are merged
 *   rest         8 bytes, 4 bytes, single bytes; then a final mix
 *
 * Source: xxHash fast digest algorithm, specification 0.1.1 (Cyan4973/xxHash doc/xxhash_spec.md), "XXH64".
 */
import type { Words64 } from './words64.ts';
import { mulHigh32 } from './words64.ts';

const P1_HI = 0x9e3779b1;
const P1_LO = 0x85ebca87;
const P2_HI = 0xc2b2ae3d;
const P2_LO = 0x27d4eb4f;
const P3_HI = 0x165667b1;
const P3_LO = 0x9e3779f9;
const P4_HI = 0x85ebca77;
const P4_LO = 0xc2b2ae63;
const P5_HI = 0x27d4eb2f;
const P5_LO = 0x165667c5;

/**
 * Hash of `bytes`.
 * @param seed unsigned 32-bit (0 unless told)
 */
export function xxhash64(bytes: Uint8Array, seed: number = 0): Words64 {
  const end = bytes.length;
  const hash = new Lane(0, seed >>> 0);
  let at = 0;
  if (end >= 32) {
    const a = new Lane(0, seed >>> 0).add(P1_HI, P1_LO).add(P2_HI, P2_LO);
    const b = new Lane(0, seed >>> 0).add(P2_HI, P2_LO);
    const c = new Lane(0, seed >>> 0);
    const d = new Lane(0, seed >>> 0).add(~P1_HI, -P1_LO >>> 0);
    for (const stop = end - 31; at < stop; at += 32) {
      a.round(le32(bytes, at + 4), le32(bytes, at));
      b.round(le32(bytes, at + 12), le32(bytes, at + 8));
      c.round(le32(bytes, at + 20), le32(bytes, at + 16));
      d.round(le32(bytes, at + 28), le32(bytes, at + 24));
    }
    hash.hi = a.hi;
    hash.lo = a.lo;
    hash.rotate(1);
    const lane = new Lane(b.hi, b.lo).rotate(7);
    hash.add(lane.hi, lane.lo);
    lane.set(c.hi, c.lo).rotate(12);
    hash.add(lane.hi, lane.lo);
    lane.set(d.hi, d.lo).rotate(18);
    hash.add(lane.hi, lane.lo);
    hash.merge(a).merge(b).merge(c).merge(d);
  } else {
    hash.add(P5_HI, P5_LO);
  }
  hash.add(Math.floor(end / 4294967296), end >>> 0);
  const lane = new Lane(0, 0);
  for (; at + 8 <= end; at += 8) {
    lane.set(0, 0).round(le32(bytes, at + 4), le32(bytes, at));
    hash.xor(lane.hi, lane.lo).rotate(27).mul(P1_HI, P1_LO).add(P4_HI, P4_LO);
  }
  if (at + 4 <= end) {
    lane.set(0, le32(bytes, at)).mul(P1_HI, P1_LO);
    hash.xor(lane.hi, lane.lo).rotate(23).mul(P2_HI, P2_LO).add(P3_HI, P3_LO);
    at += 4;
  }
  for (; at < end; at++) {
    lane.set(0, bytes[at]!).mul(P5_HI, P5_LO);
    hash.xor(lane.hi, lane.lo).rotate(11).mul(P1_HI, P1_LO);
  }
  hash.xorShift(33).mul(P2_HI, P2_LO).xorShift(29).mul(P3_HI, P3_LO).xorShift(32);
  return { hi: hash.hi >>> 0, lo: hash.lo >>> 0 };
}

function le32(bytes: Uint8Array, at: number): number {
  return bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24);
}

/** One 64-bit accumulator; lives only inside a call, so the compiler keeps it in registers. */
class Lane {
  hi: number;
  lo: number;

  constructor(hi: number, lo: number) {
    this.hi = hi | 0;
    this.lo = lo | 0;
  }

  set(hi: number, lo: number): this {
    this.hi = hi | 0;
    this.lo = lo | 0;
    return this;
  }

  add(hi: number, lo: number): this {
    const sum = (this.lo >>> 0) + (lo >>> 0);
    this.hi = (this.hi + hi + (sum > 0xffffffff ? 1 : 0)) | 0;
    this.lo = sum | 0;
    return this;
  }

  xor(hi: number, lo: number): this {
    this.hi ^= hi;
    this.lo ^= lo;
    return this;
  }

  mul(hi: number, lo: number): this {
    this.hi = (mulHigh32(this.lo, lo) + Math.imul(this.hi, lo) + Math.imul(this.lo, hi)) | 0;
    this.lo = Math.imul(this.lo, lo);
    return this;
  }

  /** Rotates left by 1 to 31. */
  rotate(bits: number): this {
    const hi = (this.hi << bits) | (this.lo >>> (32 - bits));
    this.lo = (this.lo << bits) | (this.hi >>> (32 - bits));
    this.hi = hi;
    return this;
  }

  /** `x ^= x >>> bits`, bits 1 to 63. */
  xorShift(bits: number): this {
    if (bits >= 32) {
      this.lo ^= this.hi >>> (bits - 32);
    } else {
      this.lo ^= (this.lo >>> bits) | (this.hi << (32 - bits));
      this.hi ^= this.hi >>> bits;
    }
    return this;
  }

  round(hi: number, lo: number): this {
    const input = new Lane(hi, lo).mul(P2_HI, P2_LO);
    return this.add(input.hi, input.lo).rotate(31).mul(P1_HI, P1_LO);
  }

  merge(lane: Lane): this {
    const mixed = new Lane(0, 0).round(lane.hi, lane.lo);
    return this.xor(mixed.hi, mixed.lo).mul(P1_HI, P1_LO).add(P4_HI, P4_LO);
  }
}
