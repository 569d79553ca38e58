/**
 * Which series belong to a shard. All stores must agree to the bit: xxhash64, seed 0, over the chosen labels in the series'
 * order, each as name 0xFF value 0xFF, modulo the number of shards.
 * Source: Thanos pkg/store/storepb/shard_info.go.
 */
import { GrowableBytes, utf8Decode, xxhash64 } from '@gauntlet/bytes';
import type { Labels } from '@gauntlet/model';
import { LABEL_STRIDE, type SeriesFrame, type ShardInfo } from '@gauntlet/proto';

/** Decides for one request; keeps a scratch buffer. */
export interface ShardMatcher {
  matchesLabels(labels: Labels): boolean;
  /** Series `series` of a decoded frame. */
  matchesFrame(frame: SeriesFrame, series: number): boolean;
}

/** @returns `undefined` if every series belongs: no shard info, or no shards */
export function createShardMatcher(info: ShardInfo | undefined): ShardMatcher | undefined {
  if (info === undefined || info.totalShards < 1) return undefined;
  const names = new Set(info.labels);
  const scratch = new GrowableBytes();
  const belongs = (): boolean => {
    const hash = xxhash64(scratch.bytes());
    return modulo(hash.hi, hash.lo, info.totalShards) === info.shardIndex;
  };
  return {
    matchesLabels: (labels) => {
      scratch.reset();
      for (let i = 0; i < labels.length; i += 2) {
        if (names.has(labels[i]!) !== info.by) continue;
        scratch.putString(labels[i]!);
        scratch.putU8(0xff);
        scratch.putString(labels[i + 1]!);
        scratch.putU8(0xff);
      }
      return belongs();
    },
    matchesFrame: (frame, series) => {
      scratch.reset();
      const end = frame.labelOffsets[series + 1]! * LABEL_STRIDE;
      for (let row = frame.labelOffsets[series]! * LABEL_STRIDE; row < end; row += LABEL_STRIDE) {
        const nameStart = frame.labelRanges[row]!;
        const name = frame.bytes.subarray(nameStart, nameStart + frame.labelRanges[row + 1]!);
        if (names.has(utf8Decode(name)) !== info.by) continue;
        const valueStart = frame.labelRanges[row + 2]!;
        scratch.putBytes(name);
        scratch.putU8(0xff);
        scratch.putBytes(frame.bytes.subarray(valueStart, valueStart + frame.labelRanges[row + 3]!));
        scratch.putU8(0xff);
      }
      return belongs();
    },
  };
}

/** (hi·2³² + lo) mod n, exact. */
function modulo(hi: number, lo: number, n: number): number {
  if (n > 0x3ffffff) return Number(((BigInt(hi) << 32n) | BigInt(lo)) % BigInt(n));
  return (((hi % n) * (0x100000000 % n)) + (lo % n)) % n;
}
